"""Start, find and talk to a project's supervisor (`inside.supervisor`)."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import psutil

from astro_magic.engines.inside import processes as instance_processes
from astro_magic.engines.local.inside import warmth
from astro_magic.engines.local.settings import AIRFLOW_USER, LocalSecrets, with_added
from astro_magic.errors import StartFailedError
from astro_magic.project.project import Project
from astro_magic.system import processes
from astro_magic.system.files import guard, make_folder, write_atomic
from astro_magic.system.folders import runtime_folder

__all__ = [
    "Supervisor",
    "end_leftovers",
    "find_supervisor",
    "import_failure",
    "launch",
    "record_of",
    "recorded_pid",
]

#: The modules of both folders become a package of their own name, and the folders stay off the module path.
_LAUNCHER = (
    "import sys, types; package = types.ModuleType('astro_magic_inside'); package.__path__ = sys.argv[1].split(':'); "
    "sys.modules[package.__name__] = package; "
    "from astro_magic_inside.supervisor import main; main(sys.argv[2])"
)
_INSIDE = ":".join(str(Path(file).parent) for file in (warmth.__file__, instance_processes.__file__))
_CONNECT_TIMEOUT = 10.0
_LAUNCH_SECONDS = 30.0


@dataclass(frozen=True)
class Supervisor:
    """A supervisor that runs, as its record tells.

    Attributes
    ----------
    pid : int
        Its process id, which is the id of the instance's session and process group.
    started : float
        Its start, as `inside.processes.start_of` tells it.
    machine : str
        The start of the machine that it runs on, as `inside.processes.machine_start` names it.
    instance : str
        Id of the instance.
    socket : str
        Path of its socket.
    port : int
        Port that its API server has.
    environment : str
        Name of the environment's folder.
    variables : str
        Digest of the environment variables that it was started with.
    airflow_version, python_version : str
        Exact versions.
    added : str
        The folder that it looks for modules in, after all others, for packages that are added while it runs.
    """

    pid: int
    started: float
    machine: str
    instance: str
    socket: str
    port: int
    environment: str
    variables: str
    airflow_version: str
    python_version: str
    added: str

    def ask(self, request: Mapping[str, Any], *, timeout: float = 60.0) -> dict[str, Any]:
        """Send a request and give the first line of the answer."""
        for answer in self.talk(request, timeout=timeout):
            return answer
        msg = "The process that runs Airflow ended without an answer."
        raise StartFailedError(msg, hint="%astro_logs shows what it wrote last.")

    def talk(self, request: Mapping[str, Any], *, timeout: float | None = None) -> Iterator[dict[str, Any]]:
        """Send a request and give each line of the answer; hanging up ends a call."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_CONNECT_TIMEOUT)
            try:
                connection.connect(self.socket)
                connection.sendall(json.dumps(request).encode() + b"\n")
                connection.settimeout(timeout)
                with connection.makefile("rb") as lines:
                    for line in lines:
                        yield json.loads(line)
            except (OSError, ValueError) as problem:
                msg = f"The process that runs Airflow does not answer ({problem})."
                raise StartFailedError(msg, hint="%astro_stop ends it; %astro_start starts anew.") from problem

    def members(self) -> list[psutil.Process]:
        """Give every living process of the instance, the supervisor first; none when the machine was started since."""
        if self.machine != instance_processes.machine_start():
            return []
        found = instance_processes.members(self.pid, self.started, self.instance)
        return sorted(found, key=lambda process: process.pid != self.pid)

    def halt(self, *, grace: float) -> tuple[int, int]:
        """End its components; it goes on, and the next ones are forked from it. Gives what `stop` does."""
        answer = self.ask({"do": "halt", "grace": grace}, timeout=grace + 10)
        return int(answer["stopped"]), int(answer["forced"])

    def stop(self, *, grace: float) -> tuple[int, int]:
        """End the instance; gives how many processes ended, and how many of them were killed."""
        before = self.members()
        forced = 0
        try:
            forced = int(self.ask({"do": "stop", "grace": grace}, timeout=grace + 10)["forced"])
            instance_processes.await_end(before, timeout=2)
        except StartFailedError:
            _, forced = instance_processes.end(before, grace=min(grace, 2.0))
        left = self.members()
        if left:
            _, more = instance_processes.end(left, grace=0)
            forced += more
        # It does so itself, unless it was killed.
        shutil.rmtree(Path(self.added).parent, ignore_errors=True)
        return len(before), forced

    def identity(self, secret: str) -> str:
        """Give the key, in hexadecimal, that this instance's API server proves itself with."""
        return _identity(secret, self.instance)

    def alive(self) -> bool:
        """Whether the process that the record names is there, and is the same one."""
        here = self.machine == instance_processes.machine_start()
        return here and instance_processes.lives_since(self.pid, self.started)


def _identity(secret: str, instance: str) -> str:
    return hmac.new(secret.encode(), instance.encode(), hashlib.sha256).hexdigest()


def _read(record: Path) -> Supervisor | None:
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        return Supervisor(**known, added=os.fspath(_added(record, known["instance"])))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def record_of(project: Project) -> Path:
    """Give the file in which a project's supervisor writes who it is."""
    return project.state_dir / "run" / "supervisor.json"


def recorded_pid(record: Path) -> int | None:
    """Give the process id of the supervisor that was started last and not stopped, whether it lives or not."""
    known = _read(record)
    return None if known is None else known.pid


def find_supervisor(record: Path) -> Supervisor | None:
    """Give the supervisor that runs for this record, whoever started it; None when there is none."""
    known = _read(record)
    return known if known is not None and known.alive() else None


def end_leftovers(record: Path) -> tuple[int, int]:
    """End what a supervisor that died left behind, and remove its record."""
    known = _read(record)
    if known is None or known.alive():
        return 0, 0
    ended = instance_processes.end(known.members(), grace=0)
    for file in (record, Path(known.socket)):
        with contextlib.suppress(OSError):
            file.unlink()
    shutil.rmtree(_added(record, known.instance).parent, ignore_errors=True)
    return ended


def import_failure(traceback: str) -> StartFailedError:
    """Say that Airflow cannot be imported; the detail has the end of the traceback."""
    detail = "\n".join(traceback.strip().splitlines()[-15:])
    msg = "Airflow cannot be imported with this configuration."
    return StartFailedError(msg, hint="Look at .env and plugins/ first.", detail=detail)


def _added(record: Path, instance: str) -> Path:
    """Give the folder for packages that are added to an instance; its parent is that instance's alone."""
    return record.parent / f"added-{instance}" / "packages"


def _make_room(added: Path) -> None:
    """Make the folder for packages that are added, empty: one that comes later is not looked in."""
    empty = added.with_name("none")
    make_folder(empty)
    with guard(added, "write"):
        added.symlink_to(empty.name)


def _remove_abandoned(folder: Path) -> None:
    """Remove what was made for supervisors whose launch was killed before they were on record.

    One that has not read its file yet then ends by itself.
    """
    for file in folder.glob("launch-*.json"):
        file.unlink(missing_ok=True)
    known = {read.instance for file in folder.glob("*.json") if (read := _read(file)) is not None}
    for added in folder.glob("added-*"):
        if added.name.removeprefix("added-") not in known:
            shutil.rmtree(added, ignore_errors=True)


def launch(
    python: Path,
    *,
    environment: Mapping[str, str],
    project_root: Path,
    record: Path,
    pid_file: Path,
    logs: Path,
    secrets: LocalSecrets,
    public: Mapping[str, Any],
) -> Supervisor:
    """Start a supervisor that outlives this process, and wait until it answers; an interrupt ends it.

    Nobody else may be launching one for the same record.

    Raises
    ------
    StartFailedError
        When it ends at once; the detail has its last words.
    """
    instance = token_hex(8)
    for folder in (record.parent, pid_file.parent, logs):
        make_folder(folder, mode=0o700)
    _remove_abandoned(record.parent)
    added = _added(record, instance)
    _make_room(added)
    configuration = {
        "instance": instance,
        "socket": str(runtime_folder() / f"{instance}.sock"),
        "record": str(record),
        "pid_file": str(pid_file),
        "logs": str(logs),
        "identity": _identity(secrets.jwt, instance),
        "login": (AIRFLOW_USER, secrets.password),
        "added": os.fspath(added),
        "public": dict(public),
    }
    file = record.parent / f"launch-{instance}.json"
    write_atomic(file, json.dumps(configuration).encode(), mode=0o600)
    log = logs / "supervisor.log"
    before = log.stat().st_size if log.exists() else 0
    argv = [str(python), "-c", _LAUNCHER, _INSIDE, str(file)]
    variables = {**with_added(environment, added), instance_processes.MARKER: instance}
    with guard(log, "write"):
        pid = processes.spawn(argv, env=variables, cwd=project_root, log=log)
    known = None
    try:
        known = _await_record(record, instance, pid)
    finally:
        if known is None:
            file.unlink(missing_ok=True)
            with contextlib.suppress(psutil.Error):
                instance_processes.end([psutil.Process(pid)], grace=0)
            shutil.rmtree(added.parent, ignore_errors=True)
    if known is not None:
        return known
    with log.open("rb") as stream:
        stream.seek(before)
        words = stream.read().decode(errors="replace")
    msg = "The process that runs Airflow ended while it was starting."
    raise StartFailedError(msg, hint=f"The whole log is {os.fspath(log)}.", detail="\n".join(words.splitlines()[-15:]))


def _await_record(record: Path, instance: str, pid: int) -> Supervisor | None:
    """Wait until a supervisor has written who it is; None when it ends before, or takes too long."""
    deadline = time.monotonic() + _LAUNCH_SECONDS
    while time.monotonic() < deadline and psutil.pid_exists(pid):
        known = _read(record)
        if known is not None and known.instance == instance:
            return known
        time.sleep(0.01)
    return None
