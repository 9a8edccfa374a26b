"""A server in a process of its own, which ends with the tests, however they end."""

from __future__ import annotations

import abc
import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import psutil

__all__ = ["Server", "end", "free_port", "start"]

_START_SECONDS = 30
_STOP_SECONDS = 5
_PORTS_TRIED = 3


def free_port(host: str) -> int:
    """Give a port that nothing listens on at an address of this machine."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        return int(listener.getsockname()[1])


def start(command: Sequence[str], log: Path, *, told: str = "") -> subprocess.Popen[bytes]:
    """Start a process that writes to a file, and that is killed when the thread that started it has ended.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.
    log : Path
        What it prints is appended there.
    told : str
        What it can read from its standard input.
    """
    # The kernel sees to it; where it cannot, only tests that are killed leave something behind.
    tied = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*tied, *command], stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    # One that has ended by now says why in its log.
    with contextlib.suppress(BrokenPipeError), process.stdin as line:
        line.write(told.encode())
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it has started."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


class Server(abc.ABC):
    """A server on a port of its own, which it keeps when it is stopped and started again.

    It runs for as long as its context lasts.

    Parameters
    ----------
    folder : Path
        Where it keeps everything; it has to be there.
    host : str
        The one address that it listens at.

    Attributes
    ----------
    port : int
        The port that it listens on.
    log : Path
        What it printed.
    """

    def __init__(self, folder: Path, host: str) -> None:
        self.folder = folder
        self.host = host
        self.port = free_port(host)
        self.log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    @abc.abstractmethod
    def _begin(self) -> subprocess.Popen[bytes]:
        """Start the process."""

    @abc.abstractmethod
    def _listening(self) -> str:
        """Give what its log says when it listens."""

    @property
    def running(self) -> bool:
        """Whether it has been started and not been stopped."""
        return self._process is not None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        assert self._process is None
        deadline = time.monotonic() + _START_SECONDS
        already = self.log.stat().st_size if self.log.exists() else 0
        self._process = self._begin()
        while self._listening() not in (said := self.log.read_bytes()[already:].decode(errors="replace")):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{type(self).__name__} did not start:\n{said[-3000:]}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End it, and with it the connections that it has; nothing listens on its port any more."""
        process, self._process = self._process, None
        if process is not None:
            end(process)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Have it stopped for as long as the context lasts."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def __enter__(self) -> Self:
        # Between the choice of a port and its use, somebody else may have taken it.
        for left in reversed(range(_PORTS_TRIED)):
            try:
                self.start()
            except RuntimeError:
                if not left or "ddress already in use" not in self.log.read_text(errors="replace"):
                    raise
                self.port = free_port(self.host)
            else:
                break
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
