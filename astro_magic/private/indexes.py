"""Private package indexes: whether a login is taken, and which projects an index has.

Only pages of the simple API are asked for (PEP 503 and PEP 691). A login is sent to the host of the given address and
to no other.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from astro_magic.errors import InvalidContentError, NetworkError
from astro_magic.private.logins import Login
from astro_magic.system import files
from astro_magic.system.secrets import mask_credentials

if TYPE_CHECKING:
    import httpx

__all__ = ["check_index", "checked_url", "find_projects"]

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.5, text/html; q=0.1"
_MOST_REDIRECTS = 5
#: How many pages are asked for at once.
_AT_ONCE = 6
_PORTS = {"http": 80, "https": 443}
_TRUST = "Name the certificate of the authority that signed it: %astro_ca_cert FILE"
_REACH = "Check the address, the network and the proxy (HTTPS_PROXY)."


@dataclass(frozen=True)
class _Answer:
    """What an index said: the status of the last page, and the host that it would send us to instead."""

    status: int
    elsewhere: str = ""


def check_index(url: str, login: Login | None, *, cafile: Path | None = None, timeout: float = 15.0) -> None:
    """Ask an index for its first page, and so find out whether the login is taken.

    That it has no such page is no error: some indexes have pages of projects only (AWS CodeArtifact answers 404).

    Over http, which anybody on the way can read, a login is sent only to this machine and to addresses of private
    networks, written as numbers: a name may lead anywhere.

    Parameters
    ----------
    url : str
        The address of its simple API, with or without a slash at its end.
    login : Login or None
        Who asks; None for an index that asks for no login.
    cafile : Path, optional
        Certificates of authorities in PEM form that are trusted beside the usual ones.
    timeout : float
        Seconds for each of connecting, sending and reading.

    Raises
    ------
    InvalidContentError
        When `url` is no address of an index, has a login in it, or would send one openly; or `cafile` has no
        certificates.
    NetworkError
        When the index cannot be reached or trusted, refuses the login, or sends us to another host.
    FileAccessError
        When `cafile` cannot be read.
    """
    base = checked_url(url, login)
    with _client(base, cafile, timeout) as client:
        answer = _ask(client, f"{base}/", login, timeout)
    if answer.elsewhere:
        hint = f"Give the address there, if it is the index that is meant: {answer.elsewhere}"
        raise NetworkError(f"{base} sends us to another host, which is not given the login.", hint=hint)
    if answer.status != 404:
        _judge(base, login, answer)


def find_projects(
    url: str, login: Login | None, names: Iterable[str], *, cafile: Path | None = None, timeout: float = 15.0
) -> frozenset[str]:
    """Find out which projects an index has, by asking for the page of each.

    A page that leads to another host does not count: some indexes send us to a public one for what they do not have
    themselves (GitLab does).

    Parameters
    ----------
    url : str
        The address of its simple API, with or without a slash at its end.
    login : Login or None
        Who asks; None for an index that asks for no login.
    names : iterable of str
        The names of projects in their normal form: small letters, digits and hyphens.
    cafile : Path, optional
        Certificates of authorities in PEM form that are trusted beside the usual ones.
    timeout : float
        Seconds for each of connecting, sending and reading, for each page.

    Returns
    -------
    frozenset of str
        Those of the names that it has.

    Raises
    ------
    InvalidContentError
        When `url` is no address of an index, has a login in it, or would send one openly; or `cafile` has no
        certificates.
    NetworkError
        When the index cannot be reached or trusted, or refuses the login.
    FileAccessError
        When `cafile` cannot be read.
    """
    wanted = sorted(set(names))
    base = checked_url(url, login)

    def has(name: str) -> bool:
        answer = _ask(client, f"{base}/{quote(name, safe='')}/", login, timeout)
        if answer.elsewhere or answer.status in {404, 410}:
            return False
        _judge(base, login, answer)
        return True

    with _client(base, cafile, timeout) as client, ThreadPoolExecutor(_AT_ONCE) as pool:
        return frozenset(name for name, found in zip(wanted, pool.map(has, wanted), strict=True) if found)


def checked_url(url: str, login: Login | None = None) -> str:
    """Check an address before anything is sent to it.

    Parameters
    ----------
    url : str
        The address of the simple API.
    login : Login, optional
        What is to be sent to it.

    Returns
    -------
    str
        The address without a slash at its end.

    Raises
    ------
    InvalidContentError
        When it is no address, has a login in it, or would send the login where anybody can read it.
    """
    import httpx

    url = url.strip()
    shown = mask_credentials(url)
    hint = "Give the address of its simple API, such as https://packages.example.com/simple/"
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise InvalidContentError(f"{shown!r} is no address of an index.", hint=hint) from None
    if parsed.userinfo:
        message = f"{shown!r} has a login in it, which would stand where others read it."
        raise InvalidContentError(message, hint="Give the address alone, and the login by a variable or the keyring.")
    if parsed.scheme not in _PORTS or not parsed.host or parsed.query or parsed.fragment:
        raise InvalidContentError(f"{shown!r} is no address of an index.", hint=hint)
    if login is not None and ":" in login.user:
        raise InvalidContentError("The user name has a colon in it, which no login can have.", hint="Check the name.")
    if login is not None and parsed.scheme == "http" and not _is_near(parsed.host):
        message = f"{shown!r} begins with http, over which anybody on the way could read the login."
        raise InvalidContentError(message, hint="Give the address that begins with https.")
    return str(parsed).rstrip("/")


def _is_near(host: str) -> bool:
    """Tell whether a host is this machine, or an address of a private network."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


@contextmanager
def _client(base: str, cafile: Path | None, timeout: float) -> Iterator[httpx.Client]:
    """Give a client that uses the proxies of the environment and trusts the certificates of a file as well."""
    import ssl

    import httpx

    try:
        context = httpx.create_ssl_context()
    except OSError as problem:
        message = "The certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read."
        raise NetworkError(message, hint="See %astro_doctor.", detail=str(problem)) from problem
    if cafile is not None:
        text = files.read_bytes(cafile).decode("ascii", errors="ignore")
        try:
            context.load_verify_locations(cadata=text)
        except (ssl.SSLError, ValueError) as problem:
            message = f"{cafile} holds no certificates in PEM form that can be read."
            raise InvalidContentError(message, hint="Give the certificate of an authority.") from problem
    try:
        client = httpx.Client(verify=context, timeout=timeout, headers={"Accept": _ACCEPT})
    except (httpx.InvalidURL, ImportError, ValueError) as problem:
        message = f"{base} cannot be asked: the proxy that the environment names cannot be used."
        hint = "Check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY."
        raise NetworkError(message, hint=hint, detail=mask_credentials(str(problem))) from problem
    with client:
        yield client


def _ask(client: httpx.Client, url: str, login: Login | None, timeout: float) -> _Answer:
    """Ask for a page without reading it; follows redirects only on the same host."""
    import httpx

    auth = None if login is None else httpx.BasicAuth(login.user, login.password)
    request = client.build_request("GET", url)
    try:
        for _ in range(_MOST_REDIRECTS):
            answer = client.send(request, auth=auth, stream=True, follow_redirects=False)
            answer.close()
            if answer.next_request is None:
                return _Answer(answer.status_code)
            target = answer.next_request.url
            if not _is_same_place(request.url, target):
                return _Answer(answer.status_code, str(target.copy_with(userinfo=b"", query=None, fragment=None)))
            request = client.build_request("GET", target.copy_with(userinfo=b""))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as problem:
        raise _unreachable(url, timeout, problem) from problem
    raise NetworkError(f"{url} leads from one page to the next without an end.", hint="Check the address.")


def _is_same_place(before: httpx.URL, after: httpx.URL) -> bool:
    """Tell whether a redirect stays on the host; it may lead from http to https, but never back."""
    if after.scheme not in _PORTS or before.host != after.host:
        return False
    ports = (before.port or _PORTS[before.scheme], after.port or _PORTS[after.scheme])
    if before.scheme == after.scheme:
        return ports[0] == ports[1]
    return (before.scheme, after.scheme) == ("http", "https") and ports == (80, 443)


def _judge(base: str, login: Login | None, answer: _Answer) -> None:
    if answer.status < 400:
        return
    if answer.status in {401, 403}:
        if login is None:
            hint = "Give one: --user NAME with --password-prompt or --password-from-env VARIABLE."
            raise NetworkError(f"{base} asks for a login (status {answer.status}).", hint=hint)
        hint = "Check both; a token may have expired, or may be allowed to do other things only."
        message = f"{base} refuses the login of {login.user!r} (status {answer.status})."
        raise NetworkError(message, hint=hint)
    if answer.status == 404:
        raise NetworkError(f"There is no index at {base}.", hint="Check the address.")
    if answer.status == 407:
        hint = "Give its login in HTTPS_PROXY."
        raise NetworkError("The proxy asks for a login (status 407).", hint=hint)
    hint = "Run it again later; if it stays so, ask whoever runs the index."
    raise NetworkError(f"{base} answers with an error (status {answer.status}).", hint=hint)


def _unreachable(url: str, timeout: float, problem: Exception) -> NetworkError:
    import httpx

    host = httpx.URL(url).netloc.decode(errors="replace")
    said = mask_credentials(str(problem))
    if "CERTIFICATE_VERIFY_FAILED" in said:
        why = re.search(r"certificate verify failed: ([^(]+)", said)
        reason = why[1].strip().rstrip(".") if why else "it is not trusted"
        own = "issuer" in reason or "self" in reason
        hint = _TRUST if own else "Ask whoever runs the index for a certificate that is right."
        return NetworkError(f"The certificate of {host} cannot be trusted: {reason}.", hint=hint, detail=said)
    if isinstance(problem, httpx.TimeoutException):
        return NetworkError(f"{host} did not answer within {timeout:.0f} s.", hint=_REACH)
    if isinstance(problem, httpx.ProxyError):
        message = f"The proxy does not lead to {host}."
        return NetworkError(message, hint="Check HTTPS_PROXY and NO_PROXY.", detail=said)
    return NetworkError(f"{host} cannot be reached.", hint=_REACH, detail=said or None)
