"""The engine contract: what a place where Airflow runs must be able to do.

An engine works on one project. It keeps no state in memory that another process would miss: a restarted kernel, a
second notebook and a terminal all see the same environment. Methods that take long are operations
(`astro_magic.system.events`); the others return at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Literal

from astro_magic.project.fingerprint import Action
from astro_magic.project.project import Project
from astro_magic.resolve.resolver import Resolution
from astro_magic.system.events import Event, Operation, OutputLine

__all__ = [
    "ApiAccess",
    "Component",
    "Engine",
    "EngineStatus",
    "InstalledPackage",
    "LogQuery",
    "Preparation",
    "Problem",
    "Stage",
    "StartOptions",
    "State",
    "StopResult",
]

State = Literal["running", "starting", "stopped", "failed"]
Stage = Literal["core", "execution"]


@dataclass(frozen=True)
class Component:
    """One Airflow component, as it is now.

    Attributes
    ----------
    name : str
        ``api server``, ``scheduler``, ``dag processor``, ``triggerer`` (Airflow 2: ``webserver``).
    state : {"running", "starting", "stopped", "failed"}
        What the process or container does.
    healthy : bool or None
        True when its heartbeat is younger than its start; None when it does not run.
    since : datetime or None
        When it started, with time zone.
    pid : int or None
        Process id, where it is a process of this machine.
    restarts : int
        How often it was started again after it had crashed.
    cpu_percent : float or None
        Share of one core over the component's whole life, 0 to 100 per core.
    memory : int or None
        Memory in bytes (proportional set size where the system tells it, else resident size).
    detail : str
        The last words of a component that failed; else empty.
    """

    name: str
    state: State
    healthy: bool | None = None
    since: datetime | None = None
    pid: int | None = None
    restarts: int = 0
    cpu_percent: float | None = None
    memory: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class EngineStatus:
    """What runs, as of one moment.

    Attributes
    ----------
    engine : str
        The engine's name.
    state : {"running", "starting", "stopped", "failed"}
        ``running`` only when every component is healthy and the API is proven to be this project's.
    as_of : datetime
        When this was read.
    airflow_version, python_version : str or None
        Exact versions, once an environment is there.
    url : str or None
        Address of the Airflow UI.
    started_at : datetime or None
        When the environment was started.
    components : tuple of Component
        Empty when nothing runs.
    login : str
        How a person logs in to the UI; never the password itself.
    """

    engine: str
    state: State
    as_of: datetime
    airflow_version: str | None = None
    python_version: str | None = None
    url: str | None = None
    started_at: datetime | None = None
    components: tuple[Component, ...] = ()
    login: str = ""

    @property
    def running(self) -> bool:
        """Whether Airflow is up, healthy or not."""
        return any(component.state in ("running", "starting") for component in self.components)


@dataclass(frozen=True)
class Problem:
    """Something that stands in the way, found before any work is done: what, why, and what to do."""

    what: str
    why: str
    hint: str


@dataclass(frozen=True)
class StartOptions:
    """How to start.

    Attributes
    ----------
    port : int or None
        Port of the Airflow UI; None takes the remembered, the configured or a free one.
    timeout : float
        Seconds until a start that does not get healthy is given up.
    """

    port: int | None = None
    timeout: float = 120.0


@dataclass(frozen=True)
class Preparation:
    """The environment that a project's files stand for, made ready.

    Attributes
    ----------
    python : Path
        The environment's Python.
    airflow_version, python_version : str
        Exact versions.
    packages : int
        Number of installed distributions.
    requested : int
        How many of them the project's requirements ask for.
    created : bool
        Whether it was built now; False when it was there already.
    notes : tuple of str
        What the user should know, such as another Python than the image's.
    """

    python: Path
    airflow_version: str
    python_version: str
    packages: int
    requested: int
    created: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class StopResult:
    """What a stop or kill did.

    Attributes
    ----------
    stopped : int
        Number of processes or containers that were ended; 0 when nothing ran.
    forced : int
        How many of them had to be killed.
    removed : tuple of str
        Project-relative names of what was deleted (kill only).
    """

    stopped: int
    forced: int = 0
    removed: tuple[str, ...] = ()


@dataclass(frozen=True)
class LogQuery:
    """Which lines of the components' logs to give.

    Attributes
    ----------
    components : tuple of str
        Empty for all.
    tail : int or None
        Only the last so many lines; None for all.
    since : datetime or None
        Only lines written after this moment, as far as lines carry a time.
    grep : str or None
        Only lines that this regular expression finds something in.
    follow : bool
        Go on with new lines until the caller stops iterating.
    """

    components: tuple[str, ...] = ()
    tail: int | None = 100
    since: datetime | None = None
    grep: str | None = None
    follow: bool = False


@dataclass(frozen=True)
class InstalledPackage:
    """A distribution in the environment.

    Attributes
    ----------
    name, version : str
        As in its metadata.
    requested : str
        The project's requirement that names it, as written; empty when it is a dependency.
    """

    name: str
    version: str
    requested: str = ""


@dataclass(frozen=True)
class ApiAccess:
    """How to reach the running Airflow's REST API; the password never shows in a repr."""

    base_url: str
    username: str
    password: str = field(repr=False)


class Engine(ABC):
    """Base class of engines. Others can register under the entry-point group ``astro_magic.engines``.

    Parameters
    ----------
    project : Project
        The project to work on.
    """

    name: ClassVar[str]
    #: What the storyboard calls it: ``local processes``, ``Docker``.
    title: ClassVar[str]

    def __init__(self, project: Project) -> None:
        self.project = project

    @abstractmethod
    def preflight(self) -> tuple[Problem, ...]:
        """Give what stands in the way of a start; empty when nothing does. Takes under a second."""

    @abstractmethod
    def prepare(self) -> Operation[Preparation]:
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

    @abstractmethod
    def stop(self) -> Operation[StopResult]:
        """End every process; data and environment are kept. Stopping what does not run is no error."""

    @abstractmethod
    def restart(self, action: Action, options: StartOptions) -> Operation[EngineStatus]:
        """Apply what `action` says to the running environment, touching nothing that need not be touched."""

    @abstractmethod
    def kill(self) -> Operation[StopResult]:
        """End every process at once, and remove data and environment."""

    @abstractmethod
    def status(self) -> EngineStatus:
        """Read what runs now."""

    @abstractmethod
    def logs(self, query: LogQuery) -> Iterator[OutputLine]:
        """Give lines of the components' logs, oldest first."""

    @abstractmethod
    def exec(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Operation[int]:
        """Run a command in the environment; yields its lines, returns its exit code."""

    @abstractmethod
    def packages(self) -> tuple[InstalledPackage, ...]:
        """Give the distributions of the environment, sorted by name."""

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
            What the script is given; JSON.
        stage : {"core", "execution"}
            What must have been imported: enough to parse, or enough to run tasks.
        event : callable
            Makes an event of what the script reports.

        Raises
        ------
        CommandFailedError
            When the script fails; the detail is its traceback.
        """

    @abstractmethod
    def api(self) -> ApiAccess:
        """Give access to the running Airflow's REST API.

        Raises
        ------
        NotRunningError
            When Airflow does not run.
        """
