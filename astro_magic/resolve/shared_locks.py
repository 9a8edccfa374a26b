"""Resolutions that the projects of a user have in common, so that the same question is not asked of an index again.

A project keeps its own resolutions for as long as it asks the same. Another one that begins to ask is to get what is
new on the index, so that what is shared is good for a day. That the index was asked for all that Airflow needs, so that
uv's cache has it, is good for an hour.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from astro_magic.errors import FileAccessError
from astro_magic.system.files import write_atomic
from astro_magic.system.folders import cache_folder
from astro_magic.system.secrets import mask_credentials

__all__ = ["asked_lately", "holds_everywhere", "note_asked", "read_shared", "share", "wheels_named"]

_SECONDS = 86400.0
_LATELY = 3600.0
_KEPT = 50
_PORTABLE = re.compile(r"#.*|--(extra-)?index-url\s.*|[A-Za-z0-9][\w.-]*(\[[^\]]*\])?==[^@]*")
_WHEELS = re.compile(r"--find-links[ =](?P<place>\S+)")


def holds_everywhere(lock: str) -> bool:
    """Tell whether exact versions mean the same in each project: none is of a folder or a repository."""
    lines = [line.strip() for line in lock.splitlines() if line.strip()]
    return all(_PORTABLE.fullmatch(line) or _is_absolute(line) for line in lines)


def _is_absolute(line: str) -> bool:
    named = _WHEELS.fullmatch(line)
    return named is not None and ("://" in named["place"] or Path(named["place"]).is_absolute())


def wheels_named(text: str) -> tuple[tuple[str, int, int], ...]:
    """List what is in the folders of wheels that lines name: another wheel may get the name of one that was there."""
    found: list[tuple[str, int, int]] = []
    for named in _WHEELS.finditer(text):
        try:
            with os.scandir(named["place"]) as entries:
                found += sorted((entry.name, entry.stat().st_size, entry.stat().st_mtime_ns) for entry in entries)
        except OSError:
            continue
    return tuple(found)


def read_shared(key: str) -> str:
    """Give what a project found out within the last day; empty when none has."""
    try:
        file = _folder() / f"{key}.txt"
        fresh = 0.0 <= time.time() - file.stat().st_mtime < _SECONDS
        return file.read_text(encoding="utf-8") if fresh else ""
    except (OSError, ValueError, FileAccessError):
        return ""


def share(key: str, lock: str) -> None:
    """Keep exact versions for other projects; where that cannot be done, each finds them out by itself."""
    if not holds_everywhere(lock) or mask_credentials(lock) != lock:
        return
    try:
        folder = _folder()
        folder.mkdir(mode=0o700, exist_ok=True)
        write_atomic(folder / f"{key}.txt", lock.encode(), mode=0o600, durable=False)
        for pattern in ("*.txt", "*.asked"):
            for old in sorted(folder.glob(pattern), key=lambda file: file.stat().st_mtime)[:-_KEPT]:
                old.unlink(missing_ok=True)
    except (OSError, FileAccessError):
        # Another process may remove the same, and the folder may be closed to this user.
        return


def note_asked(key: str) -> None:
    """Note that the index was asked just now for what stands behind `key`."""
    try:
        _folder().mkdir(mode=0o700, exist_ok=True)
        (_folder() / f"{key}.asked").touch(mode=0o600)
    except (OSError, FileAccessError):
        # Then it is asked again.
        return


def asked_lately(key: str) -> bool:
    """Tell whether the index was asked within the last hour for what stands behind `key`."""
    try:
        return 0.0 <= time.time() - (_folder() / f"{key}.asked").stat().st_mtime < _LATELY
    except (OSError, FileAccessError):
        return False


def _folder() -> Path:
    return cache_folder() / "resolutions"
