"""Views of changes to files, and of lists out of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from astro_magic.views.environment import pending_lines
from astro_magic.views.report import Block, Cell, Diff, Line, Report, Span, Table, line
from astro_magic.views.view import View
from astro_magic.views.words import count, duration, when

if TYPE_CHECKING:
    from astro_magic.engines.answers import EngineStatus
    from astro_magic.project.changes import Change, FileChange
    from astro_magic.project.fingerprint import Pending, Reason
    from astro_magic.resolve.resolver import Resolution
    from astro_magic.system.history import HistoryEntry

__all__ = [
    "ChangeView",
    "DifferenceView",
    "EntriesView",
    "HistoryView",
    "RevisionView",
    "UndoView",
    "change_counts",
    "resolution_words",
]

#: Read when the environment is started; what else there is in a project is read when it is used.
_MADE_OF = frozenset(
    {
        "requirements.txt",
        "private-requirements.txt",
        "packages.txt",
        "Dockerfile",
        ".env",
        "docker-compose.override.yml",
        "airflow_settings.yaml",
    }
)
#: What the running Airflow does not notice, and a restart does not bring to it either.
_NOT_BROUGHT = frozenset({".astro/config.yaml"})


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
    notes : sequence of str
        What else is to know.
    added_in : float or None
        Seconds it took to put the change into the running environment, where that has been done.
    """

    def __init__(
        self,
        change: Change,
        *,
        pending: Pending | None = None,
        running: bool = False,
        resolution: Resolution | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.change = change
        self.pending = pending
        self.running = running
        self.resolution = resolution
        self.notes = notes
        self.added_in: float | None = None

    def headline(self) -> Line:
        """Name the first file and how much of it changed."""
        return self._file_line(self.change.files[0]) if self.change.files else line("Nothing changed.")

    def report(self) -> Report:
        """Build the diff of each file and what is pending."""
        changed = self.change.changed
        return Report.of(
            self._file_blocks() or line("Nothing changed."),
            line(Span(resolution_words(self.resolution), "muted"), indent=1) if self.resolution else None,
            [line(note) for note in self.notes],
            line("Dry run: nothing was written.") if changed and not self.change.applied else None,
            self._applies(self.pending) if self.pending is not None else None,
        )

    def _file_blocks(self) -> list[Block]:
        blocks: list[Block] = []
        for file in self.change.files:
            blocks.append(self._file_line(file))
            # Of a certificate a person reads its name, which a note tells.
            diff = "" if file.name.endswith(".crt") else file.diff(context=0)
            if diff:
                blocks.append(Diff(diff))
        return blocks

    def _applies(self, pending: Pending) -> list[Block]:
        if pending.reasons:
            told = {file.name for file in self.change.files if file.kind != "unchanged"}
            return pending_lines(pending, running=self.running, told=told)
        if not self.change.applied:
            return []
        if self.added_in is not None:
            return [line(f"Added to the running environment in {duration(self.added_in)}; no restart needed.")]
        names = [file.name for file in self.change.files if file.kind != "unchanged"]
        if self.running:
            return [] if _NOT_BROUGHT.intersection(names) else [line("No restart needed.")]
        if any(name in _MADE_OF or name.startswith((".env/", "certificates/")) for name in names):
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
        if not self.change.files:
            return Report.of(self.headline(), line("Together they had changed nothing."))
        return Report.of(self.headline(), super().report().blocks)


class RevisionView(ChangeView):
    """How the project's files differ from a revision of git.

    Attributes
    ----------
    revision : str
        Such as ``HEAD``.
    missing : tuple of str
        What was asked for and is neither in the project nor in the revision.
    """

    def __init__(self, change: Change, revision: str, *, missing: Sequence[str] = ()) -> None:
        super().__init__(change)
        self.revision = revision
        self.missing = tuple(missing)

    def headline(self) -> Line:
        """Say how many files differ."""
        if not self.change.files:
            return line("No difference from ", Span(self.revision, "strong"), ".")
        return line("Changed since ", Span(self.revision, "strong"), f": {count(len(self.change.files), 'file')}")

    def report(self) -> Report:
        """Build the diff of each file."""
        there = [line(f"There is no {name}, now or in {self.revision}.") for name in self.missing]
        return Report.of(self.headline(), self._file_blocks(), there)


class HistoryView(View):
    """The changes that can be taken back.

    Attributes
    ----------
    entries : tuple of HistoryEntry
        The changes, newest first.
    """

    def __init__(self, entries: Sequence[HistoryEntry]) -> None:
        self.entries = tuple(entries)

    def headline(self) -> Line:
        """Say how many there are."""
        many = count(len(self.entries), "change")
        return line(f"{many} can be taken back" if self.entries else "There is no change that can be taken back.")

    def report(self) -> Report:
        """Build the table; the first column is what ``%astro_undo`` takes."""
        rows = [
            (str(steps), when(entry.at), entry.title, ", ".join(file.name for file in entry.files))
            for steps, entry in enumerate(self.entries, start=1)
        ]
        table = Table(("steps", "made", "change", "files"), tuple(rows), "rlll")
        return Report.of(self.headline(), table if rows else None)


class DifferenceView(View):
    """How the project's files differ from what the running Airflow was started with.

    Attributes
    ----------
    pending : Pending
        The differences.
    status : EngineStatus
        What runs.
    """

    def __init__(self, pending: Pending, status: EngineStatus, *, files: Sequence[str] = ()) -> None:
        self.pending = pending
        self.status = status
        self._files = tuple(name.rstrip("/") for name in files)

    def headline(self) -> Line:
        """Say in how many files there are differences."""
        if not self.status.running:
            return line("Airflow does not run, so there is nothing to compare with.")
        names = list(dict.fromkeys(reason.file for reason in self._reasons()))
        since = f" since {when(self.status.started_at)}" if self.status.started_at else ""
        if not names:
            where = f" of {', '.join(self._files)}" if self._files else ""
            return line(f"What runs is what the files say: no change{where}{since} that needs a restart.")
        return line(f"Changed{since}: ", Span(", ".join(names), "strong"))

    def report(self) -> Report:
        """Build the differences of each file."""
        blocks: list[Block] = []
        if self.status.running:
            for name in dict.fromkeys(reason.file for reason in self._reasons()):
                blocks.append(line(Span(name, "strong")))
                blocks += [line(reason.detail, indent=1) for reason in self._reasons() if reason.file == name]
            if blocks:
                blocks += pending_lines(self.pending, running=True, told={reason.file for reason in self._reasons()})
        else:
            blocks.append(line(Span("%astro_diff --git", "code"), " compares with the last commit."))
        return Report.of(self.headline(), blocks)

    def _reasons(self) -> list[Reason]:
        return [
            reason
            for reason in self.pending.reasons
            if not self._files or any(f"{reason.file}/".startswith(f"{name}/") for name in self._files)
        ]


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
        plural = f"{self._noun.removesuffix('y')}ies" if self._noun.endswith("y") else f"{self._noun}s"
        entries = count(len(self.rows), self._noun, plural) if self.rows else f"no {plural}"
        return line(Span(self.file, "strong"), f"  {entries}")

    def report(self) -> Report:
        """Build the table."""
        return Report.of(self.headline(), Table(self.columns, self.rows) if self.rows else None)
