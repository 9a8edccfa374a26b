"""A process that has imported Airflow once, and forks for each call; or that runs one call and ends.

``listen FD PLACE SECONDS``
    Serve calls on the listening socket FD, whose file is PLACE. It ends after SECONDS without a call, and as soon as
    what it has imported is out of date or the file is gone.
``once FD``
    Serve the one call of the connection FD in this process.

There is one thread, because a thread does not survive a fork. Of a call it reads a line with the stage and the size of
the rest, and a descriptor for what the script prints; it says with one byte that it takes the call.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import time
import traceback

from . import call, imported

__all__ = ["main"]

_LOOK_SECONDS = 1.0


class Warm:
    """The loop: calls, and the ends of the processes that were forked for them."""

    def __init__(self, listener: socket.socket, place: str, idle: float) -> None:
        self.listener = listener
        self.listening = True
        self.place = place
        self.idle = idle
        self.own = imported.stamp(place)[1]
        self.loaded: set[str] = set()
        self.jobs: dict[int, socket.socket] = {}
        self.last_used = time.monotonic()
        self.imported = imported.Imported()
        self.selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Serve until there is no purpose any more, and every call has ended."""
        call.adopt_orphans()
        self.listener.settimeout(0)
        self.selector.register(self.listener, selectors.EVENT_READ)
        wake, woken = os.pipe()
        for end in (wake, woken):
            os.set_blocking(end, False)
        self.wakes = (wake, woken)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.selector.register(wake, selectors.EVENT_READ)
        while self.listening or self.jobs:
            for key, _ in self.selector.select(timeout=_LOOK_SECONDS):
                if key.fd == wake:
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake, 4096)
                else:
                    self._accept()
            self._reap()
            if self.listening and self._has_no_purpose():
                self._leave()

    def _has_no_purpose(self) -> bool:
        if imported.stamp(self.place)[1] != self.own or self.imported.is_outdated():
            return True
        return not self.jobs and time.monotonic() - self.last_used > self.idle

    def _leave(self) -> None:
        """Take no more calls; another process may take this one's place."""
        if imported.stamp(self.place)[1] == self.own:
            with contextlib.suppress(OSError):
                os.unlink(self.place)
        self.selector.unregister(self.listener)
        self.listener.close()
        self.listening = False

    def _accept(self) -> None:
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return
        self.last_used = time.monotonic()
        if self._has_no_purpose():
            connection.close()
            self._leave()
            return
        try:
            connection.settimeout(5)
            header, output = call.take(connection)
            connection.settimeout(None)
        except (OSError, ValueError, IndexError):
            connection.close()
            return
        try:
            imported.load(header["stage"], self.loaded)
            self.imported.note_sources()
        except BaseException:
            self._fail(connection, header["size"])
        else:
            self._fork(connection, header["size"], output)
        os.close(output)

    def _fail(self, connection: socket.socket, size: int) -> None:
        """Tell that Airflow cannot be imported, and leave: the next call tries anew."""
        error = traceback.format_exc()
        self._leave()
        with contextlib.suppress(OSError), connection:
            connection.settimeout(5)
            connection.sendall(b".")
            call.read(connection, size)
            connection.sendall(json.dumps({"error": error}).encode() + b"\n")

    def _fork(self, connection: socket.socket, size: int, output: int) -> None:
        try:
            connection.sendall(b".")
        except OSError:
            connection.close()
            return
        pid = os.fork()
        if pid:
            self.jobs[pid] = connection
            return
        try:
            self._become_child()
            call.serve(connection, size, output)
        except BaseException:
            traceback.print_exc()
        os._exit(0)

    def _become_child(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.selector.close()
        self.listener.close()
        for end in self.wakes:
            os.close(end)
        for other in self.jobs.values():
            other.close()
        os.setsid()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            connection = self.jobs.pop(pid, None)
            if connection is not None:
                self.last_used = time.monotonic()
                with contextlib.suppress(OSError), connection:
                    connection.sendall(json.dumps({"ended": os.waitstatus_to_exitcode(status)}).encode() + b"\n")


def main(arguments: list[str]) -> None:
    """Do what the arguments say."""
    given = socket.socket(fileno=int(arguments[1]))
    os.close(0)
    os.open(os.devnull, os.O_RDONLY)
    if arguments[0] == "listen":
        Warm(given, arguments[2], float(arguments[3])).run()
    else:
        _run_once(given)
    os._exit(0)


def _run_once(given: socket.socket) -> None:
    header, output = call.take(given)
    given.sendall(b".")
    try:
        imported.load(header["stage"], set())
    except BaseException:
        call.read(given, header["size"])
        given.sendall(json.dumps({"error": traceback.format_exc()}).encode() + b"\n")
        return
    call.serve(given, header["size"], output)
