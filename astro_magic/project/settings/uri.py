"""Connections written as a URI, read as Airflow reads them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from astro_magic.errors import InvalidContentError

__all__ = ["parse_uri"]

_EXTRA = "__extra__"
_TYPES = {"postgresql": "postgres"}


def parse_uri(uri: str, where: str) -> dict[str, Any]:
    """Take a connection's URI apart.

    Source: ``Connection._parse_from_uri`` of Airflow 3.3. One scheme may follow another, as in
    ``http://https://example.com``: the second belongs to the host.

    Parameters
    ----------
    uri : str
        Such as ``my-type://user:pass%20word@host:80/schema?timeout=3``.
    where : str
        What errors call it. They never tell any of it.

    Returns
    -------
    dict of str to Any
        By the field of Airflow's REST API; what the URI does not say is left out.

    Raises
    ------
    InvalidContentError
        When it is no URI of a connection.
    """
    scheme, separator, rest = uri.partition("://")
    protocol, second, _ = rest.partition("://")
    if not separator or not scheme or uri.count("://") > 2 or (second and ("@" in protocol or ":" in protocol)):
        raise _refused(where, "is no URI of a connection", "Write it as type://login:password@host:port/schema.")
    try:
        parts = urlsplit(rest if second else f"//{rest}")
        port = parts.port
    except ValueError:
        # A password with a sign that belongs to URIs makes a port of what follows it.
        raise _refused(
            where,
            "has something else than a number as its port, or a bracket in its host",
            "Write signs such as / : @ # ? of a login or password as %2F %3A %40 %23 %3F.",
        ) from None
    host = _host(parts)
    kind = scheme.lower()
    found = {
        "conn_type": _TYPES.get(kind, kind.replace("-", "_")),
        "host": f"{parts.scheme}://{host}" if second and host else host,
        "schema": unquote(parts.path[1:]),
        "login": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "port": port,
        "extra": _extra(parts.query, where),
    }
    return {name: value for name, value in found.items() if value not in ("", None)}


def _host(parts: SplitResult) -> str:
    """Give the host; one with a path in it, such as that of a socket, keeps its capitals."""
    host = unquote(parts.hostname or "")
    return unquote(parts.netloc.rpartition("@")[2].partition(":")[0]) if "/" in host else host


def _extra(query: str, where: str) -> str:
    fields: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
    if _EXTRA in fields:
        whole = fields[_EXTRA]
        if not isinstance(_decoded(whole), dict):
            raise _refused(where, f"has an {_EXTRA} that is no JSON object", "Write one, percent-encoded.")
        return str(whole)
    return json.dumps({name: _decoded(value) for name, value in fields.items()}) if fields else ""


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _refused(where: str, problem: str, hint: str) -> InvalidContentError:
    return InvalidContentError(f"{where} {problem}.", hint=hint)
