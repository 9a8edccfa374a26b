"""What runs now, and what is pending: read on a thread whenever it changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from astro_magic.engines.answers import EngineStatus
from astro_magic.environment import Environment
from astro_magic.errors import AstroMagicError
from astro_magic.project.fingerprint import Pending
from astro_magic.widgets.loop import Loop

__all__ = ["Sight", "StatusWatch"]

#: Seconds until an engine that could not be asked is asked again.
_PAUSE = 3.0


@dataclass(frozen=True)
class Sight:
    """What was seen last.

    Attributes
    ----------
    status : EngineStatus
        What runs.
    pending : Pending or None
        What has changed in the project since; None where its files cannot be read.
    trouble : str
        Why the latest could not be read; empty when it could.
    """

    status: EngineStatus
    pending: Pending | None
    trouble: str = ""


class StatusWatch(Loop):
    """Follows an environment's status.

    Parameters
    ----------
    environment : Environment
        What is watched.
    changed : callable
        Called from a thread when there is something new to see.

    Raises
    ------
    AstroMagicError
        When the engine cannot be asked now; later on, `sight` tells.
    """

    def __init__(self, environment: Environment, changed: Callable[[], object]) -> None:
        super().__init__("status", self._follow)
        self._environment = environment
        self._changed = changed
        self._lock = threading.Lock()
        self._sight = self._seen(environment.status())

    @property
    def sight(self) -> Sight:
        """What was seen last."""
        return self._sight

    def _take(self, status: EngineStatus) -> None:
        with self._lock:
            # Two threads read: what was begun earlier may end later.
            newest = max(status, self._sight.status, key=lambda each: each.as_of)
            self._sight = self._seen(newest)
        self._changed()

    def look(self, status: EngineStatus | None = None) -> None:
        """Take a status that was just read, or read it now; what goes wrong is seen in `sight`."""
        with self._telling():
            self._take(status or self._environment.status())

    def _seen(self, status: EngineStatus) -> Sight:
        try:
            return Sight(status, self._environment.pending(status))
        except AstroMagicError as error:
            return Sight(status, None, error.message)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except AstroMagicError as error:
            self._miss(error.message)
        except Exception as error:  # noqa: BLE001 - an engine of somebody else's; the panel tells, and goes on
            self._miss(f"The status cannot be read: {type(error).__name__}.")

    def _miss(self, why: str) -> None:
        with self._lock:
            self._sight = replace(self._sight, trouble=why)
        self._changed()

    def _follow(self, end: threading.Event) -> None:
        while not end.is_set():
            with self._telling():
                self._follow_once(end)
            end.wait(_PAUSE)

    def _follow_once(self, end: threading.Event) -> None:
        """Follow until the watch ends by itself, or nobody wants to know any more."""
        for status in self._environment.watch():
            if end.is_set():
                return
            self._take(status)
