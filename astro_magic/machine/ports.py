"""Whether the port of the Airflow UI is free, and else who listens on it."""

from __future__ import annotations

import contextlib
import errno
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from astro_magic.errors import InvalidContentError
from astro_magic.machine.result import CheckResult
from astro_magic.project.project import Project

__all__ = ["Listener", "check_port", "is_free", "listener_on"]

_ADDRESS = "127.0.0.1"
_DEFAULT = 8080
#: The local engine names each instance in the environment of its processes, and in its record.
_INSTANCE = "ASTRO_MAGIC_INSTANCE"
_DOCKER = ("docker-proxy", "com.docker.backend", "rootlesskit", "vpnkit", "OrbStack Helper")


@dataclass(frozen=True)
class Listener:
    """A process that listens on a port.

    Attributes
    ----------
    pid : int
        Its process id.
    name : str
        Its name; empty when this user may not see it.
    project : Path or None
        The folder of the project whose Airflow it is part of; None when it is none that Astro Magic started.
    """

    pid: int
    name: str
    project: Path | None = None


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address, on every interface too."""
    return _refusal(port) is None


def listener_on(port: int) -> Listener | None:
    """Give the process that listens on a port; None when that cannot be seen."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,) and connection.pid:
                return _listener(connection.pid)
    return None


def check_port(project: Project | None = None) -> Iterator[CheckResult]:
    """Try the port that the Airflow UI would have.

    Parameters
    ----------
    project : Project, optional
        Whose configuration names the port; 8080 without one.
    """
    try:
        port = _DEFAULT if project is None else _configured(project)
    except InvalidContentError as problem:
        yield CheckResult("port", "bad", problem.message, problem.hint or "")
        return
    name = f"port {port}"
    elsewhere = None if project is None else _other_port(project, port)
    instead = f"; this project's Airflow runs at port {elsewhere}" if elsewhere else ""
    refusal = _refusal(port)
    if refusal is None:
        yield CheckResult(name, "good", f"free{instead}")
    elif refusal == errno.EACCES:
        hint = "Set a port from 1024 in .astro/config.yaml."
        yield CheckResult(name, "warning", f"only an administrator may listen on it{instead}", hint)
    else:
        listener = listener_on(port)
        if project and listener and listener.project and listener.project.samefile(project.root):
            yield CheckResult(name, "good", f"held by this project's Airflow (process {listener.pid})")
            return
        detail = f"held by {_named(listener)}{instead or '; %astro_start takes another that is free'}"
        yield CheckResult(name, "warning", detail, _advice(listener))


def _other_port(project: Project, port: int) -> int | None:
    """Give the port that this project's Airflow listens on when it is another one; None when it is none."""
    recorded = _recorded(project.root)
    if recorded is None or recorded[1] == port or is_free(recorded[1]):
        return None
    return recorded[1]


def _configured(project: Project) -> int:
    config = project.config
    try:
        airflow = project.runtime.airflow
    except InvalidContentError:
        # What is wrong with the Dockerfile is another check's to tell.
        airflow = ""
    return config.webserver_port if airflow.startswith("2.") else config.api_server_port


def _refusal(port: int) -> int | None:
    """Try to listen; gives the number of the error, None when it works."""
    for address in (_ADDRESS, ""):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as problem:
                return problem.errno or errno.EADDRINUSE
    return None


def _listener(pid: int) -> Listener:
    try:
        process = psutil.Process(pid)
        return Listener(pid, process.name(), _project_of(process))
    except psutil.Error:
        return Listener(pid, "")


def _project_of(process: psutil.Process) -> Path | None:
    """Find the project whose supervisor a process is, or descends from: it works in the project's folder."""
    for candidate in (process, *process.parents()):
        with contextlib.suppress(psutil.Error, OSError):
            folder = Path(candidate.cwd())
            recorded = _recorded(folder)
            if recorded and recorded[0] == candidate.pid:
                return folder
    return None


def _recorded(root: Path) -> tuple[int, int] | None:
    """Give the process and the port of a project's Airflow; None when none runs."""
    try:
        known = json.loads((root / ".astro" / "magic" / "run" / "supervisor.json").read_text(encoding="utf-8"))
        pid, port, instance = int(known["pid"]), int(known["port"]), str(known["instance"])
        # A process id is used again: it counts only together with the id that the process was given.
        return (pid, port) if port and psutil.Process(pid).environ().get(_INSTANCE) == instance else None
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None


def _named(listener: Listener | None) -> str:
    if listener is None:
        return "a process of another user, or of another system such as a virtual machine"
    if listener.project is not None:
        return f"the Airflow of {listener.project} (process {listener.pid})"
    if not listener.name:
        return f"process {listener.pid}"
    return f"{listener.name} (process {listener.pid})"


def _advice(listener: Listener | None) -> str:
    if listener is None:
        return "An administrator can see which: sudo lsof -i, or sudo ss -ltnp."
    if listener.project is not None:
        return f'%astro_stop --project "{listener.project}" stops it.'
    if listener.name in _DOCKER:
        return "It is a port of a container: docker ps shows which."
    return "Stop that process if the port is to be used, or set another port in .astro/config.yaml."
