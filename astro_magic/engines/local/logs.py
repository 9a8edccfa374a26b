"""Read the components' logs."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from astro_magic.engines.options import LogQuery
from astro_magic.system.events import OutputLine
from astro_magic.system.logtext import matcher, plain

__all__ = ["last_words", "read_combined", "read_logs", "rotate"]

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
    yield from _read(
        {folder / f"{name.replace(' ', '-')}.log": partial(OutputLine, name) for name in components}, query
    )


def read_combined(file: Path, query: LogQuery) -> Iterator[OutputLine]:
    """Give the lines that `query` asks for, of a log that ``airflow standalone`` has written.

    Raises
    ------
    InvalidContentError
        When the expression of `query` is none.
    """
    return _read({file: _named}, query)


def _named(row: str) -> OutputLine:
    """Read a line with its component in front, as ``dag-processor | words``; one without is the command's own."""
    name, bar, text = plain(row).partition(" | ")
    return OutputLine(name.strip().replace("-", " "), text) if bar else OutputLine("standalone", name)


def _read(files: Mapping[Path, Callable[[str], OutputLine]], query: LogQuery) -> Iterator[OutputLine]:
    matches = matcher(query.grep)

    def wanted(line: OutputLine) -> bool:
        return (not query.components or line.source in query.components) and matches(line.text)

    offsets = {file: file.stat().st_size if file.exists() else 0 for file in files}
    entries = [entry for file, named in files.items() for entry in _entries(named, file, offsets[file])]
    entries.sort(key=lambda entry: entry[0])
    lines = (line for moment, line in entries if query.since is None or moment >= query.since)
    chosen = (line for line in lines if wanted(line))
    yield from chosen if query.tail is None else deque(chosen, query.tail)
    while query.follow and not query.ended:
        for file, named in files.items():
            text, offsets[file] = _read_new(file, offsets[file])
            for line in map(named, text.splitlines()):
                if wanted(line):
                    yield line
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


def _entries(named: Callable[[str], OutputLine], file: Path, size: int) -> Iterator[tuple[datetime, OutputLine]]:
    """Give a log's lines with their times; one that has none carries on from the line before it."""
    if not size:
        return
    moment = datetime.fromtimestamp(0, tz=UTC)
    with file.open("rb") as stream:
        start = max(size - _TAIL_BYTES, 0)
        stream.seek(start)
        text = stream.read(size - start).decode(errors="replace")
    for line in map(named, text.splitlines()[1 if start else 0 :]):
        found = _TIME.match(line.text)
        if found:
            read = datetime.fromisoformat(found[1])
            moment = read if read.tzinfo else read.astimezone()
        yield moment, line


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
