"""Something that takes a moment to read: read on a thread when it is out of date, and kept for whoever looks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from astro_magic.errors import AstroMagicError
from astro_magic.widgets.loop import Loop

__all__ = ["Reading"]

T = TypeVar("T")


class Reading(Generic[T]):
    """What was read last.

    Parameters
    ----------
    what : str
        What errors call it, such as ``The connections``.
    read : callable
        Reads it; called on a thread, never on two at once.
    changed : callable
        Called from the thread when it was read, or could not be.

    Attributes
    ----------
    content : object or None
        What was read; None until it has been.
    trouble : str
        Why the latest could not be read; empty when it could.
    """

    def __init__(self, what: str, read: Callable[[], T], changed: Callable[[], object]) -> None:
        self.content: T | None = None
        self.trouble = ""
        self._what = what
        self._read = read
        self._changed = changed
        self._lock = threading.Lock()
        self._stamp: object = None
        self._asked = False
        self._loop: Loop | None = None

    @property
    def going_on(self) -> bool:
        """Whether it is being read."""
        return self._loop is not None

    def want(self, stamp: object) -> None:
        """Have it read when what it depends on is not what it was the last time; where it is read already, once more.

        Parameters
        ----------
        stamp : object
            What it depends on.
        """
        with self._lock:
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self._asked = True
            if self._loop is not None:
                return
            loop = self._loop = Loop("reading", lambda _: self._read_on())
        loop.begin()

    def outdate(self) -> None:
        """Have it read when it is wanted next, whatever it depends on."""
        with self._lock:
            self._stamp = None

    def take(self, content: T, stamp: object = None) -> None:
        """Take what was read elsewhere.

        Parameters
        ----------
        content : object
            What was read.
        stamp : object, optional
            What it depends on; as far as it is known.
        """
        with self._lock:
            self._stamp = stamp if stamp is not None else self._stamp
        self.content, self.trouble = content, ""
        self._changed()

    def join(self, timeout: float) -> bool:
        """Wait until nothing is read any more; gives whether that is so."""
        loop = self._loop
        return loop is None or loop.join(timeout)

    def _read_on(self) -> None:
        while True:
            with self._lock:
                if not self._asked:
                    self._loop = None
                    break
                self._asked = False
            self._read_once()
        self._changed()

    def _read_once(self) -> None:
        try:
            self.content, self.trouble = self._read(), ""
        except AstroMagicError as error:
            self.trouble = " ".join(part for part in (error.message, error.hint) if part)
        except Exception as error:  # noqa: BLE001 - on a thread nobody else would ever hear of it
            # What it says is not known to be free of secrets.
            self.trouble = f"{self._what} cannot be read: an unforeseen {type(error).__name__}."
