"""Views of a project: the overview, and what its creation made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from astro_magic.errors import AstroMagicError
from astro_magic.views.doctor import finding_lines
from astro_magic.views.environment import pending_lines
from astro_magic.views.report import Line, Listing, Report, Span, Table, line
from astro_magic.views.view import View
from astro_magic.views.words import count, span_of_time, state

if TYPE_CHECKING:
    from astro_magic.engines.answers import EngineStatus, Problem
    from astro_magic.project.checks.finding import Finding
    from astro_magic.project.fingerprint import Pending
    from astro_magic.project.project import Creation, Project

__all__ = ["CreationView", "OverviewView", "UseView", "project_name"]


def project_name(project: Project) -> str:
    """Give the project's name, also where its configuration cannot be read."""
    try:
        return project.name
    except AstroMagicError:
        return project.root.name


def _runtime(project: Project) -> str:
    """Say what the project builds on, also where the Dockerfile does not tell."""
    try:
        runtime = project.runtime
    except AstroMagicError:
        return "Airflow version unknown"
    parts = [f"Airflow {runtime.airflow}" + (f" (runtime {runtime.tag})" if runtime.tag else "")]
    if runtime.python:
        parts.append(f"Python {runtime.python}")
    return " · ".join(parts)


class OverviewView(View):
    """The project in use, what runs, what is pending, and what stands in the way.

    Attributes
    ----------
    project : Project
        The project.
    status : EngineStatus or None
        What runs; None when no engine could be asked.
    pending : Pending or None
        What a restart would apply.
    problems : tuple of Problem
        What stands in the way of a start.
    findings : tuple of Finding
        What the checks of the project's files found.
    """

    def __init__(
        self,
        project: Project,
        status: EngineStatus | None = None,
        pending: Pending | None = None,
        problems: Sequence[Problem] = (),
        *,
        findings: Sequence[Finding] = (),
    ) -> None:
        self.project = project
        self.status = status
        self.pending = pending
        self.problems = tuple(problems)
        self.findings = tuple(findings)

    def headline(self) -> Line:
        """Name the project and its Airflow."""
        return line(Span(project_name(self.project), "strong"), f" · {_runtime(self.project)}")

    def report(self) -> Report:
        """Build the overview."""
        running = self.status is not None and self.status.running
        problems = [] if running else self.problems
        return Report.of(
            self.headline(),
            Table((), tuple(rows)) if (rows := self._rows()) else None,
            [
                block
                for problem in problems
                for block in (line(Span(problem.what, "bad"), f": {problem.why}"), line(problem.hint, indent=1))
            ],
            finding_lines(self.findings),
            pending_lines(self.pending, running=running) if self.pending is not None else None,
            None if running or problems else line("Start Airflow with ", Span("%astro_start", "code"), "."),
        )

    def _rows(self) -> list[tuple[Span | str, Span | str]]:
        if self.status is None:
            return []
        rows: list[tuple[Span | str, Span | str]] = [(Span("engine", "muted"), self.status.engine)]
        rows.append((Span("Airflow", "muted"), state(self.status.state)))
        if self.status.running:
            up = span_of_time(self.status.started_at, self.status.as_of)
            rows.append((Span("up", "muted"), up or "just now"))
        if self.status.url:
            rows.append((Span("address", "muted"), Span(self.status.url, "link", self.status.url)))
        return rows


class CreationView(View):
    """What creating a project made.

    Attributes
    ----------
    creation : Creation
        The project, and its files: created, and kept because they were there.
    """

    def __init__(self, creation: Creation) -> None:
        self.creation = creation

    def headline(self) -> Line:
        """Say what was created."""
        from astro_magic.project.config import CONFIG_NAME

        project = self.creation.project
        done = "Created Astro project" if CONFIG_NAME in self.creation.created else "Completed Astro project"
        done = done if self.creation.created else "Nothing to create: Astro project"
        return line(f"{done} ", Span(f'"{project_name(project)}"', "strong"), f" · {_runtime(project)}")

    def report(self) -> Report:
        """Build what was created and kept."""
        creation = self.creation
        kept = [str(name) for name in creation.kept]
        return Report.of(
            self.headline(),
            Listing(tuple(str(name) for name in creation.created)) if creation.created else None,
            line(f"Kept {count(len(kept), 'file that was there', 'files that were there')}.") if kept else None,
            # Where everything was there, the names say nothing new.
            Listing(tuple(kept)) if kept and (creation.created or creation.replaced) else None,
            line(
                f"Replaced by the template's: {', '.join(creation.replaced)}. ",
                Span("%astro_undo", "code"),
                " takes that back.",
            )
            if creation.replaced
            else None,
            [line(note) for note in creation.notes],
            line(
                "This notebook now works on ",
                Span(project_name(creation.project), "strong"),
                ". Start Airflow with ",
                Span("%astro_start", "code"),
                ".",
            ),
        )


class UseView(View):
    """The project that the notebook works on from now on.

    Attributes
    ----------
    project : Project
        The project.
    """

    def __init__(self, project: Project) -> None:
        self.project = project

    def report(self) -> Report:
        """Build the one line."""
        name = Span(project_name(self.project), "strong")
        return Report.of(line("This notebook now works on ", name, f" · {_runtime(self.project)}"))
