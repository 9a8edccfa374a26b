"""What a tab's buttons have done on a thread, one thing at a time; how it goes on and how it ended, as a report."""

from __future__ import annotations

import threading
from collections.abc import Callable

from astro_magic.errors import AstroMagicError
from astro_magic.views import Progress
from astro_magic.views.report import Block, Report, Span, line
from astro_magic.widgets.loop import Loop

__all__ = ["Errand", "failure_report"]


class Errand:
    """One thing at a time, and what became of the last one.

    Parameters
    ----------
    changed : callable
        Called from a thread when it has gone on, or ended.
    """

    def __init__(self, changed: Callable[[], object]) -> None:
        self._changed = changed
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._outcome: Report | None = None
        self._loop: Loop | None = None

    @property
    def going_on(self) -> bool:
        """Whether something is being done."""
        return self._progress is not None

    def begin(
        self,
        title: str,
        do: Callable[[Progress], Report | None],
        *,
        failed: str,
        refused: Callable[[Report], object] | None = None,
    ) -> bool:
        """Begin to do something and return at once; gives whether it was begun, which it is not while another goes on.

        Parameters
        ----------
        title : str
            What is being done.
        do : callable
            Does it, tells the listener that it is given how it goes on, and gives what is to be said of it.
        failed : str
            What is said before the reason when it raises, such as ``Not saved``.
        refused : callable, optional
            Takes what is to be said when it raises, where there is a better place for that than `report`.
        """
        with self._lock:
            if self._progress is not None:
                return False
            progress = self._progress = Progress(title)
            self._outcome = None
            loop = self._loop = Loop("errand", lambda _: self._do(progress, do, failed, refused))
        loop.begin()
        self._changed()
        return True

    def report(self) -> Report | None:
        """Give how it goes on, or how it ended; None when there is nothing to say."""
        with self._lock:
            progress, outcome = self._progress, self._outcome
        return progress.report() if progress is not None else outcome

    def say(self, report: Report | None) -> None:
        """Say something else than how the last one ended."""
        with self._lock:
            self._outcome = report
        self._changed()

    def join(self, timeout: float) -> bool:
        """Wait until nothing is being done any more; gives whether that is so."""
        return self._loop is None or self._loop.join(timeout)

    def _do(
        self,
        progress: Progress,
        do: Callable[[Progress], Report | None],
        failed: str,
        refused: Callable[[Report], object] | None,
    ) -> None:
        outcome: Report | None = None
        trouble: Report | None = None
        try:
            with progress:
                outcome = do(progress)
        except AstroMagicError as error:
            trouble = failure_report(failed, error.message, error.hint)
        except Exception as error:  # noqa: BLE001 - on a thread nobody else would ever hear of it
            # What it says is not known to be free of secrets.
            hint = "The same done by a magic in a cell shows the whole error."
            trouble = failure_report(failed, f"an unforeseen {type(error).__name__}.", hint)
        if trouble is not None and refused is not None:
            refused(trouble)
        with self._lock:
            self._progress = None
            self._outcome = outcome if trouble is None else trouble if refused is None else None
        self._changed()


def failure_report(failed: str, message: str, hint: str | None = None) -> Report:
    """Say what did not succeed, why, and what to do.

    Parameters
    ----------
    failed : str
        What did not, such as ``Not saved``.
    message : str
        Why, as a sentence.
    hint : str, optional
        What to do.
    """
    blocks: list[Block] = [line(Span(failed, "bad"), f": {message}")]
    return Report.of(blocks, line(hint) if hint else None)
