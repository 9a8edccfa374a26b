"""Views of the environment as a whole: build, start, status, restart, stop."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from astro_magic.views.report import Block, Cell, Line, Preformatted, Report, Span, Table, line
from astro_magic.views.view import View
from astro_magic.views.words import clock, count, duration, percent, size, span_of_time, state, step_words

if TYPE_CHECKING:
    from astro_magic.engines.answers import Component, EngineStatus, Preparation, StopResult
    from astro_magic.objects.importing import ObjectsImport
    from astro_magic.project.fingerprint import Pending
    from astro_magic.results import OpenedUi, RestartResult, StartResult
    from astro_magic.system.events import Step

__all__ = [
    "BuildView",
    "OpenView",
    "RestartView",
    "StartView",
    "StatusView",
    "StopView",
    "pending_lines",
    "step_table",
]


def pending_lines(
    pending: Pending, *, running: bool, told: Collection[str] = (), applied_by: Span | None = None
) -> list[Block]:
    """Say what is pending and what applies it.

    Parameters
    ----------
    pending : Pending
        What changed since the environment was started.
    running : bool
        Whether Airflow runs.
    told : collection of str, optional
        Files whose changes are shown beside this already.
    applied_by : Span, optional
        What applies it; the magic by default.
    """
    if not pending.reasons:
        return [] if not running else [line("Up to date. Nothing to restart.")]
    command = applied_by or Span("%astro_restart" if running else "%astro_start", "code")
    names = ", ".join(dict.fromkeys(reason.file for reason in pending.reasons))
    blocks: list[Block] = [
        line(
            "Pending: ",
            Span(_action(pending), "strong"),
            f" ({names}). Applies with ",
            command,
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
        running = self.status.running
        return Report.of(
            self.headline(),
            self.components(),
            pending_lines(self.pending, running=running) if self.pending is not None else None,
            None if running else line("Start Airflow with ", Span("%astro_start", "code"), "."),
        )

    def components(self) -> list[Block]:
        """Build the table of components, and what there is to say about them."""
        status = self.status
        # Processes have neither images nor ports of their own.
        placed = any(component.image or component.ports for component in status.components)
        table = Table(
            ("component", "state", "health", "since", "restarts", "CPU", "memory", *(("ports",) if placed else ())),
            tuple(self._row(component, placed=placed) for component in status.components),
            "llllrrrl" if placed else "llllrrr",
        )
        failures: list[Block] = []
        for component in status.components:
            first, *more = component.detail.splitlines() or [""]
            if first:
                failures.append(line(Span(component.name, "strong"), f": {first}", indent=1))
            if more:
                failures.append(Preformatted(tuple(more)))
        images = self._images()
        return [
            *([table] if status.components else []),
            *failures,
            *([images] if images else []),
            *(line(Span(note, "muted")) for note in status.notes),
            *self._warm(),
        ]

    def _warm(self) -> list[Block]:
        """Say what is kept for the next start, what it costs, and how that is switched off."""
        if not self.status.warm_memory:
            return []
        kept = f"A warm process is kept for the next start: {size(self.status.warm_memory)}; "
        return [line(Span(kept, "muted"), Span("ASTRO_MAGIC_WARM=off", "code"), Span(" switches it off.", "muted"))]

    def gist(self) -> tuple[str, ...]:
        """Give what makes this status another one than the one before: neither ages nor measurements."""
        parts = [f"{each.name} {each.state} {each.healthy} {each.restarts}" for each in self.status.components]
        return (self.status.state, *parts, *self.status.notes)

    def _images(self) -> Line | None:
        """Name the image that the components run; one for all of them, as is usual, stands there once."""
        images = {component.image: component.name for component in self.status.components if component.image}
        shown = [Span(image, "code") for image in images]
        between: list[Cell] = [piece for span in shown for piece in (", ", span)]
        return line(Span("Image: " if len(shown) == 1 else "Images: ", "muted"), *between[1:]) if shown else None

    def _row(self, component: Component, *, placed: bool) -> tuple[Cell, ...]:
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
            *((", ".join(component.ports),) if placed else ()),
        )


def _object_lines(objects: ObjectsImport | None) -> list[Block]:
    """Say what became of connections, pools and variables; those that failed stand there with their reasons."""
    if objects is None:
        return []
    told = [line(Span(text, "muted"), indent=1) for text in (*objects.failures, *objects.notes)]
    if objects.complete:
        return [line("Passed over in airflow_settings.yaml:"), *told] if told else []
    return [line("Not all of airflow_settings.yaml was imported: ", Span(objects.described, "bad")), *told]


class BuildView(View):
    """What a build made.

    Attributes
    ----------
    preparation : Preparation
        What is in the environment now.
    steps : tuple of Step
        What was done on the way, where it is not on the screen already.
    """

    def __init__(
        self, project_name: str, preparation: Preparation, steps: Sequence[Step] = (), *, seconds: float
    ) -> None:
        self.project_name = project_name
        self.preparation = preparation
        self.steps = tuple(steps)
        self.seconds = seconds

    def headline(self) -> Line:
        """Say what was built."""
        made = self.preparation
        built = f"built in {duration(self.seconds)}" if made.created else "built already, nothing changed"
        versions = f"Airflow {made.airflow_version} · Python {made.python_version}"
        return line(Span(self.project_name, "strong"), f" · {built} · {versions}")

    def report(self) -> Report:
        """Build the steps, and what is in it."""
        made = self.preparation
        packages = f"{count(made.packages, 'package')}, {made.requested} of them from requirements.txt"
        return Report.of(
            self.headline(),
            step_table(self.steps),
            line(Span(f"{packages}.", "muted")),
            [line(note) for note in made.notes],
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
            _object_lines(self.start.objects),
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
            return line(name, f" · {'started' if self.restart.started else 'restarted'} in {took}")
        return line(name, f" · {', '.join(self._files())} applied in {took}")

    def _files(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(reason.file for reason in self.restart.pending.reasons))

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
            [line(Span(note, "muted")) for note in self.restart.status.notes],
            line("Airflow is at ", Span(url, "link", url)) if url else None,
        )


class OpenView(View):
    """The Airflow UI in a browser.

    Attributes
    ----------
    ui : OpenedUi
        Where it is, and whether a browser opens it.
    """

    def __init__(self, project_name: str, ui: OpenedUi) -> None:
        self.project_name = project_name
        self.ui = ui

    def headline(self) -> Line:
        """Say where the UI is."""
        said = " · opened in the browser · " if self.ui.opened else " · there is no browser here · "
        return line(Span(self.project_name, "strong"), said, Span(self.ui.url, "link", self.ui.url))

    def report(self) -> Report:
        """Build the address, and how to log in where a person has to."""
        asked = "If Airflow asks:" if self.ui.opened else "Log in as"
        login = self.ui.login
        return Report.of(self.headline(), line(Span(f"{asked} {login}.", "muted")) if login else None)


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
