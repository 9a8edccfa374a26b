"""Connections and variables that ``.env`` defines, as ``AIRFLOW_CONN_...`` and ``AIRFLOW_VAR_...``.

Airflow looks for the connection ``lake`` in ``AIRFLOW_CONN_LAKE``: the variable has the id in capitals, so the id's own
spelling is not known from it. Source: ``airflow.secrets.environment_variables`` of Airflow 3.3.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode

from astro_magic.errors import InvalidContentError
from astro_magic.project.settings.objects import KindName
from astro_magic.project.settings.uri import parse_uri
from astro_magic.project.settings.values import RowProblem, SettingsObject, SettingsObjects

if TYPE_CHECKING:
    from astro_magic.project.project import Project

__all__ = ["connection_text", "read_connection", "read_environment", "variable_name"]

_PREFIXES: Mapping[KindName, str] = {
    "connection": "AIRFLOW_CONN_",
    "variable": "AIRFLOW_VAR_",
}
_TEXTS = ("conn_type", "host", "schema", "login", "password", "description")
_FORM = "Write it as type://login:password@host:port/schema, or as a JSON object with conn_type, host and so on."


def variable_name(kind: KindName, name: str) -> str:
    """Give the name of the environment variable that defines an object.

    Raises
    ------
    InvalidContentError
        When no environment variable can have that name, or it is a pool.
    """
    if kind not in _PREFIXES:
        raise InvalidContentError(f"A {kind} cannot stand in an environment file.", hint="Use --to settings.")
    variable = f"{_PREFIXES[kind]}{name.upper()}"
    if not (variable.isascii() and variable.replace("_", "a").isalnum()):
        raise InvalidContentError(
            f"The {kind} {name[:60]!r} cannot stand in an environment file: its name has other signs than letters, "
            "digits and '_'.",
            hint="Keep it in airflow_settings.yaml (--to settings).",
        )
    return variable


def read_environment(project: Project) -> SettingsObjects:
    """Read the connections and variables of a project's environment file.

    Parameters
    ----------
    project : Project
        The project.

    Returns
    -------
    SettingsObjects
        With names in small letters. A connection that cannot be read is a problem.

    Raises
    ------
    FileAccessError, InvalidContentError
        When the file cannot be read.
    """
    values = project.variables()
    places = {entry.key: entry for entry in project.dotenv.entries()}
    objects: list[SettingsObject] = []
    problems: list[RowProblem] = []
    for kind, prefix in _PREFIXES.items():
        for key, text in values.items():
            name = key.removeprefix(prefix).lower()
            if not key.startswith(prefix) or not name:
                continue
            entry = places[key]
            place = f"{entry.file}:{entry.line}"
            try:
                found = read_connection(text, key) if kind == "connection" else {"value": text}
            except InvalidContentError as error:
                problems.append(RowProblem(kind, name, entry.line, error.message, error.hint or _FORM, place))
            else:
                objects.append(SettingsObject(kind, name, found, place))
    return SettingsObjects(tuple(objects), tuple(problems))


def read_connection(text: str, where: str) -> dict[str, Any]:
    """Read a connection that is written as a URI or as JSON.

    Parameters
    ----------
    text : str
        The connection.
    where : str
        What errors call it. They never tell any of it.

    Returns
    -------
    dict of str to Any
        By the field of Airflow's REST API.

    Raises
    ------
    InvalidContentError
        When it is neither.
    """
    if not text.lstrip().startswith("{"):
        return parse_uri(text, where)
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidContentError(f"{where} begins like JSON, and is none.", hint=_FORM) from None
    unknown = [key for key in given if key not in (*_TEXTS, "port", "extra", "conn_id", "uri")]
    if unknown:
        raise InvalidContentError(
            f"{where} has the key {unknown[0][:40]!r}, which no connection has.",
            hint=f"The keys are: {', '.join(_TEXTS)}, port and extra.",
        )
    found = parse_uri(str(given["uri"]), where) if given.get("uri") else {}
    for key in _TEXTS:
        if given.get(key) not in (None, ""):
            found[key] = str(given[key])
    if "conn_type" not in found:
        raise InvalidContentError(f"{where} has no conn_type.", hint="Give it one, such as postgres or http.")
    found["conn_type"] = found["conn_type"].lower().replace("-", "_")
    if given.get("port"):
        found["port"] = _port(given["port"], where)
    extra = given.get("extra")
    if extra:
        found["extra"] = extra if isinstance(extra, str) else json.dumps(extra)
    return found


def _port(port: object, where: str) -> int:
    text = str(port)
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= 65535):
        raise InvalidContentError(f"{where} has something else than a port as its port.", hint="Write 1 to 65535.")
    return int(text)


def connection_text(values: Mapping[str, Any]) -> str:
    """Write a connection for an environment file: as a URI where one says all of it, else as JSON.

    In a URI all signs are encoded that tools read in different ways: quotes, blanks, ``#`` and ``$``.

    Parameters
    ----------
    values : Mapping of str to Any
        By the field of Airflow's REST API.
    """
    given = {name: value for name, value in values.items() if value not in (None, "")}
    try:
        uri = _uri(given)
        if parse_uri(uri, "The URI") == given:
            return uri
    except InvalidContentError:
        pass
    return json.dumps(given)


def _uri(given: Mapping[str, Any]) -> str:
    def encoded(name: str) -> str:
        return quote(str(given.get(name, "")), safe="")

    protocol, separator, host = str(given.get("host", "")).rpartition("://")
    login = encoded("login") + (f":{encoded('password')}" if "password" in given else "")
    port = f":{given['port']}" if "port" in given else ""
    place = f"{login}@" if login or (port and not host) else ""
    schema = f"/{encoded('schema')}" if "schema" in given else ""
    query = _query(str(given.get("extra", "")), slash="" if schema else "/")
    kind = str(given["conn_type"]).replace("_", "-")
    return f"{kind}://{protocol}{separator}{place}{quote(host, safe='')}{port}{schema}{query}"


def _json_object(extra: str) -> dict[str, Any]:
    try:
        fields = json.loads(extra)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise InvalidContentError("The extra is no JSON object.", hint=_FORM)
    return fields


def _query(extra: str, *, slash: str) -> str:
    if not extra:
        return ""
    fields = _json_object(extra)
    flat = urlencode(fields, quote_via=quote) if all(isinstance(value, str) for value in fields.values()) else ""
    # A text that looks like JSON would be read as what it looks like.
    plain = flat and dict(parse_qsl(flat, keep_blank_values=True)) == fields and json.dumps(fields) == extra
    return f"{slash}?{flat}" if plain else f"{slash}?{urlencode({'__extra__': extra}, quote_via=quote)}"
