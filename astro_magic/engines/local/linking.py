"""What two environments have in common is linked from one to the other, bytecode included."""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Mapping
from pathlib import Path

from astro_magic.engines.local.records import Record, read_records, site_packages

__all__ = ["link_distributions"]


def link_distributions(source: Path, target: Path, wanted: Mapping[str, str]) -> None:
    """Link the distributions of an environment into a new one that are wanted in the version that it has.

    Only what a distribution's RECORD names is linked, and the bytecode of that: nothing that somebody put there.

    Parameters
    ----------
    source, target : Path
        The virtual environments; the new one is empty.
    wanted : mapping of str to str
        Version by normalised name.

    Raises
    ------
    OSError
        When a file cannot be linked. What is incomplete then shows when it is compared with its RECORD.
    """
    begin, end = site_packages(source), site_packages(target)
    made: set[str] = set()
    for name, record in read_records(begin).items():
        if record.complete and wanted.get(name) == record.version:
            _link(record, begin, end, made)


def _link(record: Record, begin: Path, end: Path, made: set[str]) -> None:
    sources: dict[str, set[str]] = {}
    for file in record.files:
        folder, name = posixpath.split(file.path)
        if folder not in made:
            (end / folder).mkdir(parents=True, exist_ok=True)
            made.add(folder)
        if folder.startswith(".."):
            # Scripts are small, and somebody may edit them in place.
            shutil.copy2(begin / file.path, end / file.path)
        else:
            os.link(begin / file.path, end / file.path)
        if name.endswith(".py"):
            sources.setdefault(folder, set()).add(name.removesuffix(".py"))
    for folder, stems in sources.items():
        compiled = begin / folder / "__pycache__"
        if compiled.is_dir():
            (end / folder / "__pycache__").mkdir(exist_ok=True)
            for entry in compiled.iterdir():
                if entry.name.partition(".")[0] in stems:
                    os.link(entry, end / folder / "__pycache__" / entry.name)
