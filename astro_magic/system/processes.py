"""The one gate through which commands are started.

Every command is a list of arguments, never a shell's line; it leads a process group of its own, which is ended with
it when the caller is interrupted.
"""

from __future__ import annotations

import contextlib
import io
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from astro_magic.errors import CommandFailedError
from astro_magic.system.events import Operation, OutputLine

__all__ = ["Completed", "run", "spawn", "stream"]

_END_GRACE = 3.0


@dataclass(frozen=True)
class Completed:
    """A command that ended.

    Attributes
    ----------
    code : int
        Exit code; negative for a signal.
    output, errors : str
        What it wrote to standard output and standard error.
    """

    code: int
    output: str
    errors: str


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 600.0,
    text: str | None = None,
) -> Completed:
    """Run a command to its end and keep its output.

    Parameters
    ----------
    argv : sequence of str
        The command and its arguments.
    env : mapping, optional
        Its whole environment; this process's by default.
    cwd : Path, optional
        Folder to run it in.
    timeout : float
        Seconds until it is ended.
    text : str, optional
        Given to it on standard input; nothing by default.

    Raises
    ------
    CommandFailedError
        When the command cannot be started or takes too long. An exit code is no failure here.
    """
    process = _start(argv, env=env, cwd=cwd, stdin=subprocess.PIPE if text is not None else subprocess.DEVNULL)
    try:
        output, errors = process.communicate(None if text is None else text.encode(), timeout=timeout)
    except subprocess.TimeoutExpired as late:
        msg = f"{_name(argv)} did not end within {timeout:.0f} s, so it was stopped."
        raise CommandFailedError(msg) from late
    finally:
        _end(process)
        for pipe in (process.stdout, process.stderr, process.stdin):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
    return Completed(process.returncode, output.decode(errors="replace"), errors.decode(errors="replace"))


def stream(
    argv: Sequence[str | os.PathLike[str]],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Operation[int]:
    """Run a command and yield its lines as it writes them; returns its exit code.

    Closing the operation ends the command and all that it started.
    """
    process = _start(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL)
    lines: queue.Queue[OutputLine | None] = queue.Queue(maxsize=1000)
    closed = threading.Event()

    def read(source: str, pipe: IO[bytes]) -> None:
        # Nobody else closes the pipe: the number of a closed one may be another file's by the time that it is read.
        with io.TextIOWrapper(pipe, encoding="utf-8", errors="replace") as text:
            for line in text:
                if closed.is_set():
                    break
                lines.put(OutputLine(source, line.rstrip("\n")))
        lines.put(None)

    pipes = {"stdout": process.stdout, "stderr": process.stderr}
    sources = {source: pipe for source, pipe in pipes.items() if pipe is not None}
    for source, pipe in sources.items():
        threading.Thread(target=read, args=(source, pipe), daemon=True).start()
    try:
        ended = 0
        while ended < len(sources):
            line = lines.get()
            if line is None:
                ended += 1
            else:
                yield line
        return process.wait()
    finally:
        closed.set()
        _end(process)
        # Who waits for room is let go.
        with contextlib.suppress(queue.Empty):
            while True:
                lines.get_nowait()


def spawn(argv: Sequence[str | os.PathLike[str]], *, env: Mapping[str, str], cwd: Path, log: Path) -> int:
    """Start a command that outlives this process, in a session of its own; gives its process id.

    Its output goes to the file `log`, which only the owner can read.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            [os.fspath(argument) for argument in argv],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
    # The process is meant to live on: its object must not complain of that when it is collected.
    threading.Thread(target=process.wait, daemon=True).start()
    return process.pid


def _start(
    argv: Sequence[str | os.PathLike[str]], *, env: Mapping[str, str] | None, cwd: Path | None, stdin: int
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [os.fspath(argument) for argument in argv],
            env=None if env is None else dict(env),
            cwd=cwd,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as problem:
        msg = f"{_name(argv)} could not be started: {problem.strerror or problem}."
        raise CommandFailedError(msg) from problem


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the command's whole group, unless it ended by itself."""
    if process.poll() is None:
        _signal_group(process, signal.SIGTERM)
        try:
            process.wait(_END_GRACE)
        except subprocess.TimeoutExpired:
            _signal_group(process, getattr(signal, "SIGKILL", signal.SIGTERM))
            process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        if sys.platform == "win32":
            process.terminate()
        else:
            os.killpg(process.pid, number)


def _name(argv: Sequence[str | os.PathLike[str]]) -> str:
    return Path(argv[0]).name
