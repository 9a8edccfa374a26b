"""A bounded journal of changes to files, from which the last one can be taken back.

Each entry is one JSON file that is written atomically, so a crash leaves either a whole entry or none. It holds what
each file contained before the change, and only a digest of what it contained after it: enough to restore the one and
to recognise the other.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from astro_magic.errors import FileAccessError
from astro_magic.system import files

__all__ = ["History", "HistoryEntry", "HistoryFile", "digest"]


def digest(content: bytes | None) -> str | None:
    """Give the SHA-256 of a content as hexadecimal digits; None for a file that does not exist."""
    return None if content is None else hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class HistoryFile:
    """One file of a change.

    Attributes
    ----------
    name : str
        The file, as a POSIX path relative to the project.
    before : bytes or None
        What it contained before the change; None when it did not exist.
    after : str or None
        The SHA-256 of what it contained after the change; None when it did not exist.
    """

    name: str
    before: bytes | None = field(repr=False)
    after: str | None


@dataclass(frozen=True)
class HistoryEntry:
    """One change, as the journal keeps it.

    Attributes
    ----------
    title : str
        What the change was, in a few words.
    files : tuple of HistoryFile
        The files that it touched.
    """

    title: str
    files: tuple[HistoryFile, ...]


class History:
    """The journal in one folder.

    Parameters
    ----------
    folder : Path
        Where the entries are kept. It is made with mode 0700 when the first one is written.
    entries : int, optional
        How many entries are kept.
    size : int, optional
        How many bytes all entries together may take on disk. The newest one is kept whatever its size.
    """

    def __init__(self, folder: Path, *, entries: int = 100, size: int = 20_000_000) -> None:
        self.folder = folder
        self._entries = entries
        self._size = size

    def record(self, entry: HistoryEntry) -> None:
        """Add an entry, and drop the oldest ones that no longer fit.

        Raises
        ------
        FileAccessError
            When it cannot be written; the journal is then as before.
        """
        files.make_folder(self.folder, mode=0o700)
        paths = self._paths()
        number = int(paths[0].stem) + 1 if paths else 1
        files.write_atomic(self.folder / f"{number:08}.json", _encode(entry), mode=0o600)
        self._prune()

    def entries(self) -> Iterator[HistoryEntry]:
        """Give the entries, newest first. One that cannot be read is passed over."""
        for path in self._paths():
            entry = _decode(path)
            if entry is not None:
                yield entry

    def last(self) -> HistoryEntry | None:
        """Give the newest entry; None when there is none."""
        return next(self.entries(), None)

    def pop(self) -> HistoryEntry | None:
        """Remove the newest entry and give it; None when there is none.

        Raises
        ------
        FileAccessError
            When it cannot be removed.
        """
        for path in self._paths():
            entry = _decode(path)
            files.remove(path)
            if entry is not None:
                return entry
        return None

    def _paths(self) -> list[Path]:
        """Give the entry files, newest first."""
        return sorted((path for path in self.folder.glob("*.json") if path.stem.isdecimal()), reverse=True)

    def _prune(self) -> None:
        total = 0
        for position, path in enumerate(self._paths()):
            total += path.stat().st_size
            if position and (position >= self._entries or total > self._size):
                files.remove(path)


def _encode(entry: HistoryEntry) -> bytes:
    return json.dumps(
        {
            "title": entry.title,
            "files": [
                {
                    "name": file.name,
                    "before": None if file.before is None else base64.b64encode(zlib.compress(file.before)).decode(),
                    "after": file.after,
                }
                for file in entry.files
            ],
        },
    ).encode()


def _decode(path: Path) -> HistoryEntry | None:
    try:
        stored: dict[str, Any] = json.loads(files.read_bytes(path))
        return HistoryEntry(
            title=str(stored["title"]),
            files=tuple(
                HistoryFile(
                    name=str(file["name"]),
                    before=None if file["before"] is None else zlib.decompress(base64.b64decode(file["before"])),
                    after=file["after"],
                )
                for file in stored["files"]
            ),
        )
    except (FileAccessError, ValueError, KeyError, TypeError, binascii.Error, zlib.error):
        return None
