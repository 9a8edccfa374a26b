"""The files of each installed distribution, as its RECORD names them, and whether they are there and the same."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import canonicalize_name

__all__ = ["Faults", "Record", "RecordedFile", "find_faults", "read_records", "site_packages"]

#: More do not pay: with files in memory the interpreter's lock is what they wait for.
_THREADS = 4


@dataclass(frozen=True)
class RecordedFile:
    """A file as RECORD names it.

    Attributes
    ----------
    path : str
        Relative to the folder of packages.
    size : int or None
        Bytes, where that is told.
    digest : str
        Such as ``sha256=...``; empty where none is told.
    """

    path: str
    size: int | None
    digest: str


@dataclass(frozen=True)
class Record:
    """What is recorded of one distribution.

    Attributes
    ----------
    name, version : str
        As in the name of its folder of metadata; the name is normalised.
    files : tuple of RecordedFile
        Its files, but for bytecode, which Python makes anew.
    complete : bool
        Whether its metadata and its RECORD are there.
    """

    name: str
    version: str
    files: tuple[RecordedFile, ...] = field(repr=False)
    complete: bool = True


@dataclass(frozen=True)
class Faults:
    """What is wrong with the files of one distribution.

    Attributes
    ----------
    missing, altered : tuple of str
        Paths. A file that is empty and should not be counts as missing: that is what a power failure leaves.
    """

    missing: tuple[str, ...]
    altered: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.altered)


def site_packages(folder: Path) -> Path:
    """Give the folder of packages of a virtual environment.

    Raises
    ------
    FileNotFoundError
        When it has none.
    """
    for found in sorted(folder.glob("lib/python*/site-packages")):
        return found
    raise FileNotFoundError(f"{folder} has no folder of packages")


def read_records(site: Path) -> dict[str, Record]:
    """Read what is recorded of each distribution in a folder of packages, by normalised name."""
    found: dict[str, Record] = {}
    with os.scandir(site) as entries:
        names = sorted(entry.name for entry in entries if entry.name.endswith(".dist-info"))
    for folder in names:
        name, _, version = folder.removesuffix(".dist-info").rpartition("-")
        key = str(canonicalize_name(name))
        if key not in found:
            found[key] = _read(site / folder, key, version)
    return found


def _read(info: Path, name: str, version: str) -> Record:
    try:
        text = (info / "RECORD").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return Record(name, version, (), complete=False)
    files = []
    for path, digest, size in (row[:3] for row in csv.reader(io.StringIO(text, newline="")) if len(row) >= 3):
        if digest or not path.endswith(".pyc"):
            files.append(RecordedFile(path, int(size) if size.isdecimal() else None, digest))
    return Record(name, version, tuple(files), complete=(info / "METADATA").is_file())


def find_faults(site: Path, records: Iterable[Record], *, contents: bool) -> dict[str, Faults]:
    """Compare the files of distributions with what is recorded of them.

    Parameters
    ----------
    site : Path
        The folder of packages.
    records : iterable of Record
        What is recorded.
    contents : bool
        Also read each file and compare its digest; else only that it is there and as long as it should be.

    Returns
    -------
    dict of str to Faults
        By the distribution's name; only those that have any.
    """
    known = list(records)

    def is_anothers(path: str) -> bool:
        """Whether a file that several distributions have, as a script, is as one of them has recorded it."""
        claims = (file for record in known for file in record.files if file.path == path)
        return any(not _state(site / path, file, contents=contents) for file in claims)

    def look(record: Record) -> Faults:
        missing, altered = [], []
        for file in record.files:
            state = _state(site / file.path, file, contents=contents)
            if state == "missing":
                missing.append(file.path)
            elif state and not is_anothers(file.path):
                altered.append(file.path)
        return Faults(tuple(missing) if record.complete else (*missing, "RECORD"), tuple(altered))

    with ThreadPoolExecutor(_THREADS if contents else 1) as threads:
        found: Mapping[str, Faults] = dict(zip((each.name for each in known), threads.map(look, known), strict=True))
    return {name: faults for name, faults in found.items() if faults}


def _state(path: Path, file: RecordedFile, *, contents: bool) -> str:
    """Give ``missing``, ``altered``, or nothing for a file that is as it should be."""
    try:
        data = path.read_bytes() if contents and file.digest else None
        size = path.stat().st_size if data is None else len(data)
    except OSError:
        return "missing"
    if file.size is not None and size != file.size:
        return "altered" if size else "missing"
    return "altered" if data is not None and not _fits(data, file.digest) else ""


def _fits(data: bytes, digest: str) -> bool:
    algorithm, _, wanted = digest.partition("=")
    if algorithm not in hashlib.algorithms_guaranteed:
        return True
    found = hashlib.new(algorithm, data, usedforsecurity=False).digest()
    return base64.urlsafe_b64encode(found).rstrip(b"=").decode() == wanted.rstrip("=")
