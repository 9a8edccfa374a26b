"""The environments that a project has had: what an engine tells of them, and what can be done with them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from astro_magic.project.changes import Change

__all__ = ["Cached", "Generation", "Generations", "Pruning", "Rollback"]


@dataclass(frozen=True)
class Generation:
    """One environment that was made and is kept.

    Attributes
    ----------
    number : int
        Counts up with each one that is made in a project; never used twice while one is kept.
    name : str
        Its folder's name.
    made : datetime
        When it was made, with time zone.
    airflow_version, python_version : str
        Exact versions.
    packages : mapping of str to str
        Version by normalised name; empty where a package comes from elsewhere than an index.
    requested : frozenset of str
        The packages that the project asked for, by normalised name.
    changes : tuple of str
        How the packages differ from those of the kept one before, such as ``adds polars 1.35.2``; what the project
        asked for comes first. Empty for the oldest one.
    size : int
        Bytes on disk.
    shared : int
        How many of them are in files that a cache or another environment has, too.
    current : bool
        Whether it is the one that the next start takes.
    running : bool
        Whether Airflow, or what has imported it for the next start, runs from it.
    """

    number: int
    name: str
    made: datetime
    airflow_version: str
    python_version: str
    packages: Mapping[str, str] = field(repr=False)
    requested: frozenset[str] = frozenset()
    changes: tuple[str, ...] = ()
    size: int = 0
    shared: int = 0
    current: bool = False
    running: bool = False


@dataclass(frozen=True)
class Cached:
    """The environments that are kept for other projects that need the same.

    Attributes
    ----------
    count : int
        How many.
    size : int
        Bytes on disk that no project's environment shares with them, nor uv's cache.
    """

    count: int
    size: int


@dataclass(frozen=True)
class Rollback:
    """What going back to an earlier environment changes in the project's files.

    Attributes
    ----------
    generation : Generation
        The environment.
    change : Change
        The files that it is made from, as they were when it was last used.
    ready : bool
        Whether it is there and whole, so that nothing has to be built.
    """

    generation: Generation
    change: Change
    ready: bool


@dataclass(frozen=True)
class Pruning:
    """What removing old environments did.

    Attributes
    ----------
    removed, kept : tuple of Generation
        Newest first.
    freed : int
        Bytes that the disk has got back: what uv's cache has, too, is still there.
    """

    removed: tuple[Generation, ...]
    kept: tuple[Generation, ...]
    freed: int


class Generations(ABC):
    """The environments of one project."""

    @abstractmethod
    def read(self) -> tuple[Generation, ...]:
        """Read which environments are kept, newest first.

        Raises
        ------
        FileAccessError
            When they cannot be read.
        """

    @abstractmethod
    def cached(self) -> Cached:
        """Give what is kept for other projects that need the same environment."""

    @abstractmethod
    def roll_back(self, wanted: str = "", *, dry_run: bool = False) -> Rollback:
        """Make an earlier environment the current one, and its requirements those of the project, as one change.

        What runs is not touched. `Project.undo` takes the change back.

        Parameters
        ----------
        wanted : str, optional
            Its number, or its name or the beginning of it; the one before the current one by default.
        dry_run : bool, optional
            Write nothing.

        Raises
        ------
        NothingToUndoError
            When there is none of that number or name, or none before the current one.
        ProjectError
            When a file cannot be written, or was changed meanwhile.
        ProjectBusyError
            When another process is working on the project.
        """

    @abstractmethod
    def prune(self, *, keep: int | None = None, max_size: int | None = None) -> Pruning:
        """Remove environments, the one first that was used longest ago; never the current or a running one.

        What is kept for other projects goes, too, where none has an environment of it.

        Parameters
        ----------
        keep : int, optional
            How many to keep at most. By default as many as are kept by themselves, unless `max_size` is given.
        max_size : int, optional
            Bytes on disk that all together may take, a file that several have counted once.

        Raises
        ------
        ProjectBusyError
            When another process is working on the project.
        """
