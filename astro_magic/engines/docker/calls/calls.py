"""Run a script in a container that has Airflow: in a fork of a process there that has imported it already.

What is run, and what it is told, travels by the standard input of an exec: nothing has to be installed in the container
or written to its disk, and nothing of it stands in an argument list or in what the engine keeps.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_magic.engines.docker.calls.inside import client
from astro_magic.engines.docker.client.commands import run_command
from astro_magic.engines.docker.client.connection import Connection, guard
from astro_magic.engines.inside import loading
from astro_magic.engines.options import Stage
from astro_magic.errors import CommandFailedError
from astro_magic.system.events import Event, Operation

if TYPE_CHECKING:
    import requests

__all__ = ["call_script", "end_warm"]

_IDLE_SECONDS = 900.0
_DETAIL_LINES = 15
_PRINTED_LINES = 200
_STDERR = 2
#: The modules of the warm process, in the order in which they are needed.
_WARM = (
    Path(loading.__file__),
    *(Path(client.__file__).with_name(f"{name}.py") for name in ("imported", "call", "warm")),
)
#: Isolated and without site-packages: it starts in 20 ms, and no file of the project takes the place of a module.
_CLIENT = [
    "python",
    "-I",
    "-S",
    "-c",
    "import sys; i = sys.stdin.buffer; exec(compile(i.read(int(i.readline())), 'client.py', 'exec'))",
]


def call_script(
    connection: Connection,
    container: str,
    script: Path,
    request: Mapping[str, Any],
    *,
    stage: Stage,
    event: Callable[[dict[str, Any]], Event],
    workdir: str,
    environment: Mapping[str, str] | None = None,
) -> Operation[dict[str, Any]]:
    """Run ``main(request, emit)`` of a script in a running container, and give what it returns.

    Closing the operation ends the script and what it has started.

    Parameters
    ----------
    connection : Connection
        The engine.
    container : str
        Id or name of a container that runs; Airflow must be importable in its ``python``.
    script : Path
        The script, a file of this machine.
    request : mapping
        What it is given; JSON. ``project`` is the folder `workdir` to it, and ``database`` None: the one that
        `environment` names is its own.
    stage : {"core", "execution"}
        What must have been imported.
    event : callable
        Makes an event of what the script reports.
    workdir : str
        The folder to run it in: the project, as the container sees it.
    environment : mapping, optional
        Variables that the script sees beside the container's own; a database among them is used.

    Raises
    ------
    CommandFailedError
        When the script fails, with its traceback; when its process or the container is ended before; or when there is
        no Python in the container.
    EngineError
        When the container does not run, or the engine fails.
    """
    call = {
        "warm": {file.stem: file.read_text(encoding="utf-8") for file in _WARM},
        "name": script.stem,
        "script": script.read_text(encoding="utf-8"),
        "request": {**request, "project": workdir, "database": None},
        "environment": dict(environment or {}),
        "stage": stage,
        "idle": _IDLE_SECONDS,
    }
    ended: dict[str, Any] = {}
    printed = _Tail()
    with _attached(connection, container, _CLIENT, workdir=workdir) as process:
        process.send(_framed(Path(client.__file__).read_bytes()) + _framed(json.dumps(call).encode()))
        for answer in _answers(process, printed):
            if "event" in answer:
                yield event(answer["event"])
            elif "result" in answer:
                result: dict[str, Any] = answer["result"]
                return result
            elif "error" in answer:
                detail = "\n".join(str(answer["error"]).strip().splitlines()[-_DETAIL_LINES:])
                raise CommandFailedError(f"{script.stem} failed in Airflow's container.", detail=detail)
            else:
                ended = answer
        raise _ended_early(connection, container, script.stem, process, ended, printed)


def end_warm(connection: Connection, container: str) -> None:
    """Let the process that is kept warm in a container end, once the calls that it serves have.

    Raises
    ------
    EngineError
        When the container does not run, or the engine fails.
    """
    # It ends when its socket is gone.
    gone = 'for place in /tmp /dev/shm; do rm -f "$place/astro-magic-$(id -u)"/*; done'
    run_command(connection, container, ["sh", "-c", gone])


def _framed(text: bytes) -> bytes:
    return b"%d\n%s" % (len(text), text)


class _Tail:
    """The last lines of a text that comes in pieces."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=_PRINTED_LINES)
        self.rest = b""

    def add(self, part: bytes) -> None:
        *lines, rest = (self.rest + part).split(b"\n")
        self.lines.extend(line.decode(errors="replace") for line in lines)
        self.rest = rest[-4096:]

    def last(self) -> str:
        lines = [*self.lines, self.rest.decode(errors="replace")]
        return "\n".join([line for line in lines if line.strip()][-_DETAIL_LINES:])


class _Attached:
    """A command in a container, and the connection to its input and output."""

    def __init__(self, connection: Connection, command: str, raw: Any) -> None:
        self.connection = connection
        self.command = command
        self.raw = raw
        # A plain socket is wrapped for reading only; one with TLS or SSH is not.
        self.stream: socket.socket = getattr(raw, "_sock", raw)
        self.stream.settimeout(None)

    def send(self, data: bytes) -> None:
        """Write to the command's input; that it does not read any more is told by its end."""
        with contextlib.suppress(OSError):
            self.stream.sendall(data)

    def parts(self) -> Iterator[tuple[int, bytes]]:
        """Give what the command writes, with the number of the stream, until it ends."""
        kept = bytearray()
        while True:
            try:
                read = self.stream.recv(1 << 16)
            except ConnectionError:
                return
            if not read:
                return
            kept += read
            while len(kept) >= 8:
                number, size = struct.unpack_from(">BxxxL", kept)
                if len(kept) < 8 + size:
                    break
                yield number, bytes(kept[8 : 8 + size])
                del kept[: 8 + size]

    def code(self) -> int:
        """Give the command's exit code, once it has ended; -1 when the engine does not know."""
        with guard("asking how a command ended"):
            found = self.connection.api.exec_inspect(self.command)["ExitCode"]
        return -1 if found is None else int(found)

    def close(self) -> None:
        """Hang up: the command's input ends."""
        with contextlib.suppress(OSError):
            self.stream.shutdown(socket.SHUT_RDWR)
        response: requests.Response | None = getattr(self.raw, "_response", None)
        for part in (response, self.stream, self.raw):
            with contextlib.suppress(OSError, ValueError):
                if part is not None:
                    part.close()


@contextlib.contextmanager
def _attached(connection: Connection, container: str, argv: list[str], *, workdir: str) -> Iterator[_Attached]:
    with guard(f"running {argv[0]} in {container}"):
        made = connection.api.exec_create(container, argv, stdin=True, stdout=True, stderr=True, workdir=workdir)
        raw = connection.api.exec_start(made["Id"], socket=True)
    process = _Attached(connection, made["Id"], raw)
    try:
        yield process
    finally:
        process.close()


def _answers(process: _Attached, printed: _Tail) -> Iterator[dict[str, Any]]:
    """Give the lines of JSON that the client writes; what the script prints comes beside them, and is kept."""
    kept: list[bytes] = []
    for number, part in process.parts():
        if number == _STDERR:
            printed.add(part)
            continue
        *whole, rest = part.split(b"\n")
        for last in whole:
            line = b"".join([*kept, last])
            kept.clear()
            if line.startswith(b"{"):
                yield json.loads(line)
            else:
                # What the engine says when it cannot start a command comes the same way.
                printed.add(line + b"\n")
        kept.append(rest)


def _ended_early(
    connection: Connection,
    container: str,
    name: str,
    process: _Attached,
    ended: Mapping[str, Any],
    printed: _Tail,
) -> CommandFailedError:
    """Say why there is no result."""
    from docker.errors import NotFound

    called = container
    with guard(f"running {name}"):
        try:
            about = connection.api.inspect_container(container)
        except NotFound:
            msg = f"{name} ended without a result: the container {container} was removed."
            return CommandFailedError(msg, detail=printed.last() or None)
    called = str(about["Name"]).lstrip("/")
    state = about["State"]
    hint = "%astro_logs shows what was written last."
    if ended.get("memory") or state.get("OOMKilled"):
        limit = int(about["HostConfig"].get("Memory") or 0)
        size = f" ({limit // 1_000_000} MB)" if limit else ""
        why = f"the container {called} ran out of memory{size}"
        hint = "Give the container or the engine more memory, or let the DAG work on less at once."
    elif not state["Running"]:
        why = f"the container {called} stopped with exit code {state['ExitCode']}"
    elif not ended and process.code() in (126, 127):
        why = f"there is no Python to run in the container {called}"
        hint = "The image needs python on its PATH."
    else:
        why = f"its process in the container {called} {_ending(ended.get('ended'))}"
    return CommandFailedError(f"{name} ended without a result: {why}.", hint=hint, detail=printed.last() or None)


def _ending(code: int | None) -> str:
    if code is None:
        return "is gone"
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
