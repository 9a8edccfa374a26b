"""A bounded journal of changes to files, from which the last ones can be taken back.

Each entry is one file that is written atomically, so a crash leaves either a whole entry or none. Its first line says
what the change was, and the lines after it hold what each file contained before and after: what is needed to restore
the one, to recognise the other, and to bring a later edit together with either. An entry holds nothing that the files
themselves did not hold, and is closed to other users whatever they are.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from astro_magic.errors import FileAccessError
from astro_magic.system import files

__all__ = ["History", "HistoryEntry", "HistoryFile"]

_FASTEST = 1


@dataclass(frozen=True)
class HistoryFile:
    """One file of a change.

    Attributes
    ----------
    name : str
        The file, as a POSIX path relative to the project.
    before, after : bytes or None
        What it contained before the change, and after it; None when it did not exist.
    """

    name: str
    before: bytes | None = field(repr=False)
    after: bytes | None = field(repr=False)


@dataclass(frozen=True)
class HistoryEntry:
    """One change, as the journal keeps it.

    Attributes
    ----------
    title : str
        What the change was, in a few words.
    files : tuple of HistoryFile
        The files that it touched.
    at : datetime
        When it was made, with time zone; to the second.
    """

    title: str
    files: tuple[HistoryFile, ...]
    at: datetime = field(default_factory=lambda: datetime.now().astimezone().replace(microsecond=0))


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
        files.write_atomic(self.folder / f"{number:08}.entry", _encode(entry), mode=0o600)
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

    def last_content(self, name: str) -> bytes | None:
        """Give what a file contained after the newest change to it that is kept.

        Parameters
        ----------
        name : str
            The file, as a POSIX path relative to the project.

        Returns
        -------
        bytes or None
            None when no change to it is kept, or when that change removed it.
        """
        for path in self._paths():
            header = _header(path)
            if header is not None and any(file["name"] == name for file in header["files"]):
                entry = _decode(path)
                if entry is not None:
                    return next(file.after for file in entry.files if file.name == name)
        return None

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
        with files.guard(self.folder, "read"):
            return sorted((path for path in self.folder.glob("*.entry") if path.stem.isdecimal()), reverse=True)

    def _prune(self) -> None:
        total = 0
        for position, path in enumerate(self._paths()):
            with files.guard(path, "read"):
                total += path.stat().st_size
            if position and (position >= self._entries or total > self._size):
                files.remove(path)


def _encode(entry: HistoryEntry) -> bytes:
    contents: list[bytes] = []

    def place(content: bytes | None) -> int | None:
        """Give the line that a content stands on, counted from 1 below the first; None for no file."""
        if content is None:
            return None
        contents.append(base64.b64encode(zlib.compress(content, _FASTEST)))
        return len(contents)

    header = {
        "title": entry.title,
        "at": entry.at.isoformat(),
        "files": [
            {"name": file.name, "before": place(file.before), "after": place(file.after)} for file in entry.files
        ],
    }
    return b"\n".join((json.dumps(header).encode(), *contents)) + b"\n"


def _header(path: Path) -> dict[str, Any] | None:
    """Read what an entry is about, without the contents; None when it cannot be read."""
    try:
        with path.open("rb") as stream:
            header: dict[str, Any] = json.loads(stream.readline())
    except (OSError, ValueError):
        return None
    return header


def _decode(path: Path) -> HistoryEntry | None:
    try:
        first, *contents = files.read_bytes(path).split(b"\n")

        def content(place: int | None) -> bytes | None:
            return None if place is None else zlib.decompress(base64.b64decode(contents[place - 1], validate=True))

        header = json.loads(first)
        return HistoryEntry(
            title=str(header["title"]),
            files=tuple(
                HistoryFile(str(file["name"]), content(file["before"]), content(file["after"]))
                for file in header["files"]
            ),
            at=datetime.fromisoformat(header["at"]),
        )
    except (FileAccessError, ValueError, LookupError, TypeError, binascii.Error, zlib.error):
        return None
