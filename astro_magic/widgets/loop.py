"""A thread that goes on until it is told to end, and can be begun again."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable

__all__ = ["Loop"]


class Loop:
    """One thread at a time that does some work. It never keeps the process alive.

    Parameters
    ----------
    name : str
        Name of the thread.
    work : callable
        Is given the event that tells it to end; it looks there often.
    """

    def __init__(self, name: str, work: Callable[[threading.Event], object]) -> None:
        self._name = name
        self._work = work
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Begin, unless it goes on already."""
        if self._thread is not None and self._thread.is_alive() and not self._end.is_set():
            return
        # A thread that is still on its way out keeps its own event, and so ends.
        self._end = threading.Event()
        # The context tells ipykernel which cell the work belongs to.
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._work, self._end), name=f"Astro Magic: {self._name}", daemon=True
        )
        self._thread.start()

    def end(self) -> None:
        """Tell the thread to end; it may take a moment to hear of it."""
        self._end.set()

    def join(self, timeout: float) -> bool:
        """Wait until the thread has ended; gives whether it has.

        Parameters
        ----------
        timeout : float
            Seconds to wait at most.
        """
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()
