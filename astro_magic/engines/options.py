"""What an engine is asked: how to build, how to start, which lines of the logs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

__all__ = [
    "BuildOptions",
    "DatabaseOptions",
    "LogQuery",
    "Stage",
    "StartOptions",
]

Stage = Literal["core", "execution"]


@dataclass(frozen=True)
class BuildOptions:
    """How to build an image, for engines that have one. What is written is what the docker command takes.

    Attributes
    ----------
    secrets : tuple of str
        ``id=pip,src=FILE`` or ``id=pip,env=VARIABLE``; never a value.
    args : tuple of str
        Build arguments, ``KEY=VALUE``. They stay in the image's history.
    ssh : tuple of str
        ``default`` for the agent, or ``github=KEYFILE``.
    platform : str or None
        Such as ``linux/amd64``.
    no_cache : bool
        Run every step again.
    pull : bool
        Look for a newer base image.
    """

    secrets: tuple[str, ...] = ()
    args: tuple[str, ...] = field(default=(), repr=False)
    ssh: tuple[str, ...] = ()
    platform: str | None = None
    no_cache: bool = False
    pull: bool = False


@dataclass(frozen=True)
class DatabaseOptions:
    """Which metadata database to start on, for engines that leave the choice.

    Attributes
    ----------
    url : str
        ``postgresql://USER:PASSWORD@HOST:PORT/NAME``, or ``sqlite`` for the project's own file; empty as the last time.
        It is kept for the next starts.
    file : {"keep", "restore", "new"}
        What becomes of the project's own file: it is used as it is, replaced by the newest backup that suits this
        Airflow, or by an empty one. A file that is replaced is kept with the backups.
    """

    url: str = field(default="", repr=False)
    file: Literal["keep", "restore", "new"] = "keep"


@dataclass(frozen=True)
class StartOptions:
    """How to start.

    Attributes
    ----------
    port : int or None
        Port of the Airflow UI; None takes the remembered, the configured or a free one.
    timeout : float
        Seconds until a start that does not get healthy is given up.
    build : BuildOptions or None
        How an image is built; None as the last time.
    image : str
        A prepared image to run instead of building one; empty for the project's own.
    database : DatabaseOptions or None
        The metadata database; None as the last time.
    """

    port: int | None = None
    timeout: float = 120.0
    build: BuildOptions | None = None
    image: str = ""
    database: DatabaseOptions | None = None


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
    until : callable or None
        Ends following: asked now and then while no line comes, when a caller in one thread cannot stop another that
        waits; it gives True when nobody wants more lines.
    """

    components: tuple[str, ...] = ()
    tail: int | None = 100
    since: datetime | None = None
    grep: str | None = None
    follow: bool = False
    until: Callable[[], bool] | None = None

    @property
    def ended(self) -> bool:
        """Whether nobody wants more lines."""
        return self.until is not None and self.until()
