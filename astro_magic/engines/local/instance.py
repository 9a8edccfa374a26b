"""The process that a project's Airflow is forked from: found, launched, replaced by another, and ended.

It is warm, which means that it has imported Airflow. What fits is used again by the next start; what does not, because
the environment, a variable or a plugin is another now, gives way to a new one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from astro_magic.engines import ports
from astro_magic.engines.answers import StopResult
from astro_magic.engines.local import logs, settings, supervision
from astro_magic.engines.local.environment import LocalEnvironment
from astro_magic.engines.local.health import memory_of
from astro_magic.engines.local.inside.components import generation_of
from astro_magic.engines.local.inside.warmth import is_kept
from astro_magic.engines.local.last_port import last_port
from astro_magic.engines.local.supervision import Supervisor
from astro_magic.errors import StartFailedError
from astro_magic.machine.resources import read_memory
from astro_magic.project.config import Config
from astro_magic.project.project import Project
from astro_magic.system.events import Operation, Step

__all__ = ["Instance", "has_room", "is_kept_warm"]

_STOP_GRACE = 5.0
#: To import Airflow takes seconds; when this is over, something hangs.
_LOAD_TIMEOUT = 120.0
_POLL_SECONDS = 0.05
#: What has imported Airflow takes a quarter of a gigabyte; the Airflow forked from it, and its tasks, need more.
_ROOM = 1_500_000_000


def is_kept_warm(project: Project) -> bool:
    """Whether a process may be kept and prepared for later: ``.env``, or else the environment here, says so."""
    return is_kept({**os.environ, **project.variables()})


def has_room() -> bool:
    """Whether there is memory for a process beside what runs."""
    return read_memory().available >= _ROOM


class Instance:
    """The process that a project's Airflow is forked from.

    Parameters
    ----------
    project : Project
        The project.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._state = project.state_dir
        self._record = supervision.record_of(project)
        self._next = self._state / "run" / "successor.json"
        self._logs = self._state / "logs"

    def find(self) -> Supervisor | None:
        """Give it, whoever started it, whether it runs Airflow or not; None when there is none."""
        return supervision.find_supervisor(self._record)

    def running(self) -> Supervisor | None:
        """Give it when it runs components; None when it is only warm, or not there."""
        found = self.find()
        return found if found is not None and found.ask({"do": "status"})["components"] else None

    def fits(self, supervisor: Supervisor, environment: LocalEnvironment) -> bool:
        """Whether what is forked from it now would be the same as from a new one."""
        same = supervisor.environment == environment.folder.name
        if not same or supervisor.variables != self._digest(supervisor.airflow_version, supervisor.port):
            return False
        if any(Path(supervisor.added).glob("*")):
            # What was added while it ran is in this environment, too, or is not asked for any more.
            return False
        return not supervisor.ask({"do": "status"})["failure"] and bool(supervisor.ask({"do": "fresh"}).get("fresh"))

    # -- launch --------------------------------------------------------------------------------------------------

    def obtain(
        self, environment: LocalEnvironment, asked: int | None, choose: ports.PortChooser
    ) -> Operation[Supervisor]:
        """Give one for this environment, which runs nothing yet: the one that is there if it fits, else a new one."""
        present = self.find()
        if present is not None and asked in (None, present.port) and self._is_usable(present, environment, choose):
            return present
        yield from self.stop(_STOP_GRACE)
        remembered = last_port(self._state)
        config = Config.load(self._project.root)
        is_2 = generation_of(environment.airflow_version) < 3
        port = choose(asked, remembered, config.webserver_port if is_2 else config.api_server_port)
        if remembered is not None and port != remembered and asked is None:
            taken = f"{remembered} is taken{ports.owner_of(remembered)}; {port} is used"
            yield Step("port", "port", "done", taken, 0.0)
        logs.rotate(self._logs)
        return self._launch(environment, port, self._record)

    def _is_usable(self, supervisor: Supervisor, environment: LocalEnvironment, choose: ports.PortChooser) -> bool:
        if not self.fits(supervisor, environment):
            return False
        parts = supervisor.ask({"do": "status"})["components"]
        return all(part["state"] != "failed" for part in parts) and (
            bool(parts) or choose(None, supervisor.port) == supervisor.port
        )

    def warm_up(self, environment: LocalEnvironment) -> Operation[None]:
        """Have one that fits, unless it is switched off or memory is short; one that is at work is left alone."""
        present = self.find()
        state = present.ask({"do": "status"}) if present is not None else {"components": [], "calls": 0}
        if state["components"] or state["calls"]:
            return
        if not is_kept_warm(self._project):
            yield from self.stop()
        elif has_room():
            with ports.choosing_ports() as choose:
                supervisor = yield from self.obtain(environment, None, choose)
            supervisor.ask({"do": "load", "successor": False})

    def variables(self, environment: LocalEnvironment, supervisor: Supervisor) -> dict[str, str]:
        """Give the variables that components are run with."""
        variables = settings.command_environment(self._project, environment, port=supervisor.port)
        return settings.with_added(variables, Path(supervisor.added))

    @contextmanager
    def successor(self, running: Supervisor, environment: LocalEnvironment) -> Iterator[Supervisor]:
        """Launch the one that is to follow on the same port; what runs is not touched, and must be ended for it.

        It is ended with the block unless `switch` has made it the one that counts.
        """
        self._end(self._next)
        try:
            yield self._launch(environment, running.port, self._next)
        finally:
            self._end(self._next)

    def loading(self, supervisor: Supervisor) -> Operation[None]:
        """Wait until it has imported what the components need.

        Raises
        ------
        StartFailedError
            When that fails; the detail has the end of the traceback.
        """
        started = time.monotonic()
        yield Step("successor", "imports", detail="importing Airflow while the one that runs goes on")
        supervisor.ask({"do": "load", "successor": True})
        while time.monotonic() - started < _LOAD_TIMEOUT:
            state = supervisor.ask({"do": "status"})
            if state["failure"]:
                raise supervision.import_failure(state["failure"])
            if {"core", "api"} <= set(state["loaded"]):
                yield Step("successor", "imports", "done", "imported", time.monotonic() - started)
                return
            time.sleep(_POLL_SECONDS)
        raise StartFailedError(f"Airflow was not imported within {_LOAD_TIMEOUT:.0f} s.")

    def switch(self, running: Supervisor, successor: Supervisor) -> Operation[None]:
        """End what runs, and make the successor the one that the record names."""
        yield from self._stop_one(running, _STOP_GRACE)
        supervision.end_leftovers(self._record)
        successor.ask({"do": "take over", "record": str(self._record)})

    def _launch(self, environment: LocalEnvironment, port: int, record: Path) -> Supervisor:
        return supervision.launch(
            environment.python,
            environment=settings.command_environment(self._project, environment, port=port),
            project_root=self._project.root,
            record=record,
            pid_file=self._project.standalone_dir / "airflow.pid",
            logs=self._logs,
            secrets=settings.ready_secrets(self._project),
            public={
                "port": port,
                "environment": environment.folder.name,
                "variables": self._digest(environment.airflow_version, port),
                "airflow_version": environment.airflow_version,
                "python_version": environment.python_version,
            },
        )

    def _digest(self, airflow: str, port: int) -> str:
        """Name the variables that decide what Airflow imports and how: a change of one needs a new process."""
        here = {name: value for name, value in os.environ.items() if name.startswith("AIRFLOW")}
        variables = here | settings.airflow_environment(self._project, airflow, port=port)
        return hashlib.sha256(json.dumps(variables, sort_keys=True).encode()).hexdigest()

    # -- the end -------------------------------------------------------------------------------------------------

    def halt(self, running: Supervisor) -> Operation[None]:
        """End its components; what is started next is forked from the same process."""
        started = time.monotonic()
        yield Step("stop", "stop", detail="ending Airflow's processes")
        stopped, _ = running.halt(grace=_STOP_GRACE)
        yield Step("stop", "stop", "done", f"{stopped} processes ended", time.monotonic() - started)

    def stop(self, grace: float = _STOP_GRACE) -> Operation[StopResult]:
        """End everything, and whatever a process that died has left."""
        self._end(self._next)
        supervisor = self.find()
        if supervisor is None:
            return StopResult(*supervision.end_leftovers(self._record))
        result = yield from self._stop_one(supervisor, grace)
        supervision.end_leftovers(self._record)
        return result

    @staticmethod
    def _stop_one(supervisor: Supervisor, grace: float) -> Operation[StopResult]:
        started = time.monotonic()
        yield Step("stop", "stop", detail="ending Airflow's processes")
        stopped, forced = supervisor.stop(grace=grace)
        yield Step("stop", "stop", "done", f"{stopped} processes ended", time.monotonic() - started)
        return StopResult(stopped, forced)

    def end(self) -> None:
        """End everything, with a second for what runs."""
        self._end(self._record)

    @staticmethod
    def _end(record: Path) -> None:
        supervisor = supervision.find_supervisor(record)
        if supervisor is not None:
            supervisor.stop(grace=1.0)
        supervision.end_leftovers(record)

    # -- what it costs -------------------------------------------------------------------------------------------

    def warm_memory(self, supervisor: Supervisor) -> int | None:
        """Give the memory of one that runs nothing, in bytes; None when it has ended."""
        total = 0
        for process in supervisor.members():
            with contextlib.suppress(psutil.Error):
                total += memory_of(process)
        return total or None
