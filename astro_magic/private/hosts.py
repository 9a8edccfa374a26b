"""The keys by which a git server shows that it is the one that was meant."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from astro_magic.errors import InvalidContentError, NetworkError
from astro_magic.private.fingerprints import fingerprint_of
from astro_magic.private.published import PUBLISHED
from astro_magic.private.ssh_tools import run_tool

__all__ = [
    "PUBLISHED",
    "HostKey",
    "HostKeyChoice",
    "choose",
    "published",
    "read_known_hosts",
    "scan",
    "trusted_by_user",
]

_SSH_PORT = 22
_KINDS = "ed25519,ecdsa,rsa"
_LINE = re.compile(
    r"(?:(?P<marker>@\S+)\s+)?(?P<hosts>[^\s@#]\S*)\s+(?P<kind>[a-z][\w@.-]*)\s+(?P<key>[A-Za-z0-9+/]+=*)(?:\s.*)?"
)
_BRACKETED = re.compile(r"\[(?P<host>[^\]]+)\]:(?P<port>\d+)")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_HOST = re.compile(r"[A-Za-z0-9:][A-Za-z0-9:._-]*")
_ALIAS = "Check the name and the network; an alias of ~/.ssh/config is not known elsewhere."


@dataclass(frozen=True)
class HostKey:
    """A public key of a server.

    Attributes
    ----------
    host : str
        The server's name or address, without brackets.
    port : int
        The port on which it has the key.
    kind : str
        As SSH names it: ``ssh-ed25519``, ``ecdsa-sha2-nistp256``, ``ssh-rsa``.
    key : str
        The key in base64.
    """

    host: str
    port: int
    kind: str
    key: str

    @property
    def fingerprint(self) -> str:
        """As OpenSSH shows it: ``SHA256:...``."""
        return fingerprint_of(self.key)

    @property
    def line(self) -> str:
        """The line of a known_hosts file."""
        return f"{_entry(self.host, self.port)} {self.kind} {self.key}"


@dataclass(frozen=True)
class HostKeyChoice:
    """The keys by which a server is to be known, and why these.

    Attributes
    ----------
    keys : tuple of HostKey
        At least one.
    source : {"published", "known", "scanned", "given"}
        Published by the server's owner; in the user's own known_hosts; only what the server itself says, for a person
        to confirm; with the fingerprint that was given.
    """

    keys: tuple[HostKey, ...]
    source: Literal["published", "known", "scanned", "given"]


def published(host: str, port: int | None = None) -> tuple[HostKey, ...]:
    """Give the keys that a server's owner publishes, see `PUBLISHED` for the pages; empty for other servers.

    Parameters
    ----------
    host : str
        The server.
    port : int, optional
        Its port; SSH's own by default.
    """
    wanted = (host.lower(), port or _SSH_PORT)
    return tuple(
        HostKey(entry.host, entry.port, entry.kind, entry.key)
        for entry in PUBLISHED
        if (entry.host, entry.port) == wanted
    )


def scan(host: str, port: int | None = None, *, timeout: float = 10.0) -> tuple[HostKey, ...]:
    """Ask a server for its keys, by ``ssh-keyscan``. Whoever answers may be another server.

    Parameters
    ----------
    host : str
        The server.
    port : int, optional
        Its port; SSH's own by default.
    timeout : float
        Seconds for each connection; one is made for each kind of key, at once.

    Returns
    -------
    tuple of HostKey
        At least one.

    Raises
    ------
    InvalidContentError
        When `host` is no name and no address.
    NetworkError
        When the name is not known, or no SSH server answers.
    CommandFailedError
        When ssh-keyscan is not installed.
    """
    if not _HOST.fullmatch(host):
        raise InvalidContentError(f"{host!r} is no host.", hint="Give its name or its address.")
    port = port or _SSH_PORT
    command = ["ssh-keyscan", "-T", str(max(1, round(timeout))), "-p", str(port), "-t", _KINDS, "--", host]
    done = run_tool(command, timeout=timeout * 3 + 10.0)
    found = {HostKey(host, port, match["kind"], match["key"]) for match in _lines(done.output)}
    if found:
        return tuple(sorted(found, key=_preference))
    raise _silence(host, port, timeout)


def read_known_hosts(text: str) -> tuple[HostKey, ...]:
    """Read the keys in a known_hosts file; one for each of the names that a line has.

    Left out are lines that name no single server: hashed names, patterns, authorities and keys that are revoked.

    Parameters
    ----------
    text : str
        The file's text.
    """
    found = []
    for match in _lines(text):
        if match["marker"] is None and not match["hosts"].startswith("|"):
            for name in match["hosts"].split(","):
                bracketed = _BRACKETED.fullmatch(name)
                host, port = (bracketed["host"], int(bracketed["port"])) if bracketed else (name, _SSH_PORT)
                if not set("*?!") & set(host):
                    found.append(HostKey(host.lower(), port, match["kind"], match["key"]))
    return tuple(found)


def trusted_by_user(host: str, port: int | None = None) -> tuple[HostKey, ...]:
    """Give the keys by which the user's own ``~/.ssh/known_hosts`` knows a server, by ``ssh-keygen -F``.

    Lines with hashed names and with patterns count as well; keys that are marked as revoked do not.

    Parameters
    ----------
    host : str
        The server.
    port : int, optional
        Its port; SSH's own by default.

    Raises
    ------
    CommandFailedError
        When ssh-keygen is not installed.
    """
    file = Path.home() / ".ssh" / "known_hosts"
    if not file.is_file() or not _HOST.fullmatch(host):
        return ()
    entry = _entry(host, port or _SSH_PORT)
    done = run_tool(["ssh-keygen", "-F", entry, "-f", file], timeout=15.0)
    found = {(match["kind"], match["key"]): match["marker"] for match in _lines(done.output)}
    revoked = {key for (_, key), marker in found.items() if marker == "@revoked"}
    keys = [
        HostKey(host, port or _SSH_PORT, kind, key)
        for (kind, key), marker in found.items()
        if marker is None and key not in revoked
    ]
    return tuple(sorted(keys, key=_preference))


def choose(host: str, port: int | None, *, wanted: str) -> HostKeyChoice:
    """Find the keys by which a server is to be known.

    Parameters
    ----------
    host : str
        The server.
    port : int or None
        Its port; None for SSH's own.
    wanted : str
        ``auto`` for the published keys, else those that the user's known_hosts has, else those that the server shows,
        which a person then has to confirm. Or the fingerprint of one of its keys, ``SHA256:...``: the server, or the
        page of its owner, has to have that one.

    Raises
    ------
    InvalidContentError
        When `wanted` is neither.
    NetworkError
        When the server has no key with the fingerprint, or does not answer.
    CommandFailedError
        When OpenSSH's client is not installed.
    """
    known = published(host, port)
    if wanted == "auto":
        if known:
            return HostKeyChoice(known, "published")
        known = trusted_by_user(host, port)
        return HostKeyChoice(known, "known") if known else HostKeyChoice(scan(host, port), "scanned")
    fingerprint = wanted.rstrip("=")
    if not _FINGERPRINT.fullmatch(fingerprint):
        hint = "Give auto, or one as SHA256:...; the server's owner finds it with: ssh-keygen -l -E sha256 -f KEY.pub"
        raise InvalidContentError(f"{wanted[:100]!r} is no fingerprint of a host key.", hint=hint)
    known = known or scan(host, port)
    matching = tuple(key for key in known if key.fingerprint == fingerprint)
    if matching:
        return HostKeyChoice(matching, "given")
    shown = ", ".join(f"{key.fingerprint} ({key.kind})" for key in known)
    message = f"{_entry(host, port or _SSH_PORT)} has the host key {shown}, not the one that was given, {fingerprint}."
    hint = "Ask the server's owner for its fingerprints; this may be another server than the one that is meant."
    raise NetworkError(message, hint=hint)


def _lines(text: str) -> Iterator[re.Match[str]]:
    """Give the lines of a known_hosts file that hold a key."""
    for line in text.splitlines():
        match = _LINE.fullmatch(line.strip())
        if match is not None and _is_key(match["key"]):
            yield match


def _silence(host: str, port: int, timeout: float) -> NetworkError:
    """Say why a server gave no key; ssh-keyscan does not."""
    shown = _entry(host, port)
    try:
        with socket.create_connection((host, port), timeout):
            message = f"{shown} answers, but not as an SSH server with a key."
            return NetworkError(message, hint="Check the port.")
    except socket.gaierror as problem:
        message = f"No server is known by the name {host}."
        return NetworkError(message, hint=_ALIAS, detail=problem.strerror)
    except ConnectionRefusedError:
        return NetworkError(f"{shown} refuses connections.", hint="Check the port, and that an SSH server runs there.")
    except OSError as problem:
        hint = "Check the address, the port, the network and its firewall."
        return NetworkError(f"{shown} cannot be reached.", hint=hint, detail=problem.strerror or str(problem))


def _is_key(key: str) -> bool:
    try:
        fingerprint_of(key)
    except ValueError:
        return False
    return True


def _entry(host: str, port: int) -> str:
    """Give the name that a known_hosts file has for a server."""
    return host if port == _SSH_PORT else f"[{host}]:{port}"


def _preference(key: HostKey) -> tuple[int, str]:
    """Sort the kinds as they are preferred."""
    order = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")
    return (order.index(key.kind) if key.kind in order else len(order), key.key)
