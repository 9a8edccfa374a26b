"""The views of the environments that a project has had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from astro_magic.system.frames import require_pandas
from astro_magic.views.changes import ChangeView
from astro_magic.views.report import Cell, Line, Report, Span, Table, line
from astro_magic.views.view import View
from astro_magic.views.words import count, size, when

if TYPE_CHECKING:
    import pandas as pd

    from astro_magic.engines.generations import Cached, Generation, Pruning, Rollback
    from astro_magic.project.fingerprint import Pending

__all__ = ["GenerationsView", "PruningView", "RollbackView"]

_CHANGES_SHOWN = 3


class GenerationsView(View):
    """The environments that a project has had.

    Attributes
    ----------
    generations : tuple of Generation
        Newest first.
    cached : Cached
        What is kept for other projects.
    """

    def __init__(self, generations: Sequence[Generation], cached: Cached) -> None:
        self.generations = tuple(generations)
        self.cached = cached

    def __len__(self) -> int:
        return len(self.generations)

    def __iter__(self) -> Iterator[Generation]:
        return iter(self.generations)

    @property
    def df(self) -> pd.DataFrame:
        """The environments as a DataFrame.

        Its columns are number, name, made, airflow_version, python_version, packages (their number), changes (a list),
        size and shared (bytes), current and running.
        """
        require_pandas()
        import pandas as pd

        rows = [
            {
                "number": each.number,
                "name": each.name,
                "made": each.made,
                "airflow_version": each.airflow_version,
                "python_version": each.python_version,
                "packages": len(each.packages),
                "changes": list(each.changes),
                "size": each.size,
                "shared": each.shared,
                "current": each.current,
                "running": each.running,
            }
            for each in self.generations
        ]
        return pd.DataFrame(rows)

    def headline(self) -> Line:
        """Say how many there are."""
        if not self.generations:
            return line("There is no environment yet. ", Span("%astro_start", "code"), " makes it.")
        own = sum(each.size - each.shared for each in self.generations)
        return line(f"{count(len(self.generations), 'environment')}, {size(own)} of their own on disk")

    def report(self) -> Report:
        """Build the table; its first column is what ``--rollback`` takes."""
        rows = tuple(
            (
                str(each.number),
                when(each.made),
                each.airflow_version,
                each.python_version,
                str(len(each.packages) or ""),
                _changes(each.changes),
                f"{size(each.size)}, of which {size(each.shared)} shared",
                _state(each),
            )
            for each in self.generations
        )
        heads = ("", "made", "Airflow", "Python", "packages", "changes", "size", "")
        shared = "shared: with a cache or another environment, so that it takes no room twice"
        kept = f"{count(self.cached.count, 'environment')}, {size(self.cached.size)} of their own on disk"
        return Report.of(
            self.headline(),
            Table(heads, rows, "rlllrlll") if rows else None,
            line(Span(f"kept for other projects: {kept}", "muted")) if self.cached.count else None,
            line(Span(f"{shared} · .df is the DataFrame", "muted")) if rows else None,
        )


class RollbackView(ChangeView):
    """An earlier environment that is the current one again, and what that changed in the files.

    Attributes
    ----------
    rollback : Rollback
        What was done.
    """

    def __init__(self, rollback: Rollback, *, dry_run: bool, pending: Pending | None = None, running: bool = False):
        again = () if rollback.ready else ("It was damaged since, so the next start builds it again.",)
        super().__init__(rollback.change, pending=pending, running=running, notes=again)
        self.rollback = rollback
        self._dry_run = dry_run

    def headline(self) -> Line:
        """Name the environment."""
        each = self.rollback.generation
        done = "Would go back to" if self._dry_run else "Back to"
        about = f"Airflow {each.airflow_version}, {count(len(each.packages), 'package')}, made {when(each.made)}"
        return line(f"{done} ", Span(f"environment {each.number}", "strong"), f": {about}.")

    def report(self) -> Report:
        """Build the diff of each file, and what applies it."""
        if not self.change.changed:
            return Report.of(self.headline(), line("The files say so already."), [line(note) for note in self.notes])
        return Report.of(self.headline(), super().report().blocks)


class PruningView(View):
    """The environments that were removed.

    Attributes
    ----------
    pruning : Pruning
        What was done.
    """

    def __init__(self, pruning: Pruning) -> None:
        self.pruning = pruning

    def headline(self) -> Line:
        """Say how many, and how much room that makes."""
        kept = count(len(self.pruning.kept), "environment")
        if not self.pruning.removed:
            return line(f"Nothing to remove: {kept} {'is' if len(self.pruning.kept) == 1 else 'are'} kept.")
        removed = count(len(self.pruning.removed), "environment")
        return line(f"Removed {removed}, which frees {size(self.pruning.freed)}; {len(self.pruning.kept)} left.")

    def report(self) -> Report:
        """Build a line for each one that was removed."""
        gone = [
            line(f"environment {each.number}, Airflow {each.airflow_version}, made {when(each.made)}", indent=1)
            for each in self.pruning.removed
        ]
        return Report.of(self.headline(), gone)


def _changes(changes: Sequence[str]) -> str:
    more = f", {len(changes) - _CHANGES_SHOWN} more" if len(changes) > _CHANGES_SHOWN else ""
    return ", ".join(changes[:_CHANGES_SHOWN]) + more


def _state(generation: Generation) -> Cell:
    words = [word for word in ("current", "running") if getattr(generation, word)]
    return Span(", ".join(words), "good") if words else ""
