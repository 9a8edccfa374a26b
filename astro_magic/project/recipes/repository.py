"""The addresses of git repositories that private packages are installed from, by SSH."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote, unquote, urlsplit

from packaging.utils import canonicalize_name

from astro_magic.errors import InvalidContentError
from astro_magic.system.secrets import MASK, mask_url_credentials

__all__ = ["Repository", "parse_repository"]

_EXAMPLE = "git+ssh://git@github.com/org/repo.git"
_FORMS = f"Write {_EXAMPLE}, with @ and a branch, tag or commit behind it, or git@github.com:org/repo.git."
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_EXTRAS = rf"\[\s*(?P<extras>{_NAME}(?:\s*,\s*{_NAME})*)?\s*\]"
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
# As git and scp have it; a login there is no part of a URL.
_SCP = re.compile(r"(?P<user>[^@:/\s]+)@(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<path>.+)", re.DOTALL)
_NAMED = re.compile(rf"(?P<name>{_NAME})\s*(?:{_EXTRAS})?\s*@\s*(?P<address>.+)", re.DOTALL)
_EGG = re.compile(rf"(?P<name>{_NAME})(?:{_EXTRAS})?")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
_USER = re.compile(r"[^\s:/@-][^\s:/]*")
# Both are given by pip to git and to the file system as they stand, without a decoding.
_REFERENCE = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._/+=-]*[A-Za-z0-9_+=-])?")
_SUBDIRECTORY = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._/+=~-]*")
# A login that no URL has around it, as in user:password@host.
_BARE_LOGIN = re.compile(r"(?:(?<=[\s+])|^)[^\s/@:]+:[^\s/@]+@")
_LONGEST = 200


@dataclass(frozen=True)
class Repository:
    """A git repository that a private package is installed from.

    Attributes
    ----------
    host : str
        The server, in small letters; an IPv6 address without brackets.
    path : str
        Where it is on the server, as ``org/repo.git``; without the slash in front.
    name : str
        The package's name, as it was written; empty when none was given.
    extras : tuple of str
        The package's extras.
    user : str
        Who logs in.
    port : int or None
        The port; None for SSH's own.
    reference : str
        A branch, a tag or a commit; empty for the default branch.
    subdirectory : str
        The package's folder in the repository; empty for its root.
    """

    host: str
    path: str
    name: str = ""
    extras: tuple[str, ...] = ()
    user: str = "git"
    port: int | None = None
    reference: str = ""
    subdirectory: str = ""

    @property
    def url(self) -> str:
        """What git is given: without package, reference and folder."""
        return f"ssh://{quote(self.user, safe='~+')}@{self._server}/{quote(self.path, safe='/~+=,')}"

    @property
    def requirement(self) -> str:
        """The line of a requirements file."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        front = f"{self.name}{extras} @ " if self.name else ""
        reference = f"@{self.reference}" if self.reference else ""
        folder = f"#subdirectory={self.subdirectory}" if self.subdirectory else ""
        return f"{front}git+{self.url}{reference}{folder}"

    @property
    def key(self) -> str:
        """What makes two lines the same package of the same repository, whatever their reference."""
        folder = f"#{self.subdirectory}" if self.subdirectory else ""
        return f"{self._server}/{self.path.removesuffix('.git')}{folder}"

    @property
    def shown(self) -> str:
        """What a person is told, without the login."""
        return f"{self._server}/{self.path}" + (f"@{self.reference}" if self.reference else "")

    @property
    def _server(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


def parse_repository(text: str) -> Repository:
    """Read the address of a repository, in any form that pip or git has for one that is reached by SSH.

    The form of scp, ``git@host:org/repo.git``, becomes a URL with the same path, as all hosting services understand
    it. Only on a server of one's own the two differ: there the path of the scp form begins in the user's home folder,
    which a URL calls ``/~/``.

    Parameters
    ----------
    text : str
        Such as ``git+ssh://git@github.com/org/repo.git@v1#subdirectory=x``, ``ssh://...``, ``git@host:org/repo.git``,
        each also behind ``name @`` or ``name[extra] @``.

    Raises
    ------
    InvalidContentError
        When it is no such address, is one for another protocol, or has a password in it.
    """
    text = text.strip()
    _check_text(text)
    name, extras, address = _split_name(text)
    if re.search(r"\s", address):
        what = "has a marker behind it" if ";" in address else "has a blank in it"
        _refuse(text, what, "Write the address without blanks and markers; a blank in a path is %20.")
    address, _, fragment = address.partition("#")
    url = _URL.fullmatch(address)
    if url is not None:
        user, host, port, path = _split_url(text, url)
    else:
        scp = _SCP.fullmatch(address.removeprefix("git+"))
        if scp is None:
            _refuse(text, "is no address of a repository", _FORMS)
        user, host, port, path = scp["user"], scp["host"].strip("[]"), None, quote(scp["path"], safe="/~+=,@")
        first, _, rest = path.partition("/")
        if first.isdecimal():
            hint = f"For port {first}: git+ssh://{user}@{host}:{first}/{rest}; for a folder: git+ssh://{user}@{host}/{path}"
            _refuse(text, "has a number where the path begins, which may be meant as a port", hint)
    path, reference = _split_path(text, path)
    egg, egg_extras, subdirectory = _split_fragment(text, fragment)
    if name and egg and canonicalize_name(name) != canonicalize_name(egg):
        _refuse(text, f"has two names, {name} and {egg}", "Leave out #egg=.")
    host = _host(text, host)
    user = unquote(user) or "git"
    if not _USER.fullmatch(user) or _has_control(user):
        _refuse(text, "has a user name that is none", _FORMS)
    return Repository(
        host=host,
        path=path,
        name=name or egg,
        extras=extras or egg_extras,
        user=user,
        port=None if port == 22 else port,
        reference=reference,
        subdirectory=subdirectory,
    )


def _check_text(text: str) -> None:
    if not text:
        raise InvalidContentError("There is no address of a repository.", hint=_FORMS)
    if _has_control(text):
        _refuse(text, "has a control character in it", _FORMS)
    if text.startswith("-"):
        hint = "Write it without -e." if text.startswith(("-e ", "--editable")) else _FORMS
        _refuse(text, "begins like an option", hint)


def _split_name(text: str) -> tuple[str, tuple[str, ...], str]:
    """Split off the name and the extras of a requirement; in ``git@host:path``, what is before the @ is none."""
    match = _NAMED.fullmatch(text)
    if match is None or not (_URL.match(match["address"]) or _SCP.match(match["address"].removeprefix("git+"))):
        return "", (), text
    return match["name"], _extras(match["extras"]), match["address"]


def _extras(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if text else ()


def _split_url(text: str, url: re.Match[str]) -> tuple[str, str, int | None, str]:
    """Give user, host, port and path of a URL, all but the host as they are written."""
    scheme = url["scheme"].lower().removeprefix("git+")
    try:
        parts = urlsplit(f"ssh://{url['rest']}")
        port = parts.port
    except ValueError:
        hint = "Between the host and the path stands a slash, not a colon; a port is a number up to 65535."
        _refuse(text, "has a host or a port that is none", hint)
    host = parts.hostname or ""
    if scheme in {"http", "https"}:
        hint = f"Write git+ssh://git@{host}{parts.path}" if host and parts.path.strip("/") else _FORMS
        _refuse(text, f"is an address for {scheme}; private repositories are read by SSH", hint)
    if scheme != "ssh" or url["scheme"].lower() not in {"ssh", "git+ssh"}:
        _refuse(text, f"is an address for {url['scheme']}; private repositories are read by SSH", _FORMS)
    if parts.password is not None:
        _refuse(text, "has a password in it", "Write it without; SSH logs in with a key.")
    if not host:
        _refuse(text, "names no host", _FORMS)
    if "?" in url["rest"]:
        _refuse(text, "has a question mark in it, which no repository's address has", _FORMS)
    if port == 0:
        _refuse(text, "has a host or a port that is none", _FORMS)
    return parts.username or "", host, port, parts.path


def _split_path(text: str, path: str) -> tuple[str, str]:
    """Give the path and the reference; the last @ is between them, as pip has it."""
    before, separator, reference = path.rpartition("@")
    path = unquote(before if separator else path).strip("/")
    if not path:
        _refuse(text, "names no repository on the host", _FORMS)
    if path.startswith("-") or "\N{REPLACEMENT CHARACTER}" in path or _has_control(path) or ".." in path.split("/"):
        _refuse(text, "has a path that is none", _FORMS)
    reference = unquote(reference) if separator else ""
    unusable = not _REFERENCE.fullmatch(reference) or ".." in reference or "//" in reference
    if separator and (unusable or reference.endswith(".lock")):
        hint = (
            "Behind the last @ stands a branch, a tag or a commit; for one with other letters in it, give the commit."
        )
        _refuse(text, f"has a reference that cannot be used, {reference[:_LONGEST]!r}", hint)
    return path, reference


def _split_fragment(text: str, fragment: str) -> tuple[str, tuple[str, ...], str]:
    """Give the name and the extras of ``egg=``, and the folder of ``subdirectory=``."""
    found: dict[str, str] = {}
    for part in fragment.split("&") if fragment else ():
        key, _, value = part.partition("=")
        if key not in {"egg", "subdirectory"} or key in found:
            _refuse(text, f"has {part[:_LONGEST]!r} behind the #", "There may stand #egg=NAME or #subdirectory=FOLDER.")
        found[key] = unquote(value)
    egg = _EGG.fullmatch(found.get("egg", ""))
    if egg is None and "egg" in found:
        _refuse(text, "has a name behind #egg= that is none", "Write NAME @ in front of the address instead.")
    folder = found.get("subdirectory", "").removeprefix("./").rstrip("/")
    if "subdirectory" in found and (not _SUBDIRECTORY.fullmatch(folder) or {"..", "."} & set(folder.split("/"))):
        _refuse(text, "has a folder behind #subdirectory= that cannot be used", "Give one below the repository's root.")
    return (egg["name"], _extras(egg["extras"]), folder) if egg else ("", (), folder)


def _host(text: str, host: str) -> str:
    host = host.lower()
    if ":" in host and "%" not in host:
        try:
            return ipaddress.IPv6Address(host).compressed
        except ipaddress.AddressValueError:
            _refuse(text, "has a host that is none", _FORMS)
    if not _HOST.fullmatch(host):
        hint = "A host has letters, digits, dots and hyphens; one with other letters has a form that begins with xn--."
        _refuse(text, "has a host that is none", hint)
    return host


def _has_control(text: str) -> bool:
    """Tell whether there is a letter that nobody sees; among the blanks, only the usual one is seen."""
    return any(unicodedata.category(letter)[0] in "CZ" and letter != " " for letter in text)


def _refuse(text: str, what: str, hint: str) -> NoReturn:
    shown = _BARE_LOGIN.sub(f"{MASK}@", mask_url_credentials(text))
    shown = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
    raise InvalidContentError(f"{shown!r} {what}.", hint=hint)
