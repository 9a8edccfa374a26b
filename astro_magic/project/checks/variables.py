"""Checks of the environment variables in ``.env``: what is not read, not used, or read in several ways."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from astro_magic.errors import InvalidContentError
from astro_magic.project.checks.finding import Finding
from astro_magic.project.dotenv.dialects import TOOLS, DialectDifference, differences
from astro_magic.project.dotenv.dotenv import Dotenv
from astro_magic.project.dotenv.lines import assignments
from astro_magic.project.project import Project

__all__ = ["OVERRIDDEN", "check_variables"]

# What the Astro CLI v1.45.0 sets in its containers whatever .env says: `environment` of Compose beats `env_file`.
_COMPOSE = {
    3: [
        "AIRFLOW__API__BASE_URL",
        "AIRFLOW__API__PORT",
        "AIRFLOW__API__SECRET_KEY",
        "AIRFLOW__API_AUTH__JWT_SECRET",
        "AIRFLOW__CORE__AUTH_MANAGER",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
        "AIRFLOW__CORE__EXECUTOR",
        "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW__CORE__LOAD_EXAMPLES",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS",
        "AIRFLOW__CORE__SQL_ALCHEMY_CONN",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
        "AIRFLOW__SCHEDULER__STANDALONE_DAG_PROCESSOR",
        "ASTRONOMER_ENVIRONMENT",
    ],
    2: [
        "AIRFLOW__API__AUTH_BACKEND",
        "AIRFLOW__CORE__EXECUTOR",
        "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW__CORE__LOAD_EXAMPLES",
        "AIRFLOW__CORE__SQL_ALCHEMY_CONN",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
        "AIRFLOW__WEBSERVER__EXPOSE_CONFIG",
        "AIRFLOW__WEBSERVER__RBAC",
        "AIRFLOW__WEBSERVER__SECRET_KEY",
        "ASTRONOMER_ENVIRONMENT",
    ],
}
# What its standalone mode sets after it has read .env (airflow/standalone.go, buildEnv).
_STANDALONE = {
    3: [
        "AIRFLOW_HOME",
        "AIRFLOW__API__SECRET_KEY",
        "AIRFLOW__API_AUTH__JWT_SECRET",
        "AIRFLOW__CORE__DAGS_FOLDER",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
        "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW__CORE__LOAD_EXAMPLES",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS",
        "ASTRONOMER_ENVIRONMENT",
        "PATH",
        "PYTHONPATH",
    ],
    2: [
        "AIRFLOW_HOME",
        "AIRFLOW__API__AUTH_BACKENDS",
        "AIRFLOW__CORE__DAGS_FOLDER",
        "AIRFLOW__CORE__EXECUTOR",
        "AIRFLOW__CORE__EXECUTE_TASKS_NEW_PYTHON_INTERPRETER",
        "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW__CORE__LOAD_EXAMPLES",
        "AIRFLOW__CORE__PLUGINS_FOLDER",
        "AIRFLOW__WEBSERVER__EXPOSE_CONFIG",
        "AIRFLOW__WEBSERVER__SECRET_KEY",
        "AIRFLOW__WEBSERVER__WEB_SERVER_PORT",
        "AIRFLOW__WEBSERVER__WORKERS",
        "ASTRONOMER_ENVIRONMENT",
        "PATH",
        "PYTHONPATH",
    ],
}
#: Options that cannot be set in .env, since one of the two sets them itself, or that say where things are in there.
OVERRIDDEN = frozenset(
    {name for names in (*_COMPOSE.values(), *_STANDALONE.values()) for name in names}
    | {"AIRFLOW__CORE__PLUGINS_FOLDER", "AIRFLOW__LOGGING__BASE_LOG_FOLDER"}
)
# Sections of Airflow's own configuration, 2.x and 3.x, and of providers that projects set often.
_SECTIONS = [
    "API",
    "API_AUTH",
    "ASSET_MANAGER",
    "ATLAS",
    "AWS",
    "CELERY",
    "CELERY_BROKER_TRANSPORT_OPTIONS",
    "CELERY_KUBERNETES_EXECUTOR",
    "CLI",
    "CORE",
    "DAG_PROCESSOR",
    "DASK",
    "DATABASE",
    "DEBUG",
    "EDGE",
    "ELASTICSEARCH",
    "ELASTICSEARCH_CONFIGS",
    "EMAIL",
    "EXECUTION_API",
    "FAB",
    "IMAP",
    "KERBEROS",
    "KUBERNETES",
    "KUBERNETES_EXECUTOR",
    "LINEAGE",
    "LOCAL_KUBERNETES_EXECUTOR",
    "LOGGING",
    "METRICS",
    "OPENLINEAGE",
    "OPENSEARCH",
    "OPERATORS",
    "SCHEDULER",
    "SDK",
    "SECRETS",
    "SENSORS",
    "SENTRY",
    "SMTP",
    "TRACES",
    "TRIGGERER",
    "USAGE_DATA_COLLECTION",
    "WEBSERVER",
    "WORKERS",
]
_OPTION = re.compile(
    rf"AIRFLOW_+(?P<section>{'|'.join(sorted(_SECTIONS, key=len, reverse=True))})_+(?P<key>[A-Z0-9][A-Z0-9_]*)"
)
_DOUBLE = re.compile(r"AIRFLOW__(?P<section>[A-Z0-9][A-Z0-9_]*?)__(?P<key>[A-Z0-9_]+)")
_OTHER_VARIABLES = ("AIRFLOW_CONN_", "AIRFLOW_VAR_", "AIRFLOW_CTX_")
# How many more lines are named that are read in the same ways.
_SHOWN = 5
# Programs read these in lower case, too.
_LOWER_CASE = {"http_proxy", "https_proxy", "no_proxy", "all_proxy", "ftp_proxy"}


def check_variables(project: Project) -> Iterator[Finding]:
    """Check the environment variables of a project.

    Parameters
    ----------
    project : Project
        The project.
    """
    document = Dotenv(project, ".env")
    try:
        majors = [project.runtime.airflow_major]
    except InvalidContentError:
        majors = [2, 3]
    first: dict[str, tuple[str, int]] = {}
    for file in document.files():
        lines = file.lines()
        set_here = assignments(lines)
        inside = {place for found in set_here for place in range(found.line, found.line + found.length)}
        for number, line in enumerate(lines, start=1):
            if number - 1 not in inside:
                yield from _line(file.name, number, line)
        for found in set_here:
            yield from _name(file.name, found.line + 1, found.key)
            yield from _overridden(file.name, found.line + 1, found.key, majors)
            yield from _again(file.name, found.line + 1, found.key, first)
        yield from _dialects(file)


def _line(file: str, number: int, line: str) -> Iterator[Finding]:
    if not line.strip() or line.lstrip().startswith("#"):
        return
    # The line is not shown: it may be a part of a secret.
    blanks = re.match(r"\s*(?:export\s+)?\w+(?:\s+\w+)+\s*=", line) is not None
    why = "its name has a blank in it" if blanks else "it is not of the form KEY=VALUE"
    yield Finding(
        "no-assignment",
        "warning",
        f"The line sets no variable: {why}.",
        "Write KEY=VALUE on one line, without blanks in the name, or # in front of a comment.",
        file,
        number,
    )


def _name(file: str, number: int, key: str) -> Iterator[Finding]:
    # Terraform and others have names of their own in mixed letters.
    if (key == key.lower() or key.upper().startswith("AIRFLOW_")) and key != key.upper() and key not in _LOWER_CASE:
        message = f"{key} is not in capitals, as the names of environment variables should be."
        yield Finding("lower-case-variable", "warning", message, f"Write {key.upper()}.", file, number)
        key = key.upper()
    meant = _meant(key)
    if meant is not None:
        message = f"Airflow does not read {key}: two underscores stand around the section of an option."
        if key.count("__") == meant.count("__"):
            message = f"{key} is about a section that Airflow does not have."
        yield Finding("unknown-option", "warning", message, f"Did you mean {meant}?", file, number)


def _meant(key: str) -> str | None:
    """Give the variable of an option that was meant by one that is none; None when this may be right."""
    if not key.startswith("AIRFLOW_") or key.startswith(_OTHER_VARIABLES):
        return None
    double = _DOUBLE.fullmatch(key)
    if double is not None:
        close = difflib.get_close_matches(double["section"], _SECTIONS, n=1, cutoff=0.8)
        return f"AIRFLOW__{close[0]}__{double['key']}" if close and close[0] != double["section"] else None
    match = _OPTION.fullmatch(key)
    return f"AIRFLOW__{match['section']}__{match['key']}" if match else None


def _overridden(file: str, number: int, key: str, majors: list[int]) -> Iterator[Finding]:
    docker = any(key in _COMPOSE[major] for major in majors)
    standalone = any(key in _STANDALONE[major] for major in majors)
    if not docker and not standalone:
        return
    modes = " and in ".join(["its Docker mode"] * docker + ["its standalone mode"] * standalone)
    remedy = "environment of the services in docker-compose.override.yml" if docker else "command line"
    yield Finding(
        "overridden-variable",
        "warning",
        f"The value of {key} will not be used by the Astro CLI, which sets it itself in {modes}.",
        f"Remove the line, or set it in the {remedy}.",
        file,
        number,
    )


def _again(file: str, number: int, key: str, first: dict[str, tuple[str, int]]) -> Iterator[Finding]:
    earlier = first.get(key)
    first[key] = (file, number)
    if earlier is not None:
        where = f"line {earlier[1]}" if earlier[0] == file else f"{earlier[0]} line {earlier[1]}"
        message = f"{key} is set here and in {where}; this one counts where both are read."
        yield Finding("variable-twice", "warning", message, "Keep one of the two lines.", file, number)


def _dialects(file: Dotenv) -> Iterator[Finding]:
    # With the byte order mark, which not all tools pass over. Lines that are read in the same ways are told together.
    same: dict[tuple[tuple[str, str], ...], list[DialectDifference]] = {}
    for difference in differences((file.read() or b"").decode()):
        same.setdefault(difference.readings, []).append(difference)
    for readings, (first, *others) in same.items():
        tools = "; ".join(f"{TOOLS[tool]} {how}" for tool, how in readings)
        subject = f"{first.key} is" if first.key else "The line is"
        places = [str(other.line) for other in others[:_SHOWN]]
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        also = f"; so {'is line' if len(others) == 1 else 'are lines'} {', '.join(places)}{more}" if others else ""
        yield Finding(
            "env-dialects",
            "note",
            f"{subject} read in several ways: {tools}{also}.",
            "Write KEY=VALUE with no quotes, blanks, $ or # in the value, where it can be.",
            file.name,
            first.line,
        )
