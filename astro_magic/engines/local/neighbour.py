"""An Airflow in this project that the Astro CLI has started: ``astro dev start --standalone``.

It works on the same database file, so no second one may be started beside it.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

from astro_magic.engines import routes
from astro_magic.engines.answers import ApiAccess, Component, EngineStatus, State
from astro_magic.engines.inside import processes
from astro_magic.engines.local import settings
from astro_magic.engines.local.health import heartbeats, usage
from astro_magic.engines.local.inside.components import SERVERS, components_of, generation_of
from astro_magic.engines.local.supervision import record_of, recorded_pid
from astro_magic.project.project import Project
from astro_magic.system.files import write_atomic

__all__ = ["ASTRO_CLI", "Neighbour", "announce", "find_neighbour", "left_secrets"]

ASTRO_CLI = "the Astro CLI"
#: As long as the Astro CLI itself waits for it to end.
_GRACE = 10.0
#: The file in which ``airflow standalone`` of Airflow 2 keeps the password that it has made.
_LOGIN_FILE = "standalone_admin_password.txt"
_WORDS = (
    "Started by the Astro CLI (astro dev start --standalone), process {}. "
    "%astro_stop stops it, %astro_restart takes it over."
)
_ROUND_SECONDS = 2.0
_USER = "admin"


@dataclass(frozen=True)
class Neighbour:
    """What the Astro CLI has started.

    Attributes
    ----------
    pid : int
        The leader of its process group, as the Astro CLI has noted it.
    started : float
        Since when it runs, in seconds since the epoch.
    port : int
        Where its UI is.
    airflow_version, python_version : str
        What it runs.
    members : tuple of psutil.Process
        The group, and what has left it.
    """

    project: Project
    pid: int
    started: float
    port: int
    airflow_version: str
    python_version: str | None
    members: tuple[psutil.Process, ...] = field(repr=False)

    @property
    def log(self) -> Path:
        """The log of all its components."""
        return self.project.standalone_dir / "airflow.log"

    def status(self, engine: str, *, measured: bool) -> EngineStatus:
        """Read how it does: a heartbeat younger than its start, and a server of its own that answers."""
        now = datetime.now(UTC)
        since = datetime.fromtimestamp(self.started, UTC)
        beats = heartbeats(self.project.standalone_dir / "airflow.db")
        components = []
        for name in components_of(self.airflow_version):
            process = self._process_of(name)
            beat = beats.get(name)
            healthy = self._serves() if name in SERVERS else beat is not None and beat.shows_life(since, now)
            cpu, memory = usage(process.pid) if process is not None and measured else (None, None)
            pid = process.pid if process is not None else None
            state: State = "running" if healthy or process is not None else "starting"
            components.append(Component(name, state, healthy, since, pid, cpu_percent=cpu, memory=memory))
        return EngineStatus(
            engine,
            "running" if all(component.healthy for component in components) else "starting",
            now,
            self.airflow_version,
            self.python_version,
            f"http://localhost:{self.port}",
            since,
            tuple(components),
            self._login_words(),
            (_WORDS.format(self.pid),),
            started_by=ASTRO_CLI,
        )

    def api(self) -> ApiAccess:
        """Give access to its REST API, as the Astro CLI itself gets in."""
        major = generation_of(self.airflow_version)
        # Airflow 3 makes everybody an administrator there, and asks for no more than some name.
        password = _password(self.project) if major < 3 else ""
        return ApiAccess(f"http://127.0.0.1:{self.port}", _USER, password or _USER, major)

    def stop(self, *, at_once: bool = False) -> tuple[int, int]:
        """End it, as the Astro CLI does, and what has left its group; gives how many ended, and how many by force."""
        if not at_once and sys.platform != "win32":
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGTERM)
            outside = [process for process in self.members if _group_of(process) != self.pid]
            processes.ask_to_end(outside)
        forced = processes.end_late(self.members, grace=0 if at_once else _GRACE)
        # What was started while it ended.
        _, more = processes.end(_members(self.pid), grace=0)
        (self.project.standalone_dir / "airflow.pid").unlink(missing_ok=True)
        return len(self.members), forced + more

    def _process_of(self, component: str) -> psutil.Process | None:
        word = component.replace(" ", "-")
        for process in self.members:
            with contextlib.suppress(psutil.Error):
                words = " ".join(process.cmdline()).replace("_", "-").split()
                if process.pid != self.pid and word in words:
                    return process
        return None

    def _serves(self) -> bool:
        """Whether the server on its port is one of its processes, and answers."""
        if not any(self.port in _listening(process) for process in self.members):
            return False
        path = "/health" if generation_of(self.airflow_version) < 3 else "/api/v2/monitor/health"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _login_words(self) -> str:
        if generation_of(self.airflow_version) >= 3:
            return ""
        file = (self.project.standalone_dir / _LOGIN_FILE).relative_to(self.project.root.parent)
        return f"user {_USER}, password in {file}"


def find_neighbour(project: Project) -> Neighbour | None:
    """Give what the Astro CLI has started in a project and what still lives of it; None where nothing does."""
    file = project.standalone_dir / "airflow.pid"
    try:
        pid, written = int(file.read_text(encoding="ascii")), file.stat().st_mtime
    except (OSError, ValueError):
        return None
    # For our own supervisor there is the same file.
    if pid <= 1 or pid == recorded_pid(record_of(project)):
        return None
    members = tuple(_members(pid))
    leader = next((process for process in members if _is_of(process, project, written)), None)
    if leader is None:
        return None
    airflow, python = _versions(leader, project)
    with contextlib.suppress(psutil.Error):
        written = leader.create_time()
    return Neighbour(project, pid, written, _port(_variables(leader), airflow), airflow, python, members)


def announce(project: Project, *, pid: int, port: int, airflow_version: str) -> tuple[str, ...]:
    """Tell the Astro CLI of an Airflow of our own; give what the user is to know where that fails.

    The users of Airflow 2 are in the database, and a start sets the password of the one that ``airflow standalone``
    has as well: its file is to have the same.
    """
    major = generation_of(airflow_version)
    password = settings.read_secrets(project).password
    if major < 3 and _password(project) != password:
        file = project.standalone_dir / _LOGIN_FILE
        # One that is replaced would keep its permissions.
        file.unlink(missing_ok=True)
        write_atomic(file, password.encode(), mode=0o600)
    (project.standalone_dir / "airflow_version").write_text(str(major), encoding="ascii")
    return routes.announce(project.root, port, pid=pid, mode="")


def left_secrets(project: Project) -> tuple[str, ...]:
    """Give the password that ``airflow standalone`` has made, which it writes into its log as well."""
    password = _password(project)
    return (password,) if password else ()


def _members(leader: int) -> list[psutil.Process]:
    """Give the living processes of a group, its leader first, and all that descends from them."""
    group: list[psutil.Process] = []
    children: dict[int, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            children.setdefault(process.ppid(), []).append(process)
            if _group_of(process) == leader:
                group.append(process)
    found: dict[int, psutil.Process] = {}
    while group:
        process = group.pop()
        if process.pid not in found:
            found[process.pid] = process
            group += children.get(process.pid, ())
    return sorted(found.values(), key=lambda process: process.pid != leader)


def _group_of(process: psutil.Process) -> int | None:
    if sys.platform == "win32":
        return None
    try:
        return os.getpgid(process.pid)
    except OSError:
        return None


def _is_of(process: psutil.Process, project: Project, written: float) -> bool:
    """Whether a process is Airflow in this project, and not a stranger that has got a number from the file.

    Airflow's processes write titles over their environment; then place and age have to do.
    """
    home = _variables(process).get("AIRFLOW_HOME")
    if home is not None:
        return _same(home, project.standalone_dir)
    try:
        return _same(process.cwd(), project.root) and process.create_time() <= written + _ROUND_SECONDS
    except psutil.Error:
        return False


def _variables(process: psutil.Process) -> Mapping[str, str]:
    try:
        return process.environ()
    except (psutil.Error, OSError):
        return {}


def _same(path: str, other: Path) -> bool:
    try:
        return Path(path).samefile(other)
    except OSError:
        return False


def _versions(leader: psutil.Process, project: Project) -> tuple[str, str | None]:
    """Give the versions of Airflow and Python, as the environment of the process tells them."""
    with contextlib.suppress(psutil.Error, IndexError):
        folder = Path(leader.cmdline()[0]).parent.parent
        for found in folder.glob("lib/python*/site-packages/apache_airflow-*.dist-info"):
            version = found.name.removeprefix("apache_airflow-").removesuffix(".dist-info")
            return version, found.parts[-3].removeprefix("python")
    return project.runtime.airflow, None


def _port(variables: Mapping[str, str], airflow_version: str) -> int:
    name = "AIRFLOW__WEBSERVER__WEB_SERVER_PORT" if generation_of(airflow_version) < 3 else "AIRFLOW__API__PORT"
    if variables.get(name, "").isdigit():
        return int(variables[name])
    # It says nothing of the port that Airflow has by default.
    return 8080


def _listening(process: psutil.Process) -> set[int]:
    try:
        found = process.net_connections("tcp")
    except (psutil.Error, OSError):
        return set()
    return {connection.laddr.port for connection in found if connection.status == psutil.CONN_LISTEN}


def _password(project: Project) -> str:
    with contextlib.suppress(OSError):
        return (project.standalone_dir / _LOGIN_FILE).read_text(encoding="utf-8").strip()
    return ""
