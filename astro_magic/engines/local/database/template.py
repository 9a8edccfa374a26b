"""The schema of an Airflow version, kept in the user's cache for the next empty database."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from astro_magic.engines.local.database import sqlite
from astro_magic.engines.local.database.schema import Revisions
from astro_magic.errors import AstroMagicError, FileAccessError
from astro_magic.system.folders import cache_folder

__all__ = ["keep_template", "use_template"]


def use_template(target: Path, revisions: Revisions) -> bool:
    """Make a database that is not there yet from the template; False when there is none that can be used.

    One that is damaged, or has another schema than its name says, is removed, so that it is made anew.
    """
    template = _template(revisions)
    if template is None or not template.exists():
        return False
    with suppress(AstroMagicError):
        schema = sqlite.read_schema(template)
        fits = schema is not None and schema.revision and schema.revision == revisions.head
        if fits and sqlite.is_sound(template):
            sqlite.copy(template, target)
            return True
    # What cannot be read or removed here is passed by: the schema is made as if there were none.
    with suppress(AstroMagicError):
        sqlite.remove(template)
    return False


def keep_template(database: Path, revisions: Revisions) -> None:
    """Keep a database that nothing has been written to yet; a cache that cannot be written to is no failure."""
    template = _template(revisions)
    if template is None:
        return
    with suppress(AstroMagicError, OSError):
        template.parent.mkdir(parents=True, exist_ok=True)
        sqlite.copy(database, template)


def _template(revisions: Revisions) -> Path | None:
    """Give its place; None where there can be no cache, which the schema of a database needs least of all."""
    try:
        return cache_folder() / "databases" / f"airflow-{revisions.airflow_version}.db"
    except FileAccessError:
        return None
