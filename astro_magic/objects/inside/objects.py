"""Tell of connections, variables and pools what only Airflow knows: what is stored, what counts, what types there are.

Each call is a process of its own. What it is asked and what it answers passes through the channel of the call alone:
all that Airflow prints or logs goes nowhere, and of an exception no more is told than what holds no secret.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import traceback
from collections.abc import Iterator
from typing import Any

__all__ = ["main"]

_URL_LOGIN = re.compile(r"(?<=://)[^\s/@\"']*(?=@)")
_FIELDS = ("conn_type", "host", "schema", "login", "password", "port", "extra", "description")


def main(request: dict[str, Any], emit: object) -> dict[str, Any]:
    """Answer ``request["ask"]``: ``read``, ``look up`` or ``types``. ``failure`` in the answer says what went wrong."""
    _be_silent()
    answers = {"read": _read, "look up": _look_up, "types": _types}
    try:
        return answers[request["ask"]](request)
    except Exception as problem:
        *_, place = traceback.extract_tb(problem.__traceback__)
        return {"failure": f"{type(problem).__name__} in {place.name}, line {place.lineno} of {place.filename}"}


def _be_silent() -> None:
    """Let go nowhere what is written by this process and those that it starts: a log is no place for a secret."""
    logging.disable(logging.CRITICAL)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    os.close(nowhere)


def _types(_: dict[str, Any]) -> dict[str, Any]:
    """Name the types of connections that a hook is known for; the hooks, which may be slow, are not imported."""
    from airflow.providers_manager import ProvidersManager

    return {"types": sorted(ProvidersManager().hooks)}


# -- what is stored --------------------------------------------------------------------------------------------------


def _read(request: dict[str, Any]) -> dict[str, Any]:
    """Read all objects of some kinds from the metadata database."""
    try:
        return {"objects": [stored for kind in request["kinds"] for stored in _stored(kind)]}
    except Exception as problem:
        return {"unreachable": _why_unreachable(problem)}


def _stored(kind: str) -> Iterator[dict[str, Any]]:
    """Read the objects of a kind; what cannot be decrypted is left out of the values, and told.

    The tables are read without their models: a model decrypts as it is loaded, so that one value that was stored with
    another key would end the whole listing; and it adds each secret to the masker of the logs, which takes longer for
    each.
    """
    from airflow.utils.session import create_session
    from sqlalchemy import select

    table, key = _table(kind)
    with create_session() as session:
        rows = [dict(row) for row in session.execute(select(table).order_by(key)).mappings()]
    for row in rows:
        values, problems = _values_of_row(kind, row)
        # Airflow has teams since 3.1.
        if "team_name" in row:
            values["team_name"] = row["team_name"]
        yield {"kind": kind, "name": row[key.name], "values": values, "problems": problems}


def _table(kind: str) -> Any:
    """Give the table of a kind, and its column of names."""
    if kind == "connection":
        from airflow.models.connection import Connection

        return Connection.__table__, Connection.__table__.c.conn_id
    if kind == "variable":
        from airflow.models.variable import Variable

        return Variable.__table__, Variable.__table__.c.key
    from airflow.models.pool import Pool

    return Pool.__table__, Pool.__table__.c.pool


def _values_of_row(kind: str, row: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Give a row's values by the names of the REST API, and what is wrong with them."""
    if kind == "pool":
        return {name: row[name] for name in ("slots", "include_deferred", "description")}, []
    if kind == "variable":
        values = {"description": row["description"]}
        encrypted = {"value": ("val", "is_encrypted")}
    else:
        values = {name: row[name] for name in _FIELDS if name not in ("password", "extra")}
        encrypted = {"password": ("password", "is_encrypted"), "extra": ("extra", "is_extra_encrypted")}
    problems = []
    for field, (column, flag) in encrypted.items():
        try:
            values[field] = _decrypted(row[column]) if row[column] and row[flag] else row[column]
        except LookupError:
            problems.append(f"The {field} cannot be decrypted: Airflow has no Fernet key.")
        except Exception:
            problems.append(f"The {field} cannot be decrypted: it was stored with another Fernet key.")
    return values, problems


def _decrypted(value: str) -> str:
    from airflow.models.crypto import get_fernet

    fernet = get_fernet()
    if not fernet.is_encrypted:
        raise LookupError
    return str(fernet.decrypt(value.encode()).decode())


def _why_unreachable(problem: Exception) -> str:
    """Say why the database does not answer: the first words of its driver, which name an address, and no statement."""
    said = str(getattr(problem, "orig", None) or "").strip().partition("\n")[0]
    return _URL_LOGIN.sub("", said) or type(problem).__name__


# -- what counts -----------------------------------------------------------------------------------------------------


def _look_up(request: dict[str, Any]) -> dict[str, Any]:
    """Tell where Airflow would get each object from, and what a local file defines beside those."""
    kind = request["kind"]
    origins = {name: {"source": "", "problems": []} for name in request["names"]}
    problems: list[str] = []
    for source, backend in _sources(kind, problems):
        asked = [name for name, origin in origins.items() if not origin["source"] and not origin.get("refused")]
        try:
            found = _ask(kind, source, backend, asked, request["timeout"])
        except Exception as problem:
            said = _why_unreachable(problem) if source == "database" else _without_values(problem)
            problems.append(f"{_called(source)} cannot be read: {said}.")
            continue
        for name, origin in found.items():
            known = origins.setdefault(name, {"source": "", "problems": []})
            if not known["source"]:
                known["problems"] += origin.pop("problems", [])
                known.update(origin)
    # The environment may have been asked twice.
    told = {name: {**origin, "problems": list(dict.fromkeys(origin["problems"]))} for name, origin in origins.items()}
    return {"origins": told, "problems": problems}


def _sources(kind: str, problems: list[str]) -> Iterator[tuple[str, Any]]:
    """Give the places in the order in which a task is given what stands there.

    A worker of Airflow 3 may have a backend of its own. It asks that and its environment, and then the API server,
    which asks the backend of ``[secrets]``, its environment, which is the same here, and the database.
    """
    from airflow.configuration import conf

    if kind != "pool":
        if conf.get("workers", "secrets_backend", fallback=""):
            yield from _custom(problems, worker_mode=True)
            yield "environment", None
        if conf.get("secrets", "backend", fallback=""):
            yield from _custom(problems)
        yield "environment", None
    yield "database", None


def _custom(problems: list[str], **mode: bool) -> Iterator[tuple[str, Any]]:
    """Give the backend that the configuration names, and the path of its class."""
    from airflow import configuration
    from airflow.models.connection import Connection

    try:
        backend = configuration.get_custom_secret_backend(**mode)
        if hasattr(backend, "_set_connection_class"):
            backend._set_connection_class(Connection)  # noqa: SLF001 - as Airflow does before it asks one
    except Exception as problem:
        problems.append(f"The secrets backend cannot be made: {_without_values(problem)}.")
    else:
        yield f"{type(backend).__module__}.{type(backend).__qualname__}", backend


def _ask(kind: str, source: str, backend: Any, names: list[str], timeout: float) -> dict[str, dict[str, Any]]:
    """Ask one place for names; gives what it has, and what went wrong with which name."""
    if source == "database":
        return {name: {"source": source} for name in _names_stored(kind).intersection(names)}
    if source == "environment":
        from airflow.secrets.environment_variables import EnvironmentVariablesBackend

        found = {name: _answer(kind, source, EnvironmentVariablesBackend(), name) for name in names}
        return {name: {**origin, "values": None} for name, origin in found.items() if origin}
    if any(each.__name__ == "LocalFilesystemBackend" for each in type(backend).__mro__):
        # For each single name it would read the whole file, twice.
        of_file = backend._local_connections if kind == "connection" else backend._local_variables  # noqa: SLF001
        return {name: {"source": source, "values": _values(kind, value)} for name, value in of_file.items()}
    answers: dict[str, dict[str, Any]] = {}

    def ask_all() -> None:
        for name in names:
            answers[name] = _answer(kind, source, backend, name)

    # One that hangs is left alone: this process ends soon.
    asking = threading.Thread(target=ask_all, daemon=True)
    asking.start()
    asking.join(timeout)
    late = {"source": "", "problems": [f"{source} did not answer within {timeout:g} s."]}
    return {name: dict(origin) for name in names if (origin := answers.get(name, late))}


def _names_stored(kind: str) -> set[str]:
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return {row[0] for row in session.execute(select(_table(kind)[1]))}


def _answer(kind: str, source: str, backend: Any, name: str) -> dict[str, Any]:
    """Ask a backend for one name; empty when it has nothing."""
    try:
        found = backend.get_connection(name) if kind == "connection" else backend.get_variable(name)
    except Exception as problem:
        # Airflow passes over what fails, but one of its exceptions forbids to look further.
        refused = type(problem).__name__ == "AirflowSecretsBackendAccessDenied"
        failed = f"Its environment variable is no {kind}" if source == "environment" else f"{source} failed"
        return {"source": "", "refused": refused, "problems": [f"{failed}: {_without_values(problem)}."]}
    return {"source": source, "values": _values(kind, found)} if found is not None else {}


def _values(kind: str, found: Any) -> dict[str, Any]:
    if kind == "connection":
        return {name: getattr(found, name, None) for name in _FIELDS}
    return {"value": found if isinstance(found, str) else json.dumps(found)}


def _called(source: str) -> str:
    return {"database": "The metadata database", "environment": "The environment"}.get(source, source)


def _without_values(problem: Exception) -> str:
    """Say what an exception is without its own words, which may quote what was to be read."""
    name = type(problem).__name__
    if isinstance(problem, OSError) and problem.strerror:
        return f"{problem.filename}: {problem.strerror}" if problem.filename else problem.strerror
    # AirflowFileParseException, of a local file.
    lines = [str(getattr(each, "line_no", "?")) for each in getattr(problem, "parse_errors", ())]
    return f"{name} (line {', '.join(lines)} of {getattr(problem, 'file_path', 'its file')})" if lines else name
