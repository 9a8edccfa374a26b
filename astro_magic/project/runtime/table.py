"""The table of runtimes: which image tag has which Airflow and which Pythons, and which tag suits a wish.

The table ships with the package, in ``runtimes.json``, and names its date and its sources. `sources.runtimes` fetches
a newer one when there is a network; it is kept in the cache folder, and read from there.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from astro_magic.errors import FileAccessError, InvalidContentError
from astro_magic.project.runtime.tag import Tag
from astro_magic.system.folders import cache_folder

__all__ = [
    "Choice",
    "Release",
    "Table",
    "choose",
    "kept_table",
    "parse_table",
    "read_table",
]

_VERSION = re.compile(r"[23](?:\.\d+){0,2}", re.ASCII)
_PYTHON = re.compile(r"3\.\d+", re.ASCII)
_SHOWN = 4


@dataclass(frozen=True)
class Release:
    """A published runtime, or what is known of a line of them.

    Attributes
    ----------
    tag : str
        Its tag; for a line, how its tags begin.
    airflow : str
        The version of Airflow; for a line, the line of versions (``3.1``).
    python : str
        The Python that the image has unless its tag names another one.
    pythons : tuple of str
        The Pythons that there are images for; empty when that is not known.
    channel : str
        ``stable``, or ``deprecated`` when its line gets no updates any more.
    date : str
        The day of its release, as ``2026-09-23``; empty when that is not known.
    yanked : bool
        Whether the publisher withdrew it.
    """

    tag: str
    airflow: str
    python: str
    pythons: tuple[str, ...] = ()
    channel: str = "stable"
    date: str = ""
    yanked: bool = False


@dataclass(frozen=True)
class Table:
    """What is known about published runtimes.

    Attributes
    ----------
    as_of : str
        The day of the newest fact in it, as ``2026-09-25``.
    releases : Mapping of str to Release
        By tag.
    lines : Mapping of str to Release
        By the beginning of the tags: ``3.1-``, ``13``.
    """

    as_of: str
    releases: Mapping[str, Release] = field(repr=False)
    lines: Mapping[str, Release] = field(repr=False)

    def find(self, tag: Tag) -> Release | None:
        """Look a tag up.

        Returns
        -------
        Release or None
            The release; its line when only that is known, with the line of Airflow versions; the newest line when no
            line is known, but the tag tells its Airflow; else None.
        """
        known = self.releases.get(tag.base) or self.lines.get(tag.line)
        if known is not None or tag.airflow_major == 2:
            return known
        newest = self.lines[max((line for line in self.lines if line.endswith("-")), key=_order)]
        return replace(newest, tag=tag.base, airflow=tag.line.removesuffix("-") or tag.base, pythons=())

    def newest(self, airflow: str = "") -> Release | None:
        """Give the newest release with an Airflow version, or with one that begins with the given components.

        A stable one is taken before a deprecated one; one that was withdrawn, or is announced for a later day, never.
        """
        today = datetime.now(tz=UTC).date().isoformat()
        fitting = [
            release
            for release in self.releases.values()
            if not release.yanked and release.date <= today and _begins(release.airflow, airflow)
        ]
        return max(fitting, key=lambda release: (release.channel == "stable", _order(release.tag)), default=None)


@dataclass(frozen=True)
class Choice:
    """The image for a new project.

    Attributes
    ----------
    image : str
        Repository and tag.
    tag : str
        The tag alone.
    airflow : str
        The Airflow version; a line of versions when the exact one is not known.
    python : str
        The Python version, such as ``3.12``.
    known : bool
        Whether the table has the tag. One that it has not may exist all the same.
    notes : tuple of str
        What the user should know of it.
    """

    image: str
    tag: str
    airflow: str
    python: str
    known: bool
    notes: tuple[str, ...] = ()

    @property
    def airflow_major(self) -> int:
        """The major version of Airflow: 2 or 3."""
        return int(self.airflow.partition(".")[0])


def choose(
    airflow: str | None = None, runtime: str | None = None, python: str | None = None, *, table: Table | None = None
) -> Choice:
    """Choose the runtime image that suits what is asked for; by default the newest stable one.

    Parameters
    ----------
    airflow : str, optional
        An Airflow version (``3.1.8``), or its first components (``3.1``, ``3``, ``2``): ``3.1`` is never ``3.10``.
    runtime : str, optional
        A tag of a runtime image: ``3.1-2``, ``13.4.0-base``, or a floating one of Airflow 3, ``3.1``.
    python : str, optional
        A Python version, such as ``3.11``.
    table : Table, optional
        What is known about runtimes; `read_table` by default.

    Raises
    ------
    InvalidContentError
        When one of them has not its form, no known runtime has that Airflow, there is no image with that Python, or
        they contradict each other.
    """
    table = table or read_table()
    tag = Tag.parse(runtime if runtime is not None else _release_for(airflow or "", table).tag)
    release = table.find(tag) if tag is not None else None
    if tag is None or release is None:
        raise InvalidContentError(
            f"{runtime!r} is no tag of a runtime image.",
            hint="Give one such as 3.3-8, or choose by Airflow's version with --airflow.",
        )
    if airflow is not None and runtime is not None:
        _check_agreement(airflow, runtime, release)
    tag = _with_python(tag, release, python)
    notes = []
    known = tag.base in table.releases or (tag.floating and (tag.line or tag.base) in {*table.lines, "3"})
    if not known:
        notes.append(f"{tag.base} is not in the table of runtimes of {table.as_of}; whether it exists was not checked.")
    elif release.yanked:
        notes.append(f"Runtime {tag.base} was withdrawn by its publisher.")
    elif release.channel != "stable":
        notes.append(f"Runtime {tag.base} with Airflow {release.airflow} gets no updates any more.")
    return Choice(tag.image, tag.text, release.airflow, tag.python or release.python, known, tuple(notes))


def kept_table() -> Path | None:
    """Give the file that a newer table is kept in; None where there is no folder for it."""
    try:
        return cache_folder() / "runtimes.json"
    except FileAccessError:
        return None


def read_table() -> Table:
    """Read what is known about runtimes: the shipped table, and over it the kept one when that is newer.

    A kept table that is missing, old or broken counts for nothing.
    """
    shipped = _shipped()
    path = kept_table()
    if path is None:
        return shipped
    try:
        about = path.stat()
    except OSError:
        return shipped
    newer = _kept(path, about.st_mtime_ns, about.st_size)
    if newer is None or newer.as_of < shipped.as_of:
        return shipped
    return Table(newer.as_of, {**shipped.releases, **newer.releases}, {**shipped.lines, **newer.lines})


def parse_table(text: str) -> Table:
    """Read a table from its JSON form, that of ``runtimes.json``.

    Raises
    ------
    ValueError, TypeError, KeyError, AttributeError
        When it has another form.
    """
    found = json.loads(text)
    day = date.fromisoformat(found["as_of"]).isoformat()
    lines = {name: _release(name, about, Release(name, "", "")) for name, about in found["lines"].items()}
    releases = {}
    for name, about in found["tags"].items():
        tag = Tag.parse(name)
        if tag is None or tag.text != tag.base or tag.floating:
            raise ValueError(name)
        releases[name] = _release(name, about, lines.get(tag.line) or Release(name, "", ""))
    return Table(day, releases, lines)


@functools.cache
def _shipped() -> Table:
    return parse_table((resources.files("astro_magic.project.runtime") / "runtimes.json").read_text("utf-8"))


@functools.lru_cache(maxsize=4)
def _kept(path: Path, _changed: int, _size: int) -> Table | None:
    """Read a kept table once for each time that it was written."""
    try:
        return parse_table(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _release(tag: str, about: Mapping[str, Any], line: Release) -> Release:
    release = Release(
        tag,
        about["airflow"],
        about.get("python", line.python),
        tuple(about.get("pythons", line.pythons)),
        about.get("channel", line.channel),
        about.get("date", ""),
        bool(about.get("yanked", False)),
    )
    pythons = (release.python, *release.pythons)
    if not _VERSION.fullmatch(release.airflow) or not all(_PYTHON.fullmatch(python) for python in pythons):
        raise ValueError(tag)
    return release


def _release_for(airflow: str, table: Table) -> Release:
    """Find the newest release with an Airflow, or say which ones there are near it."""
    if airflow and not _VERSION.fullmatch(airflow):
        raise InvalidContentError(
            f"{airflow!r} is no version of Airflow 2 or 3.",
            hint="Give one such as 3.1.8, or a line of them such as 3.1.",
        )
    found = table.newest(airflow)
    if found is not None:
        return found
    near = ", ".join(_nearest(airflow, {release.airflow for release in table.releases.values() if not release.yanked}))
    image = f"; the image apache/airflow:{airflow} is no runtime" if airflow.count(".") == 2 else ""
    raise InvalidContentError(
        f"No runtime with Airflow {airflow} is known in the table of {table.as_of}{image}.",
        hint=f"Known near it: {near}. A tag that you know of can be given with --runtime.",
    )


def _nearest(airflow: str, known: Iterable[str]) -> list[str]:
    """Give the known versions that share the longest beginning, or else the newest ones, newest first."""
    newest_first = sorted(known, key=_order, reverse=True)
    parts = airflow.split(".")
    for length in range(len(parts) - 1, 0, -1):
        sharing = [version for version in newest_first if _begins(version, ".".join(parts[:length]))]
        if sharing:
            return sharing[:_SHOWN]
    return newest_first[:_SHOWN]


def _check_agreement(airflow: str, runtime: str, release: Release) -> None:
    if _begins(release.airflow, airflow):
        return
    if not _VERSION.fullmatch(airflow) or not _begins(airflow, release.airflow):
        message = f"Runtime {runtime} has Airflow {release.airflow}, not {airflow}."
    else:
        message = f"Which Airflow {release.airflow} runtime {runtime} has is not known, so it may not be {airflow}."
    raise InvalidContentError(message, hint="Give only one of --runtime and --airflow.")


def _with_python(tag: Tag, release: Release, python: str | None) -> Tag:
    """Give the tag with the Python asked for; an unknown list of Pythons refuses none."""
    wanted = python or tag.python
    if not wanted:
        return tag
    listed = ", ".join(release.pythons or (release.python,))
    if not _PYTHON.fullmatch(wanted):
        raise InvalidContentError(f"{wanted!r} is no version of Python 3.", hint=f"Give one such as {release.python}.")
    if python and tag.python and tag.python != python:
        raise InvalidContentError(
            f"The tag {tag.text} has Python {tag.python}, not {python}.", hint="Give only one of them."
        )
    if release.pythons and wanted not in release.pythons:
        raise InvalidContentError(
            f"Runtime {tag.base} has no image with Python {wanted}.", hint=f"It has images with Python {listed}."
        )
    return tag if tag.python or wanted == release.python else tag.with_python(wanted)


def _begins(version: str, beginning: str) -> bool:
    """Tell whether a version begins with whole components: 3.1.8 with 3.1, but 3.10 not."""
    return not beginning or version == beginning or version.startswith(f"{beginning}.")


def _order(text: str) -> tuple[int, ...]:
    """Order versions and tags; a tag of Airflow 3 stands above any of Airflow 2."""
    return (int("-" in text), *(int(number) for number in re.findall(r"\d+", text)))
