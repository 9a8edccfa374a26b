"""Where the engine is to be found: what the user's settings name, else the usual sockets."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astro_magic.errors import EngineUnavailableError
from astro_magic.machine.docker import engine_sockets, is_socket
from astro_magic.system.secrets import mask_url_credentials

__all__ = ["Endpoint", "endpoints"]

_SCHEMES = ("unix://", "tcp://", "http://", "https://", "ssh://", "npipe://", "fd://")
_CERTIFICATES = ("ca.pem", "cert.pem", "key.pem")


@dataclass(frozen=True)
class Endpoint:
    """An address at which an engine may answer.

    Attributes
    ----------
    host : str
        As in ``DOCKER_HOST``: ``unix:///var/run/docker.sock``, ``tcp://...``, ``ssh://...``.
    origin : str
        What named it: ``DOCKER_HOST``, ``context NAME``; empty for a usual socket.
    tls : bool
        Whether the connection is encrypted.
    verified : bool
        Whether the engine has to prove by a certificate that it is the one meant.
    certificates : Path or None
        Folder of ``ca.pem``, ``cert.pem`` and ``key.pem``, as far as they are there.
    """

    host: str
    origin: str = ""
    tls: bool = False
    verified: bool = True
    certificates: Path | None = None

    @property
    def place(self) -> str:
        """Where it is, for a message: the path of a socket, else the address without a password."""
        return self.socket.as_posix() if self.socket else mask_url_credentials(self.host)

    @property
    def socket(self) -> Path | None:
        """The Unix socket; None when the engine is reached another way."""
        return Path(self.host.removeprefix("unix://")) if self.host.startswith("unix://") else None

    def certificate(self, name: str) -> str | None:
        """Give the path of a certificate file; None when it is not there."""
        file = self.certificates / name if self.certificates is not None else None
        return str(file) if file is not None and file.is_file() else None

    def environment(self) -> dict[str, str]:
        """Give the variables that let the docker command speak to the same engine, on top of those that are set."""
        variables = {"DOCKER_HOST": self.host, "DOCKER_CONTEXT": "", "DOCKER_TLS": "", "DOCKER_TLS_VERIFY": ""}
        if self.tls:
            variables["DOCKER_TLS_VERIFY" if self.verified else "DOCKER_TLS"] = "1"
            if self.certificates is not None:
                variables["DOCKER_CERT_PATH"] = str(self.certificates)
        return variables


def endpoints() -> tuple[Endpoint, ...]:
    """Give the addresses to try, in order: the one that the user's settings name, else each usual socket there is.

    The settings are read as the docker command reads them: ``DOCKER_HOST``, then ``DOCKER_CONTEXT``, then the current
    context of its configuration.

    Raises
    ------
    EngineUnavailableError
        When the context that is named does not exist or cannot be used, or when there is no socket at all.
    """
    if host := os.environ.get("DOCKER_HOST", "").strip():
        return (_named(host, os.environ),)
    name = os.environ.get("DOCKER_CONTEXT", "").strip() or str(_configuration().get("currentContext") or "")
    if name and name != "default":
        return (_context(name),)
    places = tuple(_places())
    found = tuple(Endpoint(f"unix://{path}") for path in places if is_socket(path))
    if found:
        return found
    looked = ", ".join(str(path) for path in places) or "DOCKER_HOST"
    raise EngineUnavailableError(
        f"No container engine was found: there is no socket at {looked}.",
        hint="Start Docker or podman, or set DOCKER_HOST. %astro_start --engine local needs none.",
    )


def _places() -> tuple[Path, ...]:
    places = list(engine_sockets())
    if places:
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        places += [Path(folder, "podman/podman.sock") for folder in (runtime, "/run") if folder]
    return tuple(dict.fromkeys(places))


def _named(host: str, variables: Mapping[str, str]) -> Endpoint:
    """Read ``DOCKER_HOST`` and the variables that go with it."""
    if host.startswith("/"):
        host = f"unix://{host}"
    elif not host.startswith(_SCHEMES):
        host = f"tcp://{host}"
    verified = bool(variables.get("DOCKER_TLS_VERIFY"))
    tls = verified or bool(variables.get("DOCKER_TLS")) or host.startswith("https://")
    if not tls or host.startswith(("unix://", "ssh://", "npipe://")):
        return Endpoint(host, "DOCKER_HOST")
    folder = Path(variables.get("DOCKER_CERT_PATH") or _folder())
    return Endpoint(host, "DOCKER_HOST", tls=True, verified=verified, certificates=folder)


def _context(name: str) -> Endpoint:
    """Read a context of the docker command."""
    key = hashlib.sha256(name.encode()).hexdigest()
    file = _folder() / "contexts" / "meta" / key / "meta.json"
    hint = "docker context ls shows those there are; docker context use default goes back."
    try:
        described = json.loads(file.read_text(encoding="utf-8"))["Endpoints"]["docker"]
        host = str(described["Host"])
    except FileNotFoundError as problem:
        raise EngineUnavailableError(f"The docker context {name} does not exist.", hint=hint) from problem
    except (OSError, ValueError, KeyError, TypeError) as problem:
        message = f"The docker context {name} cannot be read: {file} names no Docker endpoint."
        raise EngineUnavailableError(message, hint=hint, detail=str(problem)) from problem
    certificates = _folder() / "contexts" / "tls" / key / "docker"
    verified = not described.get("SkipTLSVerify")
    encrypted = any((certificates / part).is_file() for part in _CERTIFICATES)
    tls = host.startswith("https://") or (host.startswith("tcp://") and (encrypted or not verified))
    if not tls:
        return Endpoint(host, f"context {name}")
    folder = certificates if encrypted else None
    return Endpoint(host, f"context {name}", tls=True, verified=verified, certificates=folder)


def _folder() -> Path:
    """Give the folder of the docker command's configuration."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _configuration() -> dict[str, Any]:
    try:
        read = json.loads((_folder() / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}
