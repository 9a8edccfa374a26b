"""Test a connection from where Airflow runs: by the hook of its type, or else by connecting to its host and port.

Each call is a process of its own. What it is asked and what it answers passes through the channel of the call alone:
all that Airflow or a provider prints or logs goes nowhere, and what a provider says is masked here, where the secrets
are known.
"""

from __future__ import annotations

import base64
import functools
import json
import logging
import os
import re
import socket
import threading
import traceback
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

__all__ = ["main"]

_MASK = "••••••"
_TCP_SECONDS = 5.0
_MESSAGE_LINES = 4
_MESSAGE_LENGTH = 600
_URL_LOGIN = re.compile(r"(?<=://)[^\s/@\"']*(?=@)")
_FIELDS = ("conn_type", "host", "schema", "login", "password", "port", "extra", "description")
#: Values of an extra that are no secret, and that a message is of no use without.
_PLAIN = frozenset({"account", "path", "region_name", "sslmode", "timeout", "verify", "warehouse"})
#: Airflow's own test of this type gives pip the password as an argument, which every user of the machine can read.
_UNSAFE = frozenset({"package_index"})
#: Where a connection of a type, or a host with such a scheme, is served when no port is given.
_PORTS = {
    "amqp": 5672,
    "cassandra": 9042,
    "druid": 8082,
    "elasticsearch": 9200,
    "exasol": 8563,
    "ftp": 21,
    "hive_cli": 10000,
    "hiveserver2": 10000,
    "http": 80,
    "https": 443,
    "imap": 993,
    "influxdb": 8086,
    "livy": 8998,
    "mongo": 27017,
    "mssql": 1433,
    "mysql": 3306,
    "neo4j": 7687,
    "opensearch": 9200,
    "oracle": 1521,
    "postgres": 5432,
    "presto": 8080,
    "redis": 6379,
    "sftp": 22,
    "smtp": 25,
    "spark": 7077,
    "ssh": 22,
    "trino": 8080,
    "vertica": 5433,
    "winrm": 5985,
}


def main(request: dict[str, Any], emit: object) -> dict[str, Any]:
    """Test the connection ``request["name"]``, or one that is made of ``request["values"]`` and stored nowhere."""
    _be_silent()
    try:
        if request["name"] is None:
            result = _test(f"astro_magic_test_{uuid.uuid4().hex}", request["values"], request["timeout"])
            return {"source": "values", **result}
        return _test_by_name(request["name"], request["timeout"])
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


def _told(outcome: str, message: str, how: str = "") -> dict[str, Any]:
    return {"outcome": outcome, "message": message, "how": how}


class _TooLongError(Exception):
    """Something took longer than a person waits."""


def _limited(work: Callable[[], Any], seconds: float) -> Any:
    """Do something in a thread, which is left alone when it takes too long: this process ends soon."""
    done: list[Any] = []
    failed: list[BaseException] = []

    def do() -> None:
        try:
            done.append(work())
        except BaseException as problem:
            failed.append(problem)

    worker = threading.Thread(target=do, daemon=True)
    worker.start()
    worker.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise _TooLongError
    return done[0]


# -- which connection ------------------------------------------------------------------------------------------------


def _test_by_name(name: str, timeout: float) -> dict[str, Any]:
    failures: list[str] = []
    try:
        source, values = _limited(lambda: _found(name, failures), timeout)
    except _TooLongError:
        msg = f"Where the connection {name} is looked up does not answer: given up after {timeout:g} s."
        return {"source": "", **_told("unknown", msg)}
    if not source:
        msg = " ".join([f"No connection {name} was found.", *failures])
        return {"source": "", **_told("unknown", msg)}
    return {"source": source, **_test(name, values, timeout)}


def _found(name: str, failures: list[str]) -> tuple[str, dict[str, Any]]:
    """Look a connection up where Airflow does, and as it does: what fails is passed over."""
    for source, backend in _backends(failures):
        try:
            connection = backend.get_connection(name)
            if connection:
                return source, {field: getattr(connection, field, None) for field in _FIELDS}
        except Exception as problem:
            # Its own words may quote what it read.
            kind = type(problem).__name__
            why = "it was stored with another Fernet key" if kind == "InvalidToken" else kind
            failures.append(f"It cannot be read from {source}: {why}.")
            if kind == "AirflowSecretsBackendAccessDenied":
                break
    return "", {}


def _backends(failures: list[str]) -> Iterator[tuple[str, Any]]:
    """Give the places in the order in which a task is given what stands there, each with what it is called.

    A worker of Airflow 3 may have a backend of its own. It asks that and its environment, and then the API server.
    """
    from airflow import configuration
    from airflow.models.connection import Connection
    from airflow.secrets.environment_variables import EnvironmentVariablesBackend
    from airflow.secrets.metastore import MetastoreBackend

    called = {EnvironmentVariablesBackend: "environment", MetastoreBackend: "database"}
    backends = configuration.ensure_secrets_loaded()
    if configuration.conf.get("workers", "secrets_backend", fallback=""):
        backends = [EnvironmentVariablesBackend(), *backends]
        try:
            own = configuration.get_custom_secret_backend(worker_mode=True)
            if hasattr(own, "_set_connection_class"):
                own._set_connection_class(Connection)  # noqa: SLF001 - as Airflow does before it asks one
            backends.insert(0, own)
        except Exception as problem:
            failures.append(f"The secrets backend of workers cannot be made: {type(problem).__name__}.")
    for backend in backends:
        kind = type(backend)
        yield called.get(kind, f"{kind.__module__}.{kind.__qualname__}"), backend


# -- the test --------------------------------------------------------------------------------------------------------


def _test(name: str, values: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Test what the values say; it is told in words without any of their secrets."""
    try:
        result = _tested(name, values, timeout)
    except _TooLongError:
        msg = f"The test of the provider was given up after {timeout:g} s without an answer."
        result = _told("failed", msg, "provider")
    lines = [line.strip() for line in _masked(result["message"], values).splitlines() if line.strip()]
    return {**result, "message": "\n".join(lines[:_MESSAGE_LINES])[:_MESSAGE_LENGTH]}


def _tested(name: str, values: dict[str, Any], timeout: float) -> dict[str, Any]:
    kind = str(values.get("conn_type") or "")
    if not kind:
        return _told("unknown", "It has no connection type, which says how it is tested.")
    try:
        port = int(values["port"]) if values.get("port") else None
    except (TypeError, ValueError):
        return _told("failed", "Its port is no number.")
    why = _limited(lambda: _why_no_test(kind), timeout)
    if why:
        return _tested_by_tcp(str(values.get("host") or ""), port, kind, why, min(timeout, _TCP_SECONDS))
    passed, message = _limited(lambda: _tested_by_hook(name, {**values, "port": port}), timeout)
    return _told("passed" if passed else "failed", str(message) or "The provider gives no reason.", "provider")


def _why_no_test(kind: str) -> str:
    """Say what Airflow has instead of a test for a type of connections; empty when it has one."""
    from airflow.providers_manager import ProvidersManager

    try:
        hooks = ProvidersManager().hooks
    except ImportError:
        # One is in the way of all.
        return "a provider that cannot be imported"
    if kind not in hooks:
        return f"no provider for connections of the type {kind}"
    hook = hooks[kind]
    if hook is None:
        return f"a provider for connections of the type {kind} that cannot be imported"
    safe = hook.connection_testable and kind not in _UNSAFE
    return "" if safe else f"no safe test for connections of the type {kind}"


def _tested_by_hook(name: str, values: dict[str, Any]) -> tuple[bool, str]:
    from airflow.models.connection import Connection

    _hand_out(name, values)
    try:
        connection = Connection(conn_id=name, **{field: values.get(field) for field in _FIELDS})
        # Airflow leaves a name with unusual characters out.
        connection.conn_id = name
    except Exception as problem:
        return False, f"Airflow does not take it: {problem}"
    passed, message = connection.test_connection()
    return bool(passed), message


def _hand_out(name: str, values: dict[str, Any]) -> None:
    """Let whoever asks Airflow for the connection get this one, as the API does by a variable of the environment.

    A hook is told nothing but the name. A variable would be passed on to every process that the hook starts, so the
    connection is handed out where Airflow reads variables. There what is stored is handed out, too: beside a task,
    Airflow 3 looks into no database, and a hook may need a second connection.
    """
    from airflow.secrets.environment_variables import EnvironmentVariablesBackend
    from airflow.secrets.metastore import MetastoreBackend

    read = EnvironmentVariablesBackend.get_conn_value

    @functools.wraps(read)
    def get_conn_value(self: Any, conn_id: str, *more: Any, **named: Any) -> Any:
        if conn_id == name:
            return _as_json(values)
        value = read(self, conn_id, *more, **named)
        if value:
            return value
        stored = MetastoreBackend().get_connection(conn_id)
        return _as_json({field: getattr(stored, field) for field in _FIELDS}) if stored else None

    EnvironmentVariablesBackend.get_conn_value = get_conn_value


def _as_json(values: dict[str, Any]) -> str:
    return json.dumps({field: values[field] for field in _FIELDS if values.get(field) is not None})


# -- host and port ---------------------------------------------------------------------------------------------------


def _tested_by_tcp(host: str, port: int | None, kind: str, why: str, timeout: float) -> dict[str, Any]:
    """Connect and hang up: that tells whether somebody is there, and not whether a login would be taken."""
    try:
        name, port = _address(host, port, kind)
    except ValueError:
        name, port = "", None
    if not name or not port:
        missing = "host" if not name else "port"
        return _told("unknown", f"It cannot be tested: Airflow has {why}, and it names no {missing} to connect to.")
    place = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
    try:
        _limited(lambda: socket.create_connection((name, port), timeout=timeout).close(), timeout)
    except (_TooLongError, TimeoutError):
        return _told("failed", f"{place} did not answer within {timeout:g} s.", "tcp")
    except (socket.gaierror, UnicodeError):
        return _told("failed", f"The host {name} is not known where Airflow runs.", "tcp")
    except ConnectionRefusedError:
        return _told("failed", f"Nobody takes connections at {place}.", "tcp")
    except (OSError, OverflowError) as problem:
        return _told(
            "failed", f"{place} cannot be reached: {getattr(problem, 'strerror', None) or 'no such port'}.", "tcp"
        )
    return _told("passed", f"{place} takes connections. The login was not tried: Airflow has {why}.", "tcp")


def _address(host: str, port: int | None, kind: str) -> tuple[str, int | None]:
    """Take a host apart, which may be ``scheme://host:port/path``, ``host:port``, or several of these."""
    scheme, there, rest = host.strip().rpartition("://")
    place = re.split(r"[/?,]", rest, maxsplit=1)[0].rpartition("@")[2]
    if place.count(":") > 1 and not place.startswith("["):
        place = f"[{place}]"
    parts = urlsplit(f"//{place}")
    usual = _PORTS.get(scheme.lower()) if there else None
    return parts.hostname or "", port or parts.port or usual or _PORTS.get(kind)


# -- secrets ---------------------------------------------------------------------------------------------------------


def _masked(text: str, values: dict[str, Any]) -> str:
    """Hide the password, what the extra holds, and the logins of URLs."""
    login, password, extra = (values.get(name) for name in ("login", "password", "extra"))
    hidden = [str(password)] if password else []
    words: list[str] = []
    for value in _leaves(extra):
        # A short one is a word like ``require``, which is hidden where it stands alone.
        (words if len(value) < 8 and value.isalnum() else hidden).append(value)
    if password:
        hidden.append(base64.b64encode(f"{login or ''}:{password}".encode()).decode())
    forms = {form for value in hidden for form in _forms(value)}
    words += [form for form in forms if len(form) <= 3]
    for form in sorted((form for form in forms if len(form) > 3), key=len, reverse=True):
        text = text.replace(form, _MASK)
    for word in words:
        text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", _MASK, text)
    return _URL_LOGIN.sub(_MASK, text)


def _leaves(extra: Any) -> Iterator[str]:
    """Give the texts and numbers in an extra; a text in it that is JSON itself is taken apart as well."""
    if isinstance(extra, dict):
        for name, value in extra.items():
            yield from _leaves(value) if name not in _PLAIN else ()
    elif isinstance(extra, list):
        for value in extra:
            yield from _leaves(value)
    elif isinstance(extra, str):
        yield from [extra] if extra else []
        try:
            inner = json.loads(extra)
        except ValueError:
            inner = None
        if isinstance(inner, (dict, list)):
            yield from _leaves(inner)
    elif isinstance(extra, (int, float)) and not isinstance(extra, bool):
        yield str(extra)


def _forms(value: str) -> Iterator[str]:
    """Give a secret as it may stand in a message: as it is, line by line, within a URL, quoted, encoded."""
    yield from (value, *(line.strip() for line in value.splitlines() if len(line.strip()) > 7))
    for encoded in (quote(value, safe=""), quote(value), quote_plus(value)):
        yield from (encoded, re.sub(r"%..", lambda found: found[0].lower(), encoded))
    yield from (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1])
    yield base64.b64encode(value.encode()).decode()
