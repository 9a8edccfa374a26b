"""Read the components' logs."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from astro_magic.engines.engine import LogQuery
from astro_magic.errors import InvalidContentError
from astro_magic.system.events import OutputLine

__all__ = ["last_words", "read_logs", "rotate"]

_TIME = re.compile(r"^\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?)")
_POLL_SECONDS = 0.3
_ROTATE_AT = 5_000_000
_TAIL_BYTES = 4_000_000


def read_logs(folder: Path, components: Iterable[str], query: LogQuery) -> Iterator[OutputLine]:
    """Give the lines that `query` asks for, of all components by time.

    Raises
    ------
    InvalidContentError
        When the expression of `query` is none.
    """
    try:
        wanted = re.compile(query.grep) if query.grep else None
    except re.error as problem:
        msg = f"{query.grep!r} is no regular expression: {problem}."
        raise InvalidContentError(msg, hint="Put a backslash before characters such as ( [ . *.") from problem
    files = {name: folder / f"{name.replace(' ', '-')}.log" for name in components}
    offsets = {name: file.stat().st_size if file.exists() else 0 for name, file in files.items()}
    entries = [entry for name, file in files.items() for entry in _entries(name, file, offsets[name])]
    entries.sort(key=lambda entry: entry[0])
    lines = (line for moment, line in entries if query.since is None or moment >= query.since)
    chosen = (line for line in lines if wanted is None or wanted.search(line.text))
    yield from chosen if query.tail is None else deque(chosen, query.tail)
    while query.follow:
        for name, file in files.items():
            text, offsets[name] = _read_new(file, offsets[name])
            for row in text.splitlines():
                if wanted is None or wanted.search(row):
                    yield OutputLine(name, row)
        time.sleep(_POLL_SECONDS)


def last_words(folder: Path, component: str, *, lines: int = 15) -> str:
    """Give the last lines that a component wrote."""
    query = LogQuery(tail=lines)
    return "\n".join(line.text for line in read_logs(folder, [component], query))


def rotate(folder: Path) -> None:
    """Move logs that have grown large aside; called while nothing writes to them."""
    for file in folder.glob("*.log"):
        if file.stat().st_size > _ROTATE_AT:
            file.replace(file.with_suffix(".log.1"))


def _entries(name: str, file: Path, size: int) -> Iterator[tuple[datetime, OutputLine]]:
    """Give a log's lines with their times; one that has none carries on from the line before it."""
    if not size:
        return
    moment = datetime.fromtimestamp(0, tz=UTC)
    with file.open("rb") as stream:
        start = max(size - _TAIL_BYTES, 0)
        stream.seek(start)
        text = stream.read(size - start).decode(errors="replace")
    for row in text.splitlines()[1 if start else 0 :]:
        found = _TIME.match(row)
        if found:
            read = datetime.fromisoformat(found[1])
            moment = read if read.tzinfo else read.astimezone()
        yield moment, OutputLine(name, row)


def _read_new(file: Path, offset: int) -> tuple[str, int]:
    """Give the whole lines written after `offset`; a log that has been rotated is read from its start."""
    if not file.exists():
        return "", 0
    if file.stat().st_size < offset:
        offset = 0
    with file.open("rb") as stream:
        stream.seek(offset)
        data = stream.read()
    whole = data[: data.rfind(b"\n") + 1]
    return whole.decode(errors="replace"), offset + len(whole)
