"""Paint soon after something has changed, and not more often than an eye can follow."""

from __future__ import annotations

import threading
from collections.abc import Callable

from astro_magic.widgets.loop import Loop

__all__ = ["Repaint"]


class Repaint(Loop):
    """Calls a function on a thread of its own, once for all that has changed meanwhile.

    Parameters
    ----------
    paint : callable
        Brings up to date what is seen.
    pulse : callable
        Gives the seconds after which it is painted again though nothing has changed; None while no time is shown that
        goes on.
    gap : float, optional
        Seconds between two paintings at least.

    Attributes
    ----------
    failure : Exception or None
        With what the last painting failed. A thread of a kernel has no place to show it, and the next may succeed.
    """

    def __init__(
        self, paint: Callable[[], object], *, pulse: Callable[[], float | None] = lambda: None, gap: float = 0.1
    ) -> None:
        super().__init__("panel", self._paint_on)
        self.failure: Exception | None = None
        self._paint = paint
        self._pulse = pulse
        self._gap = gap
        self._asked = threading.Event()

    def ask(self) -> None:
        """Have it painted soon; from any thread, and at once back."""
        self._asked.set()

    def begin(self) -> None:
        """Begin to paint."""
        self._asked.set()
        super().begin()

    def end(self) -> None:
        """Paint no more."""
        super().end()
        self._asked.set()

    def _paint_on(self, end: threading.Event) -> None:
        while True:
            self._asked.wait(self._pulse())
            if end.is_set():
                return
            # Before the painting: what changes while it goes on is painted next.
            self._asked.clear()
            try:
                self._paint()
                self.failure = None
            except Exception as failure:  # noqa: BLE001 - printed, it would stand in somebody else's cell
                self.failure = failure
            if end.wait(self._gap):
                return
