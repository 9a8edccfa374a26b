"""Whether a Docker engine answers, and if not, why not."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from astro_magic.errors import CommandFailedError
from astro_magic.machine.result import CheckResult
from astro_magic.system import processes
from astro_magic.system.secrets import mask_url_credentials

__all__ = ["check_docker", "engine_sockets", "is_socket"]

_NAME = "Docker"
_LOCAL = "local processes are used"
_TIMEOUT = 3.0
#: The API of Docker 20.10, the oldest engine whose builds can mount caches and secrets.
_OLDEST_API = (1, 41)
_ABSENT = re.compile(
    r"Cannot connect to the Docker daemon|failed to connect to the docker API|daemon is(?: not)? running|"
    r"connection refused|no such file or directory$|cannot find the file specified",
    re.IGNORECASE,
)
_NO_CONTEXT = re.compile(r"context \"?(?P<name>[^\s\":]+)\"?: context not found")


def check_docker(*, timeout: float = _TIMEOUT) -> Iterator[CheckResult]:
    """Ask the engine that the ``docker`` command is set to, or one behind a usual socket.

    That there is none is no error, since Airflow can run as local processes.

    Parameters
    ----------
    timeout : float, optional
        Seconds to wait for an answer.
    """
    if shutil.which("docker") is None:
        yield _without_command(timeout)
        return
    try:
        asked = processes.run(["docker", "version", "--format", "{{json .}}"], timeout=timeout)
    except CommandFailedError as problem:
        hint = "Restart Docker; until it answers, use %astro_start --engine local."
        yield CheckResult(_NAME, "warning", f"no answer: {problem.message}", hint)
        return
    answer = _decoded(asked.output)
    server = answer.get("Server")
    if asked.code == 0 and isinstance(server, dict):
        yield _described(server, str(_part(answer, "Client").get("Context") or ""))
    else:
        yield _failed(asked.errors or asked.output, str(_part(answer, "Client").get("Version") or ""))


def _described(server: Mapping[str, Any], context: str) -> CheckResult:
    """Say which engine answers, and whether it will do."""
    version, api = str(server.get("Version") or "of unknown version"), str(server.get("ApiVersion") or "")
    seen = f"engine {version}" + (f", API {api}" if api else "")
    if os.environ.get("DOCKER_HOST"):
        seen += f", at {_where(os.environ['DOCKER_HOST'])} (DOCKER_HOST)"
    elif context not in ("", "default"):
        seen += f", context {context}"
    if str(server.get("Os") or "linux") != "linux":
        return CheckResult(_NAME, "warning", f"{seen}: runs no Linux containers", "Switch Docker to Linux containers.")
    numbers = re.fullmatch(r"(\d+)\.(\d+)", api)
    if numbers and (int(numbers[1]), int(numbers[2])) < _OLDEST_API:
        return CheckResult(_NAME, "warning", f"{seen}: too old to build with", "Update Docker to 20.10 or later.")
    return CheckResult(_NAME, "good", seen)


def _failed(words: str, client: str) -> CheckResult:
    """Say why no engine answers, from the words of the docker command."""
    said = mask_url_credentials(words.strip())
    command = f"the command is there{f' ({client})' if client else ''}"
    context = _NO_CONTEXT.search(said)
    if context:
        hint = "docker context ls shows those there are; docker context use default goes back."
        return CheckResult(_NAME, "warning", f"{command}, its context {context['name']} does not exist", hint)
    if re.search(r"permission denied", said, re.IGNORECASE):
        hint = "Add your user to the group docker and log in again, or use rootless Docker."
        return CheckResult(_NAME, "warning", f"{command}, but this user may not use the engine's socket", hint)
    if re.search(r"client version \S+ is too (?:old|new)", said):
        hint = "Update the older of the two: the docker command, or the engine."
        return CheckResult(_NAME, "warning", f"{command}, but the engine does not speak its API version", hint)
    if _ABSENT.search(said):
        hint = "Start Docker if it is to be used."
        return CheckResult(_NAME, "unknown", f"{command}, no engine answers; {_LOCAL}", hint)
    last = said.splitlines()[-1] if said else "it said nothing"
    return CheckResult(_NAME, "warning", f"{command}, but failed: {last}", "docker version shows the same.")


def _without_command(timeout: float) -> CheckResult:
    """Look for an engine behind a usual socket, as where only another program's own Docker is there."""
    found = [path for path in engine_sockets() if is_socket(path)]
    for path in found:
        server = _ask_socket(path, timeout)
        if server is not None:
            answered = _described(server, "")
            return CheckResult(_NAME, answered.state, f"{answered.detail}; no docker command", answered.hint)
    if found:
        return CheckResult(_NAME, "unknown", f"no docker command, and no engine answers at {found[0]}; {_LOCAL}")
    return CheckResult(_NAME, "unknown", f"not there; {_LOCAL}")


def _ask_socket(path: Path, timeout: float) -> dict[str, Any] | None:
    """Ask an engine for its version; None when it does not answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(os.fspath(path))
            connection.sendall(b"GET /version HTTP/1.0\r\nHost: docker\r\n\r\n")
            with HTTPResponse(connection) as response:
                response.begin()
                return _decoded(response.read().decode(errors="replace"))
        except (OSError, HTTPException):
            return None


def is_socket(path: Path) -> bool:
    """Whether there is a socket at `path`; one in a folder that this user may not look into counts as none."""
    try:
        return path.is_socket()
    except OSError:
        return False


def engine_sockets() -> Iterator[Path]:
    """Give the places where an engine usually listens, or the one that ``DOCKER_HOST`` names; each may be absent."""
    if sys.platform == "win32":
        return
    host = os.environ.get("DOCKER_HOST", "")
    if host:
        if host.startswith("unix://"):
            yield Path(host.removeprefix("unix://"))
        return
    yield Path("/var/run/docker.sock")
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime, "docker.sock")
    for name in (
        ".docker/run/docker.sock",
        ".colima/default/docker.sock",
        ".rd/docker.sock",
        ".orbstack/run/docker.sock",
    ):
        yield Path.home() / name


def _where(host: str) -> str:
    return mask_url_credentials(host)


def _decoded(text: str) -> dict[str, Any]:
    try:
        decoded = json.loads(text)
    except ValueError:
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _part(answer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = answer.get(name)
    return part if isinstance(part, dict) else {}
