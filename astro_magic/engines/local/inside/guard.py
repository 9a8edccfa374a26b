"""The process that ends an instance when its supervisor dies, however it dies."""

from __future__ import annotations

import os
import signal

__all__ = ["watch"]


def watch(descriptor: int) -> None:
    """Wait for the end of the pipe whose other end only the supervisor holds; no signal ends the wait but SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(descriptor, 1):
        pass
