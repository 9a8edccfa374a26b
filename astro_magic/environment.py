"""The front door: one project, the engine that runs it, and its Airflow.

This is the only place where files, engine and Airflow meet. Magics, widgets and the server call it and hand the
result to a view.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from astro_magic.dags import parser, testrun
from astro_magic.dags.results import ParseResult, TestRun
from astro_magic.engines.engine import (
    Engine,
    EngineStatus,
    InstalledPackage,
    LogQuery,
    Preparation,
    Problem,
    StartOptions,
    StopResult,
)
from astro_magic.engines.registry import create_engine
from astro_magic.errors import AstroMagicError, NotRunningError
from astro_magic.project.fingerprint import Action, Fingerprint, Pending
from astro_magic.project.project import Project
from astro_magic.resolve.resolver import Resolution
from astro_magic.system.events import Event, Listener, Operation, OutputLine, Step, TaskUpdate, run
from astro_magic.system.files import write_atomic
from astro_magic.system.secrets import is_secret_name, mask

if TYPE_CHECKING:
    from astro_magic.airflow.runs import DagRun

__all__ = ["Environment", "RestartResult", "StartResult", "open_environment"]

_KNOWN_TIMEOUT = 30.0
_NOTHING = Pending(())

T = TypeVar("T")


@dataclass(frozen=True)
class StartResult:
    """What a start did.

    Attributes
    ----------
    status : EngineStatus
        What runs now.
    already_running : bool
        Whether Airflow was up before.
    seconds : float
        How long it took.
    notes : tuple of str
        What the user should know.
    """

    status: EngineStatus
    already_running: bool
    seconds: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RestartResult:
    """What a restart did.

    Attributes
    ----------
    pending : Pending
        Why, and the action that it took; empty when there was nothing to do.
    status : EngineStatus
        What runs now.
    seconds : float
        How long it took.
    restarted : bool
        Whether anything was restarted or started; False when everything was up to date.
    """

    pending: Pending
    status: EngineStatus
    seconds: float
    restarted: bool = True


def open_environment(project: Project, *, engine: str = "auto") -> Environment:
    """Give a project's environment.

    Parameters
    ----------
    project : Project
        The project.
    engine : str
        Name of the engine; ``auto`` takes the one that suits this machine.

    Raises
    ------
    EngineUnavailableError
        When there is no engine of that name.
    """
    return Environment(project, create_engine(project, engine=engine))


class Environment:
    """An Airflow environment of a project.

    Methods that take long accept a `listener`, which is called with each event of the work.

    Parameters
    ----------
    project : Project
        The project.
    engine : Engine
        What runs it.
    """

    def __init__(self, project: Project, engine: Engine) -> None:
        self.project = project
        self.engine = engine

    # -- what is -------------------------------------------------------------------------------------------------

    def preflight(self) -> tuple[Problem, ...]:
        """Give what stands in the way of a start; empty when nothing does."""
        return self.engine.preflight()

    def status(self) -> EngineStatus:
        """Read what runs now."""
        return self.engine.status()

    def pending(self) -> Pending:
        """Give what has changed in the project since the running environment was started, and what applies it."""
        started_with = self._fingerprint()
        if started_with is None or not self.status().running:
            return _NOTHING
        changed = started_with.pending(Fingerprint.take(self.project))
        # Airflow objects are not imported from the project's file, so that no restart would apply a change of it.
        return Pending(tuple(reason for reason in changed.reasons if reason.action is not Action.IMPORT_OBJECTS))

    def logs(self, query: LogQuery) -> Iterator[OutputLine]:
        """Give lines of the components' logs, oldest first; secrets are masked."""
        secrets = self._secrets()
        return (replace(line, text=mask(line.text, secrets)) for line in self.engine.logs(query))

    def packages(self) -> tuple[InstalledPackage, ...]:
        """Give the distributions of the environment, sorted by name.

        Raises
        ------
        NotRunningError
            When there is no environment yet.
        """
        return self.engine.packages()

    def dag_ids(self) -> tuple[str, ...]:
        """Give the DAG ids that the text of the DAG files suggests; nothing is imported."""
        return testrun.dag_ids(self.project)

    # -- start and stop ------------------------------------------------------------------------------------------

    def prepare(self, *, listener: Listener | None = None) -> Preparation:
        """Make the environment that the project's files stand for; nothing that runs is touched."""
        return self._work(self.engine.prepare(), listener)

    def start(
        self, *, port: int | None = None, timeout: float = 120.0, listener: Listener | None = None
    ) -> StartResult:
        """Prepare, start, and wait until every component is healthy.

        Parameters
        ----------
        port : int, optional
            Port of the Airflow UI.
        timeout : float
            Seconds after which a start that does not get healthy is given up.
        listener : callable, optional
            Called with each event.

        Raises
        ------
        EngineError, DependencyError
            When it cannot be started. What was running before goes on.
        """
        started = time.monotonic()
        already = self.status().state == "running"
        notes: list[str] = []
        if not already:
            now = Fingerprint.take(self.project)
            notes.extend(self._work(self.engine.prepare(), listener).notes)
            status = self._work(self.engine.start(StartOptions(port, timeout)), listener)
            self._remember(now)
        else:
            status = self.status()
        return StartResult(status, already, time.monotonic() - started, tuple(notes))

    def restart(self, *, timeout: float = 120.0, listener: Listener | None = None) -> RestartResult:
        """Apply what is pending, with the cheapest action that applies it; start when nothing runs.

        Raises
        ------
        EngineError, DependencyError
            When that fails. What was running before goes on wherever possible.
        """
        started = time.monotonic()
        pending = self.pending()
        healthy = self.status().state == "running"
        now = Fingerprint.take(self.project)
        if healthy and pending.action is Action.NONE:
            return RestartResult(pending, self.status(), time.monotonic() - started, restarted=False)
        action = pending.action if healthy else Action.RECREATE
        status = self._work(self.engine.restart(action, StartOptions(timeout=timeout)), listener)
        self._remember(now)
        return RestartResult(pending, status, time.monotonic() - started)

    def stop(self, *, listener: Listener | None = None) -> StopResult:
        """End every process; data and environment are kept."""
        return self._work(self.engine.stop(), listener)

    def kill(self, *, listener: Listener | None = None) -> StopResult:
        """End every process at once, and remove data and environment; the project's files stay."""
        result = self._work(self.engine.kill(), listener)
        self._fingerprint_file.unlink(missing_ok=True)
        return result

    # -- work in the environment ---------------------------------------------------------------------------------

    def run(self, argv: Sequence[str], *, listener: Listener | None = None) -> int:
        """Run a command in the environment; gives its exit code, and its lines, secrets masked, to the listener."""
        return self._work(self.engine.exec(argv), listener)

    def check_requirements(self, text: str, *, listener: Listener | None = None) -> Resolution:
        """Find out what a requirements file would resolve to, and how that differs from the environment.

        Raises
        ------
        ResolutionError
            When it cannot be installed.
        NetworkError
            When an index could not be reached.
        """
        started = time.monotonic()
        if listener is not None:
            listener(Step("resolve", "requirements", detail="checking that they can be installed"))
        resolution = self.engine.resolve(text)
        if listener is not None:
            listener(Step("resolve", "requirements", "done", "they can be installed", time.monotonic() - started))
        try:
            present = {package.name: package.version for package in self.packages()}
        except NotRunningError:
            return resolution
        return replace(resolution, changes=resolution.compare(present))

    def parse(self, file: str | Path, *, listener: Listener | None = None) -> ParseResult:
        """Import a DAG file as Airflow's DAG processor would.

        Parameters
        ----------
        file : str or Path
            Relative to the project's ``dags`` folder.
        listener : callable, optional
            Called with each event.

        Returns
        -------
        ParseResult
            What it defines, or why it does not import.
        """
        result = self._work(parser.parse_file(self.engine, self.project.dag(str(file)).path), listener)
        return result.masked(self._masking())

    def test_dag(
        self, dag_id: str, *, conf: Mapping[str, Any] | None = None, listener: Listener | None = None
    ) -> TestRun:
        """Run a DAG once in one process, without a scheduler, on a copy of the metadata database.

        Raises
        ------
        DagNotFoundError, DagImportError
            When there is no such DAG. A run that fails is a result, not an error.
        """
        return self._work(testrun.run_dag(self.engine, dag_id, conf=conf), listener).masked(self._masking())

    def trigger(
        self,
        dag_id: str,
        *,
        conf: Mapping[str, Any] | None = None,
        wait: bool = False,
        timeout: float = 600.0,
        listener: Listener | None = None,
    ) -> DagRun:
        """Trigger a DAG run in the running Airflow; a paused DAG is unpaused, since its run would wait for ever.

        Parameters
        ----------
        dag_id : str
            Which DAG.
        conf : mapping, optional
            The run's configuration.
        wait : bool
            Wait until the run has ended.
        timeout : float
            Seconds to wait.
        listener : callable, optional
            Called with each event.

        Raises
        ------
        NotRunningError
            When Airflow does not run.
        DagNotFoundError, DagImportError, ApiError
            When the run cannot be created, or has not ended in time.
        """
        from astro_magic.airflow import runs
        from astro_magic.airflow.client import AirflowClient

        access = self.engine.api()
        ui = self.status().url or access.base_url
        changed = testrun.last_change(self.project, dag_id)
        with AirflowClient(access.base_url, access.username, access.password) as client:
            waiting = runs.wait_for_dag(client, dag_id, changed=changed, timeout=_KNOWN_TIMEOUT)
            if self._work(waiting, listener):
                client.send("PATCH", f"/dags/{dag_id}", {"is_paused": False})
            created = runs.trigger(client, dag_id, conf=conf or {}, ui=ui)
            if not wait:
                return created
            return self._work(runs.wait_for_run(client, created, timeout=timeout, ui=ui), listener)

    # -- secrets -------------------------------------------------------------------------------------------------

    def _secrets(self) -> tuple[str, ...]:
        """Give what must not be shown: the engine's secrets, and the values of ``.env`` whose names say so."""
        named = [value for name, value in self.project.variables().items() if is_secret_name(name)]
        return (*self.engine.secrets(), *named)

    def _masking(self) -> Callable[[str], str]:
        """Give a function that masks; the secrets are read once for all the texts it is called with."""
        secrets = self._secrets()
        return lambda text: mask(text, secrets)

    def _work(self, operation: Operation[T], listener: Listener | None) -> T:
        """Drive an operation; no secret gets into its events or its error."""
        secrets = self._secrets()

        def masked(event: Event) -> None:
            if listener is not None:
                listener(_masked(event, secrets))

        try:
            return run(operation, masked)
        except AstroMagicError as error:
            error.message = mask(error.message, secrets)
            error.detail = mask(error.detail, secrets) if error.detail else error.detail
            raise

    # -- the fingerprint of what runs ----------------------------------------------------------------------------

    @property
    def _fingerprint_file(self) -> Path:
        return self.project.state_dir / "started-with.json"

    def _fingerprint(self) -> Fingerprint | None:
        try:
            return Fingerprint.from_dict(json.loads(self._fingerprint_file.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _remember(self, fingerprint: Fingerprint) -> None:
        write_atomic(self._fingerprint_file, json.dumps(fingerprint.to_dict()).encode(), mode=0o600)


def _masked(event: Event, secrets: Sequence[str]) -> Event:
    if isinstance(event, OutputLine):
        return replace(event, text=mask(event.text, secrets))
    if isinstance(event, TaskUpdate):
        return replace(event, result=mask(event.result, secrets))
    return replace(event, detail=mask(event.detail, secrets))
