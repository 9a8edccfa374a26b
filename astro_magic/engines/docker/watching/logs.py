"""What containers wrote, of several by time, and as it is written."""

from __future__ import annotations

import heapq
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from queue import Empty, Full, Queue
from typing import Any

from astro_magic.engines.docker.client.connection import Connection, guard
from astro_magic.engines.docker.client.streams import Stream
from astro_magic.engines.docker.names import PROJECT_LABEL
from astro_magic.engines.docker.watching.listing import ContainerInfo
from astro_magic.engines.docker.watching.watch import Watch
from astro_magic.engines.options import LogQuery
from astro_magic.errors import AstroMagicError
from astro_magic.system.events import OutputLine
from astro_magic.system.logtext import LONGEST, matcher, plain

__all__ = ["last_words", "read_logs"]

#: The engine's time stamp before each piece of output: in UTC and of fixed length, so that text order is time order.
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) ?")
_BEGINNING = "0001-01-01T00:00:00.000000000Z"
#: How many lines are asked for first when only some of them will be wanted.
_FIRST_WINDOW = 5000
#: Where asking for so many lines costs as much as asking for all.
_LARGEST_WINDOW = 200_000
#: How many lines are looked through for the exception that made a component end.
_LOOKED_THROUGH = 80
_EXCEPTION = re.compile(r"\w+(?:\.\w+)*(?:Error|Exception): \S")
_HEADER = 8
#: The engine keeps longer lines in pieces of so many bytes.
_PIECE = 16_384
_WAITING = 20_000
#: Seconds after which somebody who follows a silent log is asked whether to go on.
_ASKED_AGAIN = 0.5


@dataclass(frozen=True, slots=True)
class _Line:
    stamp: str
    source: str
    text: str
    pieces: int


def read_logs(connection: Connection, containers: Sequence[ContainerInfo], query: LogQuery) -> Iterator[OutputLine]:
    """Give the lines that `query` asks for, of all `containers` by the engine's time.

    With ``follow``, the iterator waits for new lines until it is closed; a service whose container is replaced is
    followed in its new container.

    Parameters
    ----------
    connection : Connection
        The engine.
    containers : sequence of ContainerInfo
        Whose logs; ``query.components`` has been applied to them.
    query : LogQuery
        Which lines.

    Raises
    ------
    InvalidContentError
        When the expression of `query` is none.
    EngineUnavailableError
        When the engine is gone.
    """
    wanted = matcher(query.grep)
    last: dict[str, str] = {}
    histories = [_history(connection, container, query, wanted, last) for container in containers]
    lines = heapq.merge(*histories, key=attrgetter("stamp"))
    begun = datetime.now(UTC)
    for line in lines if query.tail is None else deque(lines, query.tail):
        yield OutputLine(line.source, line.text)
    if query.follow and containers:
        for container in containers:
            last.setdefault(container.id, _BEGINNING)
        yield from _follow(connection, containers, last, query, begun)


def last_words(connection: Connection, container_id: str, *, lines: int = 15) -> str:
    """Give the last lines that a container wrote; empty when it wrote none or is gone.

    The line that names an exception is among them, though much may come after it, such as the statement that a
    database refused.

    Parameters
    ----------
    connection : Connection
        The engine.
    container_id : str
        The container.
    lines : int, optional
        How many at most.
    """
    try:
        found = sorted(_read(connection, container_id, "", {"tail": str(_LOOKED_THROUGH)}), key=attrgetter("stamp"))
    except AstroMagicError:
        return ""
    texts = [line.text for line in found]
    cause = next((text for text in reversed(texts) if _EXCEPTION.match(text)), None)
    last = texts[-lines:]
    return "\n".join(last if cause is None or cause in last else [cause, "…", *last[2:]])


def _history(
    connection: Connection,
    container: ContainerInfo,
    query: LogQuery,
    wanted: Callable[[str], bool],
    last: dict[str, str],
) -> Iterator[_Line]:
    """Give the matching lines of one container; notes the time of its last line in `last`."""
    params = {"since": f"{query.since.timestamp():.9f}"} if query.since is not None else {}

    def read(tail: str) -> Iterator[_Line]:
        for line in _read(connection, container.id, container.component, {**params, "tail": tail}):
            last[container.id] = max(line.stamp, last.get(container.id, ""))
            yield line

    if query.tail is None:
        return (line for line in read("all") if wanted(line.text))
    # What is wanted is near the end more often than not, and the log may have millions of lines.
    window = max(_FIRST_WINDOW if query.grep else 0, query.tail + 1)
    while window < _LARGEST_WINDOW:
        lines = list(read(str(window)))
        whole = sum(line.pieces for line in lines) < window
        # The engine counts the pieces of a long line as lines, so the first one may lack its beginning.
        found = [line for line in (lines if whole else lines[1:]) if wanted(line.text)]
        if whole or len(found) >= query.tail:
            return iter(sorted(found, key=attrgetter("stamp")))
        window *= 16
    return iter(deque((line for line in read("all") if wanted(line.text)), max(query.tail, 1)))


def _read(connection: Connection, container_id: str, source: str, params: dict[str, Any]) -> Iterator[_Line]:
    with guard("reading the log of a container"), _open(connection, container_id, params) as stream:
        yield from _lines(stream, source)


def _open(connection: Connection, container_id: str, params: dict[str, Any]) -> Stream:
    return Stream(connection, f"/containers/{container_id}/logs", {"stdout": 1, "stderr": 1, "timestamps": 1, **params})


def _lines(stream: Stream, source: str) -> Iterator[_Line]:
    """Put the lines together; output and errors each have their own unfinished line."""
    unfinished: dict[int, _Unfinished] = {}
    for channel, piece in _pieces(stream.pieces()):
        stamped = _STAMP.match(piece)
        # A line of more than 16 kB comes in several pieces, each with a time of its own.
        text = piece[stamped.end() :] if stamped else piece
        line = unfinished.get(channel)
        if line is None:
            line = unfinished[channel] = _Unfinished(stamped[1].decode() if stamped else _BEGINNING)
        ended, inside = text.endswith(b"\n"), 0
        if len(text) > _PIECE:
            # The output of a terminal has no frames: the times of the pieces stand in the midst of the line.
            text, inside = _STAMP.subn(b"", text)
        line.add(text, pieces=1 + inside)
        if ended:
            yield line.whole(source)
            del unfinished[channel]
    for line in unfinished.values():
        yield line.whole(source)


class _Unfinished:
    """A line whose end has not come yet; no more of it is kept than will be shown."""

    def __init__(self, stamp: str) -> None:
        self.stamp = stamp
        self._kept = b""
        self._left_out = 0
        self._pieces = 0

    def add(self, text: bytes, *, pieces: int) -> None:
        self._pieces += pieces
        room = 4 * LONGEST - len(self._kept)
        self._kept += text[:room]
        self._left_out += max(len(text) - room, 0)

    def whole(self, source: str) -> _Line:
        text = plain(self._kept.decode(errors="replace"), left_out=self._left_out)
        return _Line(self.stamp, source, text, self._pieces)


def _pieces(chunks: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """Take the engine's stream apart: frames with a header, or the plain output of a container with a terminal."""
    data = b""
    framed: bool | None = None
    for chunk in chunks:
        data += chunk
        if framed is None and len(data) >= 4:
            # A frame begins with its channel and three zeros, plain output with the time.
            framed = data[0] in (0, 1, 2) and data[1:4] == b"\0\0\0"
        position = 0
        if framed:
            while len(data) - position >= _HEADER:
                end = position + _HEADER + int.from_bytes(data[position + 4 : position + _HEADER], "big")
                if end > len(data):
                    break
                yield data[position], data[position + _HEADER : end]
                position = end
        elif framed is not None:
            while (end := data.find(b"\n", position) + 1) > 0:
                yield 1, data[position:end]
                position = end
        data = data[position:]
    if data and not framed:
        yield 1, data


def _follow(
    connection: Connection,
    containers: Sequence[ContainerInfo],
    last: dict[str, str],
    query: LogQuery,
    begun: datetime,
) -> Iterator[OutputLine]:
    wanted = matcher(query.grep)
    following = _Following(connection, last)
    try:
        following.start(containers, begun)
        while not query.ended:
            try:
                line = following.lines.get(timeout=_ASKED_AGAIN)
            except Empty:
                continue
            if isinstance(line, Exception):
                raise line
            if wanted(line.text):
                yield OutputLine(line.source, line.text)
    finally:
        following.close()


class _Following:
    """The threads that read live logs: one for each container, and one that hears of new containers and starts."""

    def __init__(self, connection: Connection, last: dict[str, str]) -> None:
        self.lines: Queue[_Line | AstroMagicError] = Queue(_WAITING)
        self._connection = connection
        self._last = last
        self._closed = threading.Event()
        self._again: dict[str, threading.Event] = {}
        self._streams: dict[str, Stream] = {}
        self._threads: list[threading.Thread] = []
        self._watch: Watch | None = None

    def start(self, containers: Sequence[ContainerInfo], begun: datetime) -> None:
        project = containers[0].labels[PROJECT_LABEL]
        sources = {container.service: container.component for container in containers}
        self._watch = Watch(self._connection, project, since=begun)
        for container in containers:
            self._begin(container.id, container.component)
        self._run(self._listen, self._watch, sources)

    def close(self) -> None:
        self._closed.set()
        if self._watch is not None:
            self._watch.close()
        for waiting in list(self._again.values()):
            waiting.set()
        for stream in list(self._streams.values()):
            stream.close()
        for thread in self._threads:
            thread.join(timeout=2)

    def _run(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, name="container log", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _begin(self, container_id: str, source: str) -> None:
        self._again[container_id] = threading.Event()
        self._run(self._read_on, container_id, source, self._again[container_id])

    def _listen(self, watch: Watch, sources: dict[str, str]) -> None:
        """Follow each container that is started, the first time or again."""
        try:
            for event in watch:
                if event.action == "start" and event.service in sources:
                    if event.container_id in self._again:
                        self._again[event.container_id].set()
                    else:
                        self._begin(event.container_id, sources[event.service])
        except AstroMagicError as problem:
            self._put(problem)

    def _read_on(self, container_id: str, source: str, again: threading.Event) -> None:
        """Read a container's log to its end, and from there on when it is started again."""
        while not self._closed.is_set():
            again.clear()
            try:
                with (
                    guard("following the log of a container"),
                    _open(self._connection, container_id, {"follow": 1, "since": self._after(container_id)}) as stream,
                ):
                    self._streams[container_id] = stream
                    for line in _lines(stream, source):
                        self._last[container_id] = max(line.stamp, self._last.get(container_id, ""))
                        self._put(line)
                        if self._closed.is_set():
                            return
            except AstroMagicError:
                # The container may be gone, which is no error; of an engine that is gone, the events tell.
                pass
            again.wait()

    def _after(self, container_id: str) -> str:
        """Give the moment right after the last line that was read, as the engine takes it."""
        stamp = self._last.get(container_id, _BEGINNING)
        if stamp == _BEGINNING:
            return "0"
        moment = datetime.fromisoformat(f"{stamp[:19]}+00:00")
        nanoseconds = int(moment.timestamp()) * 1_000_000_000 + int(stamp[20:29]) + 1
        return f"{nanoseconds // 1_000_000_000}.{nanoseconds % 1_000_000_000:09d}"

    def _put(self, line: _Line | AstroMagicError) -> None:
        while not self._closed.is_set():
            try:
                self.lines.put(line, timeout=0.5)
            except Full:
                continue
            return
