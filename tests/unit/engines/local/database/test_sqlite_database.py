"""A project's SQLite database: made, migrated, refused, restored; what is lost is nothing."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from astro_magic.engines.options import DatabaseOptions
from astro_magic.errors import DatabaseError
from astro_magic.system.events import run
from tests.unit.engines.local.database.conftest import BETWEEN, REVISIONS, fail, make_house, set_revision


def names_in(folder: Path) -> list[str]:
    """Give the names of what is there but the journals that a reader leaves."""
    return sorted(file.name for file in folder.iterdir() if not file.name.endswith(("-wal", "-shm")))


def test_an_empty_database_is_made_once_and_copied_for_the_next_project(house, cache, tmp_path):
    """The first project's schema is the template of the second; a start on what is ready tells nothing."""
    told = house.prepare("3.2.2")
    assert told[-1].detail == "SQLite, Airflow 3.2.2 schema"
    assert stat.S_IMODE(house.file.stat().st_mode) == 0o600
    assert house.prepare("3.2.2") == []
    assert house.migrated == ["3.2.2"]

    second = make_house(tmp_path / "second")
    second.prepare("3.2.2")
    assert second.migrated == []
    assert second.revision() == REVISIONS["3.2.0"]
    assert names_in(second.file.parent) == ["airflow.db", "schema_version"]
    assert names_in(cache) == ["airflow-3.2.2.db"]


def test_another_release_with_the_same_schema_migrates_nothing(house):
    house.prepare("3.2.1")
    assert house.prepare("3.2.2") == []
    assert house.prepare("3.2.0") == []
    assert house.migrated == ["3.2.1"]


@pytest.mark.parametrize("mark", [None, "3.2.2", '{"airflow": "3.2.2", "revision": "ccc2"}', "[]", "\0"])
def test_the_database_is_believed_and_not_the_mark(house, mark):
    """Whatever the mark says, or where the Astro CLI made the database and there is none: what is old is migrated."""
    house.prepare("3.1.8")
    house.add_run("before")
    house.file.with_name("schema_version").unlink()
    if mark is not None:
        house.file.with_name("schema_version").write_text(mark)

    told = house.prepare("3.2.2")
    assert "migrated from Airflow 3.1.8 to 3.2.2; backup: .astro/magic/backups/" in told[-1].detail
    assert house.revision() == REVISIONS["3.2.0"]
    assert house.runs() == ["before"]


def test_an_upgrade_keeps_the_data_and_a_backup(house):
    house.prepare("3.0.6")
    house.add_run("before")
    house.prepare("3.1.8")
    house.add_run("after")

    assert house.runs() == ["before", "after"]
    (backup,) = house.database.backups.files()
    assert backup.name.endswith("-airflow-3.0.6.db")
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    with closing(sqlite3.connect(backup)) as connection:
        assert connection.execute("SELECT run_id FROM dag_run").fetchall() == [("before",)]


def test_a_migration_that_was_ended_in_the_middle_by_another_tool_goes_on(house):
    house.prepare("3.1.8")
    set_revision(house.file, BETWEEN)
    told = house.prepare("3.2.2")
    assert "migrated from Airflow 3.2.0 to 3.2.2" in told[-1].detail


def test_three_backups_are_kept(house):
    for _ in range(3):
        for version in ("3.0.6", "3.1.8"):
            house.prepare(version, "new" if version == "3.0.6" else "keep")
    assert house.backups == ["airflow-3.0.6.db", "airflow-3.1.8.db", "airflow-3.0.6.db"]


@pytest.mark.parametrize(
    ("migrate", "why"),
    [
        (fail, "Airflow's migration failed"),
        (lambda file: set_revision(file, BETWEEN), "without its own schema"),
    ],
)
def test_a_migration_that_fails_changes_nothing(house, migrate, why):
    house.prepare("3.1.8")
    house.add_run("before")
    content = house.file.read_bytes()

    with pytest.raises(DatabaseError, match=why) as failed:
        house.prepare("3.2.2", migrate=migrate)
    assert "as it was before" in str(failed.value)
    assert house.file.read_bytes() == content
    assert house.backups == []
    assert names_in(house.file.parent) == ["airflow.db", "schema_version"]
    assert house.prepare("3.1.8") == []


def test_what_a_killed_migration_left_is_removed(house):
    house.prepare("3.1.8")
    half = house.file.with_name(".airflow.db.new")
    set_revision(half, BETWEEN)
    (house.database.backups.folder).mkdir()
    (house.database.backups.folder / ".20260101-000000-airflow-3.1.8.db.1.partial").write_text("half")

    assert house.prepare("3.1.8") == []
    assert not half.exists()
    house.prepare("3.2.2")
    assert len(names_in(house.database.backups.folder)) == 1


def test_an_upgrade_is_taken_back_for_the_airflow_from_before(house):
    """Where the new environment does not get healthy, the old one finds its own schema again."""
    house.prepare("3.1.8")
    house.add_run("before")
    house.prepare("3.2.2")
    house.database.go_back()
    assert house.prepare("3.1.8") == []
    assert house.runs() == ["before"]
    # What has been put back is not put back again later.
    house.add_run("later")
    house.database.go_back()
    assert house.runs() == ["before", "later"]


def test_a_newer_schema_is_refused_with_the_way_out(house):
    house.prepare("3.1.8")
    house.add_run("old")
    house.prepare("3.2.2")
    house.add_run("new")
    content = house.file.read_bytes()

    with pytest.raises(DatabaseError) as refused:
        house.prepare("3.1.8")
    assert refused.value.message == (
        "The metadata database was made by Airflow 3.2.2; this project now has 3.1.8, and Airflow does not go back."
    )
    (backup,) = house.database.backups.files()
    assert f"put back the backup .astro/magic/backups/{backup.name} with %astro_start --restore" in refused.value.hint
    assert house.file.read_bytes() == content

    told = house.prepare("3.1.8", "restore")
    assert f"restored .astro/magic/backups/{backup.name}" in told[-1].detail
    assert "kept as .astro/magic/backups/" in told[-1].detail
    assert house.runs() == ["old"]
    # The way back is as open.
    house.prepare("3.2.2", "restore")
    assert house.runs() == ["old", "new"]


def test_a_newer_schema_without_a_backup_is_refused_with_another_way_out(house):
    """The Astro CLI made it, say; its environment tells the version, and else that is left out."""
    house.prepare("3.1.8")
    set_revision(house.file, "ddd3")
    with pytest.raises(DatabaseError, match=r"(?s)made by a newer Airflow; .* --new-database"):
        house.prepare("3.1.8")
    with pytest.raises(DatabaseError, match=r"no backup .* that Airflow 3\.1\.8 could use"):
        house.prepare("3.1.8", "restore")

    set_revision(house.file, REVISIONS["3.2.0"])
    of_cli = house.environment("3.2.2").folder
    (house.project.root / ".venv").symlink_to(of_cli)
    with pytest.raises(DatabaseError, match=r"made by Airflow 3\.2\.[02];"):
        house.prepare("3.1.8")

    house.prepare("3.1.8", "new")
    assert house.runs() == []
    assert house.backups == ["airflow-3.2.2.db"]


def _cut_off(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _scribbled_over(content: bytes) -> bytes:
    page = 4096
    return content[:page] + b"\xa5" * (len(content) - page)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda content: b"this is a letter\n" * 400, "it is no SQLite database"),
        (lambda content: content[:50], "it is no SQLite database"),
        (lambda content: b"", "it is empty, and was not before"),
        (_cut_off, "it was cut off at"),
        (_scribbled_over, "its content is corrupt"),
    ],
    ids=["text", "header", "empty", "cut off", "scribbled"],
)
def test_a_damaged_database_is_told_and_kept(house, damage, why):
    """Nothing is made anew until somebody asks for it; the damaged file is kept."""
    house.prepare("3.1.8")
    house.add_run("before")
    with closing(sqlite3.connect(house.file)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    house.file.write_bytes(damage(house.file.read_bytes()))
    content = house.file.read_bytes()

    with pytest.raises(DatabaseError, match=why) as damaged:
        house.prepare("3.1.8")
    assert "%astro_start --new-database" in damaged.value.hint
    assert house.file.read_bytes() == content

    house.prepare("3.1.8", "new")
    assert house.runs() == []
    (kept,) = house.database.backups.folder.iterdir()
    assert kept.name.endswith("-damaged.db")
    assert kept.read_bytes() == content


def test_a_damaged_database_is_replaced_by_a_backup(house):
    house.prepare("3.1.8")
    house.add_run("before")
    house.prepare("3.2.2")
    house.file.write_bytes(b"nonsense" * 1000)
    with pytest.raises(DatabaseError, match="--restore-database puts back a backup"):
        house.prepare("3.2.2")
    told = house.prepare("3.2.2", "restore")
    # It is of the version before, so it is migrated.
    assert "restored" in told[-1].detail
    assert "migrated from Airflow 3.1.8 to 3.2.2" in told[-1].detail
    assert house.runs() == ["before"]


def test_a_journal_goes_with_its_database(house):
    """What a killed Airflow left in the journal belongs to the old file, and is in the backup."""
    house.prepare("3.1.8")
    with closing(sqlite3.connect(house.file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("INSERT INTO dag_run VALUES ('in the journal', '')")
        connection.commit()
        content = {file.name: file.read_bytes() for file in house.file.parent.iterdir()}
    for name, data in content.items():
        (house.file.parent / name).write_bytes(data)
    assert house.file.with_name("airflow.db-wal").stat().st_size

    house.prepare("3.2.2")
    assert house.runs() == ["in the journal"]
    assert not house.file.with_name("airflow.db-wal").exists()


def test_a_database_that_somebody_works_with_is_not_replaced(house):
    house.prepare("3.1.8")
    house.add_run("before")
    with closing(sqlite3.connect(house.file)) as connection:
        connection.execute("SELECT * FROM dag_run").fetchall()
        with pytest.raises(DatabaseError, match="another process is using it"):
            house.prepare("3.2.2")
    assert house.prepare("3.1.8") == []
    assert house.runs() == ["before"]


def test_a_read_only_database_is_told(house, monkeypatch):
    house.prepare("3.1.8")
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(house.file))
    with pytest.raises(DatabaseError, match="is read-only") as refused:
        house.prepare("3.1.8")
    assert str(house.file) in refused.value.hint


def test_a_disk_without_room_is_told_before_anything_is_made(house, monkeypatch):
    house.prepare("3.1.8")
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 3_000_000}))
    with pytest.raises(DatabaseError, match=r"has 3 MB left; .* takes 20 MB"):
        house.prepare("3.2.2")
    assert not house.database.backups.folder.exists()


@pytest.mark.parametrize("damage", [b"", b"no database", _cut_off, _scribbled_over])
def test_a_damaged_template_poisons_nothing(house, cache, tmp_path, damage):
    """It is removed, the schema is made as if there were none, and a whole template is there again."""
    house.prepare("3.2.2")
    (template,) = cache.iterdir()
    whole = template.read_bytes()
    template.write_bytes(damage(whole) if callable(damage) else damage)

    second = make_house(tmp_path / "second")
    second.prepare("3.2.2")
    assert second.migrated == ["3.2.2"]
    assert second.revision() == REVISIONS["3.2.0"]
    third = make_house(tmp_path / "third")
    third.prepare("3.2.2")
    assert third.migrated == []


def test_a_template_with_another_schema_than_its_name_says_is_not_used(house, cache, tmp_path):
    house.prepare("3.2.2")
    (template,) = cache.iterdir()
    set_revision(template, REVISIONS["3.1.0"])
    second = make_house(tmp_path / "second")
    second.prepare("3.2.2")
    assert second.migrated == ["3.2.2"]


def test_a_cache_that_cannot_be_written_to_is_no_failure(house, cache):
    cache.parent.write_text("a file where the folder would be")
    house.prepare("3.2.2")
    assert house.revision() == REVISIONS["3.2.0"]


def test_an_interrupt_in_the_migration_changes_nothing(house):
    house.prepare("3.1.8")
    environment = house.environment("3.2.2")

    def interrupted(file):
        set_revision(file, BETWEEN)
        yield from ()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(house.database.prepare(environment, DatabaseOptions(), interrupted), lambda event: None)
    assert house.revision() == REVISIONS["3.1.0"]
    assert house.backups == []
    assert names_in(house.file.parent) == ["airflow.db", "schema_version"]
