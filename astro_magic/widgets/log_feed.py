"""The components' logs as they grow: the last lines of each, kept for whoever looks."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from astro_magic.engines.options import LogQuery
from astro_magic.environment import Environment
from astro_magic.errors import AstroMagicError
from astro_magic.system.events import OutputLine
from astro_magic.views.report import clean
from astro_magic.widgets.loop import Loop

__all__ = ["LogExtract", "LogFeed"]

#: So many lines are kept of each component: one that says much must not push another out.
KEPT = 500
#: Seconds until a log that has ended, or cannot be read, is asked for again.
_PAUSE = 1.0


@dataclass(frozen=True)
class LogExtract:
    """Some of the lines that are kept.

    Attributes
    ----------
    lines : tuple of OutputLine
        The last ones that were asked for, oldest first.
    found : int
        How many there are in all.
    newest : int
        Number of the last line that is kept, of any component; lines are counted from 1.
    """

    lines: tuple[OutputLine, ...]
    found: int
    newest: int


class LogFeed(Loop):
    """Follows the logs of all components with one thread.

    Parameters
    ----------
    environment : Environment
        Whose logs.
    changed : callable
        Called from a thread when there are new lines.
    running : callable
        Tells whether there is something whose log could go on.
    """

    def __init__(self, environment: Environment, changed: Callable[[], object], running: Callable[[], bool]) -> None:
        super().__init__("log", self._follow)
        self.trouble = ""
        self._environment = environment
        self._changed = changed
        self._running = running
        self._lock = threading.Lock()
        self._kept: dict[str, deque[tuple[int, OutputLine]]] = {}
        self._numbers = itertools.count(1)
        self._newest = 0
        self._since: datetime | None = None

    @property
    def components(self) -> tuple[str, ...]:
        """The components that have written something, by name."""
        with self._lock:
            return tuple(sorted(self._kept))

    def extract(self, *, component: str = "", text: str = "", last: int = 200, up_to: int | None = None) -> LogExtract:
        """Give the last lines that are wanted.

        Parameters
        ----------
        component : str, optional
            Only lines of this one.
        text : str, optional
            Only lines that hold this text, in capital or small letters.
        last : int, optional
            How many at most.
        up_to : int, optional
            No line newer than the one of this number.
        """
        with self._lock:
            kept = [self._kept.get(component, deque())] if component else list(self._kept.values())
            numbered = [entry for lines in kept for entry in lines if up_to is None or entry[0] <= up_to]
            newest = self._newest
        wanted = text.casefold()
        found = [entry for entry in numbered if not wanted or wanted in entry[1].text.casefold()]
        found.sort(key=lambda entry: entry[0])
        return LogExtract(tuple(line for _, line in found[-last:]), len(found), newest)

    def _follow(self, end: threading.Event) -> None:
        first = True
        while not end.is_set():
            # Where nothing runs there may be a log from before, but none that goes on.
            if first or self._running():
                self._follow_once(end)
                first = False
            end.wait(_PAUSE)

    def _follow_once(self, end: threading.Event) -> None:
        """Follow until the log ends, as with the last container, or nobody wants it any more."""
        query = LogQuery(tail=KEPT, since=self._since, follow=True, until=end.is_set)
        trouble = ""
        try:
            for line in self._environment.logs(query):
                if end.is_set():
                    break
                self._take(line)
        except AstroMagicError as error:
            trouble = error.message
        except Exception as error:  # noqa: BLE001 - an engine of somebody else's; the panel tells, and goes on
            trouble = f"The log cannot be read: {type(error).__name__}."
        self._since = datetime.now(UTC)
        if trouble != self.trouble:
            self.trouble = trouble
            self._changed()

    def _take(self, line: OutputLine) -> None:
        with self._lock:
            self._newest = next(self._numbers)
            # What cannot be shown is not kept either.
            kept = self._kept.setdefault(line.source, deque(maxlen=KEPT))
            kept.append((self._newest, OutputLine(line.source, clean(line.text))))
            self.trouble = ""
        self._changed()
