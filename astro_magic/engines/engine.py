"""The engine contract: what a place where Airflow runs must be able to do.

An engine works on one project. It keeps no state in memory that another process would miss: a restarted kernel, a
second notebook and a terminal all see the same environment. Methods that take long are operations
(`astro_magic.system.events`); the others return at once.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from astro_magic.engines.answers import ApiAccess, EngineStatus, Preparation, Problem, StopResult
from astro_magic.engines.generations import Generations
from astro_magic.engines.installation import Installation, InstalledPackage
from astro_magic.engines.options import BuildOptions, LogQuery, Stage, StartOptions
from astro_magic.errors import EngineError
from astro_magic.project.fingerprint import Pending
from astro_magic.project.project import Project
from astro_magic.resolve.resolver import Resolution
from astro_magic.system.events import Event, Operation, OutputLine

__all__ = ["Engine"]


class Engine(ABC):
    """Base class of engines. Others can register under the entry-point group ``astro_magic.engines``.

    Parameters
    ----------
    project : Project
        The project to work on.
    """

    name: ClassVar[str]
    #: What views call it: ``local processes``, ``Docker``.
    title: ClassVar[str]
    #: Whether packages that the requirements do not ask for stay in the environment, as those of an image do.
    additive: ClassVar[bool] = False

    def __init__(self, project: Project) -> None:
        self.project = project

    @abstractmethod
    def preflight(self) -> tuple[Problem, ...]:
        """Give what stands in the way of a start; empty when nothing does. Takes under a second."""

    def heeds(self, file: str) -> bool:
        """Tell whether a project file has a meaning for this engine."""
        return bool(file)

    @abstractmethod
    def prepare(self, options: BuildOptions | None = None) -> Operation[Preparation]:
        """Make the environment that the project's files stand for; nothing that runs is touched."""

    @abstractmethod
    def resolve(self, requirements: str) -> Resolution:
        """Resolve the text of a requirements file for this project's Airflow and Python; nothing is installed.

        Raises
        ------
        ResolutionError, NetworkError
            When there is no solution, or an index could not be reached.
        """

    @abstractmethod
    def start(self, options: StartOptions) -> Operation[EngineStatus]:
        """Prepare, start, and wait until every component is healthy. Starting what runs already is no error."""

    def require_startable(self, options: StartOptions, *, running: bool) -> None:
        """Refuse options of a start that this engine has not, or that what runs cannot get without being stopped.

        Raises
        ------
        EngineError
            When it could not run as they ask for.
        """
        if options.database is not None:
            before = "Stop it first, then use" if running else "Use"
            raise EngineError(
                f"Airflow on {self.title} has a database of its own.", hint=f"{before} --engine local for another one."
            )

    @abstractmethod
    def stop(self) -> Operation[StopResult]:
        """End every process; data and environment are kept. Stopping what does not run is no error."""

    @abstractmethod
    def restart(self, pending: Pending, options: StartOptions) -> Operation[EngineStatus]:
        """Apply what is pending to the running environment, touching nothing that need not be touched.

        With nothing pending, what does not do well is started again. Where nothing runs, everything is started.
        """

    def warm_up(self) -> None:  # noqa: B027 - most engines have nothing to prepare
        """Prepare ahead what a start needs, as long as nothing runs.

        Raises
        ------
        ProjectBusyError
            When somebody works on the environment just now.
        """

    def add_packages(self, pending: Pending) -> Operation[bool]:  # noqa: ARG002 - for engines that can
        """Put requirements into the running environment that only add packages, so that no process is restarted.

        Gives whether that could be done; where it gives False, nothing was changed and a restart is needed.

        Raises
        ------
        RestartNeededError
            When only a restart can bring them; says why.
        """
        yield from ()
        return False

    @abstractmethod
    def kill(self, *, images: bool = False) -> Operation[StopResult]:
        """End every process at once, and remove data and environment; `images` removes what was built, too."""

    @abstractmethod
    def status(self) -> EngineStatus:
        """Read what runs now.

        Raises
        ------
        EngineUnavailableError
            When the engine does not answer.
        """

    def watch(self, *, interval: float = 2.0) -> Iterator[EngineStatus]:
        """Give the status now, and again whenever it may have changed, at the latest after `interval` seconds."""
        while True:
            yield self.status()
            time.sleep(interval)

    @abstractmethod
    def logs(self, query: LogQuery) -> Iterator[OutputLine]:
        """Give lines of the components' logs, oldest first."""

    @abstractmethod
    def exec(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, component: str = "") -> Operation[int]:
        """Run a command in the environment, where it matters in that of `component`; returns its exit code."""

    @abstractmethod
    def packages(self) -> tuple[InstalledPackage, ...]:
        """Give the distributions of the environment, sorted by name.

        Raises
        ------
        NotRunningError
            When there is no environment yet.
        """

    def installation(self) -> Installation:
        """Give them with what else is known of what is installed; nothing is started.

        Raises
        ------
        NotRunningError
            When there is no environment yet.
        """
        return Installation(self.packages())

    def generations(self) -> Generations:
        """Give the environments that the project has had.

        Raises
        ------
        EngineError
            When this engine keeps none.
        """
        msg = f"There are no environments to choose from: Airflow runs on {self.title}, which keeps images instead."
        raise EngineError(msg, hint="%astro_undo takes changes of files back; %astro_build then builds the image.")

    def compose_file(self) -> Operation[str]:
        """Give a compose file that runs the same containers.

        Raises
        ------
        EngineError
            When this engine has no containers.
        """
        raise EngineError(
            f"There are no containers to export: Airflow runs on {self.title}.",
            hint="Start it with %astro_start --engine docker first.",
        )

    @abstractmethod
    def secrets(self) -> tuple[str, ...]:
        """Give the engine's own secrets, which must not be shown wherever they turn up."""

    @abstractmethod
    def call(
        self, script: Path, request: Mapping[str, Any], *, stage: Stage, event: Callable[[dict[str, Any]], Event]
    ) -> Operation[dict[str, Any]]:
        """Run `script` where Airflow is already imported; the environment is made ready first.

        Parameters
        ----------
        script : Path
            A Python file that defines ``main(request, emit)``. It may import Airflow, but nothing of Astro Magic;
            ``emit(dict)`` reports progress, and its return value is this operation's result.
        request : mapping
            What the script is given; JSON. An engine whose Airflow sees the project in another place, or gives a run a
            database of its own, puts its own values under ``project``, the project's folder, and ``database``, the
            SQLite file that a run copies.
        stage : {"core", "execution"}
            What must have been imported: enough to parse, or enough to run tasks.
        event : callable
            Makes an event of what the script reports.

        Raises
        ------
        CommandFailedError
            When the script fails; the detail is its traceback.
        """

    def entrance(self) -> str:
        """Give the address that opens the Airflow UI in a browser of this machine; logged in where an engine can.

        It may be as good as a password for a moment, so it is opened and never shown.

        Raises
        ------
        NotRunningError
            When Airflow does not run.
        """
        return self.api().base_url

    @abstractmethod
    def api(self) -> ApiAccess:
        """Give access to the running Airflow's REST API.

        Raises
        ------
        NotRunningError
            When Airflow does not run.
        """
