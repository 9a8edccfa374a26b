"""A lock between processes that dies with its holder, and that can say who holds it.

The lock itself is the operating system's (`flock`), by way of the `filelock` library: a killed process leaves nothing
to clean up. Beside it lies a small JSON file that names the holder. That one is only a courtesy to those who wait; the
lock does not depend on it.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from astro_magic.errors import FileAccessError, ProjectBusyError
from astro_magic.system import files

__all__ = ["hold"]

_POLL_SECONDS = 0.005


class _Held(threading.local):
    """The locks that this thread holds, so that it does not wait for itself."""

    def __init__(self) -> None:
        self.keys: set[tuple[int, str]] = set()


_held = _Held()


@contextlib.contextmanager
def hold(path: Path, *, purpose: str, timeout: float) -> Iterator[None]:
    """Hold a lock for the length of a ``with`` block.

    The same thread may enter again while it holds the lock. Do not fork a process that lives on from inside the
    block: it would keep the lock.

    Parameters
    ----------
    path : Path
        The lock file. It is made when it does not exist, and stays.
    purpose : str
        What the lock is held for, in a few words; shown to those who wait.
    timeout : float
        How long to wait for it, in seconds; 0 does not wait.

    Raises
    ------
    ProjectBusyError
        When somebody else still holds it after `timeout`.
    FileAccessError
        When the lock file cannot be opened.
    """
    # The process id is part of the key: a forked child inherits this memory, but must not think it holds the lock.
    key = (os.getpid(), os.path.realpath(path))
    if key in _held.keys:
        yield
        return
    lock = FileLock(path)
    with files.guard(path, "lock"):
        try:
            lock.acquire(timeout=max(timeout, 0), poll_interval=_POLL_SECONDS)
        except Timeout as error:
            raise _busy(path) from error
    _held.keys.add(key)
    card = _card(path)
    try:
        with contextlib.suppress(FileAccessError):
            files.write_atomic(card, _introduce(purpose), mode=0o600, durable=False)
        yield
    finally:
        _held.keys.discard(key)
        # Removed before the lock is given back: afterwards it could be the card of the next holder.
        with contextlib.suppress(FileAccessError):
            files.remove(card, durable=False)
        lock.release()


def _card(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _introduce(purpose: str) -> bytes:
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    return json.dumps({"pid": os.getpid(), "purpose": purpose, "since": since}).encode()


def _busy(path: Path) -> ProjectBusyError:
    try:
        card = json.loads(_card(path).read_bytes())
        pid, purpose = int(card["pid"]), str(card["purpose"])
        since = datetime.fromisoformat(card["since"]).astimezone()
    except (OSError, ValueError, KeyError, TypeError):
        return ProjectBusyError("Another process is working on this project.", hint="Try again when it is done.")
    moment = f"{since:%H:%M:%S}" if since.date() == datetime.now().astimezone().date() else f"{since:%Y-%m-%d %H:%M}"
    who = "Another thread of this process" if pid == os.getpid() else "Another process"
    return ProjectBusyError(
        f"{who} (pid {pid}) has been working on this project since {moment}: {purpose}.",
        hint="Try again when it is done, or end it if it hangs.",
    )
