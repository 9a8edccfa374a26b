"""What an engine's refusals mean: each becomes an error that says what happened and what to do."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator
from typing import Any

from astro_magic.errors import AstroMagicError, EngineError, EngineUnavailableError, PortInUseError
from astro_magic.machine.ports import listener_on
from astro_magic.system.secrets import mask_url_credentials

__all__ = ["hung", "translate", "unreachable"]

Publisher = Callable[[int], str]

_START = "Start it (Docker Desktop, or sudo systemctl start docker); %astro_start --engine local works without it."
_RESTART = "Restart the engine; until it answers, %astro_start --engine local works without it."
_PORT = re.compile(
    r"[:\s](?P<port>\d{1,5})(?:/(?:tcp|udp))?(?:\s*->\s*\S+)?(?: failed)?:"
    r"(?:.*?(?P<other>:\d{1,5}):)? (?:bind: )?(?:port is already allocated|address already in use)",
    re.DOTALL,
)
_PORT_TAKEN = re.compile(r"port is already allocated|address already in use|ports are not available", re.IGNORECASE)
_ANY_PORT = re.compile(r":(\d{1,5})\b")
#: What an engine says while it goes down.
_LEAVING = re.compile(
    r"server is shutting down|transport is closing|client connection is closing|daemon is shutting down|"
    r"containerd.*(?:connection refused|context canceled)",
    re.IGNORECASE,
)
_KNOWN: tuple[tuple[str, str, str], ...] = (
    (
        r"no space left on device|disk quota exceeded",
        "the engine's disk is full",
        "docker system df shows what takes room; docker builder prune frees the cache of builds.",
    ),
    (
        r"no such host|i/o timeout|TLS handshake timeout|network is unreachable|server misbehaving",
        "the image's registry cannot be reached",
        "Check the network and the proxy that the engine uses.",
    ),
    (
        r"toomanyrequests|rate limit",
        "the image's registry refuses more downloads for now",
        "Wait, or log in with docker login.",
    ),
    (
        r"pull access denied|unauthorized|authentication required|denied: requested access",
        "the image's registry does not let this user have the image, or there is no such image",
        "Check the name; docker login gives access to a private one.",
    ),
    (
        r"manifest unknown|manifest for \S+ not found|no matching manifest",
        "the registry has no such image for this machine",
        "Check the image's name and tag.",
    ),
    (
        r"no such image",
        "the engine has no such image",
        "Check the image's name; docker images shows those there are.",
    ),
    (
        r"executable file not found|exec: .*no such file or directory",
        "the command is not in the image",
        "Check the command.",
    ),
    (
        r"exec format error|does not match the specified platform",
        "the image is made for another kind of processor",
        "Build it with --platform for this machine's, or take another base image.",
    ),
    (
        r"bind source path does not exist|mounts denied|not shared from the host|Are you trying to mount a directory",
        "a folder or file that is to be mounted is not there, or the engine may not use it",
        "Check that it exists; Docker Desktop lists the folders it may use under Settings, File sharing.",
    ),
    (
        r"is already in use by container",
        "a container of that name is there already",
        "docker ps --all shows it; docker rm removes it.",
    ),
    (
        r"volume is in use|has active endpoints|is using its referenced image|is being used by",
        "something else still uses it",
        "docker ps --all shows the containers there are.",
    ),
    (
        r"could not find an available.*address pool|address pools have been fully subnetted|Pool overlaps",
        "the engine has no address range left for another network",
        "docker network prune removes those that nothing uses.",
    ),
    (
        r"cannot allocate memory|not enough memory|out of memory",
        "there is not enough memory",
        "Stop other containers, or give the engine more memory.",
    ),
    (
        r"operation not permitted|permission denied",
        "the engine may not do that here",
        "The engine's words below say what; a rootless engine may do less than others.",
    ),
    (
        r"container \S+ is not running|is paused",
        "the container does not run",
        "%astro_status shows what runs; %astro_logs why something ended.",
    ),
    (r"no such container", "the container is gone", "%astro_status shows what runs."),
    (r"network \S+ not found|no such network", "the network is gone", "%astro_restart makes it anew."),
    (r"marked for removal|removal of container .* is already in progress", "it is being removed", "Run it again."),
    (
        r"client version \S+ is too (?:old|new)",
        "the engine speaks another version of its interface",
        "Update the older of the two: the docker package of this Python, or the engine.",
    ),
)


def translate(problem: Exception, doing: str, *, publisher: Publisher) -> AstroMagicError | None:
    """Give the error that stands for `problem`; None when it did not come from an engine.

    Parameters
    ----------
    problem : Exception
        What was raised.
    doing : str
        What was being done: ``starting the scheduler``.
    publisher : callable
        Gives the container that publishes a port, in words; empty when none does.
    """
    import docker.errors
    import requests.exceptions
    import urllib3.exceptions

    if isinstance(problem, docker.errors.APIError):
        return _refused(str(problem.explanation or problem), doing, publisher)
    if isinstance(problem, docker.errors.BuildError):
        return EngineError(f"Building the image failed while {doing}.", detail=str(problem.msg))
    if isinstance(problem, docker.errors.ContainerError):
        message = f"A container ended with code {problem.exit_status} while {doing}."
        return EngineError(message, detail=_words(problem.stderr))
    network = (docker.errors.DockerException, requests.exceptions.RequestException, urllib3.exceptions.HTTPError)
    if isinstance(problem, (*network, ConnectionError)):
        return unreachable(problem, "its address", doing=doing)
    return None


def unreachable(problem: Exception, place: str, *, doing: str = "", timeout: float = 0) -> EngineUnavailableError:
    """Give the error that says why the engine at `place` does not answer.

    Parameters
    ----------
    problem : Exception
        What the attempt to reach it raised.
    place : str
        Where it was looked for.
    doing : str, optional
        What was being done, where it had answered before.
    timeout : float, optional
        Seconds that were waited.
    """
    import requests.exceptions
    import urllib3.exceptions

    when = f" while {doing}" if doing else ""
    causes = tuple(_causes(problem))
    text = str(problem)

    def caused_by(*kinds: Any) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if caused_by(PermissionError):
        message = f"This user may not use the container engine at {place}{when}."
        hint = "Add your user to the group docker and log in again, or use rootless Docker."
    elif caused_by(ssl.SSLError) or "TLS" in text or "client_cert" in text or "ca_cert" in text:
        message = f"The container engine at {place} cannot be reached with TLS{when}."
        hint = "Check DOCKER_CERT_PATH and DOCKER_TLS_VERIFY, or the certificates of the docker context."
    elif "paramiko" in text:
        message = f"The container engine at {place} is reached by SSH, which needs a package that is not installed."
        hint = "%pip install paramiko, then restart the kernel."
    elif caused_by(FileNotFoundError):
        message = f"The container engine is not there{when}: {_nothing(place)}."
        hint = _START
    elif caused_by(ConnectionRefusedError):
        message = f"The container engine is not running{when}: nothing answers at {place}."
        hint = _START
    elif hung(problem):
        waited = f" for {timeout:g} s" if timeout else ""
        message = f"The container engine hangs{when}: {place} was silent{waited}."
        hint = _RESTART
    elif caused_by(ConnectionError, requests.exceptions.ConnectionError, urllib3.exceptions.ProtocolError):
        message = f"The container engine stopped answering{when}."
        hint = _START
    else:
        message = f"The container engine at {place} cannot be used{when}."
        hint = "docker version shows what the docker command says about it."
    return EngineUnavailableError(message, hint=hint, detail=mask_url_credentials(_last_line(text)))


def hung(problem: BaseException) -> bool:
    """Whether the reason of `problem` is that nobody answered in time."""
    import requests.exceptions
    import urllib3.exceptions

    kinds = (TimeoutError, requests.exceptions.Timeout, urllib3.exceptions.TimeoutError)
    return any(isinstance(cause, kinds) for cause in _causes(problem))


def _refused(words: str, doing: str, publisher: Publisher) -> AstroMagicError:
    """Say what a refusal of the engine means."""
    if _PORT_TAKEN.search(words):
        return _port_taken(words, doing, publisher)
    if _LEAVING.search(words):
        return EngineUnavailableError(f"The container engine went down while {doing}.", hint=_START, detail=words)
    for pattern, why, hint in _KNOWN:
        if re.search(pattern, words, re.IGNORECASE):
            return EngineError(f"The engine failed while {doing}: {why}.", hint=hint, detail=words)
    return EngineError(f"The engine failed while {doing}.", hint="Its words are below.", detail=words)


def _port_taken(words: str, doing: str, publisher: Publisher) -> PortInUseError:
    found = _PORT.search(words)
    ports = [found["port"]] if found else _ANY_PORT.findall(words)
    if not ports:
        return PortInUseError(f"A port is taken: {doing} failed.", hint="docker ps shows ports.", detail=words)
    port = int(ports[-1])
    owner = publisher(port)
    listener = None if owner else listener_on(port)
    if listener is not None and listener.project is not None:
        owner = f"the Airflow of {listener.project}"
    elif listener is not None:
        owner = f"{listener.name or 'a process'} (process {listener.pid})"
    message = f"Port {port} is taken{f' by {owner}' if owner else ''}, so {doing} failed."
    hint = f"Stop what holds port {port}, or take another with --port."
    return PortInUseError(message, hint=hint, detail=words)


def _causes(problem: BaseException) -> Iterator[BaseException]:
    """Give an exception and all that stands behind it; libraries hide the cause in arguments, too."""
    seen: list[BaseException] = []
    waiting: list[Any] = [problem]
    while waiting:
        cause = waiting.pop(0)
        if not isinstance(cause, BaseException) or any(cause is other for other in seen):
            continue
        seen.append(cause)
        yield cause
        waiting += [cause.__cause__, None if cause.__suppress_context__ else cause.__context__, *cause.args]
        waiting.append(getattr(cause, "reason", None))


def _nothing(place: str) -> str:
    return f"there is no socket at {place}" if place.startswith("/") else f"nothing is at {place}"


def _words(output: Any) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else str(output or "")


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else ""
