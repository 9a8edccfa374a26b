"""What an engine answers: what runs, what stands in the way, what was done, and how to reach the Airflow that runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from astro_magic.airflow.client import AirflowClient

__all__ = [
    "ApiAccess",
    "Component",
    "EngineStatus",
    "Preparation",
    "Problem",
    "State",
    "StopResult",
]

State = Literal["running", "starting", "stopped", "failed"]


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
    image : str
        The image of its container, where it has one: a tag, or the beginning of an id that no tag names any more.
    ports : tuple of str
        Where it can be reached on this machine, such as ``127.0.0.1:8080``.
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
    image: str = ""
    ports: tuple[str, ...] = ()


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
    notes : tuple of str
        What is worth knowing beside, such as an image that is being built.
    started_by : str
        Another tool that has started it, where one has; what it was started with is then not known.
    warm_memory : int or None
        Memory, in bytes, of a process that is kept for the next start while nothing runs; None without one.
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
    notes: tuple[str, ...] = ()
    started_by: str = ""
    warm_memory: int | None = None

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
class Preparation:
    """The environment that a project's files stand for, made ready.

    Attributes
    ----------
    python : Path or None
        The environment's Python, where it is on this machine.
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

    python: Path | None
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
class ApiAccess:
    """How to reach the running Airflow's REST API; the password never shows in a repr.

    Attributes
    ----------
    base_url : str
        Address of the API server, or the webserver of Airflow 2.
    username, password : str
        Who logs in.
    airflow_major : int
        3, whose API is version 2, or 2, whose API is version 1.
    """

    base_url: str
    username: str
    password: str = field(repr=False)
    airflow_major: int = 3

    def client(self) -> AirflowClient:
        """Give a client of it, which is to be closed."""
        from astro_magic.airflow.client import AirflowClient

        return AirflowClient(self.base_url, self.username, self.password, airflow_major=self.airflow_major)
