"""Show work while it goes on: one display that is updated in a notebook, plain lines in a terminal.

`Progress` is a listener of events. In a notebook a thread of its own draws, so that the seconds go on when no event
comes; the display is emptied when the work succeeds, since the result follows in the same place, and stays as it was
when the work fails. Work that ends within half a second shows nothing.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol, Self

from astro_magic.system.events import Event, OutputLine, Step, TaskUpdate
from astro_magic.views.report import Cell, Preformatted, Report, Span, Table, line
from astro_magic.views.text import flat
from astro_magic.views.view import View
from astro_magic.views.words import duration, state, step_words

__all__ = ["Display", "Empty", "Handle", "Progress"]

_DELAY = 0.5
_INTERVAL = 0.25
_BAR = 16
_TAIL = 20


class Handle(Protocol):
    """A display that can be changed."""

    def update(self, content: Any, /) -> None:
        """Show something else in the same place."""


class Display(Protocol):
    """What shows an object in a notebook."""

    def __call__(self, content: Any, /) -> Handle:
        """Show an object, and give the handle with which it is changed."""


class Empty:
    """What is left of a display that is no longer needed."""

    def __repr__(self) -> str:
        return ""

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": "", "text/html": ""}


class ProgressView(View):
    """The state of the work at one moment."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def report(self) -> Report:
        """Give the lines."""
        return self._report


class Progress:
    """A listener that shows what it hears. Use it as a context manager around the work.

    Parameters
    ----------
    title : str
        What is being done.
    display : Display, optional
        Shows an object in a notebook; None in a terminal.
    write : callable, optional
        Prints a line in a terminal; None in a notebook. With neither, nothing is shown.
    tail : int, optional
        How many lines of output are kept on the screen; 0 for the latest line beside its step only.
    stream : bool, optional
        In a terminal, print lines of output as they come.
    delay, interval : float, optional
        Seconds before anything is shown, and between two drawings.
    """

    def __init__(
        self,
        title: str,
        *,
        display: Display | None = None,
        write: Callable[[str], object] | None = None,
        tail: int = 0,
        stream: bool = False,
        delay: float = _DELAY,
        interval: float = _INTERVAL,
    ) -> None:
        self.title = title
        self.lines: list[OutputLine] = []
        self._display = display
        self._write = write
        self._tail: deque[str] = deque(maxlen=tail or 1)
        self._with_tail = bool(tail)
        self._stream = stream
        self._delay = delay
        self._interval = interval
        self._rows: dict[str, Step | TaskUpdate] = {}
        self._began: dict[str, float] = {}
        self._waiting: list[str] = []
        self._printed = False
        self._handle: Handle | None = None
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps at their latest state, unless they were printed: then the screen has them already."""
        if self._printed:
            return ()
        return tuple(row for row in self._rows.values() if isinstance(row, Step))

    @property
    def seconds(self) -> float:
        """How long the work has taken so far."""
        return time.monotonic() - self._start

    @property
    def streamed(self) -> bool:
        """Whether lines of output were printed as they came."""
        return self._stream and self._write is not None

    def __enter__(self) -> Self:
        self._start = time.monotonic()
        if self._display is not None:
            # The context tells ipykernel which cell the drawing belongs to.
            context = contextvars.copy_context()
            self._thread = threading.Thread(target=context.run, args=(self._draw_on,), daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end.set()
        if self._thread is not None:
            self._thread.join()
        if error is not None:
            self._fail("interrupted" if isinstance(error, KeyboardInterrupt) else "")
        if self._handle is not None:
            self._handle.update(Empty() if error is None else ProgressView(self.report()))

    def __call__(self, event: Event) -> None:
        """Take an event."""
        with self._lock:
            if isinstance(event, OutputLine):
                self.lines.append(event)
                self._tail.append(event.text)
                if self.streamed:
                    self._print(event.text)
                return
            key = _key(event)
            self._began.setdefault(key, time.monotonic())
            self._rows[key] = event
        if _ended(event):
            self._print_when_late(event)

    def report(self) -> Report:
        """Build the state of the work at this moment."""
        with self._lock:
            rows = tuple(self._row(key, row) for key, row in self._rows.items())
            tail = tuple(self._tail)
        head = line(Span(self.title, "strong"), Span(f" · {duration(self.seconds)}", "muted"))
        output = Preformatted(tail) if tail and (self._with_tail or not self._end.is_set()) else None
        return Report.of(head, Table((), rows, "llllr") if rows else None, output)

    def _row(self, key: str, row: Step | TaskUpdate) -> tuple[Cell, ...]:
        began = self._began[key]
        seconds = row.seconds if row.seconds is not None or _ended(row) else time.monotonic() - began
        if isinstance(row, TaskUpdate):
            tries = f"try {row.try_number}" if row.try_number > 1 else ""
            detail = " · ".join(part for part in (tries, row.result) if part)
            return (_sign(row.state), row.task_id, state(row.state), detail, duration(seconds))
        bar = _bar(row.fraction) if row.fraction is not None and row.state == "running" else ""
        said, word = step_words(row)
        detail = "  ".join(part for part in (bar, said) if part)
        return (_sign(row.state), row.title, word, detail, duration(seconds))

    def _draw_on(self) -> None:
        """Draw until the work has ended; runs in a thread."""
        if self._end.wait(self._delay) or self._display is None:
            return
        self._handle = self._display(ProgressView(self.report()))
        while not self._end.wait(self._interval):
            self._handle.update(ProgressView(self.report()))

    def _fail(self, word: str) -> None:
        """Mark what was running when the work ended."""
        for key, row in self._rows.items():
            if isinstance(row, Step) and row.state == "running":
                detail = " · ".join(part for part in (row.detail, word) if part)
                seconds = time.monotonic() - self._began[key]
                failed = replace(row, state="failed", detail=detail, seconds=seconds)
                self._rows[key] = failed
                self._print_when_late(failed)

    def _print_when_late(self, row: Step | TaskUpdate) -> None:
        if self._write is None:
            return
        _, title, word, detail, seconds = map(flat, self._row(_key(row), row))
        self._waiting.append(f"  {title:<14} {detail:<40} {word:<9} {seconds:>8}")
        if self.seconds >= self._delay:
            for text in self._waiting:
                self._print(text)
            self._waiting.clear()

    def _print(self, text: str) -> None:
        if self._write is not None:
            if not self._printed and not self.streamed:
                self._write(self.title)
            self._printed = True
            self._write(text)


def _key(row: Step | TaskUpdate) -> str:
    return f"step {row.key}" if isinstance(row, Step) else f"task {row.task_id}"


def _ended(row: Step | TaskUpdate) -> bool:
    if isinstance(row, Step):
        return row.state != "running"
    return row.ended


def _sign(word: str) -> str:
    return {"done": "✓", "success": "✓", "failed": "✗", "upstream_failed": "✗", "skipped": "–"}.get(word, "…")


def _bar(fraction: float) -> str:
    full = round(max(0.0, min(1.0, fraction)) * _BAR)
    return f"{'█' * full}{'░' * (_BAR - full)} {fraction:.0%}"
