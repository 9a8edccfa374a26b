"""Start a project's Airflow, and put one into the place of another; what worked before comes back where that fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from astro_magic.engines import ports, routes
from astro_magic.engines.answers import Component, EngineStatus
from astro_magic.engines.local.database.metadata import MetadataDatabase
from astro_magic.engines.local.environment import LocalEnvironment
from astro_magic.engines.local.inside.components import components_of
from astro_magic.engines.local.instance import Instance, has_room
from astro_magic.engines.local.last_port import last_port, remember_port
from astro_magic.engines.local.logs import last_words
from astro_magic.engines.local.neighbour import announce
from astro_magic.engines.local.supervision import Supervisor, import_failure
from astro_magic.engines.options import StartOptions
from astro_magic.errors import AstroMagicError, DatabaseError, StartFailedError
from astro_magic.machine.ports import is_free
from astro_magic.project.project import Project
from astro_magic.system.events import Operation, Step

__all__ = ["Startup"]

_MOST_LOST_PORTS = 2
_POLL_SECONDS = 0.05


class Startup:
    """The starts of one project's Airflow.

    Parameters
    ----------
    project : Project
        The project.
    instance : Instance
        Its processes.
    database : MetadataDatabase
        Its metadata database.
    look : callable
        Reads what runs now; its argument ``measured`` says whether also what that uses.
    """

    def __init__(
        self, project: Project, instance: Instance, database: MetadataDatabase, look: Callable[..., EngineStatus]
    ) -> None:
        self._project = project
        self._instance = instance
        self._database = database
        self._look = partial(look, measured=False)

    def start(self, environment: LocalEnvironment, options: StartOptions) -> Operation[EngineStatus]:
        """Start Airflow in an environment, and wait until every component is healthy.

        Raises
        ------
        StartFailedError
            When it does not get so; nothing of it is left then.
        """
        for _ in range(_MOST_LOST_PORTS):
            warm = self._instance.find() is not None
            begun = time.monotonic()
            try:
                return (yield from self._start_once(environment, options))
            except StartFailedError:
                # Between the choice of a port and its use, somebody else may have taken it.
                port = last_port(self._project.state_dir)
                lost = port is not None and not is_free(port)
                # What a process from before has in memory may be at fault; the next try has a new one.
                warm = warm and time.monotonic() - begun < options.timeout
                if not (lost or warm):
                    raise
        return (yield from self._start_once(environment, options))

    def make_room(self, running: Supervisor, environment: LocalEnvironment) -> Operation[None]:
        """End what runs, so that the next components can be forked at once from a process that fits.

        Raises
        ------
        StartFailedError
            When there can be no such process; what runs goes on.
        """
        if self._instance.fits(running, environment):
            yield from self._instance.halt(running)
        elif has_room():
            with self._instance.successor(running, environment) as successor:
                try:
                    yield from self._instance.loading(successor)
                except StartFailedError as failure:
                    failure.hint = f"Airflow goes on as it was. {failure.hint or ''}".strip()
                    raise
                yield from self._instance.switch(running, successor)
        else:
            yield from self._instance.stop()

    def go_back(self, failure: Exception, before: LocalEnvironment, *, port: int, timeout: float) -> Operation[None]:
        """Start the environment again that ran before; the failure then says so.

        Raises
        ------
        StartFailedError
            When that fails as well, or the failure itself when the database does not let it.
        """
        yield Step("fallback", "fallback", detail="starting the environment that ran before")
        # On its port, unless somebody took that.
        remember_port(self._project.state_dir, port)
        try:
            self._database.go_back()
            yield from self.start(before, StartOptions(timeout=timeout))
        except DatabaseError as migrated:
            # What was migrated on a server stays so.
            if isinstance(failure, AstroMagicError):
                failure.hint = f"The environment from before cannot go on, either: {migrated.message}"
            raise failure from migrated
        if isinstance(failure, AstroMagicError):
            failure.hint = f"Airflow runs again with the environment from before. {failure.hint or ''}".strip()

    def _start_once(self, environment: LocalEnvironment, options: StartOptions) -> Operation[EngineStatus]:
        finished = False
        try:
            with ports.choosing_ports() as choose:
                supervisor = yield from self._instance.obtain(environment, options.port, choose)
                yield from self._database.prepare(environment, supervisor, options.database)
                variables = self._instance.variables(environment, supervisor)
                # What runs already may have been started again before.
                before = {part["name"]: part["restarts"] for part in supervisor.ask({"do": "status"})["components"]}
                supervisor.ask({"do": "start", "environment": variables})
                remember_port(self._project.state_dir, supervisor.port)
                logs = self._project.state_dir / "logs"
                status = yield from _await_health(self._look, supervisor, options.timeout, logs, before)
                told = announce(
                    self._project, pid=supervisor.pid, port=supervisor.port, airflow_version=supervisor.airflow_version
                )
                status = replace(status, notes=(*status.notes, *told))
            finished = True
        finally:
            # An interrupted or failed start leaves nothing half started behind.
            if not finished:
                routes.withdraw(self._project.root)
                self._instance.end()
        return status


def _await_health(
    read: Callable[[], EngineStatus], supervisor: Supervisor, timeout: float, logs: Path, restarts: Mapping[str, int]
) -> Operation[EngineStatus]:
    """Read the status until every component is healthy, and give it; `restarts` is how often each was restarted before.

    Raises
    ------
    StartFailedError
        When a component ends, or the time is over; names the component and gives its last words.
    """
    started = time.monotonic()
    healthy: set[str] = set()
    components = components_of(supervisor.airflow_version)
    for name in components:
        yield Step(name, name, detail="starting")
    while time.monotonic() - started < timeout:
        status = read()
        if not supervisor.alive():
            raise StartFailedError("The process that runs Airflow was ended from outside while it was starting.")
        seconds = time.monotonic() - started
        for component in status.components:
            if component.restarts > restarts.get(component.name, 0) or component.state == "failed":
                yield Step(component.name, component.name, "failed", component.detail, seconds)
                raise _failed(component, logs)
            if component.healthy and component.name not in healthy:
                healthy.add(component.name)
                yield Step(component.name, component.name, "done", "healthy", seconds)
        if status.state == "running":
            return status
        failure = supervisor.ask({"do": "status"})["failure"]
        if failure:
            raise import_failure(failure)
        time.sleep(_POLL_SECONDS)
    waiting = ", ".join(name for name in components if name not in healthy)
    msg = f"Airflow did not get healthy within {timeout:.0f} s; still waiting for: {waiting}."
    words = "\n".join(last_words(logs, name) for name in components if name not in healthy)
    raise StartFailedError(msg, hint=f"The logs are in {logs}.", detail=words)


def _failed(component: Component, logs: Path) -> StartFailedError:
    msg = f"The {component.name} ended while it was starting ({component.detail or 'no reason given'})."
    return StartFailedError(msg, hint=f"The logs are in {logs}.", detail=last_words(logs, component.name))
