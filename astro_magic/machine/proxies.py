"""Whether the proxies that environment variables name can be used, and leave this machine's own addresses out."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from astro_magic.machine.result import CheckResult

__all__ = ["Proxy", "check_proxies", "parse_proxy"]

_NAME = "proxy"
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
_PORTS = {"http": 80, "https": 443, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}
_FORM = "It should be like http://proxy:3128; in a password, the signs @ / # : stand as %40 %2F %23 %3A."
_LOCAL = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Proxy:
    """Where a proxy is; its login is left out.

    Attributes
    ----------
    host : str
        Its name or address.
    port : int
        Its port.
    scheme : str
        How it is talked to; empty when the value does not say.
    """

    host: str
    port: int
    scheme: str = ""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_proxy(value: str) -> Proxy | None:
    """Read the value of a proxy variable.

    Parameters
    ----------
    value : str
        Such as ``http://user:password@proxy.example.com:3128``.

    Returns
    -------
    Proxy or None
        None when it is no URL of a proxy. A login with a character that belongs encoded makes another URL of it,
        whose host would be a part of the login.
    """
    scheme, separator, _ = value.partition("://")
    try:
        parts = urlsplit(value if separator else f"//{value}")
        port = parts.port
    except ValueError:
        return None
    rest = f"{parts.path}{parts.query}{parts.fragment}"
    known = not separator or scheme.lower() in _PORTS
    if not known or not parts.hostname or rest.strip("/") or not re.fullmatch(r"[\w.:%-]+", parts.hostname):
        return None
    return Proxy(parts.hostname, port or _PORTS[scheme.lower() if separator else "http"], scheme if separator else "")


def check_proxies(environment: Mapping[str, str] | None = None, *, timeout: float = 1.0) -> Iterator[CheckResult]:
    """Read each proxy variable, and connect to the proxies.

    Parameters
    ----------
    environment : mapping, optional
        The environment variables; this process's by default.
    timeout : float, optional
        Seconds to wait for a connection.
    """
    environment = os.environ if environment is None else environment
    problems = list(_differences(environment))
    proxies: dict[Proxy, list[str]] = {}
    for name in _PROXIES:
        for variable in (name, name.lower()):
            value = environment.get(variable, "").strip()
            if not value:
                continue
            proxy = parse_proxy(value)
            if proxy is None:
                problems.append(CheckResult(_NAME, "bad", f"{variable} is no URL of a proxy", _FORM))
                continue
            if not proxy.scheme:
                hint = f"Write http:// before it: not every tool takes {proxy} without."
                problems.append(CheckResult(_NAME, "warning", f"{variable} does not begin with http://", hint))
            proxies.setdefault(proxy, []).append(variable)
    for proxy, variables in proxies.items():
        refusal = _refusal(proxy, timeout)
        if refusal:
            detail = f"{proxy} ({', '.join(variables)}) does not answer: {refusal}"
            problems.append(CheckResult(_NAME, "bad", detail, "Correct the address, or unset the variable."))
    missing = [host for host in _LOCAL if not _left_out(host, environment)] if proxies else []
    if missing:
        what = f"NO_PROXY does not have {' and '.join(missing)}: tasks would reach their own Airflow by the proxy"
        problems.append(CheckResult(_NAME, "warning", what, "Add localhost,127.0.0.1 to NO_PROXY and to no_proxy."))
    yield from problems
    if not problems:
        seen = "; ".join(f"{proxy} ({', '.join(variables)})" for proxy, variables in proxies.items())
        yield CheckResult(_NAME, "good", f"{seen} answers" if seen else "none is set")


def _differences(environment: Mapping[str, str]) -> Iterator[CheckResult]:
    for name in (*_PROXIES, "NO_PROXY"):
        upper, lower = environment.get(name), environment.get(name.lower())
        if upper is not None and lower is not None and upper != lower:
            detail = f"{name} and {name.lower()} differ, and each tool takes another of them"
            yield CheckResult(_NAME, "warning", detail, "Give both the same value, or unset one.")


def _left_out(host: str, environment: Mapping[str, str]) -> bool:
    """Tell whether every tool would reach a host directly: both variables count, where both are set."""
    values = [value for name in ("NO_PROXY", "no_proxy") if (value := environment.get(name))]
    return bool(values) and all(_matches(host, value) for value in values)


def _matches(host: str, value: str) -> bool:
    for entry in value.split(","):
        name = entry.strip().lower().lstrip(".")
        if name in ("*", host):
            return True
        with contextlib.suppress(ValueError):
            if ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False):
                return True
    return False


def _refusal(proxy: Proxy, timeout: float) -> str:
    """Connect to a proxy; gives why that fails, or nothing."""
    try:
        socket.create_connection((proxy.host, proxy.port), timeout=timeout).close()
    except socket.gaierror:
        return "its name is not known"
    except TimeoutError:
        return f"nothing within {timeout:g} s"
    except OSError as problem:
        return problem.strerror or "the connection fails"
    return ""
