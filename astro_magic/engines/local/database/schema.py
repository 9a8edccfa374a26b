"""Which schema a metadata database has, and which ones an Airflow knows.

A database names its schema itself, in Alembic's table. Airflow has a migration for each revision, and a table of the
revision that each of its versions ends with. Both are read as text: nothing is imported, no process is started.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Revisions", "Schema", "name_version"]

_HEADS = re.compile(r"^_REVISION_HEADS_MAP\b[^{\n]*\{(?P<entries>[^}]*)\}", re.MULTILINE)
_ENTRY = re.compile(r"[\"'](?P<version>\d[\w.]*)[\"']\s*:\s*[\"'](?P<revision>\w+)[\"']")
_OWN = re.compile(r"^revision\b[^=\n]*=\s*[\"'](?P<revision>\w+)[\"']", re.MULTILINE)
_VERSION = re.compile(r"^airflow_version\b[^=\n]*=\s*[\"'](?P<version>[\w.]+)[\"']", re.MULTILINE)


@dataclass(frozen=True)
class Schema:
    """What a metadata database holds.

    Attributes
    ----------
    tables : bool
        Whether it has any table; without one, there is nothing to lose in it.
    revision : str
        The revision of its schema, as Airflow's migrations name it; empty when it names none.
    """

    tables: bool
    revision: str = ""


@dataclass(frozen=True)
class Revisions:
    """The revisions of the schema that an installed Airflow knows.

    Attributes
    ----------
    airflow_version : str
        Its exact version.
    head : str
        The revision that its own schema has; empty when that cannot be told.
    heads : tuple of tuple of str
        Versions of Airflow up to its own, each with the revision that came with it; the oldest first.
    folder : Path
        The ``airflow`` package.
    """

    airflow_version: str
    head: str
    heads: tuple[tuple[str, str], ...]
    folder: Path

    @classmethod
    def of(cls, site_packages: Iterable[Path], airflow_version: str) -> Revisions:
        """Read those of the Airflow that is installed in one of these folders."""
        for place in site_packages:
            folder = place / "airflow"
            try:
                text = (folder / "utils" / "db.py").read_text(encoding="utf-8")
            except OSError:
                continue
            table = _HEADS.search(text)
            entries = _ENTRY.finditer(table["entries"]) if table else ()
            heads = tuple((entry["version"], entry["revision"]) for entry in entries)
            return cls(airflow_version, heads[-1][1] if heads else "", heads, folder)
        return cls(airflow_version, "", (), Path())

    def migration(self, revision: str) -> str | None:
        """Give the version that a revision was made for; None when there is no migration to it.

        Only the migrations tell of a revision between those of two versions, which a migration that was ended in the
        middle leaves.
        """
        for version, known in self.heads:
            if known == revision:
                return version
        for file in sorted((self.folder / "migrations" / "versions").glob("*.py")):
            text = file.read_text(encoding="utf-8", errors="replace")
            own, version_of = _OWN.search(text), _VERSION.search(text)
            if own and own["revision"] == revision:
                return version_of["version"] if version_of else ""
        return None


def name_version(revision: str, others: Iterable[Revisions]) -> str:
    """Give the Airflow version that a revision is of, from what other installed ones know; empty when none does."""
    known = list(others)
    for other in known:
        if other.head == revision:
            return other.airflow_version
    return next((version for other in known if (version := other.migration(revision))), "")
