"""Magics that edit the project's other files: any file by its path, and dags/.airflowignore."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from IPython.core.error import UsageError
from IPython.core.magic import magics_class

from astro_magic.errors import FileAccessError, InvalidPathError
from astro_magic.magics.arguments import Arguments, argument, command
from astro_magic.magics.editing import MERGE, OVERWRITE, REPLACE, EditingMagics, action_of, edited, verbs
from astro_magic.views import ChangeView, EntriesView
from astro_magic.views.words import size

if TYPE_CHECKING:
    from astro_magic.project.changes import Change
    from astro_magic.project.dags.airflowignore import AirflowIgnore
    from astro_magic.project.document import Document
    from astro_magic.project.project import Project

__all__ = ["FileMagics", "walk"]

_SKIPPED_FOLDERS = frozenset({".astro", ".git", "__pycache__", ".venv", "node_modules"})
#: A larger file would crowd all other changes out of the history.
_LARGEST = 20_000_000
_MOST_IGNORED = 8


@magics_class
class FileMagics(EditingMagics):
    """Magics that edit the project's other files."""

    @command(
        argument("words", nargs="*", metavar="PATH", help="The file, relative to the project: include/query.sql."),
        argument("--append", action="store_true", help="Append the cell to the file, unless it is there already."),
        MERGE,
        OVERWRITE,
        kind="line_cell",
        expand=False,
        output=True,
        dry_run=True,
    )
    def astro_file(self, arguments: Arguments, cell: str | None) -> ChangeView | EntriesView:
        """Write the cell to a file of the project.

        As a line magic: list [FOLDER]; add SOURCE [PATH], which copies a file of this machine, named from the folder of
        the notebook, into the project (by default into include/); remove PATH. A file that was edited elsewhere since a
        cell wrote it is not overwritten unless that is asked for.
        """
        from astro_magic.project.changes import Change

        project = self.session.project(arguments)
        if cell is not None:
            if len(arguments.words) != 1:
                raise UsageError("Name one file, as in %%astro_file include/query.sql.")
            document = project.file(arguments.words[0])
            return self.edit(arguments, project, lambda: self._plan_cell(arguments, document, cell))
        if arguments.append or arguments.merge or arguments.overwrite:
            raise UsageError("--append, --merge and --overwrite are for the cell form.")
        match arguments.words:
            case [] | ["list"] | ["list", _]:
                return _listed(project, "".join(arguments.words[1:]))
            case ["add", source] | ["add", source, _]:
                target = project.file(arguments.words[2] if len(arguments.words) > 2 else f"include/{_name(source)}")
                data = _read_source(source)
                return self.edit(arguments, project, lambda: Change(f"add {target.name}", (target.plan_bytes(data),)))
            case ["remove", path]:
                document = project.file(path)
                return self.edit(
                    arguments, project, lambda: Change(f"remove {document.name}", (document.plan_delete(),))
                )
            case _:
                raise UsageError("Write list [FOLDER], add SOURCE [PATH], or remove PATH.")

    @staticmethod
    def _plan_cell(arguments: Arguments, document: Document, cell: str) -> Change:
        from astro_magic.project.changes import Change

        if arguments.append:
            if arguments.merge or arguments.overwrite:
                raise UsageError("--append keeps what is there; it goes without --merge and --overwrite.")
            lines = cell if cell.strip() else ""
            return Change(f"append to {document.name}", (document.plan_append(lines),))
        return Change(f"write {document.name}", (document.plan_rewrite(cell, edited=edited(arguments)),))

    @command(
        verbs("list", "add", "set", "remove"),
        argument("values", nargs="*", metavar="PATTERN", help="Patterns, relative to dags/."),
        REPLACE,
        kind="line_cell",
        expand=False,
        output=True,
        dry_run=True,
    )
    def astro_airflowignore(self, arguments: Arguments, cell: str | None) -> ChangeView | EntriesView:
        """Edit dags/.airflowignore: what the scheduler is not to parse.

        As a cell magic, bring the cell's patterns into the file; as a line magic, list, add or remove patterns. Shows
        which files are ignored now.
        """
        project = self.session.project(arguments)
        document = project.airflowignore
        match action_of(arguments, cell):
            case "list":
                return _ignored(document)
            case "remove":
                view = self.edit(arguments, project, lambda: document.plan_remove(*arguments.values))
            case _:
                text = "\n".join(arguments.values) if cell is None else cell
                view = self.edit(arguments, project, lambda: document.plan_merge(text, replace=arguments.replace))
        if not arguments.dry_run:
            view.notes = _now_ignored(document)
        return view


def walk(base: Path) -> Iterator[Path]:
    """Give the files of a folder in order of their names, without those that tools keep for themselves."""
    for path in sorted(base.iterdir()):
        if path.is_dir() and not path.is_symlink():
            if path.name not in _SKIPPED_FOLDERS:
                yield from walk(path)
        elif path.is_file():
            yield path


def _listed(project: Project, folder: str) -> EntriesView:
    base = project.root / folder
    if not base.resolve().is_relative_to(project.root.resolve()) or not base.is_dir():
        raise InvalidPathError(f"{folder} is no folder of the project.", hint="%astro_file list names the files.")
    rows = [(path.relative_to(project.root).as_posix(), size(path.stat().st_size)) for path in walk(base)]
    return EntriesView(folder or project.name, ("file", "size"), rows, "file")


def _name(source: str) -> str:
    return Path(source).name


def _read_source(source: str) -> bytes:
    from astro_magic.system.files import guard, read_bytes

    path = Path(source).expanduser()
    with guard(path, "read"):
        length = path.stat().st_size
    if length > _LARGEST:
        raise FileAccessError(
            f"{source} has {size(length)}, and a change of more than {size(_LARGEST)} could not be taken back.",
            hint="Copy it with the tools of your system, as in !cp.",
        )
    return read_bytes(path)


def _ignored(document: AirflowIgnore) -> EntriesView:
    ignored = document.ignored()
    rows = [(file.file, file.pattern, f"{file.ignored_by}:{file.line}") for file in ignored]
    matching = {(file.ignored_by, file.line) for file in ignored}
    idle = [
        ("-", entry.pattern, f"{document.name}:{entry.line}")
        for entry in document.entries()
        if entry.pattern and (document.name, entry.line) not in matching
    ]
    return EntriesView(document.name, ("ignored file", "pattern", "stands in"), [*rows, *idle], "entry")


def _now_ignored(document: AirflowIgnore) -> Sequence[str]:
    files = [file.file for file in document.ignored()]
    if not files:
        return ("No file below dags/ is ignored now.",)
    more = f" and {len(files) - _MOST_IGNORED} more" if len(files) > _MOST_IGNORED else ""
    return (f"Ignored now: {', '.join(files[:_MOST_IGNORED])}{more}",)
