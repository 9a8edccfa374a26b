"""Find and end every process of an Airflow instance, whatever it has become.

Airflow's processes rename themselves, wipe their environment, change their process group, and start commands in
sessions of their own. What holds them together is the session that the supervisor leads, and their descent.

Process ids and sessions are given out again, so they count only together with the time of a start. That is told by
a clock that nobody sets: the time of day jumps when a machine sleeps, is restored, or asks a server for the time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

__all__ = [
    "MARKER",
    "adopt_orphans",
    "ask_to_end",
    "await_end",
    "end",
    "end_late",
    "lives_since",
    "machine_start",
    "members",
    "start_of",
]

#: Environment variable that names the instance in every command that its tasks start.
MARKER = "ASTRO_MAGIC_INSTANCE"
_PR_SET_CHILD_SUBREAPER = 36
#: Seconds by which two times of the same start may differ: they are fractions.
_SAME = 0.001
_PROC = Path("/proc")


def adopt_orphans() -> None:
    """Let orphaned descendants become children of this process instead of init's (Linux only)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def start_of(pid: int) -> float:
    """Give when a process was started, in seconds by a clock that is never set; which one, the system decides.

    Linux counts from the start of the machine, and psutil adds the time of day at that start, which changes with the
    clock. Elsewhere the time of day is noted when the process starts, and stays.

    Raises
    ------
    psutil.Error
        When there is no such process.
    """
    if sys.platform != "linux":
        return _noted_start(psutil.Process(pid))
    try:
        # The name of the process, in brackets, may hold anything.
        fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError as gone:
        raise psutil.NoSuchProcess(pid) from gone
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _noted_start(process: psutil.Process) -> float:
    """Give the start of a process as the system has noted it; psutil corrects that when the clock has been set."""
    try:
        return float(vars(process)["_proc"].create_time(monotonic=True))
    except TypeError:
        # Older ones correct nothing.
        return float(process.create_time())


def machine_start() -> str:
    """Name the start of this machine or container, after which no process from before lives; empty where unknown."""
    if sys.platform != "linux":
        return ""
    try:
        return f"{(_PROC / 'sys/kernel/random/boot_id').read_text(encoding='ascii').strip()} {start_of(1)}"
    except (OSError, psutil.Error):
        return ""


def lives_since(pid: int, started: float) -> bool:
    """Whether the process that has this id is the one that was started then, and has not ended."""
    try:
        return _same_start(pid, started) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def members(session: int, started: float, instance: str) -> list[psutil.Process]:
    """Give the living processes of an instance, this process left out.

    Parameters
    ----------
    session : int
        Session id, which is the supervisor's process id.
    started : float
        When the supervisor was started, as `start_of` tells it.
    instance : str
        The instance's id, as in the environment variable `MARKER`.
    """
    found: dict[int, psutil.Process] = {}
    leader_is_stranger = _is_stranger(session, started)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if start_of(process.pid) < started - _SAME or process.status() == psutil.STATUS_ZOMBIE:
                continue
            ours = not leader_is_stranger and os.getsid(process.pid) == session
            if ours or process.environ().get(MARKER) == instance:
                found[process.pid] = process
    for process in list(found.values()):
        with contextlib.suppress(psutil.Error):
            found.update((child.pid, child) for child in process.children(recursive=True))
    found.pop(os.getpid(), None)
    return list(found.values())


def end(processes: Iterable[psutil.Process], *, grace: float) -> tuple[int, int]:
    """Ask processes to end, wait, and kill what is left.

    Parameters
    ----------
    processes : iterable of psutil.Process
        Which ones.
    grace : float
        Seconds to wait before killing; 0 kills at once.

    Returns
    -------
    tuple of int
        How many processes ended, and how many of them had to be killed.
    """
    alive = [process for process in processes if _lives(process)]
    if grace > 0:
        ask_to_end(alive)
    return len(alive), end_late(alive, grace=grace)


def ask_to_end(processes: Iterable[psutil.Process]) -> None:
    """Send each process the signal to end; once, since some take a second one as leave to drop their work."""
    _signal(processes, signal.SIGTERM)


def end_late(processes: Iterable[psutil.Process], *, grace: float) -> int:
    """Wait for processes that were asked to end, and kill those that have not within `grace` seconds; give how many."""
    late = await_end(processes, timeout=grace)
    _signal(late, signal.SIGKILL)
    await_end(late, timeout=5)
    return len(late)


def await_end(processes: Iterable[psutil.Process], *, timeout: float) -> list[psutil.Process]:
    """Wait until processes have ended, at most `timeout` seconds; give those that live on.

    A zombie has ended: whether its parent ever asks for its exit code is no business of ours.
    """
    deadline = time.monotonic() + timeout
    alive = [process for process in processes if _lives(process)]
    while alive and time.monotonic() < deadline:
        time.sleep(0.02)
        alive = [process for process in alive if _lives(process)]
    return alive


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _is_stranger(pid: int, started: float) -> bool:
    """Whether a process id has been given to another process since; the system keeps it while its session lives."""
    try:
        return not _same_start(pid, started)
    except psutil.Error:
        return False


def _same_start(pid: int, started: float) -> bool:
    return abs(start_of(pid) - started) < _SAME
