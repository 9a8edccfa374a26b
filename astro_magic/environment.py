"""The front door: one project, the engine that runs it, and its Airflow.

This is the only place where files, engine and Airflow meet. Magics and widgets call it and hand the result to a
view.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from astro_magic import applying
from astro_magic.dags import parser, testrun
from astro_magic.dags.results import ParseResult, TestRun
from astro_magic.dags.triggering import trigger_dag
from astro_magic.engines.answers import EngineStatus, Preparation, Problem, StopResult
from astro_magic.engines.engine import Engine
from astro_magic.engines.generations import Generations
from astro_magic.engines.installation import InstalledPackage
from astro_magic.engines.options import BuildOptions, LogQuery, StartOptions
from astro_magic.engines.registry import create_engine
from astro_magic.errors import AirflowError, AstroMagicError, NotRunningError
from astro_magic.objects.access import ProjectObjects
from astro_magic.project.fingerprint import Pending
from astro_magic.project.project import Project
from astro_magic.resolve.resolver import Resolution
from astro_magic.results import OpenedUi, RestartResult, StartResult
from astro_magic.system.browser import has_browser, open_page
from astro_magic.system.events import Event, Listener, Operation, OutputLine, Step, change_texts, run
from astro_magic.system.known import Masking

if TYPE_CHECKING:
    import pandas as pd

    from astro_magic.airflow.configuration import ConfigOption
    from astro_magic.airflow.runs import DagRun
    from astro_magic.airflow.task_logs import TaskChoice
    from astro_magic.dependencies.dependencies import Dependencies

__all__ = ["Environment", "open_environment"]

T = TypeVar("T")


def open_environment(project: Project, *, engine: str = "auto") -> Environment:
    """Give a project's environment.

    Parameters
    ----------
    project : Project
        The project.
    engine : str
        Name of the engine; ``auto`` takes the one that the project ran on last, else what ``dev.mode`` names, else
        Docker where an engine answers, else local processes.

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

    def pending(self, status: EngineStatus | None = None) -> Pending:
        """Give what has changed in the project since the running environment was started, and what applies it.

        Parameters
        ----------
        status : EngineStatus, optional
            What runs, where that has just been read.
        """
        return applying.pending_changes(self.project, self.engine, status or self.status())

    def open_ui(self) -> OpenedUi:
        """Open the Airflow UI in the browser of this machine, logged in where the engine can do that.

        Where there is no browser, as on a server, this gives the address and how to log in.

        Raises
        ------
        NotRunningError
            When Airflow does not run.
        """
        status = self.status()
        if not status.running or status.url is None:
            raise NotRunningError("Airflow is not running.", hint="Start it with %astro_start.")
        opened = has_browser() and open_page(self.engine.entrance())
        return OpenedUi(status.url, opened, status.login)

    def watch(self) -> Iterator[EngineStatus]:
        """Give the status now, and again whenever it changes."""
        return self.engine.watch()

    def logs(self, query: LogQuery) -> Iterator[OutputLine]:
        """Give lines of the components' logs, oldest first; secrets are masked."""
        masking = self._masking()
        return (replace(line, text=masking(line.text)) for line in self.engine.logs(query))

    def task_logs(self, choice: TaskChoice, query: LogQuery) -> Iterator[OutputLine]:
        """Give lines of the logs of tasks that the running Airflow has run, by time; secrets are masked.

        Parameters
        ----------
        choice : TaskChoice
            Which tasks, of which run.
        query : LogQuery
            Which lines; its components are passed over. To follow them ends with the run.

        Raises
        ------
        NotRunningError
            When Airflow does not run.
        DagNotFoundError, AirflowError, ApiError
            When there is no such DAG, run or task, or the API does not answer.
        """
        from astro_magic.dags.task_logs import read_task_logs

        masking = self._masking()
        try:
            for line in read_task_logs(self.engine, choice, query):
                yield replace(line, text=masking(line.text))
        except AstroMagicError as error:
            error.hide(masking)
            raise

    def packages(self) -> tuple[InstalledPackage, ...]:
        """Give the distributions of the environment, sorted by name.

        Raises
        ------
        NotRunningError
            When there is no environment yet.
        """
        return self.engine.packages()

    @property
    def objects(self) -> ProjectObjects:
        """The connections, variables and pools, in the project's files and in its running Airflow."""
        return ProjectObjects(self.project, self.engine, self._work)

    @property
    def generations(self) -> Generations:
        """The environments that the project has had: read them, go back to one, remove old ones.

        Raises
        ------
        EngineError
            When the engine keeps none, as that of Docker.
        """
        return self.engine.generations()

    def connections(self) -> pd.DataFrame:
        """Give the connections as a DataFrame, secrets hidden; more is in `objects`."""
        return self.objects.table("connection").frame()

    def variables(self) -> pd.DataFrame:
        """Give the variables as a DataFrame, secrets hidden; more is in `objects`."""
        return self.objects.table("variable").frame()

    def pools(self) -> pd.DataFrame:
        """Give the pools as a DataFrame; more is in `objects`."""
        return self.objects.table("pool").frame()

    def dependencies(self, *, newest: str | None = None, listener: Listener | None = None) -> Dependencies:
        """Give what is installed and why: see `astro_magic.dependencies.dependencies.read_dependencies`."""
        from astro_magic.dependencies.dependencies import read_dependencies

        return self._work(read_dependencies(self.project, self.engine, newest=newest), listener)

    def dag_ids(self) -> tuple[str, ...]:
        """Give the DAG ids that the text of the DAG files suggests; nothing is imported."""
        return testrun.dag_ids(self.project)

    # -- start and stop ------------------------------------------------------------------------------------------

    def prepare(self, options: BuildOptions | None = None, *, listener: Listener | None = None) -> Preparation:
        """Make the environment that the project's files stand for; nothing that runs is touched.

        Parameters
        ----------
        options : BuildOptions, optional
            How an image is built, on an engine that has one; as the last time by default.
        listener : callable, optional
            Called with each event.
        """
        return self._work(self.engine.prepare(options), listener)

    def warm_up(self) -> None:
        """Prepare ahead what a start needs, on an engine that has something to prepare; nothing that runs is touched.

        Raises
        ------
        ProjectBusyError
            When somebody works on the environment just now.
        """
        self.engine.warm_up()

    def start(self, options: StartOptions | None = None, *, listener: Listener | None = None) -> StartResult:
        """Prepare, start, and wait until every component is healthy.

        Parameters
        ----------
        options : StartOptions, optional
            How.
        listener : callable, optional
            Called with each event.

        Raises
        ------
        EngineError, DependencyError
            When it cannot be started. What was running before goes on.
        """
        return self._work(applying.start(self.project, self.engine, options or StartOptions()), listener)

    def restart(
        self, options: StartOptions | None = None, *, force: bool = False, listener: Listener | None = None
    ) -> RestartResult:
        """Apply what is pending, with the cheapest action that applies it; start when nothing runs.

        Parameters
        ----------
        options : StartOptions, optional
            How.
        force : bool
            Restart the components also when nothing is pending, as a changed plugin of the Airflow UI needs it.
        listener : callable, optional
            Called with each event.

        Raises
        ------
        EngineError, DependencyError
            When that fails. What was running before goes on wherever possible.
        """
        return self._work(applying.restart(self.project, self.engine, options, force=force), listener)

    def add_packages(self, *, listener: Listener | None = None) -> bool:
        """Put new requirements into the running environment, if nothing else is pending and no process is restarted.

        Gives whether that was done. Else nothing was changed, and a restart applies what is pending.

        Raises
        ------
        RestartNeededError
            When only a restart can bring them; says why.
        EngineError
            When the engine goes away meanwhile.
        ProjectBusyError
            When somebody else works on the environment.
        """
        return self._work(applying.add_packages(self.project, self.engine), listener)

    def stop(self, *, listener: Listener | None = None) -> StopResult:
        """End every process; data and environment are kept."""
        return self._work(self.engine.stop(), listener)

    def kill(self, *, images: bool = False, listener: Listener | None = None) -> StopResult:
        """End every process at once, and remove data and environment; the project's files stay.

        Parameters
        ----------
        images : bool
            Also the images that were built.
        listener : callable, optional
            Called with each event.

        Raises
        ------
        EngineError
            When images are to be removed on an engine that has none.
        ProjectBusyError
            When another process works on the project.
        """
        result = self._work(self.engine.kill(images=images), listener)
        applying.forget(self.project)
        return result

    # -- work in the environment ---------------------------------------------------------------------------------

    def run(self, argv: Sequence[str], *, component: str = "", listener: Listener | None = None) -> int:
        """Run a command in the environment; gives its exit code, and its lines, secrets masked, to the listener.

        Parameters
        ----------
        argv : sequence of str
            The command and its arguments.
        component : str
            The component in whose container it is run, on an engine that has containers.
        listener : callable, optional
            Called with each event.
        """
        return self._work(self.engine.exec(argv, component=component), listener)

    def airflow_configuration(self, *, listener: Listener | None = None) -> tuple[ConfigOption, ...]:
        """Give Airflow's effective configuration; secrets are hidden.

        Raises
        ------
        AirflowError
            When Airflow cannot tell it.
        """
        from astro_magic.airflow.configuration import LIST_COMMAND, read_configuration

        lines: list[OutputLine] = []

        def collect(event: Event) -> None:
            if isinstance(event, OutputLine):
                lines.append(event)
            elif listener is not None:
                listener(event)

        code = self.run(LIST_COMMAND, listener=collect)
        if code:
            said = "\n".join(line.text for line in lines[-10:])
            raise AirflowError(f"{' '.join(LIST_COMMAND[:3])} ended with exit code {code}.", detail=said)
        return read_configuration("\n".join(line.text for line in lines if line.source == "stdout"))

    def compose_file(self, *, listener: Listener | None = None) -> str:
        """Give a compose file with which docker compose runs the same containers.

        Raises
        ------
        EngineError
            When the engine has no containers.
        """
        return self._work(self.engine.compose_file(), listener)

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
        return replace(resolution, changes=resolution.compare(present, additive=self.engine.additive))

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
        ui = self.status().url or ""
        return self._work(
            trigger_dag(self.engine, dag_id, conf=conf or {}, wait=wait, timeout=timeout, ui=ui), listener
        )

    # -- secrets -------------------------------------------------------------------------------------------------

    def masked(self, text: str) -> str:
        """Give a text with all secrets hidden that the project and its engine know."""
        return self._masking()(text)

    def _masking(self) -> Masking:
        """Give a function that hides the engine's secrets and all that the project knows, also what comes meanwhile."""
        return Masking(self._secrets)

    def _secrets(self) -> frozenset[str]:
        from astro_magic.objects.known import secrets_of

        return secrets_of(self.project) | frozenset(self.engine.secrets())

    def _work(self, operation: Operation[T], listener: Listener | None) -> T:
        """Drive an operation; no secret gets into its events or its error."""
        hide = self._masking()

        def masked(event: Event) -> None:
            if listener is not None:
                listener(change_texts(event, hide))

        try:
            return run(operation, masked)
        except AstroMagicError as error:
            # What a command wrote into a file meanwhile counts as well.
            error.hide(self._masking())
            raise
