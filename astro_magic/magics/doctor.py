"""The magic that checks the project's files and the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from IPython.core.magic import magics_class

from astro_magic.errors import ProjectNotFoundError
from astro_magic.magics.arguments import Arguments, argument, command
from astro_magic.magics.session import AstroMagics
from astro_magic.views.doctor import DoctorView
from astro_magic.views.project import project_name

if TYPE_CHECKING:
    from astro_magic.machine.result import CheckResult
    from astro_magic.project.checks.finding import Finding
    from astro_magic.project.project import Project

__all__ = ["DoctorMagics"]


@magics_class
class DoctorMagics(AstroMagics):
    """The magic that checks the project's files and the machine."""

    @command(
        argument("--files", action="store_true", help="Check only the project's files."),
        argument("--machine", action="store_true", help="Check only the machine."),
        output=True,
    )
    def astro_doctor(self, arguments: Arguments) -> DoctorView:
        """Check the project's files and the machine, and say what to do about what is found.

        Nothing is changed. Outside of a project, only the machine is checked.
        """
        both = arguments.files == arguments.machine
        project = self._project(arguments, needed=arguments.files)
        findings = _check_files(project) if project is not None and (both or arguments.files) else None
        machine = self._check_machine(arguments, project) if both or arguments.machine else None
        return DoctorView(findings, machine, project_name="" if project is None else project_name(project))

    def _project(self, arguments: Arguments, *, needed: bool) -> Project | None:
        try:
            return self.session.project(arguments)
        except ProjectNotFoundError:
            if needed or arguments.project is not None:
                raise
            return None

    def _check_machine(self, arguments: Arguments, project: Project | None) -> tuple[CheckResult, ...]:
        from astro_magic.machine.checks import check_machine
        from astro_magic.system.events import run

        with self.session.progress(arguments, "Checking the machine") as progress:
            return run(check_machine(project), progress)


def _check_files(project: Project) -> tuple[Finding, ...]:
    from astro_magic.project.checks import check_project

    return check_project(project)
