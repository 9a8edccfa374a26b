"""View of edits of connections, variables and pools."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from astro_magic.views.changes import ChangeView, change_counts
from astro_magic.views.report import Block, Line, Report, Span, line
from astro_magic.views.view import View

if TYPE_CHECKING:
    from astro_magic.objects.editing import ObjectEdit
    from astro_magic.project.fingerprint import Pending

__all__ = ["ObjectEditView"]


class ObjectEditView(View):
    """What an edit of objects did, in files and in the running Airflow.

    Attributes
    ----------
    edits : tuple of ObjectEdit
        One for each place.
    pending : Pending or None
        What a start or restart would apply now.
    """

    def __init__(self, edits: Sequence[ObjectEdit], *, pending: Pending | None = None, running: bool = False) -> None:
        self.edits = tuple(edits)
        self.pending = pending
        self._running = running

    def headline(self) -> Line:
        """Name the file and how much of it changed, or what became of it in Airflow."""
        return next(block for block in self.report().blocks if isinstance(block, Line))

    def report(self) -> Report:
        """Build the diff of each file, what became of the objects in Airflow, and what is pending."""
        blocks: list[Block] = []
        for edit in self.edits:
            notes = tuple(_edit_notes(edit))
            if edit.change is None:
                blocks += [line(note) for note in notes] or [line("Dry run: nothing was written.")]
                continue
            last = edit is self.edits[-1] and not edit.results
            view = ChangeView(edit.change, pending=self.pending if last else None, running=self._running, notes=notes)
            blocks += view.report().blocks
        return Report.of(blocks)

    def summary(self) -> Report:
        """Build a line for each place, and what should be known beside it; no diff."""
        blocks: list[Block] = []
        for edit in self.edits:
            files = [f"{file.name} {change_counts(file)}" for file in edit.change.files] if edit.change else []
            there = [f"in the running Airflow {each.outcome}" for each in edit.results]
            blocks.append(line(" · ".join([*files, *there]) or "Nothing changed."))
            blocks += [line(Span(note, "muted")) for note in edit.notes]
            if edit.target == "env" and self._running:
                blocks.append(line(Span("Airflow reads .env when it is started: a restart applies it.", "muted")))
        return Report.of(blocks)


def _edit_notes(edit: ObjectEdit) -> Iterator[str]:
    for result in edit.results:
        why = f": {result.why}" if result.why else ""
        yield f"In the running Airflow: {result.kind} {result.name} {result.outcome}{why}"
    yield from edit.notes
