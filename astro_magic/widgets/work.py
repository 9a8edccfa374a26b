"""Start, stop and restart on a thread, one at a time; how it goes on and how it ended, as a report."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from astro_magic.engines.answers import EngineStatus, State
from astro_magic.engines.options import StartOptions
from astro_magic.environment import Environment
from astro_magic.errors import AstroMagicError
from astro_magic.system.events import Event
from astro_magic.views import Progress, RestartView, StartView, StopView, View
from astro_magic.views.report import Block, Preformatted, Report, Span, line
from astro_magic.widgets.loop import Loop

__all__ = ["Task", "Work"]

Task = Literal["start", "stop", "restart"]

_TITLES: dict[Task, str] = {"start": "Starting", "stop": "Stopping", "restart": "Restarting"}
#: Of what stands behind an error, the last lines say most; the magic shows all of it.
_LAST_WORDS = 8


@dataclass(frozen=True)
class _Outcome:
    """How a task ended, and the states of an environment in which that is no longer so."""

    report: Report
    outdated_by: tuple[State, ...] = ()


class Work:
    """What a panel's buttons have done.

    Parameters
    ----------
    environment : Environment
        On what.
    options : StartOptions
        How it is started.
    changed : callable
        Called from a thread when the work has gone on.
    ended : callable
        Called from a thread when it has ended, with the status after it where that is known.
    """

    def __init__(
        self,
        environment: Environment,
        options: StartOptions,
        changed: Callable[[], object],
        ended: Callable[[EngineStatus | None], object],
    ) -> None:
        self._environment = environment
        self._options = options
        self._changed = changed
        self._ended = ended
        self._lock = threading.Lock()
        self._task: Task | None = None
        self._progress: Progress | None = None
        self._outcome: _Outcome | None = None

    @property
    def task(self) -> Task | None:
        """What is being done."""
        return self._task

    def begin(self, task: Task) -> bool:
        """Begin a task and return at once; gives whether it was begun, which it is not while another goes on."""
        with self._lock:
            if self._task is not None:
                return False
            self._task = task
            where = f" on {self._environment.engine.title}" if task == "start" else ""
            self._progress = Progress(f"{_TITLES[task]} {self._environment.project.name}{where}")
        Loop(task, lambda _: self._do(task)).begin()
        self._changed()
        return True

    def report(self) -> Report | None:
        """Give how the work goes on, or how it ended; None when there was none."""
        with self._lock:
            progress, outcome = self._progress, self._outcome
        if progress is not None:
            return progress.report()
        return outcome.report if outcome is not None else None

    def forget_outdated(self, state: State) -> None:
        """Forget that the last task succeeded when that is no longer so; that it failed is told until the next one.

        Parameters
        ----------
        state : {"running", "starting", "stopped", "failed"}
            The environment's state now.
        """
        with self._lock:
            if self._outcome is not None and state in self._outcome.outdated_by:
                self._outcome = None

    def _do(self, task: Task) -> None:
        status = None
        try:
            view, status = self._run(task)
            outcome = _Outcome(view.report(), ("running", "starting") if task == "stop" else ("stopped", "failed"))
        except AstroMagicError as error:
            outcome = _failure(task, error.message, error.hint, error.detail)
        except Exception as error:  # noqa: BLE001 - on a thread nobody else would ever hear of it
            # What it says is not known to be free of secrets.
            hint = f"%astro_{task} in a cell shows the whole error."
            outcome = _failure(task, f"an unforeseen {type(error).__name__}.", hint, None)
        # The status first, so that the buttons are right from the moment they can be clicked.
        self._ended(status)
        with self._lock:
            self._task, self._progress, self._outcome = None, None, outcome
        self._changed()

    def _run(self, task: Task) -> tuple[View, EngineStatus | None]:
        environment, progress = self._environment, self._progress or Progress(task)
        name = environment.project.name

        def heard(event: Event) -> None:
            progress(event)
            self._changed()

        with progress:
            if task == "start":
                start = environment.start(self._options, listener=heard)
                return StartView(name, start), start.status
            if task == "restart":
                restart = environment.restart(self._options, listener=heard)
                return RestartView(name, restart), restart.status
            stop = environment.stop(listener=heard)
            return StopView(name, stop, seconds=progress.seconds), None


def _failure(task: Task, message: str, hint: str | None, detail: str | None) -> _Outcome:
    blocks: list[Block] = [line(Span(f"{task.capitalize()} failed", "bad"), f": {message}")]
    if hint:
        blocks.append(line(hint))
    if detail:
        blocks.append(Preformatted(tuple(detail.splitlines()[-_LAST_WORDS:])))
    return _Outcome(Report.of(blocks))
