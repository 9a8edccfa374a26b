"""The process that imports Airflow once, forks its components, and answers for them.

It listens on a Unix socket. A client sends one line of JSON and reads lines of JSON until the connection closes:

``{"do": "status"}``
    What is loaded, and how each component is.
``{"do": "load", "successor": bool}``
    Import what the components need, which otherwise waits for a quiet moment. A successor is soon to take over.
``{"do": "fresh"}``
    Whether the project's own code that has been imported still is what the files say.
``{"do": "take over", "record": path}``
    Be the process of that record, in place of the one that had it.
``{"do": "start", "environment": {...}}``
    Fork the components, each as soon as what it needs has been imported, with these variables.
``{"do": "halt", "grace": seconds}``
    End every component and everything that they started; this process goes on.
``{"do": "stop", "grace": seconds}``
    The same, and end this process.
``{"do": "call", "script": path, "request": {...}}``
    Fork a process that runs the script's ``main(request, emit)``. It ends when the client hangs up.

Everything happens in one thread, because a thread does not survive a fork. A second process, the guard, ends
the whole instance when this one dies, however it dies.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from . import added, combined, components, ending, preload, sources, warmth
from .guard import Guard
from .record import Record, write_whole

if TYPE_CHECKING:
    from astro_magic.engines.inside import processes
else:
    from . import processes

__all__ = ["main"]

_RESTART_LIMIT = 5
_STEADY_SECONDS = 60.0
_STOP_GRACE = 5.0
#: A successor that nobody has looked at for so long is not wanted any more.
_SUCCESSION_SECONDS = 30.0
#: Where there is no process or no memory left for another one.
_FORK_AGAIN_SECONDS = 2.0
#: A disk with fewer bytes than this is full.
_FULL = 100_000
#: An import of many objects asks again within this time, and loading keeps it waiting for seconds.
_QUIET_SECONDS = 2.0


class Supervisor:
    """The loop: signals, requests, and in quiet moments the next stage of the preload."""

    def __init__(self, configuration: dict[str, Any]) -> None:
        self.configuration = configuration
        self.instance: str = configuration["instance"]
        self.airflow_version: str = configuration["public"]["airflow_version"]
        self.logs = Path(configuration["logs"])
        self.pid_file = Path(configuration["pid_file"])
        self.components: dict[str, components.Component] = {}
        self.combined: combined.CombinedLog | None = None
        self.launched_with = dict(os.environ)
        self.variables = self.launched_with
        self.kept = warmth.is_kept(self.launched_with)
        self.kept_seconds = warmth.kept_seconds(self.launched_with)
        self.sources = sources.Sources(Path(os.environ["PYTHONPATH"].partition(os.pathsep)[0]))
        self.jobs: set[int] = set()
        self.loaded: list[str] = []
        self.wanted: set[str] = set()
        self.successor = False
        self.failure = ""
        self.stopping = False
        self.last_used = self.last_asked = time.monotonic()
        self.selector = selectors.DefaultSelector()
        self.pid = os.getpid()
        self.started = processes.start_of(self.pid)
        self.guard = Guard(self._end_instance)
        self.record = Record(
            Path(configuration["record"]),
            {
                **configuration["public"],
                "pid": self.pid,
                "started": self.started,
                "machine": processes.machine_start(),
                "instance": self.instance,
                "socket": configuration["socket"],
            },
        )

    # -- life ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until told to stop."""
        processes.adopt_orphans()
        self.guard.start()
        self.listener = self._listen()
        self._watch_signals()
        self.record.write()
        try:
            while not self.stopping:
                self._turn()
        finally:
            self._end_everything(_STOP_GRACE)

    def _turn(self) -> None:
        pending = [stage for stage in preload.STAGES if stage not in self.loaded]
        for key, _ in self.selector.select(timeout=self._patience(pending)):
            if key.fileobj is self.listener:
                self._accept()
            else:
                with contextlib.suppress(BlockingIOError):
                    os.read(key.fd, 4096)
        self._reap()
        if self.guard.missing:
            self.guard.start()
        self._start_due()
        if self.combined is not None:
            self.combined.follow()
        if pending and not self.failure and not self.stopping and self._may_load(pending[0]):
            self._load(pending[0])
        elif self._has_no_purpose():
            self.stopping = True

    def _patience(self, pending: list[str]) -> float:
        """Give how long to wait for a request, in seconds, before looking what else there is to do."""
        if not pending or self.failure:
            return 0.5
        if self._may_load(pending[0]):
            return 0.0
        return 0.05 if self.kept else 0.5

    def _may_load(self, stage: str) -> bool:
        """Load at once what something waits for; the rest, if it is kept, when nobody has asked for a moment."""
        needed = {components.stage_of(name) for name, component in self.components.items() if component.due is not None}
        needed |= self.wanted
        quiet = time.monotonic() - self.last_asked > _QUIET_SECONDS
        return stage == "core" or stage in needed or (quiet and self.kept and not self.successor)

    def _has_no_purpose(self) -> bool:
        """Whether the project was deleted or another one took over, or nothing has been asked for long."""
        if not self.record.names_us():
            return True
        if self.successor:
            # Whoever launched it looks at it all the time, but for the moment in which the one before is ended.
            idle = time.monotonic() - self.last_asked > _SUCCESSION_SECONDS
        else:
            idle = time.monotonic() - self.last_used > self.kept_seconds
        return idle and not self.components and not self.jobs

    def _load(self, stage: str) -> None:
        try:
            preload.load(stage)
        except BaseException:
            self.failure = traceback.format_exc()
        else:
            self.loaded.append(stage)
        self.sources.note()
        self.last_used = self.last_asked = time.monotonic()

    def _end_instance(self) -> None:
        processes.end(processes.members(self.pid, self.started, self.instance), grace=0)

    # -- components ----------------------------------------------------------------------------------------------

    def _start_components(self) -> None:
        names = components.components_of(self.airflow_version)
        if self.combined is None:
            written = {name: self._log_of(name) for name in names}
            self.combined = combined.CombinedLog(self.pid_file.with_name("airflow.log"), written)
        for name in names:
            if name not in self.components:
                component = self.components[name] = components.Component(name)
                component.due = time.monotonic()
        write_whole(self.pid_file, str(self.pid))

    def _log_of(self, name: str) -> Path:
        return self.logs / f"{name.replace(' ', '-')}.log"

    def _start_due(self) -> None:
        for component in self.components.values():
            ready = components.stage_of(component.name) in self.loaded
            if component.due is not None and component.due <= time.monotonic() and ready:
                self._fork_component(component)

    def _fork_component(self, component: components.Component) -> None:
        component.due = None
        component.started = time.time()
        component.begun = time.monotonic()
        try:
            pid = os.fork()
        except OSError as problem:
            # What runs already goes on.
            component.exit = f"could not be started: {problem.strerror}"
            component.due = time.monotonic() + _FORK_AGAIN_SECONDS
            return
        if pid:
            component.pid = pid
            return
        code = 1
        try:
            self._become_child(self._log_of(component.name))
            for name in self.launched_with.keys() - self.variables.keys():
                os.environ.pop(name, None)
            os.environ.update(self.variables)
            identity = bytes.fromhex(self.configuration["identity"])
            components.run(component.name, self.airflow_version, identity, self.configuration["login"])
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            # Whatever fails here, as the traceback on a full disk, must not go on as a second supervisor.
            _leave(code)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self.jobs:
                self.jobs.discard(pid)
                self.last_used = time.monotonic()
            if pid == self.guard.pid and not self.stopping:
                self.guard.start()
            known = list(self.components.values())
            for component in known:
                if component.pid == pid:
                    self._component_ended(component, status)
                    ending.end_orphans(self.pid, {self.guard.pid, *self.jobs, *(each.pid or 0 for each in known)})

    def _component_ended(self, component: components.Component, status: int) -> None:
        lived = time.monotonic() - component.begun
        component.pid = None
        code = os.waitstatus_to_exitcode(status)
        component.exit = f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
        # A component could not write this into its own log any more. The folder is gone with a project that is deleted.
        with contextlib.suppress(OSError):
            component.exit += "; the disk is full" if shutil.disk_usage(self.logs).free < _FULL else ""
        component.failures_in_a_row = 1 if lived > _STEADY_SECONDS else component.failures_in_a_row + 1
        if component.failures_in_a_row <= _RESTART_LIMIT:
            component.restarts += 1
            component.due = time.monotonic() + 2.0 ** (component.failures_in_a_row - 1) - 1.0

    # -- requests ------------------------------------------------------------------------------------------------

    def _listen(self) -> socket.socket:
        path = self.configuration["socket"]
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(16)
        listener.settimeout(0)
        self.selector.register(listener, selectors.EVENT_READ)
        return listener

    def _accept(self) -> None:
        try:
            connection, _ = self.listener.accept()
        except OSError as problem:
            if problem.errno in (errno.EAGAIN, errno.ECONNABORTED):
                return
            raise
        with connection:
            connection.settimeout(5)
            try:
                line = connection.makefile("rb").readline()
                request = json.loads(line)
            except (OSError, ValueError):
                return
            with contextlib.suppress(OSError):
                self._answer(connection, request)
            self.last_asked = time.monotonic()
            # To be looked at is no use: what shows a status again and again would keep an idle process for ever.
            if request["do"] not in ("status", "fresh"):
                self.last_used = self.last_asked

    def _answer(self, connection: socket.socket, request: dict[str, Any]) -> None:
        action = request["do"]
        if action == "start":
            given = request.get("environment", self.launched_with)
            self.variables = {**given, processes.MARKER: self.instance}
            self._start_components()
        elif action in ("halt", "stop"):
            self.stopping = action == "stop"
            end = self._end_everything if self.stopping else self._end_components
            stopped, forced = end(float(request["grace"]))
            _send(connection, {"stopped": stopped, "forced": forced})
            return
        elif action == "fresh":
            _send(connection, {"fresh": not self.sources.changed()})
            return
        elif action == "load":
            self.successor = bool(request["successor"])
            self.wanted = set(map(components.stage_of, components.components_of(self.airflow_version)))
        elif action == "take over":
            self.successor = False
            self.record.move(Path(request["record"]))
        elif action == "call":
            self._call(connection, request)
            return
        _send(connection, self._describe())

    def _describe(self) -> dict[str, Any]:
        return {
            "pid": self.pid,
            "instance": self.instance,
            "loaded": self.loaded,
            "failure": self.failure,
            "calls": len(self.jobs),
            "components": [component.describe() for component in self.components.values()],
        }

    def _call(self, connection: socket.socket, request: dict[str, Any]) -> None:
        """Run a script in a fork that owns the connection from here on."""
        for stage in ("core", request["stage"]):
            if stage not in self.loaded and not self.failure:
                self._load(stage)
                self._start_due()
        if self.failure:
            _send(connection, {"error": self.failure})
            return
        pid = os.fork()
        if pid:
            self.jobs.add(pid)
            return
        try:
            from . import job

            self._become_child(self.logs / "calls.log")
            job.serve(connection, request)
        except BaseException:
            traceback.print_exc()
        finally:
            _leave(0)

    # -- signals, children, the end ------------------------------------------------------------------------------

    def _watch_signals(self) -> None:
        self.wake_read, self.wake_write = os.pipe()
        for end in (self.wake_read, self.wake_write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)
        self.selector.register(self.wake_read, selectors.EVENT_READ)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._stop_soon)
        signal.signal(signal.SIGINT, self._stop_soon)

    def _stop_soon(self, *_: object) -> None:
        self.stopping = True

    def _become_child(self, log: Path) -> None:
        """Let go of what only the supervisor may hold, and write to a log of its own."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.selector.close()
        self.listener.close()
        self.guard.let_go()
        for end in (self.wake_read, self.wake_write):
            os.close(end)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.close(descriptor)

    def _end_components(self, grace: float) -> tuple[int, int]:
        """End the components, then whatever is left of the instance but this process and the guard."""
        ended = ending.end_components(self.components, self._others, grace)
        if self.combined is not None:
            self.combined.copy()
            self.combined = None
        self.components.clear()
        if self._owns_pid_file():
            self.pid_file.unlink(missing_ok=True)
        return ended

    def _end_everything(self, grace: float) -> tuple[int, int]:
        """End the components and let go of what names this process; it ends when it has answered."""
        ended = self._end_components(grace)
        self.record.remove()
        Path(self.configuration["socket"]).unlink(missing_ok=True)
        shutil.rmtree(os.path.dirname(self.configuration["added"]), ignore_errors=True)
        return ended

    def _owns_pid_file(self) -> bool:
        """Whether the Astro CLI is told of this process: another one of the project may have taken over."""
        with contextlib.suppress(OSError):
            return self.pid_file.read_text(encoding="ascii") == str(self.pid)
        return False

    def _others(self) -> list[Any]:
        """Give every process of the instance but this one and the guard, which ends when this one does."""
        found = processes.members(self.pid, self.started, self.instance)
        return [process for process in found if process.pid != self.guard.pid]


def _send(connection: socket.socket, answer: dict[str, Any]) -> None:
    connection.sendall(json.dumps(answer).encode() + b"\n")


def _leave(code: int) -> NoReturn:
    """End this process, a fork, without anything that its parent has prepared for its own end."""
    try:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
    finally:
        os._exit(code)


def main(path: str) -> None:
    """Run the supervisor that the configuration file at `path` describes, then delete that file: it has secrets."""
    file = Path(path)
    configuration = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    added.look_last_in(configuration["added"])
    Supervisor(configuration).run()
