"""The process that ends an instance when its supervisor dies, however it dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

__all__ = ["Guard"]

_NONE = -1


class Guard:
    """The guard of the process that makes it.

    It reads a pipe that only this process can write to, and ends the instance at its end. It leads a group of its own:
    the Astro CLI ends the group that the supervisor leads, and not all of an instance stays in that.

    Parameters
    ----------
    end : callable
        Ends the instance, in the guard.
    """

    def __init__(self, end: Callable[[], object]) -> None:
        self._end = end
        self._watched, self._alive = os.pipe()
        #: Its process id; -1 while there is none.
        self.pid = _NONE

    @property
    def missing(self) -> bool:
        """Whether there is none, since no process or no memory was left for it; it is to be tried again."""
        return self.pid == _NONE

    def start(self) -> None:
        """Fork it."""
        try:
            self.pid = os.fork()
        except OSError:
            self.pid = _NONE
            return
        if self.pid:
            return
        os.setpgid(0, 0)
        os.close(self._alive)
        self._watch()
        self._end()
        os._exit(0)

    def let_go(self) -> None:
        """Hold the pipe no more, in a fork, whose life says nothing."""
        for end in (self._alive, self._watched):
            os.close(end)

    def _watch(self) -> None:
        """Wait for the end of the pipe; no signal ends the wait but SIGKILL."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        while os.read(self._watched, 1):
            pass
