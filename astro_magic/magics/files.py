"""Magics that edit the project's files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from IPython.core.error import UsageError
from IPython.core.magic import magics_class

from astro_magic.errors import NetworkError, ResolutionError
from astro_magic.magics.arguments import Arguments, argument, command, unquoted
from astro_magic.magics.session import AstroMagics
from astro_magic.views import ChangeView, EntriesView

if TYPE_CHECKING:
    from astro_magic.project.document import Change
    from astro_magic.project.project import Project
    from astro_magic.resolve.resolver import Resolution

__all__ = ["FileMagics"]

_REPLACE = argument("--replace", action="store_true", help="Make the file exactly the cell; default: merge.")


@magics_class
class FileMagics(AstroMagics):
    """Magics that edit the project's files."""

    @command(
        argument("action", nargs="?", choices=["list", "add", "remove"], help="In the line form: what to do."),
        argument("values", nargs="*", metavar="REQUIREMENT", help="What to add, or the names of what to remove."),
        _REPLACE,
        argument("--no-check", action="store_true", help="Write the file without asking whether it can be installed."),
        kind="line_cell",
        expand=False,
        output=True,
        dry_run=True,
    )
    def astro_requirements(self, arguments: Arguments, cell: str | None) -> ChangeView | EntriesView:
        """Edit requirements.txt.

        As a cell magic, bring the cell's lines into the file: a line that names a package that is there already
        takes its place, others are appended. As a line magic, list, add or remove requirements.
        Before something is written, it is made sure that all of it can be installed together.
        """
        project = self.session.project(arguments)
        document = project.requirements
        match _action(arguments, cell):
            case "list":
                rows = [(name, text, str(number)) for name, (number, text) in document.names().items()]
                return EntriesView("requirements.txt", ("package", "requirement", "line"), rows, "requirement")
            case "remove":
                return self._apply(arguments, project, document.plan_remove(*arguments.values))
            case _:
                text = "\n".join(arguments.values) if cell is None else cell
                change = document.plan_merge(text, replace=arguments.replace)
                resolution, note = self._check(arguments, change)
                return self._apply(arguments, project, change, resolution=resolution, note=note)

    @command(
        argument("action", nargs="?", choices=["list", "set", "remove"], help="In the line form: what to do."),
        argument("values", nargs="*", metavar="NAME[=VALUE]", help="Variables; set NAME asks for the value."),
        _REPLACE,
        kind="line_cell",
        expand=False,
        output=True,
        dry_run=True,
        semicolon=True,
    )
    def astro_env(self, arguments: Arguments, cell: str | None) -> ChangeView | EntriesView:
        """Edit the environment variables in .env.

        As a cell magic, bring the cell's NAME=VALUE lines into the file. As a line magic, list, set or remove
        variables. Values are never shown. What is written in a cell stays in the notebook, so for a secret use
        the line form with the name alone, which asks for the value.
        """
        project = self.session.project(arguments)
        document = project.dotenv
        match _action(arguments, cell):
            case "list":
                from astro_magic.system.secrets import MASK

                rows = [(name, MASK if value else "(empty)") for name, value in document.variables().items()]
                return EntriesView(".env", ("variable", "value"), rows, "variable")
            case "set":
                return self._apply(arguments, project, document.plan_set(self._assignments(arguments.values)))
            case "remove":
                return self._apply(arguments, project, document.plan_remove(*arguments.values))
            case _:
                return self._apply(arguments, project, document.plan_merge(cell or "", replace=arguments.replace))

    @command(
        argument("path", metavar="PATH", help="The file, relative to the project: include/query.sql."),
        kind="cell",
        expand=False,
        output=True,
        dry_run=True,
    )
    def astro_file(self, arguments: Arguments, cell: str) -> ChangeView:
        """Write the cell to a file of the project."""
        from astro_magic.project.document import Change

        project = self.session.project(arguments)
        planned = project.file(arguments.path).plan_write(cell)
        return self._apply(arguments, project, Change(f"write {planned.name}", (planned,)))

    def _apply(
        self,
        arguments: Arguments,
        project: Project,
        change: Change,
        *,
        resolution: Resolution | None = None,
        note: str = "",
    ) -> ChangeView:
        change = project.apply(change, dry_run=arguments.dry_run)
        pending, running = (None, False) if arguments.dry_run else self.session.pending(arguments)
        return ChangeView(change, pending=pending, running=running, resolution=resolution, note=note)

    def _check(self, arguments: Arguments, change: Change) -> tuple[Resolution | None, str]:
        """Ask whether the file's new content can be installed."""
        content = change.files[0].after if change.changed else None
        if arguments.no_check or content is None:
            return None, ""
        try:
            with self.session.progress(arguments, "Checking requirements.txt") as progress:
                environment = self.session.environment(arguments)
                return environment.check_requirements(content.decode(), listener=progress), ""
        except NetworkError as error:
            return None, f"Not checked: {error.message}"
        except ResolutionError as error:
            raise ResolutionError(
                f"requirements.txt not changed: {error.message}",
                hint="\n".join(part for part in (error.hint, "Write it anyway with --no-check.") if part),
                detail=error.detail,
            ) from error

    def _assignments(self, values: list[str]) -> dict[str, str]:
        assignments = {}
        for assignment in values:
            name, equals, value = assignment.partition("=")
            given = unquoted(value) if equals else self.session.ask_secret(name)
            if given is None:
                raise UsageError(
                    f"Nobody can be asked for the value of {name} here: write it into .env by other means."
                )
            assignments[name] = given
        return assignments


def _action(arguments: Arguments, cell: str | None) -> str:
    """Give what a magic with sub-commands is to do; the cell form has none."""
    if cell is not None:
        if arguments.action is not None:
            raise UsageError(f"A cell is brought into the file as it is; {arguments.action} is for the line form.")
        return "merge"
    action: str = arguments.action or "list"
    if action == "list" and arguments.values:
        raise UsageError("list takes no more arguments.")
    if action != "list" and not arguments.values:
        raise UsageError(f"{action}: name at least one.")
    if arguments.replace:
        raise UsageError("--replace is for the cell form.")
    return action
