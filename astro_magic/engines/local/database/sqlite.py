"""SQLite files as databases: what is in one, copies of it, and one in the place of another.

A database may have a journal beside it that belongs to it and to no other, so a file takes its place only after
SQLite itself has brought the journal in.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from astro_magic.engines.local.database.schema import Schema
from astro_magic.errors import DatabaseError
from astro_magic.system.files import guard

__all__ = [
    "DamagedError",
    "copy",
    "is_sound",
    "move",
    "read_schema",
    "remove",
    "replace",
    "require_writable",
]

_JOURNALS = ("-wal", "-shm", "-journal")
_MAGIC = b"SQLite format 3\0"
_BUSY_SECONDS = 2.0
_PAUSE = 0.02


class DamagedError(DatabaseError):
    """The file is no database, or not a whole one."""


_CAUSES = {
    sqlite3.SQLITE_BUSY: (
        "another process is using it",
        "Is it open in another program, or does Airflow of the Astro CLI run? End that first.",
    ),
    sqlite3.SQLITE_LOCKED: ("another process is using it", "End what has it open first."),
    sqlite3.SQLITE_FULL: ("the disk is full", "Make room on the disk, then run this again."),
    sqlite3.SQLITE_READONLY: ("it is read-only", "Give yourself permission to write to the file and its folder."),
    sqlite3.SQLITE_PERM: ("no permission", "Give yourself permission to write to the file and its folder."),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "Check who owns the file and its folder, and their permissions."),
    sqlite3.SQLITE_IOERR: ("the disk cannot be read or written", "Check the disk and how much of it is free."),
}
_DAMAGES = {
    sqlite3.SQLITE_NOTADB: "it is no SQLite database",
    sqlite3.SQLITE_CORRUPT: "its content is corrupt",
}


@contextmanager
def _failures(file: Path, deed: str) -> Iterator[None]:
    """Say in one sentence what SQLite or the system could not do.

    Raises
    ------
    DamagedError
        When the file is no database, or not a whole one.
    DatabaseError
        When something else is in the way.
    """
    try:
        with guard(file, deed):
            yield
    except sqlite3.Error as error:
        # The lower byte is the kind, what stands above tells more of it.
        kind = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if kind in _DAMAGES:
            raise damaged(file, _DAMAGES[kind]) from error
        cause, hint = _CAUSES.get(kind, (str(error), "Check the file and its folder."))
        raise DatabaseError(f"Cannot {deed} the database {file}: {cause}.", hint=hint) from error


def damaged(file: Path, why: str) -> DamagedError:
    """Give the error that says so."""
    return DamagedError(f"The metadata database {file} is damaged: {why}.")


def read_schema(file: Path) -> Schema | None:
    """Read what a database holds, in a few milliseconds; None when the file is not there.

    Raises
    ------
    DamagedError
        When it is no database, or not a whole one.
    DatabaseError, FileAccessError
        When it cannot be read.
    """
    with _failures(file, "read"):
        if not file.exists():
            return None
        _require_whole(file)
        with closing(_open(file, "ro")) as connection:
            names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "alembic_version" not in names:
                return Schema(bool(names))
            rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
            return Schema(tables=True, revision=str(rows[0][0]) if len(rows) == 1 else "")


def _require_whole(file: Path) -> None:
    """Compare the file with the number of pages that its header names; SQLite would find out page by page."""
    with file.open("rb") as stream:
        header = stream.read(100)
    if not header:
        return
    if not header.startswith(_MAGIC) or len(header) < 100:
        raise damaged(file, _DAMAGES[sqlite3.SQLITE_NOTADB])
    (page,) = struct.unpack_from(">H", header, 16)
    (changes,) = struct.unpack_from(">I", header, 24)
    (pages,) = struct.unpack_from(">I", header, 28)
    (valid_for,) = struct.unpack_from(">I", header, 92)
    expected = pages * (65536 if page == 1 else page)
    if changes == valid_for and file.stat().st_size < expected:
        raise damaged(file, f"it was cut off at {file.stat().st_size} of {expected} bytes")


def is_sound(file: Path) -> bool:
    """Whether the whole of a database is in order; its time grows with the file."""
    try:
        with _failures(file, "check"):
            _require_whole(file)
            with closing(_open(file, "ro")) as connection:
                return connection.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)]
    except DatabaseError:
        return False


def require_writable(file: Path) -> None:
    """Refuse a database that Airflow could read only.

    Raises
    ------
    DatabaseError
        When the file or its folder, where the journal is written, cannot be written to.
    """
    for place, called in ((file, "is"), (file.parent, "is in a folder that is")):
        if not os.access(place, os.W_OK):
            raise DatabaseError(
                f"The metadata database {file} {called} read-only, so Airflow could not work with it.",
                hint=f"Give yourself permission to write to {place}.",
            )


def copy(source: Path, target: Path) -> None:
    """Copy a database as SQLite sees it, also while it is used; the copy gets its name when it is whole.

    Raises
    ------
    DatabaseError, FileAccessError
        When there is no room, or a file cannot be read or written; nothing is left behind.
    """
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with _failures(source, "copy"):
            partial.touch(mode=0o600)
            with closing(_open(source, "ro")) as read, closing(_open(partial, "rw")) as write:
                read.backup(write)
                # Else whoever reads the copy makes journals beside it.
                write.execute("PRAGMA journal_mode = DELETE").fetchall()
            os.replace(partial, target)
    finally:
        remove(partial)


def replace(new: Path, target: Path) -> None:
    """Put a database into the place of another one by one rename; the other one is gone then.

    Raises
    ------
    DatabaseError, FileAccessError
        When one of them is in use or cannot be written; both are as they were.
    """
    _bring_in(new)
    if target.exists():
        _bring_in(target)
    with guard(target, "replace"):
        os.replace(new, target)


def move(file: Path, target: Path) -> None:
    """Give a database another name, its journals with it, whatever its state; `target` is not there yet."""
    with guard(file, "move"):
        for ending in ("", *_JOURNALS):
            beside = file.with_name(file.name + ending)
            if beside.exists():
                os.replace(beside, target.with_name(target.name + ending))


def remove(file: Path) -> None:
    """Remove a database and its journals, if it is there."""
    with guard(file, "remove"):
        for ending in ("", *_JOURNALS):
            file.with_name(file.name + ending).unlink(missing_ok=True)


def _bring_in(file: Path) -> None:
    """Write what stands in the journals into the database, and end them; nobody else may have it open."""
    deadline = time.monotonic() + _BUSY_SECONDS
    with _failures(file, "write"), closing(_open(file, "rw")) as connection:
        while True:
            try:
                connection.execute("PRAGMA journal_mode = DELETE").fetchall()
            except sqlite3.OperationalError as error:
                # For this, SQLite does not wait; whoever reads a status, or is about to end, is gone in no time.
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE)
            else:
                return


def _open(file: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode={mode}", uri=True, timeout=_BUSY_SECONDS)
