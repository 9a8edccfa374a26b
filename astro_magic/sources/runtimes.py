"""Fetch what runtimes are published, so that a new one is known before a new version of this package."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from astro_magic.errors import FileAccessError
from astro_magic.project.runtime.table import kept_table, parse_table, read_table
from astro_magic.project.runtime.tag import Tag
from astro_magic.sources.fetching import fetch
from astro_magic.system.files import write_atomic

__all__ = ["DEFAULT_URL", "refresh"]

#: The publisher's list, which the Astro CLI reads as well.
DEFAULT_URL = "https://updates.astronomer.io/astronomer-runtime"

_FRESH_SECONDS = 24 * 3600
_RETRY_SECONDS = 600
_MOST_BYTES = 2_000_000
_MOST_TAGS = 5000
_AIRFLOW = re.compile(r"[23]\.\d+\.\d+", re.ASCII)


def refresh(*, url: str = DEFAULT_URL, timeout: float = 2.0) -> bool:
    """Fetch the list of runtimes, unless the kept one is younger than a day; `read_table` then reads it.

    A failure is never an error: what was known before serves. It is remembered for ten minutes, in which nothing is
    asked again.

    Parameters
    ----------
    url : str, optional
        Where the list is.
    timeout : float, optional
        Seconds after which the answer is given up.

    Returns
    -------
    bool
        Whether the kept list is now younger than a day.
    """
    path = kept_table()
    if path is None:
        return False
    mark = path.with_name("runtimes-not-fetched")
    if _age(path) < _FRESH_SECONDS:
        return True
    if _age(mark) < _RETRY_SECONDS:
        return False
    text = _table(fetch(url, timeout=timeout, most_bytes=_MOST_BYTES))
    try:
        if text is None:
            mark.touch()
            return False
        write_atomic(path, text.encode())
        mark.unlink(missing_ok=True)
    except (FileAccessError, OSError):
        return False
    return True


def _age(path: Path) -> float:
    try:
        return abs(time.time() - path.stat().st_mtime)
    except OSError:
        return float("inf")


def _table(content: bytes | None) -> str | None:
    """Give a published list in the form of the table; None when it is no such list."""
    if content is None:
        return None
    try:
        published = json.loads(content)
        entries = {**published["runtimeVersions"], **published["runtimeVersionsV3"]}
        if len(entries) > _MOST_TAGS:
            return None
        tags = {name: known for name, entry in entries.items() if (known := _entry(name, entry["metadata"]))}
        if not tags:
            return None
        text = json.dumps({"as_of": datetime.now(tz=UTC).date().isoformat(), "lines": _lines(tags), "tags": tags})
        parse_table(text)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return text


def _entry(name: str, metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read one entry. One for a tag or an Airflow of another form, such as a preview, is left out."""
    tag = Tag.parse(name)
    airflow = metadata["airflowVersion"]
    if tag is None or tag.text != tag.base or tag.floating or not _AIRFLOW.fullmatch(airflow):
        return None
    known: dict[str, Any] = {"airflow": airflow, "channel": str(metadata["channel"])}
    if metadata.get("releaseDate"):
        known["date"] = date.fromisoformat(metadata["releaseDate"]).isoformat()
    if metadata.get("yanked"):
        known["yanked"] = True
    pythons = metadata.get("pythonVersions")
    default = metadata.get("defaultPythonVersion")
    if pythons and default:
        known |= {"python": str(default), "pythons": [str(python) for python in pythons]}
        return known
    # Of Airflow 2, the list tells no Pythons; the line tells them.
    line = read_table().lines.get(tag.line)
    return {**known, "python": line.python, "pythons": list(line.pythons)} if line is not None else None


def _lines(tags: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Give the lines that the tags form; the newest of each tells its Pythons."""
    lines: dict[str, Any] = {}
    for name in sorted(tags, key=lambda text: [int(number) for number in re.findall(r"\d+", text)]):
        tag, about = Tag.parse(name), tags[name]
        if tag is not None:
            line = about["airflow"].rpartition(".")[0]
            lines[tag.line] = {key: about[key] for key in ("python", "pythons", "channel")} | {"airflow": line}
    return lines
