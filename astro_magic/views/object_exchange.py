"""Views of what stands between files and Airflow: how they differ, what an import and what an export did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from astro_magic.views.object_table import WIDEST, WORRYING, defining_places, problem_lines, state_cell
from astro_magic.views.report import Block, Cell, Diff, Line, Report, Span, Table, line
from astro_magic.views.view import View
from astro_magic.views.words import count, duration

if TYPE_CHECKING:
    from astro_magic.airflow.objects import ObjectResult
    from astro_magic.objects.exporting import ExportPlan
    from astro_magic.objects.importing import ObjectsImport
    from astro_magic.objects.table import ObjectRow, ObjectsTable

__all__ = ["ObjectDifferencesView", "ObjectsExportView", "ObjectsImportView"]


class ObjectDifferencesView(View):
    """On which objects the files and the running Airflow do not agree.

    Attributes
    ----------
    tables : tuple of ObjectsTable
        All objects.
    rows : tuple of ObjectRow
        Those on which they do not agree, or may not.
    """

    def __init__(self, tables: Sequence[ObjectsTable]) -> None:
        self.tables = tuple(tables)
        self.rows = tuple(row for table in tables for row in table.differing)

    def __len__(self) -> int:
        return len(self.rows)

    def headline(self) -> Line:
        """Say of how many objects they differ."""
        total = sum(len(table) for table in self.tables)
        if not all(table.running for table in self.tables):
            return line("Airflow is not running, so there is nothing to compare with.")
        if not self.rows:
            return line(f"The files and the running Airflow agree on {count(total, 'object')}.")
        return line(f"The files and the running Airflow differ on {len(self.rows):,} of {count(total, 'object')}.")

    def report(self) -> Report:
        """Build the differences, field by field, and what to do about them."""
        cells = tuple(cell for row in self.rows for cell in _difference_rows(row))
        problems = [problem for table in self.tables for problem in table.problems]
        return Report.of(
            self.headline(),
            Table(("object", "", "field", "files", "Airflow"), cells) if cells else None,
            problem_lines(problems),
            self._hints() if self.rows else None,
        )

    def _hints(self) -> list[Block]:
        states = {row.state for row in self.rows}
        hints: list[Block] = []
        if states & WORRYING:
            hints.append(line(Span("%astro_objects import", "code"), " brings the files into Airflow."))
        if "only in Airflow" in states:
            hints.append(
                line(
                    Span("%astro_objects export", "code"), " brings what is only in Airflow into airflow_settings.yaml."
                )
            )
        if "after a restart" in states:
            hints.append(line(Span("%astro_restart", "code"), " applies .env."))
        return hints


def _difference_rows(row: ObjectRow) -> Iterator[tuple[Cell, ...]]:
    from astro_magic.objects.table import hidden

    name = f"{row.kind} {row.name}"
    file, seen = row.definition("settings"), row.definition("database")
    if not row.differing or file is None or seen is None:
        yield name, state_cell(row), "", defining_places(row) if row.state != "only in Airflow" else "", ""
        return
    sides = [dict(each.values) for each in (file, seen)]
    for number, field in enumerate(row.differing):
        values = [hidden(row, field, side.get(field)) for side in sides]
        shown = ["(empty)" if value in (None, "") else " ".join(str(value).split())[:WIDEST] for value in values]
        yield name if not number else "", Span("differs", "strong") if not number else "", field, *shown


class ObjectsImportView(View):
    """What an import did.

    Attributes
    ----------
    result : ObjectsImport or None
        What became of each object; None when the file has none.
    seconds : float
        How long it took.
    """

    def __init__(self, result: ObjectsImport | None, *, seconds: float) -> None:
        self.result = result
        self.seconds = seconds

    def headline(self) -> Line:
        """Say how many were created, updated, removed, left or failed."""
        if self.result is None:
            return line(Span("airflow_settings.yaml", "strong"), " has no objects; nothing was imported.")
        return line(Span("airflow_settings.yaml", "strong"), f" · {self.result.described} in {duration(self.seconds)}")

    def report(self) -> Report:
        """Build a table of what was done; what stayed as it was is only counted."""
        result = self.result
        if result is None:
            return Report.of(self.headline())
        return Report.of(self.headline(), _results_table(result.results), problem_lines(result.problems))


def _results_table(results: Sequence[ObjectResult]) -> Table | None:
    """Set what became of objects, those first that failed; None when all stayed as they were."""
    told = [each for each in results if each.outcome != "unchanged"]
    told.sort(key=lambda each: (each.outcome != "failed", each.kind, each.name))
    rows = tuple(
        (
            f"{each.kind} {each.name}",
            Span(each.outcome, "bad" if each.outcome == "failed" else "plain"),
            each.why,
            each.place,
        )
        for each in told
    )
    return Table(("object", "", "why", "where") if any(each.why for each in told) else (), rows) if rows else None


class ObjectsExportView(View):
    """What an export wrote.

    Attributes
    ----------
    plan : ExportPlan
        What is new in the file, what it had already, and what cannot stand there.
    """

    def __init__(self, plan: ExportPlan) -> None:
        self.plan = plan

    def headline(self) -> Line:
        """Say how many objects were brought into the file."""
        (file,) = self.plan.change.files
        told = [f"{count(len(self.plan.exported), 'object')} written"] if self.plan.exported else []
        told += [f"{self.plan.unchanged:,} unchanged"] if self.plan.unchanged else []
        told += [f"{len(self.plan.skipped):,} not written"] if self.plan.skipped else []
        return line(Span(file.name, "strong"), f" · {', '.join(told) or 'nothing to write'}")

    def report(self) -> Report:
        """Build the diff, and why objects were not written."""
        (file,) = self.plan.change.files
        diff = file.diff(context=0)
        skipped = tuple((key.replace("/", " ", 1), why) for key, why in self.plan.skipped.items())
        return Report.of(
            self.headline(),
            Diff(diff) if diff else None,
            Table((), skipped) if skipped else None,
            line("Dry run: nothing was written.") if diff and not self.plan.change.applied else None,
        )
