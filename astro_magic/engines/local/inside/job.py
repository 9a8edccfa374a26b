"""Run a script for a client in a forked process, and carry its progress and its result over the connection."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import threading
import traceback
from typing import Any

import psutil

__all__ = ["serve"]


def serve(connection: socket.socket, request: dict[str, Any]) -> None:
    """Load ``request["script"]`` and call its ``main``; end at once when the client hangs up."""
    connection.settimeout(None)
    lock = threading.Lock()

    def send(message: dict[str, Any]) -> None:
        with lock:
            connection.sendall(json.dumps(message, default=str).encode() + b"\n")

    threading.Thread(target=_end_with_client, args=(connection,), daemon=True).start()
    try:
        specification = importlib.util.spec_from_file_location("astro_magic_job", request["script"])
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        result = module.main(request["request"], lambda event: send({"event": event}))
    except BaseException:
        send({"error": traceback.format_exc()})
    else:
        send({"result": result})


def _end_with_client(connection: socket.socket) -> None:
    """Wait for the client to hang up; an interrupted cell must not leave its run behind."""
    try:
        while connection.recv(4096):
            pass
    except OSError:
        pass
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os.kill(os.getpid(), signal.SIGKILL)
