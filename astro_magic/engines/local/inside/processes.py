"""Find and end every process of an Airflow instance, whatever it has become.

Airflow's processes rename themselves, wipe their environment, change their process group, and start commands in
sessions of their own. What holds them together is the session that the supervisor leads, and their descent.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

import psutil

__all__ = ["MARKER", "adopt_orphans", "ask_to_end", "await_end", "end", "end_late", "members"]

#: Environment variable that names the instance in every command that its tasks start.
MARKER = "ASTRO_MAGIC_INSTANCE"
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Let orphaned descendants become children of this process instead of init's (Linux only)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def members(session: int, started: float, instance: str) -> list[psutil.Process]:
    """Give the living processes of an instance, this process left out.

    Parameters
    ----------
    session : int
        Session id, which is the supervisor's process id.
    started : float
        When the supervisor was started, in seconds since the epoch, as psutil tells it.
    instance : str
        The instance's id, as in the environment variable `MARKER`.
    """
    found: dict[int, psutil.Process] = {}
    leader_is_stranger = _is_stranger(session, started)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.create_time() < started - 1 or process.status() == psutil.STATUS_ZOMBIE:
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
        return bool(abs(psutil.Process(pid).create_time() - started) > 1)
    except psutil.Error:
        return False
