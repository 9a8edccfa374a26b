"""Backups of a project's SQLite database: made before an upgrade, put back when somebody asks for it."""

from __future__ import annotations

import calendar
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from astro_magic.engines.local.database import sqlite
from astro_magic.engines.local.database.schema import Revisions
from astro_magic.errors import DatabaseError, FileAccessError
from astro_magic.system.files import guard

__all__ = ["Backups"]

_KEPT = 3
_TIME = "%Y%m%d-%H%M%S"
_STAMP = len("20260102-030405")
_WHOLE = "*-airflow-*.db"
_DAMAGED = "damaged"


class Backups:
    """The backups of one project, in one folder.

    Parameters
    ----------
    folder : Path
        Where they are; it is made when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self) -> tuple[Path, ...]:
        """Give those that are there, the newest first."""
        return self._newest(_WHOLE)

    def fitting(self, revisions: Revisions) -> Path | None:
        """Give the newest one with this Airflow's own schema, else the newest that it can migrate."""
        found = [(file, revision) for file in self.files() if (revision := _revision(file))]
        same = (file for file, revision in found if revision == revisions.head)
        older = (file for file, revision in found if revisions.migration(revision) is not None)
        return next(same, None) or next(older, None)

    @contextmanager
    def made_of(self, database: Path, version: str) -> Iterator[Path]:
        """Back a database up for the work of a block; a block that fails leaves no backup, since nothing was changed.

        Parameters
        ----------
        database : Path
            The database.
        version : str
            The Airflow version of its schema, for the name; empty when it is not known.

        Raises
        ------
        DatabaseError, FileAccessError
            When there is no room, or a file cannot be read or written.
        """
        backup = self._name(f"airflow-{version or 'unknown'}")
        sqlite.copy(database, backup)
        try:
            yield backup
        except BaseException:
            with suppress(FileAccessError):
                sqlite.remove(backup)
            raise
        self._forget_old(_WHOLE)

    def set_aside(self, database: Path, name: Callable[[str], str]) -> Path:
        """Move a database out of the way, to where it is kept, whether it is damaged or not.

        Parameters
        ----------
        database : Path
            The database.
        name : callable
            Gives the Airflow version of a schema's revision.
        """
        revision = _revision(database)
        kept = self._name(f"airflow-{name(revision) or 'unknown'}" if revision else _DAMAGED)
        sqlite.move(database, kept)
        self._forget_old(f"*-{_DAMAGED}.db" if not revision else _WHOLE)
        return kept

    def _name(self, ending: str) -> Path:
        """Give a name that begins with the time, so that names sort by it, and that none has yet."""
        with guard(self.folder, "make"):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in self.folder.glob(".*.partial*"):
                left.unlink(missing_ok=True)
        moment = time.time()
        for newest in self._newest("*-*.db")[:1]:
            # Two may be made within a second, and a clock may have been set back.
            moment = max(moment, calendar.timegm(time.strptime(newest.name[:_STAMP], _TIME)) + 1)
        return self.folder / f"{time.strftime(_TIME, time.gmtime(moment))}-{ending}.db"

    def _newest(self, pattern: str) -> tuple[Path, ...]:
        return tuple(sorted(self.folder.glob(pattern), reverse=True))

    def _forget_old(self, pattern: str) -> None:
        for old in self._newest(pattern)[_KEPT:]:
            with suppress(FileAccessError):
                sqlite.remove(old)


def _revision(file: Path) -> str:
    """Give the revision of a database's schema; empty when it has none, or is damaged."""
    with suppress(DatabaseError, FileAccessError):
        schema = sqlite.read_schema(file)
        return schema.revision if schema is not None else ""
    return ""
