"""Projects with SQLite databases, and environments with an Airflow that knows some revisions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from astro_magic.engines.local.database.preparation import SqliteDatabase
from astro_magic.engines.local.environment import LocalEnvironment
from astro_magic.engines.local.environments import current_environment
from astro_magic.engines.options import DatabaseOptions
from astro_magic.errors import CommandFailedError
from astro_magic.project.project import Project
from astro_magic.system.events import Event, Step, run

#: The revision that came with each version, and one in the middle of the way to the newest.
REVISIONS = {"3.0.0": "aaa0", "3.1.0": "bbb1", "3.2.0": "ccc2"}
BETWEEN = "ccc1"


@dataclass
class House:
    """A project with a database of its own."""

    project: Project
    database: SqliteDatabase
    migrated: list[str] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.database.file

    @property
    def backups(self) -> list[str]:
        return [file.name[16:] for file in self.database.backups.files()]

    def environment(self, version: str) -> LocalEnvironment:
        """Give an environment with this Airflow, as far as a database is concerned."""
        made = LocalEnvironment(self.project.state_dir / "environments" / f"of-{version}", version, "3.12.1", 3, 1)
        airflow = made.folder / "lib" / "python3.12" / "site-packages" / "airflow"
        if not airflow.exists():
            known = {name: revision for name, revision in REVISIONS.items() if name <= version}
            (airflow / "utils").mkdir(parents=True)
            entries = "".join(f'    "{name}": "{revision}",\n' for name, revision in known.items())
            (airflow / "utils" / "db.py").write_text(f"_REVISION_HEADS_MAP: dict[str, str] = {{\n{entries}}}\n")
            folder = airflow / "migrations" / "versions"
            folder.mkdir(parents=True)
            steps = {**known, **({"3.2.0 ": BETWEEN} if "3.2.0" in known else {})}
            for name, revision in steps.items():
                text = f'revision = "{revision}"\ndown_revision = None\nairflow_version = "{name.strip()}"\n'
                (folder / f"{revision}.py").write_text(text)
            (made.folder / "bin").mkdir()
            (made.folder / "bin" / "python").touch()
            about = {**asdict(made), "folder": made.folder.name}
            (made.folder / "astro-magic.json").write_text(json.dumps(about))
            assert current_environment(self.project, name=made.folder.name) == made
        return made

    def prepare(
        self,
        version: str,
        how: Literal["keep", "restore", "new"] = "keep",
        migrate: Callable[[Path], None] | None = None,
    ) -> list[Step]:
        """Make the database ready for this Airflow, as a start does; gives what is told."""

        def bring_up(file: Path):
            yield Step("database", "database")
            self.migrated.append(version)
            (migrate or (lambda file: set_revision(file, REVISIONS[f"{version[:3]}.0"])))(file)
            return {}

        events: list[Event] = []
        options = DatabaseOptions(file=how)
        self.database.require_usable(self.environment(version), options)
        run(self.database.prepare(self.environment(version), options, bring_up), events.append)
        return [event for event in events if isinstance(event, Step)]

    def revision(self) -> str:
        with closing(sqlite3.connect(self.file)) as connection:
            return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])

    def runs(self) -> list[str]:
        with closing(sqlite3.connect(self.file)) as connection:
            return [name for (name,) in connection.execute("SELECT run_id FROM dag_run")]

    def add_run(self, name: str) -> None:
        with closing(sqlite3.connect(self.file)) as connection, connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("INSERT INTO dag_run VALUES (?, ?)", (name, "x" * 5000))


def set_revision(file: Path, revision: str) -> None:
    """Do what a migration does, as far as anybody looks here."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS dag_run (run_id TEXT, conf TEXT)")
        connection.execute("CREATE TABLE IF NOT EXISTS alembic_version (version_num TEXT)")
        connection.execute("DELETE FROM alembic_version")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))


def fail(_: Path) -> None:
    """End as a migration that fails does."""
    raise CommandFailedError("migrate failed in Airflow's process.", detail="OperationalError: no such column: x")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch) -> Path:
    """The folder with the templates of this test."""
    folder = tmp_path / "cache"
    monkeypatch.setattr("astro_magic.engines.local.database.template.cache_folder", lambda: folder)
    return folder / "databases"


@pytest.fixture
def house(tmp_path, cache) -> House:
    """A project that has never been started."""
    return make_house(tmp_path / "shop")


def make_house(root: Path) -> House:
    project = Project.create(root).project
    project.make_state_dir()
    project.standalone_dir.mkdir(parents=True)
    return House(project, SqliteDatabase(project))
