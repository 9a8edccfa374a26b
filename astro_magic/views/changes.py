"""Views of changes to files, and of lists out of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from astro_magic.views.environment import pending_lines
from astro_magic.views.report import Block, Cell, Diff, Line, Report, Span, Table, line
from astro_magic.views.view import View
from astro_magic.views.words import count, duration

if TYPE_CHECKING:
    from astro_magic.project.document import Change, FileChange
    from astro_magic.project.fingerprint import Pending
    from astro_magic.resolve.resolver import Resolution

__all__ = ["ChangeView", "EntriesView", "UndoView", "change_counts", "resolution_words"]

#: Read when the environment is started; what else there is in a project is read when it is used.
_MADE_OF = frozenset({"requirements.txt", "packages.txt", "Dockerfile", ".env", "airflow_settings.yaml"})


def change_counts(file: FileChange) -> str:
    """Say how much of a file changed: ``created``, ``+1 −2``, ``removed``, ``unchanged``."""
    if file.kind in ("removed", "unchanged"):
        return file.kind
    parts = [f"+{file.added}"] if file.added else []
    if file.removed:
        parts.append(f"−{file.removed}")
    counts = " ".join(parts)
    return f"{file.kind} ({counts})" if file.kind == "created" and counts else counts or file.kind


def resolution_words(resolution: Resolution) -> str:
    """Say what the requirements resolve to, in one line."""
    if not resolution.checked:
        return resolution.note or "not checked"
    packages = f"resolves to {count(len(resolution.packages), 'package')} in {duration(resolution.seconds)}"
    return " · ".join(part for part in (packages, _first(resolution.changes), resolution.note) if part)


def _first(words: Sequence[str], most: int = 4) -> str:
    shown = ", ".join(words[:most])
    return f"{shown}, {len(words) - most} more" if len(words) > most else shown


class ChangeView(View):
    """A change to files, planned or applied.

    Attributes
    ----------
    change : Change
        The change.
    pending : Pending or None
        What a start or restart would apply now.
    running : bool
        Whether Airflow runs, so that a restart and not a start applies it.
    resolution : Resolution or None
        What the requirements resolve to, where that was asked.
    note : str
        What else is to know.
    """

    def __init__(
        self,
        change: Change,
        *,
        pending: Pending | None = None,
        running: bool = False,
        resolution: Resolution | None = None,
        note: str = "",
    ) -> None:
        self.change = change
        self.pending = pending
        self.running = running
        self.resolution = resolution
        self.note = note

    def headline(self) -> Line:
        """Name the first file and how much of it changed."""
        return self._file_line(self.change.files[0]) if self.change.files else line("Nothing changed.")

    def report(self) -> Report:
        """Build the diff of each file and what is pending."""
        blocks: list[Block] = []
        for file in self.change.files:
            blocks.append(self._file_line(file))
            diff = file.diff(context=0)
            if diff:
                blocks.append(Diff(diff))
        changed = any(file.kind != "unchanged" for file in self.change.files)
        return Report.of(
            blocks or line("Nothing changed."),
            line(Span(resolution_words(self.resolution), "muted"), indent=1) if self.resolution else None,
            line(self.note) if self.note else None,
            line("Dry run: nothing was written.") if changed and not self.change.applied else None,
            self._applies(self.pending) if self.pending is not None else None,
        )

    def _applies(self, pending: Pending) -> list[Block]:
        if pending.reasons:
            told = {file.name for file in self.change.files if file.kind != "unchanged"}
            return pending_lines(pending, running=self.running, told=told)
        if not self.change.applied:
            return []
        if self.running:
            return [line("No restart needed.")]
        if any(file.name in _MADE_OF for file in self.change.files):
            return [line("Applies with ", Span("%astro_start", "code"), ".")]
        return []

    @staticmethod
    def _file_line(file: FileChange) -> Line:
        return line(Span(file.name, "strong"), f"  {change_counts(file)}")


class UndoView(ChangeView):
    """The change that took the last one back."""

    def headline(self) -> Line:
        """Say what was taken back."""
        done = "Took back" if self.change.applied else "Would take back"
        return line(f"{done}: ", Span(self.change.title.removeprefix("undo: ").removeprefix("undo "), "strong"))

    def report(self) -> Report:
        """Build what was taken back, and the diff."""
        return Report.of(self.headline(), super().report().blocks)


class EntriesView(View):
    """The entries of a file, as a table.

    Attributes
    ----------
    file : str
        Which file.
    columns : tuple of str
        What the entries have.
    rows : tuple of tuple
        The entries.
    """

    def __init__(self, file: str, columns: Sequence[str], rows: Sequence[tuple[Cell, ...]], noun: str) -> None:
        self.file = file
        self.columns = tuple(columns)
        self.rows = tuple(rows)
        self._noun = noun

    def headline(self) -> Line:
        """Say how many there are."""
        entries = count(len(self.rows), self._noun) if self.rows else f"no {self._noun}s"
        return line(Span(self.file, "strong"), f"  {entries}")

    def report(self) -> Report:
        """Build the table."""
        return Report.of(self.headline(), Table(self.columns, self.rows) if self.rows else None)
