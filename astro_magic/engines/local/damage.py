"""What has been done to an environment since it was made: files that are gone, packages that were put in by hand.

Whoever installs, uninstalls or deletes changes a folder. So the times of all folders are noted when an environment is
made, and compared before it is used, which takes some milliseconds. Only where one differs, or the machine was started
anew, are the files themselves looked at.
"""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from astro_magic.engines.local.records import Faults, Record, find_faults, read_records, site_packages
from astro_magic.errors import FileAccessError
from astro_magic.system.files import write_atomic

__all__ = ["Condition", "inspect_environment", "note_condition"]

_NAME = "astro-magic-files.json"
#: The time at which the machine was started is a difference of two clocks, and wavers with them.
_CLOCK_TOLERANCE = 60.0
_NAMED = 3


@dataclass(frozen=True)
class Condition:
    """What an environment is like now.

    Attributes
    ----------
    damage : str
        Why it has to be built anew, as the end of a sentence; empty when it has not.
    notes : tuple of str
        What somebody changed in it that leaves it usable, each as a sentence.
    """

    damage: str = ""
    notes: tuple[str, ...] = ()


def note_condition(folder: Path) -> None:
    """Note what an environment is like that has just been made.

    Raises
    ------
    FileAccessError
        When that cannot be written.
    """
    site = site_packages(folder)
    records = read_records(site)
    versions = {name: record.version for name, record in records.items()}
    _keep(folder, versions, _times(site, _folders(records.values())), ())


def inspect_environment(folder: Path) -> Condition:
    """Find out whether an environment is what it was when it was made.

    Parameters
    ----------
    folder : Path
        The virtual environment; one that nothing was noted of is taken as it is.
    """
    try:
        site = site_packages(folder)
        known: dict[str, Any] = json.loads((folder / _NAME).read_text(encoding="utf-8"))
        folders, versions, notes = known["folders"], known["versions"], tuple(known["notes"])
        booted = float(known["booted"])
    except FileNotFoundError:
        return Condition() if any(folder.glob("lib/python*/site-packages")) else Condition("its packages are gone")
    except (OSError, ValueError, KeyError, TypeError):
        return Condition("what was noted of its files cannot be read")
    same_boot = abs(booted - psutil.boot_time()) < _CLOCK_TOLERANCE
    if same_boot and _times(site, folders) == folders:
        return Condition(notes=notes)
    condition = _look(site, versions)
    if not condition.damage:
        _keep(folder, versions, _times(site, folders), condition.notes)
    return condition


def _look(site: Path, versions: Mapping[str, str]) -> Condition:
    """Compare the files with what is recorded of them, but for their contents."""
    records = read_records(site)
    for name, version in versions.items():
        if name not in records:
            return Condition(f"{name} {version} was uninstalled by hand")
        if records[name].version != version:
            return Condition(f"{name} {version} was replaced by {records[name].version} by hand")
    faults = find_faults(site, [records[name] for name in versions], contents=False)
    missing = {name: found for name, found in faults.items() if found.missing}
    if missing:
        return Condition(f"files of {_named(missing)} are missing, such as {next(iter(missing.values())).missing[0]}")
    strays = [record for name, record in records.items() if name not in versions]
    notes = [
        f"{stray.name} {stray.version} was installed by hand; it is not in requirements.txt and is gone with the next "
        "environment."
        for stray in strays
    ]
    notes += [f"{found.altered[0]} of {name} was changed by hand." for name, found in faults.items()]
    return Condition(notes=tuple(notes))


def _named(faults: Mapping[str, Faults]) -> str:
    names = list(faults)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _folders(records: Iterable[Record]) -> set[str]:
    """Give each folder that a distribution has a file in, and those above it, relative to the folder of packages."""
    found = {""}
    for record in records:
        for file in record.files:
            folder = posixpath.dirname(file.path)
            while folder and folder not in found and not folder.endswith(".."):
                found.add(folder)
                folder = posixpath.dirname(folder)
    return found


def _times(site: Path, folders: Iterable[str]) -> dict[str, int]:
    """Give when each folder was changed last, in nanoseconds; 0 for one that is not there."""
    root = os.fspath(site)
    found = {}
    for folder in folders:
        try:
            found[folder] = os.lstat(f"{root}/{folder}").st_mtime_ns
        except OSError:
            found[folder] = 0
    return found


def _keep(folder: Path, versions: Mapping[str, str], times: Mapping[str, int], notes: Iterable[str]) -> None:
    known = {"booted": psutil.boot_time(), "versions": versions, "notes": list(notes), "folders": times}
    try:
        write_atomic(folder / _NAME, json.dumps(known).encode(), mode=0o600)
    except FileAccessError:
        # An environment that may only be read is looked at anew each time.
        if not (folder / _NAME).exists():
            raise
