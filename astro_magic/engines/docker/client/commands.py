"""Run commands in a running container, line by line, and end them when their caller goes away."""

from __future__ import annotations

import codecs
import io
import secrets
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from astro_magic.engines.docker.client.connection import Connection, guard
from astro_magic.errors import EngineError
from astro_magic.system.events import Operation, OutputLine

__all__ = ["SCRATCH", "Completed", "put_archive", "put_files", "run_command", "start_command", "stream_command"]

#: A folder of a container that each of its users can write to.
SCRATCH = "/tmp"  # noqa: S108
#: The command's process id is noted first, so that it can be ended: the engine has no call for that.
_NOTED = 'echo $$ >"$0"; exec "$@"'
_END = 'p=$(cat "$0") && rm -f "$0" && { kill -TERM -- "-$p" || kill -TERM "$p"; } 2>/dev/null; true'


@dataclass(frozen=True)
class Completed:
    """A command that ended.

    Attributes
    ----------
    code : int
        Its exit code.
    output, errors : str
        What it wrote.
    """

    code: int
    output: str
    errors: str


def run_command(
    connection: Connection,
    container: str,
    argv: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    user: str = "",
    output: IO[bytes] | None = None,
) -> Completed:
    """Run a short command to its end.

    Parameters
    ----------
    connection : Connection
        The engine.
    container : str
        The running container.
    argv : sequence of str
        The command and its arguments. They are no place for secrets.
    environment : mapping, optional
        More variables than the container has.
    user : str, optional
        Who runs it; the container's user by default.
    output : binary file, optional
        Gets what it writes, which may be much and no text.

    Raises
    ------
    EngineError
        When it cannot be started. An exit code is no failure here.
    """
    out, errors = output or io.BytesIO(), io.BytesIO()
    with guard(f"running {argv[0]}"):
        made = connection.api.exec_create(container, list(argv), environment=dict(environment or {}), user=user)["Id"]
        raw = connection.api.exec_start(made, socket=True)
        try:
            for said, complained in _pieces(raw):
                out.write(said or b"")
                errors.write(complained or b"")
        finally:
            _hang_up(raw)
        code = connection.api.exec_inspect(made)["ExitCode"]
    text = out.getvalue().decode(errors="replace") if isinstance(out, io.BytesIO) else ""
    return Completed(int(code or 0), text, errors.getvalue().decode(errors="replace"))


def start_command(connection: Connection, container: str, argv: Sequence[str], *, user: str = "") -> None:
    """Start a command of whose end nobody wants to know.

    Raises
    ------
    EngineError
        When it cannot be started.
    """
    with guard(f"running {argv[0]}"):
        made = connection.api.exec_create(container, list(argv), stdout=False, stderr=False, user=user)["Id"]
        connection.api.exec_start(made, detach=True)


def stream_command(
    connection: Connection,
    container: str,
    argv: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    user: str = "",
    workdir: str | None = None,
) -> Operation[int]:
    """Run a command and yield its lines as it writes them; returns its exit code.

    Closing the operation ends the command and what it started in its own process group.

    Raises
    ------
    EngineError
        When it cannot be started, or its container ends.
    """
    note = f"{SCRATCH}/astro-magic-{secrets.token_hex(6)}.pid"
    api = connection.api
    with guard(f"running {argv[0]}"):
        made = api.exec_create(
            container,
            ["sh", "-c", _NOTED, note, *argv],
            environment=dict(environment or {}),
            user=user,
            workdir=workdir,
        )["Id"]
        raw = api.exec_start(made, socket=True)
    finished = False
    try:
        with guard(f"running {argv[0]}"):
            yield from _lines(_pieces(raw))
            code = api.exec_inspect(made)["ExitCode"]
        finished = True
        return int(code or 0)
    finally:
        _hang_up(raw)
        # What has ended needs only its note removed.
        end = ["rm", "-f", note] if finished else ["sh", "-c", _END, note]
        with suppress(EngineError):
            run_command(connection, container, end, user=user)


def _pieces(raw: Any) -> Iterator[tuple[bytes | None, bytes | None]]:
    """Give what comes over a command's connection, as pieces of its output and of its errors."""
    from docker.utils.socket import demux_adaptor, frames_iter

    return (demux_adaptor(*frame) for frame in frames_iter(raw, tty=False))


def _hang_up(raw: Any) -> None:
    """Close a command's connection; the client's own stream would leave it open."""
    for part in (getattr(raw, "_response", None), raw):
        if part is not None:
            with suppress(OSError, ValueError):
                part.close()


def _lines(stream: Iterator[tuple[bytes | None, bytes | None]]) -> Iterator[OutputLine]:
    """Cut what comes in pieces into lines, each stream for itself."""
    rest = {"stdout": "", "stderr": ""}
    decoders = {source: codecs.getincrementaldecoder("utf-8")("replace") for source in rest}
    for pieces in stream:
        for source, piece in zip(rest, pieces, strict=True):
            if piece:
                *whole, rest[source] = (rest[source] + decoders[source].decode(piece)).split("\n")
                yield from (OutputLine(source, line.rstrip("\r")) for line in whole)
    for source, last in rest.items():
        if last:
            yield OutputLine(source, last)


def put_files(connection: Connection, container: str, files: Mapping[str, bytes], *, owner: int = 0) -> None:
    """Put small files into the `SCRATCH` folder of a container, readable by their owner only.

    Parameters
    ----------
    connection : Connection
        The engine.
    container : str
        The container.
    files : mapping of str to bytes
        Contents by file name.
    owner : int, optional
        The user id that they belong to.

    Raises
    ------
    EngineError
        When the container is not there.
    """
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.uid = len(content), 0o600, owner
            tar.addfile(entry, io.BytesIO(content))
    put_archive(connection, container, SCRATCH, archive.getvalue())


def put_archive(connection: Connection, container: str, folder: str, archive: bytes) -> None:
    """Put the files of a tar archive into a folder of a container.

    Raises
    ------
    EngineError
        When the container is not there.
    """
    with guard("copying files into a container"):
        connection.api.put_archive(container, folder, archive)
