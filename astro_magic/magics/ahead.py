"""Prepare in the background what the next start of a project needs, so that it takes no time when it is asked for."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from astro_magic.engines.local.inside.warmth import is_kept

if TYPE_CHECKING:
    from astro_magic.environment import Environment
    from astro_magic.project.project import Project

__all__ = ["Ahead"]

_Marks = tuple[int, ...]

#: What decides which process a start needs; each is written anew as a whole, which changes its time.
_DECIDING = ("requirements.txt", "Dockerfile", ".env", ".astro/magic/environments/current")
#: A stop waits so long for a preparation that has begun, in seconds, so that it ends what that has launched.
_PATIENCE = 30.0


class Ahead:
    """What is prepared for the projects of one session.

    It is looked at after each magic, which costs some file times. Nobody waits for what is prepared, and nobody is told
    when it could not be: the start does it then.
    """

    def __init__(self) -> None:
        self._seen: dict[Path, _Marks] = {}
        self._work: dict[Path, threading.Thread] = {}

    def look(self, project: Project, environment: Callable[[], Environment]) -> None:
        """Prepare in the background, if this is the project's first time here or what decides has changed.

        Parameters
        ----------
        project : Project
            The project.
        environment : callable
            Gives its environment; called in the background, since to choose an engine may take a while.
        """
        if not is_kept(os.environ):
            return
        marks = _marks(project)
        before = self._work.get(project.root)
        if self._seen.get(project.root) == marks or (before is not None and before.is_alive()):
            return
        self._seen[project.root] = marks

        def prepare() -> None:
            with suppress(Exception):
                environment().warm_up()

        self._work[project.root] = threading.Thread(target=prepare, daemon=True)
        self._work[project.root].start()

    def rest(self, project: Project) -> None:
        """Prepare nothing more for a project that is about to be stopped, until its files change."""
        self._seen[project.root] = _marks(project)
        work = self._work.pop(project.root, None)
        if work is not None:
            work.join(_PATIENCE)


def _marks(project: Project) -> _Marks:
    return tuple(_changed(project.root / name) for name in _DECIDING)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
