"""Checks of the files and folders of a project: what is not used, missing, or no text."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from astro_magic.errors import AstroMagicError
from astro_magic.project.checks.finding import Finding
from astro_magic.project.checks.variables import OVERRIDDEN
from astro_magic.project.config import CONFIG_NAME
from astro_magic.project.dags.ignore_rules import IGNORE_FILE
from astro_magic.project.dags.option import option_variable
from astro_magic.project.document import Document
from astro_magic.project.project import Project
from astro_magic.system.secrets import MASK, is_secret_name, mask_credentials

__all__ = ["check_files"]

_IGNORE_NAME = f"dags/{IGNORE_FILE}"
# The text files that the Astro CLI, Airflow and this package read.
_TEXTS = (
    "Dockerfile",
    "airflow_settings.yaml",
    "packages.txt",
    "requirements.txt",
    CONFIG_NAME,
    _IGNORE_NAME,
)
# The Astro CLI mounts these into its containers; Docker makes a missing one, owned by root.
_MOUNTED = ("dags", "include", "plugins", "tests")
# Where people put configuration files and scripts.
_PLACES = ("", "bin", "config", "dags", "include", "plugins", "scripts")
_SHOWN_OPTIONS = 4
_MARK = b"\xef\xbb\xbf"


def check_files(project: Project) -> Iterator[Finding]:
    """Check the files and folders of a project.

    Parameters
    ----------
    project : Project
        The project.
    """
    yield from _missing(project)
    yield from _folders(project)
    yield from _texts(project)
    yield from _unused(project)
    yield from _line_ends(project)


def _missing(project: Project) -> Iterator[Finding]:
    hint = "%astro_init . adds what is missing of the project, and changes nothing else."
    gone = []
    for name in _MOUNTED:
        path = project.root / name
        if path.is_dir():
            continue
        if path.exists() or path.is_symlink():
            message = f"{name} is no folder, so it cannot be mounted into Airflow's containers."
            yield Finding("missing-folder", "error", message, f"Rename it, and make a folder {name}.", name)
            continue
        gone.append(name)
    if gone:
        one = len(gone) == 1
        named = f"folder {gone[0]} is" if one else f"folders {', '.join(gone[:-1])} and {gone[-1]} are"
        would = f"Docker would make {'it' if one else 'them'}, owned by root"
        message = f"The {named} missing (git keeps no empty folders); {would}."
        yield Finding("missing-folder", "warning", message, hint, f"{gone[0]}/")
    if not _exists(project.root / "Dockerfile"):
        message = "The project has no Dockerfile, which names the image and so the Airflow version."
        yield Finding("missing-file", "error", message, hint, "Dockerfile")
    elif _builds_from_files(project):
        for name in ("packages.txt", "requirements.txt"):
            if not _exists(project.root / name):
                message = f"{name} is missing, and the image copies it: its build would fail."
                yield Finding("missing-file", "warning", message, hint, name)


def _builds_from_files(project: Project) -> bool:
    """Tell whether the image copies and installs the project's files by itself."""
    try:
        return project.runtime.onbuild
    except AstroMagicError:
        return False


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _folders(project: Project) -> Iterator[Finding]:
    for name in _TEXTS:
        if (project.root / name).is_dir():
            message = f"{name} is a folder; it has to be a file."
            yield Finding("folder-for-file", "error", message, "Move it away, then make the file.", name)
    variables = project.root / ".env"
    if variables.is_dir() and not any(variables.glob("*.env")):
        message = "The folder .env has no *.env file, so it sets no variable."
        yield Finding("empty-env-folder", "warning", message, "Give its files names such as dev.env.", ".env")


def _texts(project: Project) -> Iterator[Finding]:
    for name in (*_TEXTS, *_variable_files(project)):
        path = project.root / name
        # About its settings file the check of settings says more.
        if path.is_dir() or name == "airflow_settings.yaml":
            continue
        try:
            document = Document(project, name)
            lines = document.lines()
        except AstroMagicError as error:
            yield _unreadable(name, error)
            continue
        if name == _IGNORE_NAME and lines and lines[0].partition("#")[0].strip() and _has_mark(path):
            yield Finding(
                check="byte-order-mark",
                severity="warning",
                message="Airflow takes the byte order mark for a part of the first pattern, which so matches nothing.",
                hint="Save the file as UTF-8 without a byte order mark, or begin it with an empty line.",
                file=name,
                line=1,
            )
    try:
        config = project.config
        _ = (config.api_server_port, config.webserver_port, project.config_file.values())
    except AstroMagicError as error:
        yield _unreadable(CONFIG_NAME, error)


def _variable_files(project: Project) -> list[str]:
    folder = project.root / ".env"
    if not folder.is_dir():
        return [".env"]
    with contextlib.suppress(OSError):
        return sorted(f".env/{path.name}" for path in folder.glob("*.env") if path.is_file())
    return []


def _unreadable(name: str, error: AstroMagicError) -> Finding:
    return Finding("unreadable", "error", error.message, error.hint or "Correct the file, then run this again.", name)


def _has_mark(path: Path) -> bool:
    with contextlib.suppress(OSError), path.open("rb") as stream:
        return stream.read(len(_MARK)) == _MARK
    return False


def _unused(project: Project) -> Iterator[Finding]:
    for folder in _PLACES:
        name = f"{folder}/airflow.cfg".lstrip("/")
        if (project.root / name).is_file():
            yield Finding(
                check="unused-airflow-cfg",
                severity="warning",
                message=f"{name} is not used: an Astro project sets Airflow's options by environment variables.",
                hint=_variables_instead(project.root / name),
                file=name,
            )
        name = f"{folder}/airflow_local_settings.py".lstrip("/")
        if (project.root / name).is_file():
            yield Finding(
                check="unused-local-settings",
                severity="warning",
                message=f"{name} has no effect on Astro.",
                hint="Set options in .env (AIRFLOW__SECTION__KEY=VALUE); policies belong into a plugin package.",
                file=name,
            )


def _variables_instead(path: Path) -> str:
    """Say which lines of ``.env`` do what an ``airflow.cfg`` was meant to do."""
    import configparser

    general = "Write its options into .env instead, as AIRFLOW__SECTION__KEY=VALUE, and remove the file."
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True, default_section="\0")
    try:
        text = path.read_text(encoding="utf-8-sig")
        parser.read_string(text)
    except (OSError, UnicodeDecodeError, configparser.Error):
        return general
    # A generated file has each default in a comment; what only repeats it need not be set.
    defaults = {line.lstrip("#; ").replace(" ", "") for line in text.splitlines() if line.lstrip()[:1] in {"#", ";"}}
    lines = [
        _assignment(option_variable(section, key), value)
        for section in parser.sections()
        for key, value in parser.items(section)
        if value
        and f"{key}={value}".replace(" ", "") not in defaults
        and option_variable(section, key) not in OVERRIDDEN
    ]
    if not lines:
        return "Remove it; it sets nothing but defaults."
    more = f" (and {len(lines) - _SHOWN_OPTIONS} more)" if len(lines) > _SHOWN_OPTIONS else ""
    return f"Write into .env instead: {', '.join(lines[:_SHOWN_OPTIONS])}{more}; then remove the file."


def _assignment(variable: str, value: str) -> str:
    shown = MASK if is_secret_name(variable) else mask_credentials(" ".join(value.split()))
    return f"{variable}={shown}"


def _line_ends(project: Project) -> Iterator[Finding]:
    scripts: list[str] = []
    for folder in _PLACES:
        with contextlib.suppress(OSError), os.scandir(project.root / folder) as entries:
            scripts += [f"{folder}/{entry.name}".lstrip("/") for entry in entries if entry.name.endswith(".sh")]
    # All readers of .env take a carriage return for a part of the line's end.
    for name in ("Dockerfile", "packages.txt", *sorted(scripts)):
        with contextlib.suppress(OSError):
            data = (project.root / name).read_bytes()
            at = data.find(b"\r\n")
            # The builder takes it off as well, but not in a here-document, which a shell reads.
            if at >= 0 and (name != "Dockerfile" or b"<<" in data):
                yield Finding(
                    check="windows-line-ends",
                    severity="warning",
                    message=f"{name} has Windows line ends, and a shell takes each carriage return for content.",
                    hint="Save it with Unix line ends (LF), and add the line * text=auto eol=lf to .gitattributes.",
                    file=name,
                    line=data.count(b"\n", 0, at) + 1,
                )
