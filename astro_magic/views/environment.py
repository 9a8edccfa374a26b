"""Views of a running environment: status, start, restart, stop, logs, commands."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from astro_magic.views.report import Block, Cell, Line, Preformatted, Report, Span, Table, line
from astro_magic.views.view import View
from astro_magic.views.words import clock, count, duration, percent, size, span_of_time, state, step_words

if TYPE_CHECKING:
    from astro_magic.engines.engine import Component, EngineStatus, StopResult
    from astro_magic.environment import RestartResult, StartResult
    from astro_magic.project.fingerprint import Pending
    from astro_magic.system.events import OutputLine, Step

__all__ = [
    "CommandView",
    "LogView",
    "RestartView",
    "StartView",
    "StatusView",
    "StopView",
    "pending_lines",
    "step_table",
]


def pending_lines(pending: Pending, *, running: bool, told: Collection[str] = ()) -> list[Block]:
    """Say what is pending and what applies it.

    Parameters
    ----------
    pending : Pending
        What changed since the environment was started.
    running : bool
        Whether Airflow runs.
    told : collection of str, optional
        Files whose changes are shown beside this already.
    """
    if not pending.reasons:
        return [] if not running else [line("Up to date. Nothing to restart.")]
    command = "%astro_restart" if running else "%astro_start"
    names = ", ".join(dict.fromkeys(reason.file for reason in pending.reasons))
    blocks: list[Block] = [
        line(
            "Pending: ",
            Span(_action(pending), "strong"),
            f" ({names}). Applies with ",
            Span(command, "code"),
            ".",
        ),
    ]
    blocks += [
        line(Span(reason.detail, "muted"), indent=1)
        for reason in pending.reasons
        if reason.detail and reason.file not in told
    ]
    return blocks


def _action(pending: Pending) -> str:
    return str(pending.action.name).lower().replace("_", " ")


def step_table(steps: Sequence[Step]) -> Table | None:
    """Set the steps of a piece of work; None when there are none."""
    return Table((), tuple(_step_row(step) for step in steps), "lllr") if steps else None


def _step_row(step: Step) -> tuple[Cell, ...]:
    detail, word = step_words(step)
    return (step.title, detail, state(word), duration(step.seconds))


class StatusView(View):
    """What runs, as of one moment.

    Attributes
    ----------
    status : EngineStatus
        The state of the engine and its components.
    pending : Pending or None
        What a restart would apply.
    """

    def __init__(self, project_name: str, status: EngineStatus, pending: Pending | None = None) -> None:
        self.project_name = project_name
        self.status = status
        self.pending = pending

    def headline(self) -> Line:
        """Say what runs, and since when."""
        status = self.status
        pieces: list[Cell] = [Span(self.project_name, "strong"), f" · {status.engine}"]
        if status.airflow_version:
            pieces.append(f" · Airflow {status.airflow_version}")
        pieces.append(" · ")
        pieces.append(Span("running", "good") if status.state == "running" else state(status.state))
        if status.running and status.started_at is not None:
            pieces.append(f", up {span_of_time(status.started_at, status.as_of)}")
        if status.running and status.url:
            pieces += [" · ", Span(status.url, "link", status.url)]
        pieces.append(Span(f"   as of {clock(status.as_of)}", "muted"))
        return line(*pieces)

    def report(self) -> Report:
        """Build the table of components and what is pending."""
        status = self.status
        table = Table(
            ("component", "state", "health", "since", "restarts", "CPU", "memory"),
            tuple(self._row(component) for component in status.components),
            "llllrrr",
        )
        failures = [
            line(Span(component.name, "strong"), f": {component.detail}", indent=1)
            for component in status.components
            if component.detail
        ]
        running = status.running
        return Report.of(
            self.headline(),
            table if status.components else None,
            failures,
            pending_lines(self.pending, running=running) if self.pending is not None else None,
            None if running else line("Start Airflow with ", Span("%astro_start", "code"), "."),
        )

    def _row(self, component: Component) -> tuple[Cell, ...]:
        health: Cell = "" if component.healthy is None else state("healthy" if component.healthy else "unhealthy")
        since = span_of_time(component.since, self.status.as_of)
        return (
            component.name,
            state(component.state),
            health,
            since,
            str(component.restarts),
            percent(component.cpu_percent),
            size(component.memory),
        )


class StartView(View):
    """What a start did.

    Attributes
    ----------
    start : StartResult
        The status after it, and whether Airflow was up already.
    steps : tuple of Step
        What was done on the way, where it is not on the screen already.
    """

    def __init__(self, project_name: str, start: StartResult, steps: Sequence[Step] = ()) -> None:
        self.project_name = project_name
        self.start = start
        self.steps = tuple(steps)

    def headline(self) -> Line:
        """Say that Airflow is up, and where."""
        status = self.start.status
        if self.start.already_running:
            up = span_of_time(status.started_at, status.as_of)
            said = "Airflow was up already" + (f", since {up}" if up else "")
        else:
            said = f"Airflow is up in {duration(self.start.seconds)}"
        address: list[Cell] = [" · ", Span(status.url, "link", status.url)] if status.url else []
        return line(Span(self.project_name, "strong"), f" · {said}", *address)

    def report(self) -> Report:
        """Build the steps and how to log in."""
        login = self.start.status.login
        return Report.of(
            self.headline(),
            step_table(self.steps),
            [line(note) for note in self.start.notes],
            line(Span(f"Log in as {login}.", "muted")) if login else None,
        )


class RestartView(View):
    """What a restart did, and why.

    Attributes
    ----------
    restart : RestartResult
        Why, what that took, and the status after it.
    steps : tuple of Step
        What was done on the way, where it is not on the screen already.
    """

    def __init__(self, project_name: str, restart: RestartResult, steps: Sequence[Step] = ()) -> None:
        self.project_name = project_name
        self.restart = restart
        self.steps = tuple(steps)

    def headline(self) -> Line:
        """Say what was applied and how long that took."""
        name = Span(self.project_name, "strong")
        took = duration(self.restart.seconds)
        if not self.restart.restarted:
            return line(name, " · up to date, nothing was restarted")
        if not self.restart.pending.reasons:
            return line(name, f" · started in {took}")
        return line(name, f" · {_action(self.restart.pending)} applied in {took}")

    def report(self) -> Report:
        """Build the reasons, the steps and the address."""
        url = self.restart.status.url
        return Report.of(
            self.headline(),
            [
                line(Span(reason.file, "code"), f"  {reason.detail}", indent=1)
                for reason in self.restart.pending.reasons
            ],
            step_table(self.steps),
            line("Airflow is at ", Span(url, "link", url)) if url else None,
        )


class StopView(View):
    """What a stop or a kill did.

    Attributes
    ----------
    stop : StopResult
        How much was stopped, and what was deleted.
    """

    def __init__(self, project_name: str, stop: StopResult, *, seconds: float, killed: bool = False) -> None:
        self.project_name = project_name
        self.stop = stop
        self.seconds = seconds
        self.killed = killed

    def headline(self) -> Line:
        """Say what was stopped."""
        name = Span(self.project_name, "strong")
        if not self.stop.stopped:
            return line(name, " was not running.")
        forced = f"; {count(self.stop.forced, 'process', 'processes')} had to be killed" if self.stop.forced else ""
        return line("Stopped ", name, f" in {duration(self.seconds)}{forced}.")

    def report(self) -> Report:
        """Build what was stopped, and what is kept."""
        removed = ", ".join(self.stop.removed)
        if self.killed:
            kept = line(f"Removed {removed}." if removed else "There was nothing to remove.")
        else:
            kept = line("Data and environment are kept; ", Span("%astro_kill", "code"), " removes them.")
        return Report.of(self.headline(), kept)


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
        return Report.of(self.headline(), Preformatted(_prefixed(self.lines)) if self.lines else None)


def _prefixed(lines: Sequence[OutputLine]) -> tuple[str, ...]:
    sources = {output.source for output in lines}
    if len(sources) == 1:
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
