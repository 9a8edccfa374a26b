"""What live widgets know and do, without a widget: status, log and work, and when to paint them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from astro_magic.engines.options import StartOptions
from astro_magic.environment import Environment
from astro_magic.views import StatusView
from astro_magic.widgets.errand import Errand
from astro_magic.widgets.log_feed import LogFeed
from astro_magic.widgets.loop import Loop
from astro_magic.widgets.reading import Reading
from astro_magic.widgets.repaint import Repaint
from astro_magic.widgets.status_watch import Sight, StatusWatch
from astro_magic.widgets.work import Task, Work

__all__ = ["LiveModel", "PanelModel"]

T = TypeVar("T")

#: How often the seconds of work that goes on are shown.
_TICK = 0.5
#: By project: held by whoever writes objects, in whichever widget of this kernel.
_TURNS: dict[Path, threading.Lock] = {}


class LiveModel:
    """What each live widget has: the status and when to paint, on one thread each; and threads for what takes long.

    Nothing here waits for anything, so that each method can be called from a callback of the front end.

    Parameters
    ----------
    environment : Environment
        What is shown.
    paint : callable
        Shows the state; called on one thread, at most ten times a second.

    Raises
    ------
    AstroMagicError
        When the engine cannot be asked.

    Attributes
    ----------
    repaint : Repaint
        When it is painted.
    turn : threading.Lock
        To be held, on a thread, by what writes the project's objects.
    """

    def __init__(self, environment: Environment, paint: Callable[[], object]) -> None:
        self.environment = environment
        self.repaint = Repaint(paint, pulse=self._pulse)
        self.turn = _TURNS.setdefault(environment.project.root, threading.Lock())
        self._watch = StatusWatch(environment, self.repaint.ask)
        self._threads: list[Loop] = [self._watch, self.repaint]
        self._errands: list[Errand] = []
        self._readings: list[Reading[Any]] = []

    def begin(self) -> None:
        """Begin to watch and to paint, or go on with it."""
        for part in self._threads:
            part.begin()

    def end(self) -> None:
        """End the threads. Work that was begun is done to its end, since half of it would be worse."""
        for part in self._threads:
            part.end()

    def join(self, timeout: float) -> bool:
        """Wait until the threads have ended, each for `timeout` seconds at most; gives whether they have."""
        parts: list[Loop | Errand | Reading[Any]] = [*self._threads, *self._errands, *self._readings]
        return all(part.join(timeout) for part in parts)

    @property
    def sight(self) -> Sight:
        """What runs and what is pending, as it was read last."""
        return self._watch.sight

    def look(self) -> None:
        """Read now what runs and what is pending; for a thread."""
        self._watch.look()

    def status_view(self) -> StatusView:
        """Give the view of what runs."""
        sight = self.sight
        return StatusView(self.environment.project.name, sight.status, sight.pending)

    def errand(self) -> Errand:
        """Make something that does one thing at a time on a thread."""
        errand = Errand(self.repaint.ask)
        self._errands.append(errand)
        return errand

    def reading(self, what: str, read: Callable[[], T]) -> Reading[T]:
        """Make something that reads on a thread: see `Reading`."""
        reading = Reading(what, read, self.repaint.ask)
        self._readings.append(reading)
        return reading

    def _pulse(self) -> float | None:
        return _TICK if any(errand.going_on for errand in self._errands) else None


class PanelModel(LiveModel):
    """The state of a panel: the log, and starts and stops, beside what each live widget has.

    Parameters
    ----------
    environment : Environment
        As for a `LiveModel`, which raises what it cannot ask.
    paint : callable
        As for a `LiveModel`.
    options : StartOptions, optional
        How Airflow is started.

    Attributes
    ----------
    log : LogFeed
        The components' logs.
    work : Work
        What the buttons have done.
    """

    def __init__(
        self, environment: Environment, paint: Callable[[], object], *, options: StartOptions | None = None
    ) -> None:
        super().__init__(environment, paint)
        changed = self.repaint.ask
        self.log = LogFeed(environment, changed, self._logging)
        self.work = Work(environment, options or StartOptions(), changed, self._watch.look)
        self._threads.insert(1, self.log)

    def able(self, task: Task) -> bool:
        """Tell whether a task makes sense now."""
        if self.work.task is not None:
            return False
        status = self.sight.status
        if task == "start":
            return not status.running
        return status.running or (task == "stop" and status.state != "stopped")

    def begin_task(self, task: Task) -> bool:
        """Begin a task, if it makes sense now; gives whether it was begun."""
        return self.able(task) and self.work.begin(task)

    def _pulse(self) -> float | None:
        return _TICK if self.work.task is not None else super()._pulse()

    def _logging(self) -> bool:
        return self.work.task is not None or self.sight.status.running
