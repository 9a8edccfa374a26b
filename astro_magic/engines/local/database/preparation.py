"""A project's SQLite database made ready for an Airflow: made, migrated, or refused.

What it is, it tells itself; the mark beside it only adds the name of the version. Whatever is made or migrated is made
under another name, so that the database that is there stays what it was until a whole one takes its place.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from astro_magic.engines.local.database import sqlite
from astro_magic.engines.local.database.backups import Backups
from astro_magic.engines.local.database.schema import Revisions, Schema, name_version
from astro_magic.engines.local.database.template import keep_template, use_template
from astro_magic.engines.local.environment import LocalEnvironment
from astro_magic.engines.local.environments import environments_of
from astro_magic.engines.options import DatabaseOptions
from astro_magic.errors import CommandFailedError, DatabaseError
from astro_magic.project.project import Project
from astro_magic.system.events import Operation, Step
from astro_magic.system.files import write_atomic

__all__ = ["Migrate", "SqliteDatabase", "database_file", "migration_failed", "name_schema", "refuse_newer"]

#: Runs the migration where Airflow is imported, on the SQLite file that it is given, or on Airflow's own database.
Migrate = Callable[[Path | None], Operation[dict[str, Any]]]

#: Bytes that a migration may need beside two copies of the database.
_MARGIN = 20_000_000
_STEP = "database"


def database_file(standalone: Path) -> Path:
    """Give the place of the database, which the Astro CLI shares."""
    return standalone / "airflow.db"


class SqliteDatabase:
    """The database that is a file of the project.

    Parameters
    ----------
    project : Project
        The project.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self.file = database_file(project.standalone_dir)
        self.backups = Backups(project.state_dir / "backups")
        self._mark = project.standalone_dir / "schema_version"
        self._work = self.file.with_name(".airflow.db.new")
        #: The backup of the last migration, which `go_back` puts back.
        self._before: Path | None = None
        self._replaced = False

    def require_usable(self, environment: LocalEnvironment, options: DatabaseOptions) -> None:
        """Refuse what cannot work, while nothing has been touched yet.

        Raises
        ------
        DatabaseError, FileAccessError
            When the database is damaged, read-only, or of a newer Airflow; when there is no backup to restore.
        """
        # Here something new begins; `prepare` may be asked again when a start is tried again on another port.
        self._before, self._replaced = None, False
        revisions = _revisions_of(environment)
        if options.file == "restore":
            self._fitting(revisions)
        elif options.file == "keep":
            self._look(revisions)

    def prepare(self, environment: LocalEnvironment, options: DatabaseOptions, migrate: Migrate) -> Operation[None]:
        """Make the database ready for this environment's Airflow; nothing is told of one that is.

        Raises
        ------
        DatabaseError, FileAccessError
            As `require_usable`, and when it cannot be migrated. What was there before is there still.
        """
        started = time.monotonic()
        revisions = _revisions_of(environment)
        sqlite.remove(self._work)
        told = []
        if options.file != "keep" and not self._replaced:
            told += self._replace(revisions, options.file)
            self._replaced = True
        state, schema = self._look(revisions)
        if state == "missing":
            yield Step(_STEP, _STEP, detail=f"making the schema of Airflow {revisions.airflow_version}")
            yield from self._make(self.file, self._work, revisions, migrate)
            told.append(f"SQLite, Airflow {revisions.airflow_version} schema")
        elif state == "older" and schema is not None:
            told.append((yield from self._upgrade(revisions, schema, migrate)))
        self._note(revisions)
        if told:
            yield Step(_STEP, _STEP, "done", "; ".join(told), time.monotonic() - started)

    def empty(self, environment: LocalEnvironment, migrate: Migrate) -> Operation[Path]:
        """Give an empty database for this environment's Airflow, which is to be copied; it is made once.

        Raises
        ------
        DatabaseError, FileAccessError
            When it cannot be made.
        """
        revisions = _revisions_of(environment)
        target = self._project.state_dir / "empty.db"
        try:
            schema = sqlite.read_schema(target)
        except sqlite.DamagedError:
            sqlite.remove(target)
            schema = None
        if schema is not None and schema.revision == revisions.head:
            return target
        # Two kernels may be here at once.
        yield from self._make(target, target.with_name(f".empty.db.{os.getpid()}"), revisions, migrate)
        return target

    def go_back(self) -> None:
        """Put back what was there before `prepare` migrated it, for the Airflow that ran before."""
        if self._before is not None:
            sqlite.copy(self._before, self._work)
            sqlite.replace(self._work, self.file)
            self._before = None

    # -- what is there -------------------------------------------------------------------------------------------

    def _look(self, revisions: Revisions) -> tuple[Literal["missing", "current", "older"], Schema | None]:
        """Tell what has to be done."""
        schema = self._read()
        if schema is None or not schema.tables:
            return "missing", schema
        sqlite.require_writable(self.file)
        if schema.revision and schema.revision == revisions.head:
            return "current", schema
        if schema.revision and revisions.head and revisions.migration(schema.revision) is None:
            fitting = self.backups.fitting(revisions)
            if fitting is not None:
                hint = f"or put back the backup {self._shown(fitting)} with %astro_start --restore-database"
            else:
                hint = "or start with an empty one by %astro_start --new-database, which keeps this one"
            refuse_newer(self._name(schema.revision), revisions.airflow_version, hint)
        return "older", schema

    def _read(self) -> Schema | None:
        try:
            schema = sqlite.read_schema(self.file)
            if schema is not None and not schema.tables and self._noted():
                raise sqlite.damaged(self.file, "it is empty, and was not before")
        except sqlite.DamagedError as damage:
            damage.hint = "%astro_start --new-database starts with an empty one, and keeps this file beside it."
            for newest in self.backups.files()[:1]:
                way = f"%astro_start --restore-database puts back a backup, such as {self._shown(newest)}"
                damage.hint = f"{way}; {damage.hint}"
            raise
        return schema

    def _noted(self) -> Mapping[str, str]:
        """Give what is noted of the schema: its revision, and the Airflow that it was made ready for."""
        with suppress(OSError, ValueError):
            noted = json.loads(self._mark.read_text(encoding="utf-8"))
            if isinstance(noted, dict):
                return noted
        return {}

    def _note(self, revisions: Revisions) -> None:
        schema = sqlite.read_schema(self.file)
        now = {"airflow": revisions.airflow_version, "revision": schema.revision if schema else ""}
        if now != self._noted():
            write_atomic(self._mark, json.dumps(now).encode())

    def _name(self, revision: str) -> str:
        noted = self._noted()
        if noted.get("revision") == revision:
            return noted.get("airflow", "")
        return name_schema(self._project, revision)

    def _shown(self, file: Path) -> str:
        return file.relative_to(self._project.root).as_posix()

    # -- what is done --------------------------------------------------------------------------------------------

    def _fitting(self, revisions: Revisions) -> Path:
        found = self.backups.fitting(revisions)
        if found is None:
            there = ", ".join(self._shown(file) for file in self.backups.files())
            raise DatabaseError(
                f"There is no backup of the database that Airflow {revisions.airflow_version} could use.",
                hint=f"There is: {there}." if there else "Backups are made when a newer Airflow migrates the database.",
            )
        return found

    def _replace(self, revisions: Revisions, how: Literal["restore", "new"]) -> list[str]:
        """Put a backup or nothing into the place of the database, which is kept; say what was done."""
        chosen = self._fitting(revisions) if how == "restore" else None
        if chosen is not None:
            # Before anything is moved: what is kept from now on may be one too many.
            sqlite.copy(chosen, self._work)
        told = []
        if self.file.exists():
            kept = self.backups.set_aside(self.file, self._name)
            told.append(f"the database from before is kept as {self._shown(kept)}")
        self._mark.unlink(missing_ok=True)
        if chosen is not None:
            sqlite.replace(self._work, self.file)
            told.insert(0, f"restored {self._shown(chosen)}")
        return told

    def _make(self, target: Path, work: Path, revisions: Revisions, migrate: Migrate) -> Operation[None]:
        if not use_template(work, revisions):
            yield from self._migrate(work, revisions, migrate)
            keep_template(work, revisions)
        # An empty file may be in its place.
        sqlite.replace(work, target)

    def _upgrade(self, revisions: Revisions, schema: Schema, migrate: Migrate) -> Operation[str]:
        was = self._name(schema.revision)
        now = revisions.airflow_version
        words = f"from Airflow {was} to {now}" if was else f"to Airflow {now}"
        yield Step(_STEP, _STEP, detail=f"backing up, then migrating {words}")
        self._require_room()
        with self.backups.made_of(self.file, was) as backup:
            if not sqlite.is_sound(backup):
                raise sqlite.damaged(self.file, "its check finds errors")
            sqlite.copy(backup, self._work)
            yield from self._migrate(self._work, revisions, migrate)
            sqlite.replace(self._work, self.file)
        self._before = backup
        return f"migrated {words}; backup: {self._shown(backup)}"

    def _migrate(self, work: Path, revisions: Revisions, migrate: Migrate) -> Operation[None]:
        """Bring a file that nobody uses yet to this Airflow's schema."""
        finished = False
        try:
            with migration_failed(revisions.airflow_version, untouched=True):
                yield from migrate(work)
            work.chmod(0o600)
            schema = sqlite.read_schema(work)
            if schema is None or not schema.revision or (revisions.head and schema.revision != revisions.head):
                raise DatabaseError(
                    f"Airflow {revisions.airflow_version} ended the migration of the database without its own schema.",
                    hint="The database is as it was before. %astro_logs shows what Airflow wrote.",
                )
            finished = True
        finally:
            if not finished:
                sqlite.remove(work)

    def _require_room(self) -> None:
        needed = 2 * self.file.stat().st_size + _MARGIN
        free = shutil.disk_usage(self.file.parent).free
        if free < needed:
            raise DatabaseError(
                f"The disk has {free // 1_000_000} MB left; to back up and migrate the database takes "
                f"{needed // 1_000_000} MB.",
                hint="Make room on the disk, then run this again. The database is as it was.",
            )


def name_schema(project: Project, revision: str) -> str:
    """Give the Airflow version of a schema's revision; empty when no environment of the project tells it."""
    of_cli = tuple(project.root.glob(".venv/lib/python*/site-packages"))
    known = [_revisions_of(environment) for environment in environments_of(project)]
    return name_version(revision, [*known, Revisions.of(of_cli, "")])


def refuse_newer(schema_version: str, airflow_version: str, way_out: str) -> None:
    """Refuse a database that a newer Airflow has migrated.

    Parameters
    ----------
    schema_version : str
        The Airflow version of its schema; empty when it is not known.
    airflow_version : str
        The one that is to run.
    way_out : str
        What else can be done than to go back to that version.

    Raises
    ------
    DatabaseError
        Always.
    """
    newer = f"Airflow {schema_version}" if schema_version else "a newer Airflow"
    raise DatabaseError(
        f"The metadata database was made by {newer}; this project now has {airflow_version}, and Airflow does not go "
        "back.",
        hint=f"Go back to the version from before in the Dockerfile, {way_out}.",
    )


@contextmanager
def migration_failed(airflow_version: str, *, untouched: bool) -> Iterator[None]:
    """Say of a migration that fails what became of the database.

    Parameters
    ----------
    airflow_version : str
        To which version it was to be migrated.
    untouched : bool
        Whether only a copy of it was worked on.

    Raises
    ------
    DatabaseError
        When the block fails to run Airflow's migration.
    """
    try:
        yield
    except CommandFailedError as failure:
        full = any(words in (failure.detail or "") for words in ("disk is full", "No space left"))
        why = "the disk is full" if full else "Airflow's migration failed" if failure.detail else "it was killed"
        now = "It is as it was before." if untouched else "The steps that were done are kept; the next start goes on."
        raise DatabaseError(
            f"The database could not be migrated to Airflow {airflow_version}: {why}. {now}",
            hint="Make room on the disk, then run this again." if full else "%astro_logs shows what Airflow wrote.",
            detail=failure.detail,
        ) from failure


def _revisions_of(environment: LocalEnvironment) -> Revisions:
    return Revisions.of(environment.site_packages, environment.airflow_version)
