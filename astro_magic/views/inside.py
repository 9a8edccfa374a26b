"""Views of what is inside of a running environment: logs, and commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from astro_magic.views.report import Line, Preformatted, Report, Span, line
from astro_magic.views.view import View
from astro_magic.views.words import clock, count, duration

if TYPE_CHECKING:
    from astro_magic.system.events import OutputLine

__all__ = ["CommandView", "LogView", "ScriptView", "prefixed"]


class LogView(View):
    """Lines of the components' logs.

    Attributes
    ----------
    lines : tuple of OutputLine
        The lines, oldest first.
    as_of : datetime
        When they were read.
    """

    def __init__(self, lines: Sequence[OutputLine], *, as_of: datetime, selection: str = "") -> None:
        self.lines = tuple(lines)
        self.as_of = as_of
        self._selection = selection

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[OutputLine]:
        return iter(self.lines)

    def headline(self) -> Line:
        """Say how many lines there are."""
        lines = count(len(self.lines), "line") if self.lines else "No lines"
        selection = f" · {self._selection}" if self._selection else ""
        return line(f"{lines}{selection}", Span(f"   as of {clock(self.as_of)}", "muted"))

    def report(self) -> Report:
        """Build the lines, with their components when there is more than one."""
        return Report.of(self.headline(), Preformatted(prefixed(self.lines)) if self.lines else None)


def prefixed(lines: Sequence[OutputLine]) -> tuple[str, ...]:
    """Set lines with their components in front where there is more than one."""
    sources = {output.source for output in lines}
    if len(sources) <= 1:
        return tuple(output.text for output in lines)
    widest = max(map(len, sources))
    return tuple(f"{output.source:<{widest}} │ {output.text}" for output in lines)


class CommandView(View):
    """What a command in the environment said, and how it ended.

    Attributes
    ----------
    command : str
        What was run.
    exit_code : int
        How it ended.
    lines : tuple of OutputLine
        What it wrote.
    """

    def __init__(
        self,
        command: str,
        exit_code: int,
        lines: Sequence[OutputLine],
        *,
        seconds: float,
        streamed: bool = False,
    ) -> None:
        self.command = command
        self.exit_code = exit_code
        self.lines = tuple(lines)
        self.seconds = seconds
        self._streamed = streamed

    @property
    def output(self) -> str:
        """What the command wrote, as one text."""
        return "".join(f"{output.text}\n" for output in self.lines)

    def headline(self) -> Line:
        """Say how the command ended."""
        return line(Span(f"exit code {self.exit_code} in {duration(self.seconds)}", "muted"))

    def report(self) -> Report:
        """Build the output and the exit code; the output is left out where it was streamed to a terminal."""
        shown = self.lines and not self._streamed
        return Report.of(
            Preformatted(tuple(output.text for output in self.lines)) if shown else None,
            self.headline(),
        )


class ScriptView(View):
    """Commands for a shell, to be copied.

    Attributes
    ----------
    script : str
        The commands, a line each.
    """

    def __init__(self, script: str) -> None:
        self.script = script

    def headline(self) -> Line:
        """Say how many commands there are."""
        return line(Span(count(len(self.script.splitlines()), "line"), "muted"))

    def report(self) -> Report:
        """Build the commands."""
        return Report.of(Preformatted(tuple(self.script.splitlines())))
