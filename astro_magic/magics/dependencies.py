"""Magics that edit what is installed: requirements.txt, packages.txt and the Dockerfile."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from IPython.core.error import UsageError
from IPython.core.magic import magics_class

from astro_magic.errors import (
    AstroMagicError,
    FileConflictError,
    InvalidContentError,
    NetworkError,
    ResolutionError,
    RestartNeededError,
)
from astro_magic.magics.arguments import Arguments, argument, command, unquoted, words
from astro_magic.magics.editing import REPLACE, EditingMagics, action_of, verbs
from astro_magic.system.secrets import mask_credentials
from astro_magic.views import ChangeView, EntriesView

if TYPE_CHECKING:
    from astro_magic.project.changes import Change
    from astro_magic.project.dockerfile.dockerfile import Dockerfile
    from astro_magic.project.project import Project
    from astro_magic.resolve.resolver import Resolution

__all__ = ["DependencyMagics"]

#: How often requirements are checked anew because the file changed while they were being checked.
_ATTEMPTS = 3


@magics_class
class DependencyMagics(EditingMagics):
    """Magics that edit what is installed."""

    @command(
        verbs("list", "add", "set", "remove"),
        argument("values", nargs="*", metavar="REQUIREMENT", help="What to add, or the names of what to remove."),
        REPLACE,
        argument("--no-check", action="store_true", help="Write the file without asking whether it can be installed."),
        kind="line_cell",
        expand=False,
        output=True,
        dry_run=True,
    )
    def astro_requirements(self, arguments: Arguments, cell: str | None) -> ChangeView | EntriesView:
        """Edit requirements.txt.

        As a cell magic, bring the cell's lines into the file: a line that names a package that is there already
        takes its place, others are appended. As a line magic, list, add or remove requirements; to set one is to add
        it in the place of the one that is there. Before something is written, it is made sure that all of it can be
        installed together.
        """
        project = self.session.project(arguments)
        document = project.requirements
        match action_of(arguments, cell):
            case "list":
                rows = [
                    (name, mask_credentials(text), str(number)) for name, (number, text) in document.names().items()
                ]
                return EntriesView("requirements.txt", ("package", "requirement", "line"), rows, "requirement")
            case "remove":
                return self.edit(arguments, project, lambda: document.plan_remove(*arguments.values))
            case _:
                return self._bring_in(arguments, project, "\n".join(arguments.values) if cell is None else cell)

    @command(
        verbs("list", "add", "set", "remove"),
        argument("values", nargs="*", metavar="PACKAGE", help="Debian packages, such as unixodbc-dev or git=1:2.39*."),
        REPLACE,
        kind="line_cell",
        expand=False,
        output=True,
        dry_run=True,
    )
    def astro_packages(self, arguments: Arguments, cell: str | None) -> ChangeView | EntriesView:
        """Edit packages.txt, the operating system's packages in the image.

        As a cell magic, bring the cell's lines into the file; as a line magic, list, add or remove packages.
        """
        project = self.session.project(arguments)
        document = project.os_packages
        match action_of(arguments, cell):
            case "list":
                rows = [(name, text, str(number)) for name, (number, text) in document.names().items()]
                return EntriesView("packages.txt", ("package", "entry", "line"), rows, "package")
            case "remove":
                return self.edit(arguments, project, lambda: document.plan_remove(*arguments.values))
            case _:
                text = "\n".join(arguments.values) if cell is None else cell
                return self.edit(arguments, project, lambda: document.plan_merge(text, replace=arguments.replace))

    @command(
        argument("--block", metavar="NAME", help="Work on the block of lines between '# >>> NAME' and '# <<< NAME'."),
        REPLACE,
        kind="line_cell",
        expand=False,
        output=True,
        dry_run=True,
        rest="instruction",
    )
    def astro_dockerfile(self, arguments: Arguments, cell: str | None) -> ChangeView | EntriesView:
        """Edit the Dockerfile.

        As a cell magic, bring the cell's instructions into the file: FROM sets the base image, ENV, LABEL and ARG take
        the place of the same name, others are appended. With --block, the cell is the whole of a named block.
        As a line magic, options first: list; add INSTRUCTION; set FROM IMAGE; set ENV|LABEL|ARG NAME=VALUE;
        remove ENV|LABEL|ARG NAME; remove RUN|COPY|... WHAT; --block NAME remove.
        """
        project = self.session.project(arguments)
        document = project.dockerfile
        if cell is not None:
            if arguments.instruction:
                raise UsageError("A cell is brought into the file as it is; the line takes only options.")
            if arguments.block is not None:
                return self._edit_image(arguments, project, lambda: document.plan_block(arguments.block, cell))
            return self._edit_image(arguments, project, lambda: document.plan_merge(cell, replace=arguments.replace))
        if arguments.replace:
            raise UsageError("--replace is for the cell form.")
        action, _, text = arguments.instruction.partition(" ")
        if action in ("", "list") and not text:
            return _instructions(document, arguments.block)
        return self._edit_image(arguments, project, lambda: _plan_instruction(document, action, text, arguments.block))

    def _edit_image(self, arguments: Arguments, project: Project, plan: Callable[[], Change]) -> ChangeView:
        """Edit the Dockerfile, and say so when it no longer tells which Airflow it has."""
        from astro_magic.project.runtime.runtime import Runtime

        view = self.edit(arguments, project, plan)
        file = view.change.files[0]
        if file.after is not None and file.kind != "unchanged":
            try:
                Runtime.from_dockerfile(file.after.decode())
            except InvalidContentError as error:
                view.notes = [f"{error.message} {error.hint or ''}".rstrip()]
        return view

    def _bring_in(self, arguments: Arguments, project: Project, text: str) -> ChangeView:
        """Bring lines into requirements.txt, once it is known that all of it can be installed."""
        attempts = 0
        while True:
            change = project.requirements.plan_merge(text, replace=arguments.replace)
            resolution, note = self._check(arguments, change)
            try:
                change = project.apply(change, dry_run=arguments.dry_run)
            except FileConflictError:
                # Somebody wrote the file while it was being checked: the lines go into what it is now.
                attempts += 1
                if arguments.replace or attempts == _ATTEMPTS:
                    raise
            else:
                seconds, why = self._add(arguments) if change.applied else (None, "")
                notes = [told for told in (note, why) if told]
                view = self.show_change(arguments, change, resolution=resolution, notes=notes)
                view.added_in = seconds
                return view

    def _add(self, arguments: Arguments) -> tuple[float | None, str]:
        """Put packages that are only added into the running environment; gives the seconds, or why that is not so.

        The file is written by now, so what stands against it is no failure: a restart will tell.
        """
        begun = time.monotonic()
        try:
            with self.session.progress(arguments, "Adding to the running environment") as progress:
                added = self.session.environment(arguments).add_packages(listener=progress)
        except RestartNeededError as error:
            return None, error.message
        except AstroMagicError:
            return None, ""
        return (time.monotonic() - begun if added else None), ""

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


def _plan_instruction(document: Dockerfile, action: str, text: str, block: str | None) -> Change:
    keyword, _, rest = text.strip().partition(" ")
    match action, keyword.upper():
        case "add", _ if text:
            return document.plan_add(text, block=block)
        case "remove", "" if block is not None:
            return document.plan_remove_block(block)
        case (("set" | "remove"), _) if block is not None:
            raise UsageError("--block goes with list, with add INSTRUCTION, and with remove alone.")
        case "set", "FROM" if rest:
            return document.plan_set_base(unquoted(rest.strip()))
        case "set", "ENV" | "LABEL" | "ARG" as name if rest:
            return document.plan_set(name, _assignments(name, rest))
        case "remove", "ENV" | "LABEL" | "ARG" as name if rest:
            return document.plan_remove(name, *words(rest))
        case "remove", name if rest:
            return document.plan_remove(name, rest.strip())
    raise UsageError(
        "Write list, add INSTRUCTION, set FROM IMAGE, set ENV|LABEL|ARG NAME=VALUE, or remove KEYWORD WHAT."
    )


def _assignments(keyword: str, text: str) -> dict[str, str]:
    """Read ``NAME=VALUE`` words. No value is asked for: whoever has the image can read it."""
    assignments = {}
    for word in words(text):
        name, equals, value = word.partition("=")
        if not equals:
            raise UsageError(
                f"Write {keyword} {name}=VALUE. The image shows it to everybody who has it, so a secret belongs "
                "into .env: %astro_env set NAME asks for one."
            )
        assignments[name] = unquoted(value)
    return assignments


def _instructions(document: Dockerfile, block: str | None) -> EntriesView:
    from astro_magic.project.masking import mask_lines

    rows = [
        (
            entry.keyword,
            " ".join(mask_lines("Dockerfile", [f"{entry.keyword} {entry.arguments}"])[0].split()[1:]),
            entry.block or "",
            str(entry.line),
        )
        for entry in document.entries()
        if entry.keyword and block in (None, entry.block)
    ]
    return EntriesView("Dockerfile", ("instruction", "arguments", "block", "line"), rows, "instruction")
