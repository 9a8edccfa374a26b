"""Run one call: read it from its connection, answer on it, and end when the caller hangs up."""

from __future__ import annotations

import contextlib
import ctypes
import json
import linecache
import os
import signal
import socket
import sys
import threading
import traceback
import types
from typing import Any

from . import imported

__all__ = ["adopt_orphans", "read", "serve", "take"]

_PR_SET_CHILD_SUBREAPER = 36


def take(connection: socket.socket) -> tuple[dict[str, Any], int]:
    """Read the first line of a call, and the descriptor for what is printed."""
    read, descriptors, _, _ = socket.recv_fds(connection, 4096, 1)
    header: dict[str, Any] = json.loads(read)
    return header, descriptors[0]


def serve(connection: socket.socket, size: int, output: int) -> None:
    """Run a call in this process; it ends at once when the caller hangs up."""
    lock = threading.Lock()

    def send(message: dict[str, Any]) -> None:
        with lock:
            connection.sendall(json.dumps(message, default=str).encode() + b"\n")

    for number in (1, 2):
        os.dup2(output, number)
    os.close(output)
    adopt_orphans()
    send({"pid": os.getpid()})
    call = json.loads(read(connection, size))
    threading.Thread(target=_end_with_caller, args=(connection,), daemon=True).start()
    try:
        if call["environment"]:
            os.environ.update(call["environment"])
            imported.renew_database()
        module = _module(call["name"], call["script"])
        result = module.main(call["request"], lambda event: send({"event": event}))
    except BaseException:
        send({"error": traceback.format_exc()})
    else:
        send({"result": result})
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


def _module(name: str, text: str) -> Any:
    """Make a module of a script, with its lines where a traceback looks for them."""
    module = types.ModuleType("astro_magic_job")
    file = f"<{name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    sys.modules[module.__name__] = module
    exec(compile(text, file, "exec"), module.__dict__)  # noqa: S102
    return module


def read(connection: socket.socket, size: int) -> bytes:
    """Read so many bytes, all of them."""
    parts = []
    while size:
        part = connection.recv(min(size, 1 << 20))
        if not part:
            msg = "the caller hung up"
            raise ConnectionError(msg)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _end_with_caller(connection: socket.socket) -> None:
    """Wait for the caller to hang up; an interrupted cell must not leave its run behind."""
    with contextlib.suppress(OSError):
        while connection.recv(4096):
            pass
    import psutil

    own = psutil.Process()
    # A child that forks while the others are ended is found the next time.
    for _ in range(10):
        children = own.children(recursive=True)
        if not children:
            break
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.kill()
        psutil.wait_procs(children, timeout=0.5)
    os.kill(os.getpid(), signal.SIGKILL)


def adopt_orphans() -> None:
    """Let what descends from this process, and has lost its parent, be found among its children."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
