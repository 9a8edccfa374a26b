"""Magics of the project: overview, creation, choice."""

from __future__ import annotations

from pathlib import Path

from IPython.core.magic import magics_class

from astro_magic.errors import AstroMagicError
from astro_magic.magics.arguments import Arguments, argument, command
from astro_magic.magics.session import AstroMagics
from astro_magic.system.secrets import mask_credentials
from astro_magic.views import CreationView, OverviewView, UseView

__all__ = ["ProjectMagics"]


@magics_class
class ProjectMagics(AstroMagics):
    """Magics of the project."""

    @command()
    def astro(self, arguments: Arguments) -> OverviewView:
        """Show the project in use, what runs, what is pending, and what is wrong with its files."""
        from astro_magic.project.checks import check_project

        project = self.session.project(arguments)
        findings = check_project(project)
        try:
            environment = self.session.environment(arguments)
            return OverviewView(
                project, environment.status(), environment.pending(), environment.preflight(), findings=findings
            )
        except AstroMagicError:
            # The project can be shown where no engine runs; %astro_start says why none does.
            return OverviewView(project, findings=findings)

    @command(
        argument("directory", nargs="?", default=".", help="Its folder; default: the current one."),
        argument("--name", help="Its name; default: the folder's."),
        argument("--runtime", metavar="TAG", help="Tag of the runtime image, such as 3.3-8."),
        argument("--airflow", metavar="VERSION", help="Airflow version, or the beginning of one: 3.1, 2.10.5."),
        argument("--python", metavar="VERSION", help="Python version, such as 3.12."),
        argument("--template", help="etl, ml, dbt, empty; a folder; or the URL of a git repository."),
        argument("--force", action="store_true", help="Also inside another project; replace files by the template's."),
    )
    def astro_init(self, arguments: Arguments) -> CreationView:
        """Create an Astro project, or complete one, and work on it.

        Files that are there already are kept as they are. A template is a built-in one, a folder, or
        URL[//folder][#branch, tag or commit].
        """
        from astro_magic.project.project import Project
        from astro_magic.sources.runtimes import refresh
        from astro_magic.sources.templates import find_template
        from astro_magic.system.events import Step

        folder = Path(arguments.project or ".").expanduser() / Path(arguments.directory).expanduser()
        with self.session.progress(arguments, "Creating the project") as progress:
            progress(Step("runtimes", "runtimes", detail="asking for the published list"))
            refresh()
            progress(Step("runtimes", "runtimes", "done"))
            template = None
            if arguments.template is not None:
                progress(Step("template", "template", detail=mask_credentials(arguments.template)))
                template = find_template(arguments.template)
                progress(Step("template", "template", "done"))
            creation = Project.create(
                folder,
                name=arguments.name,
                runtime=arguments.runtime,
                airflow=arguments.airflow,
                python=arguments.python,
                template=template,
                force=arguments.force,
            )
        self.session.use(creation.project)
        return CreationView(creation)

    @command(argument("directory", nargs="?", default=".", help="A folder in the project; default: the current one."))
    def astro_use(self, arguments: Arguments) -> UseView:
        """Work on another project from now on."""
        from astro_magic.project.project import Project

        project = Project.find(Path(arguments.project or arguments.directory).expanduser())
        self.session.use(project)
        return UseView(project)
