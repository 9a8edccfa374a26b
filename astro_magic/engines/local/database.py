"""The metadata database: SQLite, made from a template of the migrated schema."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from astro_magic.system.files import write_atomic
from astro_magic.system.folders import cache_folder

__all__ = ["database_file", "is_current", "keep_template", "mark_current", "use_template"]


def database_file(standalone: Path) -> Path:
    """Give the place of the database, which the Astro CLI shares."""
    return standalone / "airflow.db"


def is_current(standalone: Path, airflow_version: str) -> bool:
    """Whether the database is there, with the schema of this Airflow version."""
    try:
        known = _mark(standalone).read_text(encoding="utf-8")
    except OSError:
        return False
    return known == airflow_version and database_file(standalone).exists()


def mark_current(standalone: Path, airflow_version: str) -> None:
    """Note which Airflow version the schema is of."""
    write_atomic(_mark(standalone), airflow_version.encode())


def use_template(standalone: Path, airflow_version: str) -> bool:
    """Make the database from the template, if there is one and no database yet; says whether it did."""
    template = _template(airflow_version)
    target = database_file(standalone)
    if target.exists() or not template.exists():
        return False
    _copy(template, target)
    return True


def keep_template(standalone: Path, airflow_version: str) -> None:
    """Keep a database that nothing has been written to yet as the template for other projects."""
    template = _template(airflow_version)
    template.parent.mkdir(parents=True, exist_ok=True)
    _copy(database_file(standalone), template)


def _copy(source: Path, target: Path) -> None:
    """Copy a database as SQLite sees it, under its final name only when it is whole."""
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(partial)) as write:
        read.backup(write)
    partial.chmod(0o600)
    os.replace(partial, target)


def _template(airflow_version: str) -> Path:
    return cache_folder() / "databases" / f"airflow-{airflow_version}.db"


def _mark(standalone: Path) -> Path:
    return standalone / "schema_version"
