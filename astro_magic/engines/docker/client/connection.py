"""The connection to the container engine: found once, kept for the process, with its refusals told plainly."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_magic.engines.docker.client.endpoint import Endpoint, endpoints
from astro_magic.engines.docker.client.failures import hung, translate, unreachable
from astro_magic.errors import EngineUnavailableError

if TYPE_CHECKING:
    import docker

__all__ = ["Connection", "answers", "connect", "guard", "renew", "require_engine"]

#: Work runs in threads; each needs a socket of its own, and streams of logs and events keep theirs.
_POOL = 32
#: Seconds that the engine may take over one request, once it has answered.
_PATIENCE = 60.0

_connections: dict[tuple[int, Endpoint], Connection] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class Connection:
    """A container engine that answers.

    Attributes
    ----------
    api : docker.APIClient
        The low-level client, at the version that the engine speaks. Threads may share it.
    host : str
        ``unix:///var/run/docker.sock``, ``tcp://...``, ``ssh://...``.
    title : str
        ``Docker`` or ``Podman``.
    version : str
        The engine's version.
    local : bool
        Whether its containers are likely processes of this machine, whose ``/proc`` and ``/sys`` can be read: it
        listens on a Unix socket and runs on this very kernel. Of a single container, its control group tells.
    endpoint : Endpoint
        How it was found.
    """

    api: docker.APIClient = field(repr=False)
    host: str
    title: str
    version: str
    local: bool
    endpoint: Endpoint = field(repr=False)

    def environment(self) -> dict[str, str]:
        """Give what the docker command needs, on top of the present environment, to speak to the same engine."""
        return self.endpoint.environment()


def connect(*, timeout: float = 5.0) -> Connection:
    """Connect to the engine that the user's settings name, or else to the first usual one that answers.

    A process keeps one connection to each engine; it is checked again at every call, which takes a millisecond.

    Parameters
    ----------
    timeout : float, optional
        Seconds to wait for an engine that does not answer.

    Raises
    ------
    EngineUnavailableError
        When there is no engine, it does not run or hangs, or this user may not use it.
    """
    first: EngineUnavailableError | None = None
    for endpoint in endpoints():
        try:
            return _connected(endpoint, timeout)
        except EngineUnavailableError as problem:
            first = first or problem
            if hung(problem):
                # An engine that hangs is the one that is meant; to wait for each of the others helps nobody.
                raise
    raise first or EngineUnavailableError("No container engine was found.")


def answers(*, timeout: float = 1.0) -> bool:
    """Whether an engine answers; where there is none, the answer takes no time.

    Parameters
    ----------
    timeout : float, optional
        Seconds to wait for each engine that could be there.
    """
    try:
        places = endpoints()
    except EngineUnavailableError:
        return False
    for endpoint in places:
        if endpoint.socket is not None:
            if _pinged(endpoint.socket, timeout):
                return True
            continue
        try:
            _connected(endpoint, timeout)
        except EngineUnavailableError:
            continue
        return True
    return False


def renew(connection: Connection, *, timeout: float = 5.0) -> Connection:
    """Connect to the same engine again, which may have been restarted or updated; the same connection if it was not.

    Raises
    ------
    EngineUnavailableError
        When it does not answer.
    """
    return _connected(connection.endpoint, timeout)


def require_engine(connection: Connection, doing: str, *, timeout: float = 2.0) -> None:
    """Look whether an engine takes new connections: one that is about to end may still answer on those that it has.

    Parameters
    ----------
    connection : Connection
        The engine.
    doing : str
        What is being done, such as ``starting the scheduler``.
    timeout : float, optional
        Seconds to wait for its answer.

    Raises
    ------
    EngineUnavailableError
        When it takes none.
    """
    endpoint = connection.endpoint
    if endpoint.socket is None:
        _connected(endpoint, timeout)
        return
    try:
        _ping(endpoint.socket, timeout)
    except OSError as problem:
        raise unreachable(problem, endpoint.place, doing=doing, timeout=timeout) from problem


@contextmanager
def guard(doing: str) -> Iterator[None]:
    """Turn what the engine's client raises into an error that says what happened and what to do.

    Parameters
    ----------
    doing : str
        What is being done, such as ``starting the scheduler``.

    Raises
    ------
    EngineUnavailableError
        When the engine is gone, hangs, or may not be used.
    PortInUseError
        When a port is taken; it says by what.
    EngineError
        When the engine refused for another reason; its words are the detail.
    """
    try:
        yield
    except Exception as problem:
        error = translate(problem, doing, publisher=_publisher)
        if error is None:
            raise
        raise error from problem


def _connected(endpoint: Endpoint, timeout: float) -> Connection:
    """Give the kept connection when its engine still answers as it did, else a new one."""
    # A forked child must not share its parent's sockets.
    key = (os.getpid(), endpoint)
    kept = _connections.get(key)
    try:
        if kept is not None and _unchanged(kept, timeout):
            return kept
        made = _open(endpoint, timeout)
    except EngineUnavailableError:
        raise
    except Exception as problem:
        error = unreachable(problem, endpoint.place, timeout=timeout)
        if endpoint.origin:
            error.hint = f"{endpoint.origin} names it. {error.hint}"
        raise error from problem
    with _lock:
        present = _connections.get(key)
        if present is not None and present is not kept:
            # Another thread was quicker.
            made.api.close()
            return present
        _connections[key] = made
    return made


def _unchanged(kept: Connection, timeout: float) -> bool:
    """Whether the engine still answers, and speaks the version that was agreed on."""
    with kept.api.get(f"{kept.api.base_url}/_ping", timeout=timeout) as answer:
        spoken = answer.headers.get("Api-Version")
        return bool(answer.ok) and spoken in (None, kept.api.api_version)


def _open(endpoint: Endpoint, timeout: float) -> Connection:
    if endpoint.socket is not None:
        # Where nothing listens that is known before the client is even imported.
        _reach(endpoint.socket, timeout).close()
    import docker
    import docker.constants
    import docker.errors

    # The version is asked for by a client of its own, since one that negotiates it does so before it can be set up.
    with _client(endpoint, docker.constants.MINIMUM_DOCKER_API_VERSION, timeout=0.9 * timeout) as asking:
        described = asking.version(api_version=False)
    if not isinstance(described, dict) or not described.get("ApiVersion"):
        raise docker.errors.DockerException("What answers there is no container engine.")
    if described.get("Os", "linux") != "linux":
        message = f"The container engine at {endpoint.place} runs {described['Os']} containers, and none of Linux."
        raise EngineUnavailableError(message, hint="Switch Docker to Linux containers.")
    local = sys.platform == "linux" and endpoint.socket is not None
    return Connection(
        api=_client(endpoint, described["ApiVersion"], timeout=_PATIENCE),
        host=endpoint.host,
        title=_title(described),
        version=str(described.get("Version") or "of unknown version"),
        local=local and described.get("KernelVersion") == platform.release(),
        endpoint=endpoint,
    )


def _client(endpoint: Endpoint, version: str, *, timeout: float) -> docker.APIClient:
    import docker
    from requests.adapters import HTTPAdapter
    from requests.utils import get_environ_proxies

    api = docker.APIClient(
        base_url=endpoint.host,
        version=version,
        timeout=timeout,
        tls=_tls(endpoint),
        max_pool_size=_POOL,
        # The user's own ssh knows the keys, the agent and the configuration that the docker command would use.
        use_ssh_client=shutil.which("ssh") is not None,
    )
    # The environment's authorities would win over the engine's own, and its passwords mean nothing here.
    api.trust_env = False
    if endpoint.socket is not None:
        from astro_magic.engines.docker.client.unix_socket import SocketAdapter

        api.mount("http+docker://", SocketAdapter(f"http+unix://{endpoint.socket}", timeout, max_pool_size=_POOL))
    elif endpoint.host.startswith(("tcp://", "http://", "https://")):
        api.proxies = get_environ_proxies(api.base_url)
        for scheme in ("http://", "https://"):
            api.mount(scheme, HTTPAdapter(pool_maxsize=_POOL))
    return api


def _tls(endpoint: Endpoint) -> Any:
    if not endpoint.tls:
        return False
    import docker.tls

    pair = endpoint.certificate("cert.pem"), endpoint.certificate("key.pem")
    authority = endpoint.certificate("ca.pem")
    return docker.tls.TLSConfig(
        client_cert=pair if all(pair) else None, ca_cert=authority, verify=endpoint.verified or False
    )


def _title(described: Mapping[str, Any]) -> str:
    parts = described.get("Components") or ()
    return "Podman" if any("podman" in str(part.get("Name")).lower() for part in parts) else "Docker"


def _reach(path: Path, timeout: float) -> socket.socket:
    """Connect to a socket; the caller closes the connection."""
    with contextlib.ExitStack() as unless_connected:
        line = unless_connected.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        line.settimeout(timeout)
        line.connect(str(path))
        unless_connected.pop_all()
    return line


def _pinged(path: Path, timeout: float) -> bool:
    try:
        return _ping(path, timeout)
    except OSError:
        return False


def _ping(path: Path, timeout: float) -> bool:
    """Ask for a sign of life over the bare socket, without the client and the time its import takes."""
    with _reach(path, timeout) as line:
        line.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
        return b" 200 " in line.recv(64)


def _publisher(port: int) -> str:
    """Give the container that publishes a port, in words; empty when none is known."""
    import docker.errors
    import requests.exceptions

    refusals = (EngineUnavailableError, docker.errors.DockerException, requests.exceptions.RequestException)
    with contextlib.suppress(*refusals):
        for container in connect(timeout=2).api.containers():
            if any(published.get("PublicPort") == port for published in container.get("Ports") or ()):
                name = (container.get("Names") or ["?"])[0].lstrip("/")
                return f"the container {name}"
    return ""
