"""Magics that look back: what differs, and taking changes back."""

from __future__ import annotations

from IPython.core.error import UsageError
from IPython.core.magic import magics_class

from astro_magic.magics.arguments import Arguments, argument, command
from astro_magic.magics.editing import MERGE
from astro_magic.magics.session import AstroMagics
from astro_magic.views import ChangeView, DifferenceView, HistoryView, UndoView

__all__ = ["HistoryMagics"]


@magics_class
class HistoryMagics(AstroMagics):
    """Magics that look back."""

    @command(
        argument("paths", nargs="*", metavar="PATH", help="Only these files or folders."),
        argument("--git", nargs="?", const="HEAD", metavar="REVISION", help="Compare with a revision; default: HEAD."),
        output=True,
    )
    def astro_diff(self, arguments: Arguments) -> DifferenceView | ChangeView:
        """Show how the project's files differ from what the running Airflow was started with, or from git."""
        environment = self.session.environment(arguments)
        if arguments.git is not None:
            from astro_magic.sources.git import compare

            return ChangeView(compare(environment.project, arguments.git, paths=arguments.paths))
        status = environment.status()
        return DifferenceView(environment.pending(), status, files=arguments.paths)

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
