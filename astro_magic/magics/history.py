"""Magics that look back: what differs, and taking changes back."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import TYPE_CHECKING

from IPython.core.error import UsageError
from IPython.core.magic import magics_class

from astro_magic.errors import InvalidPathError
from astro_magic.magics.arguments import Arguments, argument, command
from astro_magic.magics.editing import MERGE
from astro_magic.magics.session import AstroMagics
from astro_magic.views import DifferenceView, HistoryView, RevisionView, UndoView

if TYPE_CHECKING:
    from astro_magic.project.project import Project

__all__ = ["HistoryMagics"]


@magics_class
class HistoryMagics(AstroMagics):
    """Magics that look back."""

    @command(
        argument("paths", nargs="*", metavar="PATH", help="Only these files or folders."),
        argument("--git", nargs="?", const="HEAD", metavar="REVISION", help="Compare with a revision; default: HEAD."),
        output=True,
    )
    def astro_diff(self, arguments: Arguments) -> DifferenceView | RevisionView:
        """Show how the project's files differ from what the running Airflow was started with, or from git."""
        if arguments.git is not None:
            return _compared(self.session.project(arguments), arguments.git, arguments.paths)
        environment = self.session.environment(arguments)
        paths = _inside(environment.project, arguments.paths)
        return DifferenceView(environment.pending(), environment.status(), files=paths)

    @command(
        argument("steps", nargs="?", type=int, default=1, help="How many changes; default: 1."),
        argument("--list", action="store_true", help="List the changes that can be taken back, newest first."),
        MERGE,
        output=True,
        dry_run=True,
    )
    def astro_undo(self, arguments: Arguments) -> UndoView | HistoryView:
        """Take the last change, or the last changes, to the project's files back.

        A file that was edited elsewhere since is not touched, unless --merge is given and the two edits do not touch.
        With --dry-run, show what would be taken back.
        """
        project = self.session.project(arguments)
        if arguments.list:
            return HistoryView(project.history())
        if arguments.steps < 1:
            raise UsageError("Give the number of changes to take back as 1 or more.")
        change = project.undo(arguments.steps, merge=arguments.merge, dry_run=arguments.dry_run)
        if arguments.dry_run:
            return UndoView(change)
        pending, running = self.session.pending(arguments)
        return UndoView(change, pending=pending, running=running)


def _compared(project: Project, revision: str, paths: Sequence[str]) -> RevisionView:
    """Compare with a revision. A word behind ``--git`` that names no revision but a file is one, as it is for git."""
    from astro_magic.sources.git import compare

    files = _inside(project, paths)
    try:
        change = compare(project, revision, paths=files)
    except InvalidPathError:
        if not (project.root / revision).exists():
            raise
        files = _inside(project, [revision, *paths])
        revision = "HEAD"
        change = compare(project, revision, paths=files)
    found = [file.name for file in change.files]
    missing = [
        name
        for name in files
        if not (project.root / name).exists() and not any(f"{file}/".startswith(f"{name}/") for file in found)
    ]
    return RevisionView(change, revision, missing=missing)


def _inside(project: Project, paths: Sequence[str]) -> list[str]:
    """Give paths in the form in which files are named; none of them for the whole project."""
    names = [posixpath.normpath(path) for path in paths]
    for name, path in zip(names, paths, strict=True):
        if name.startswith(("../", "/")) or name == "..":
            raise InvalidPathError(f"{path} is not in the project {project.root.name}.", hint="Give a path in it.")
    return [] if "." in names else names
