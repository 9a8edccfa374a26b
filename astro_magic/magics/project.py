"""Magics of the project: overview, creation, choice, undo."""

from __future__ import annotations

from pathlib import Path

from IPython.core.magic import magics_class

from astro_magic.errors import AstroMagicError
from astro_magic.magics.arguments import Arguments, argument, command
from astro_magic.magics.session import AstroMagics
from astro_magic.views import CreationView, OverviewView, UndoView, UseView

__all__ = ["ProjectMagics"]


@magics_class
class ProjectMagics(AstroMagics):
    """Magics of the project."""

    @command()
    def astro(self, arguments: Arguments) -> OverviewView:
        """Show the project in use, what runs, what is pending and what stands in the way."""
        project = self.session.project(arguments)
        try:
            environment = self.session.environment(arguments)
            return OverviewView(project, environment.status(), environment.pending(), environment.preflight())
        except AstroMagicError:
            # The project can be shown where no engine runs; %astro_start says why none does.
            return OverviewView(project)

    @command(
        argument("directory", nargs="?", default=".", help="Its folder; default: the current one."),
        argument("--name", help="Its name; default: the folder's."),
        argument("--runtime", metavar="TAG", help="Tag of the runtime image, such as 3.3-1."),
    )
    def astro_init(self, arguments: Arguments) -> CreationView:
        """Create an Astro project, or complete one, and work on it.

        Files that are there already are kept as they are.
        """
        from astro_magic.project.project import Project

        folder = Path(arguments.project or ".").expanduser() / Path(arguments.directory).expanduser()
        creation = Project.create(folder, name=arguments.name, runtime=arguments.runtime)
        self.session.use(creation.project)
        return CreationView(creation)

    @command(argument("directory", nargs="?", default=".", help="A folder in the project; default: the current one."))
    def astro_use(self, arguments: Arguments) -> UseView:
        """Work on another project from now on."""
        from astro_magic.project.project import Project

        project = Project.find(Path(arguments.project or arguments.directory).expanduser())
        self.session.use(project)
        return UseView(project)

    @command(dry_run=True)
    def astro_undo(self, arguments: Arguments) -> UndoView:
        """Take the last change to the project's files back."""
        change = self.session.project(arguments).undo(dry_run=arguments.dry_run)
        if arguments.dry_run:
            return UndoView(change)
        pending, running = self.session.pending(arguments)
        return UndoView(change, pending=pending, running=running)
