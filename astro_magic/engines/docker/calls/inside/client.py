"""Carry one call from the engine's connection to the warm process, and back what it answers.

This is started for each call, so it imports little. It reads the call from standard input, where it then waits for the
caller to hang up; standard output carries nothing but lines of JSON, and standard error what the called script prints.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import time
from typing import Any, BinaryIO

__all__ = ["main"]

#: The warm process gets its program, modules in their order, on standard input; the last one has what is to be run. The
#: folder that it was started in is no place to import from.
_START = """
import json, sys, types
sys.path.pop(0)
package = sys.modules["astro_magic_inside"] = types.ModuleType("astro_magic_inside")
package.__path__ = []
for name, text in json.load(sys.stdin).items():
    module = types.ModuleType("astro_magic_inside." + name)
    module.__package__ = package.__name__
    sys.modules[module.__name__] = module
    setattr(package, name, module)
    exec(compile(text, name + ".py", "exec"), module.__dict__)
module.main(sys.argv[1:])
"""
_END_GRACE = 3.0
_MEMORY_EVENTS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")


def main(calls: BinaryIO) -> None:
    """Read a call, have it run, and answer."""
    call = json.loads(calls.read(int(calls.readline())))
    warm = json.dumps(call.pop("warm"))
    body = json.dumps(call).encode()
    killed = _killed_for_memory()
    place = _place(warm)
    channel: socket.socket | None = None
    # A warm process that has just found out that it is out of date refuses, and is followed by a new one.
    for _ in range(2):
        if place is not None and channel is None:
            channel = _through(_connect(place, warm, float(call["idle"])), call, body)
    process = None
    if channel is None:
        channel, process = _alone(warm)
        channel = _through(channel, call, body)
    code = _relay(channel) if channel is not None else None
    if process is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = process.wait(timeout=_END_GRACE)
    _tell({"ended": code, "memory": _killed_for_memory() > killed})


def _place(warm: str) -> str | None:
    """Give the path of the socket, which stands for this program, Python, user and environment; None for no room."""
    about = json.dumps([warm, sys.executable, os.getcwd(), sorted(os.environ.items())])
    name = hashlib.sha256(about.encode()).hexdigest()[:16]
    # The second is there, and can be written to, in a container whose file system is read-only.
    for parent in ("/tmp", "/dev/shm"):  # noqa: S108
        folder = os.path.join(parent, f"astro-magic-{os.getuid()}")
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, 0o700)
            found = os.lstat(folder)
            safe = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
            if safe and os.access(folder, os.W_OK):
                return os.path.join(folder, name)
        except OSError:
            continue
    return None


def _connect(place: str, warm: str, idle: float) -> socket.socket | None:
    """Connect to the warm process; start it when it is not there. One that still imports is waited for."""
    try:
        with open(place + ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                channel.connect(place)
            except OSError:
                _start(place, warm, idle)
                channel.connect(place)
            return channel
    except (OSError, ValueError):
        return None


def _start(place: str, warm: str, idle: float) -> None:
    """Start the warm process on a socket that listens already."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(place)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(place)
        os.chmod(place, 0o600)
        listener.listen(16)
        _spawn(warm, ["listen", str(listener.fileno()), place, str(idle)], listener, subprocess.DEVNULL)


def _alone(warm: str) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Have the call run in a process that is started for it alone."""
    channel, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with other:
        return channel, _spawn(warm, ["once", str(other.fileno())], other, None)


def _spawn(warm: str, arguments: list[str], passed: socket.socket, errors: int | None) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", _START, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        pass_fds=[passed.fileno()],
        start_new_session=True,
    )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as program:
        program.write(warm.encode())
    return process


def _through(channel: socket.socket | None, call: dict[str, Any], body: bytes) -> socket.socket | None:
    """Hand the call over; None when the other end did not take it."""
    if channel is None:
        return None
    try:
        header = json.dumps({"stage": call["stage"], "size": len(body)}).encode()
        socket.send_fds(channel, [header + b"\n"], [2])
        if _wait(channel) and channel.recv(1):
            channel.sendall(body)
            return channel
    except OSError:
        pass
    channel.close()
    return None


def _wait(channel: socket.socket) -> bool:
    """Wait until the channel has something to say; when the caller hangs up before, there is nothing more to do."""
    ready, _, _ = select.select([0, channel.fileno()], [], [])
    if channel.fileno() in ready:
        return True
    os._exit(0)


def _relay(channel: socket.socket) -> int | None:
    """Carry answers until there are no more; gives how the process ended, where that was told."""
    rest = b""
    code: int | None = None
    pid = 0
    while True:
        ready, _, _ = select.select([0, channel.fileno()], [], [])
        if channel.fileno() not in ready:
            _end(channel, pid)
        try:
            read = channel.recv(65536)
        except OSError:
            read = b""
        if not read:
            return code
        *lines, rest = (rest + read).split(b"\n")
        for line in lines:
            if line.startswith(b'{"pid"'):
                pid = json.loads(line)["pid"]
            elif line.startswith(b'{"ended"'):
                code = json.loads(line)["ended"]
            else:
                _write(line + b"\n")


def _end(channel: socket.socket, pid: int) -> None:
    """Let go of a call whose caller hung up: its process ends itself and its children, or is ended."""
    channel.shutdown(socket.SHUT_WR)
    deadline = time.monotonic() + _END_GRACE
    while time.monotonic() < deadline:
        ready, _, _ = select.select([channel], [], [], 0.2)
        if ready and not channel.recv(65536):
            os._exit(0)
    if pid:
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
    os._exit(0)


def _killed_for_memory() -> int:
    """Count the processes of this container that were killed because it had used up its memory."""
    for path in _MEMORY_EVENTS:
        with contextlib.suppress(OSError, ValueError), open(path) as events:
            for line in events:
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count)
    return 0


def _tell(message: dict[str, Any]) -> None:
    _write(json.dumps(message).encode() + b"\n")


def _write(line: bytes) -> None:
    try:
        while line:
            line = line[os.write(1, line) :]
    except OSError:
        os._exit(0)


if __name__ == "__main__":
    main(sys.stdin.buffer)
    os._exit(0)
