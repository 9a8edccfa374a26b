"""Start, find and talk to a project's supervisor (`inside.supervisor`)."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from astro_magic.engines.local.inside import processes as instance_processes
from astro_magic.errors import StartFailedError
from astro_magic.system import processes
from astro_magic.system.files import write_atomic
from astro_magic.system.folders import runtime_folder

__all__ = ["Supervisor", "end_leftovers", "find_supervisor", "launch"]

#: Seconds after which a supervisor with no component and nothing to do ends by itself.
_IDLE_SECONDS = 900.0

#: The modules of `inside` become a package of their own name, and their folder stays off the module path.
_LAUNCHER = (
    "import sys, types; package = types.ModuleType('astro_magic_inside'); package.__path__ = [sys.argv[1]]; "
    "sys.modules[package.__name__] = package; "
    "from astro_magic_inside.supervisor import main; main(sys.argv[2])"
)
_INSIDE = Path(instance_processes.__file__).parent
_CONNECT_TIMEOUT = 10.0


@dataclass(frozen=True)
class Supervisor:
    """A supervisor that runs, as its record tells.

    Attributes
    ----------
    pid : int
        Its process id, which is the id of the instance's session and process group.
    started : float
        Its start, in seconds since the epoch.
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
    """

    pid: int
    started: float
    instance: str
    socket: str
    port: int
    environment: str
    variables: str
    airflow_version: str
    python_version: str

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
        """Give every living process of the instance, the supervisor first."""
        found = instance_processes.members(self.pid, self.started, self.instance)
        return sorted(found, key=lambda process: process.pid != self.pid)

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
        return len(before), forced

    def identity(self, secret: str) -> str:
        """Give the key, in hexadecimal, that this instance's API server proves itself with."""
        return _identity(secret, self.instance)

    def alive(self) -> bool:
        """Whether the process that the record names is there, and is the same one."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 1
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False


def _identity(secret: str, instance: str) -> str:
    return hmac.new(secret.encode(), instance.encode(), hashlib.sha256).hexdigest()


def _read(record: Path) -> Supervisor | None:
    try:
        return Supervisor(**json.loads(record.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


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
    return ended


def launch(
    python: Path,
    *,
    environment: Mapping[str, str],
    project_root: Path,
    record: Path,
    pid_file: Path,
    logs: Path,
    secret: str,
    public: Mapping[str, Any],
) -> Supervisor:
    """Start a supervisor that outlives this process, and wait until it answers.

    Raises
    ------
    StartFailedError
        When it ends at once; the detail has its last words.
    """
    instance = secrets.token_hex(8)
    for folder in (record.parent, pid_file.parent, logs):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    configuration = {
        "instance": instance,
        "socket": str(runtime_folder() / f"{instance}.sock"),
        "record": str(record),
        "pid_file": str(pid_file),
        "logs": str(logs),
        "identity": _identity(secret, instance),
        "idle_seconds": _IDLE_SECONDS,
        "public": dict(public),
    }
    file = record.parent / f"launch-{instance}.json"
    write_atomic(file, json.dumps(configuration).encode(), mode=0o600)
    log = logs / "supervisor.log"
    before = log.stat().st_size if log.exists() else 0
    argv = [str(python), "-c", _LAUNCHER, str(_INSIDE), str(file)]
    pid = processes.spawn(argv, env={**environment, instance_processes.MARKER: instance}, cwd=project_root, log=log)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        known = _read(record)
        if known is not None and known.instance == instance:
            return known
        if not psutil.pid_exists(pid):
            break
        time.sleep(0.01)
    file.unlink(missing_ok=True)
    with log.open("rb") as stream:
        stream.seek(before)
        words = stream.read().decode(errors="replace")
    msg = "The process that runs Airflow ended while it was starting."
    raise StartFailedError(msg, hint=f"The whole log is {os.fspath(log)}.", detail="\n".join(words.splitlines()[-15:]))
