"""A project file that is edited: read, plan a change, show it, apply it.

Planning never writes. A `FileChange` holds what the file contains now and what it will contain; `Project.apply` writes
a `Change` when each of its files still is what was read.
"""

from __future__ import annotations

import codecs
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from astro_magic.errors import FileConflictError, InvalidContentError, InvalidPathError
from astro_magic.project.changes import Change, FileChange, merge_contents, named_lines, split_lines
from astro_magic.system import files

if TYPE_CHECKING:
    from astro_magic.project.project import Project

__all__ = ["Document", "EntriesDocument"]


@dataclass(frozen=True)
class _Content:
    """A text file taken apart: what stands around the lines, and the lines with their ends."""

    mark: bool
    lines: list[str]
    line_end: str


class Document:
    """One file of a project, as text.

    The file is UTF-8. A byte order mark, the kind of line ends and a missing end of the last line are kept.

    Parameters
    ----------
    project : Project
        The project.
    name : str
        The file, as a POSIX path relative to the project. `Project.file` checks it.
    """

    def __init__(self, project: Project, name: str) -> None:
        self.project = project
        self.name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @property
    def path(self) -> Path:
        """The file on disk."""
        return self.project.root / self.name

    def read(self) -> bytes | None:
        """Read the file as it is.

        Returns
        -------
        bytes or None
            None when it does not exist.

        Raises
        ------
        FileAccessError
            When it cannot be read.
        """
        return files.read_optional(self.path)

    def text(self) -> str:
        r"""Read the file as text, with lines ended by ``\n``; empty when it does not exist.

        Raises
        ------
        FileAccessError
            When it cannot be read.
        InvalidContentError
            When it is no UTF-8 text.
        """
        return "".join(f"{line}\n" for line in self.lines())

    def lines(self) -> list[str]:
        """Read the lines of the file, without their ends.

        Raises
        ------
        FileAccessError
            When it cannot be read.
        InvalidContentError
            When it is no UTF-8 text.
        """
        return [line.rstrip("\r\n") for line in self._content(self.read()).lines]

    def plan_write(self, text: str) -> FileChange:
        """Plan that the file contains a text.

        Parameters
        ----------
        text : str
            The new content. Its line ends become those of the file; the last line gets one when it has none.

        Returns
        -------
        FileChange
            Unchanged when the file has this text already.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When the text, or what the file holds now, is no text.
        """
        before = self.read()
        content = self._content(before)
        new = [line.rstrip("\r\n") for line in split_lines(text)]
        if before is not None and new == [line.rstrip("\r\n") for line in content.lines]:
            return self._change(before, before)
        if not new:
            return self._change(before, b"")
        return self._plan_lines(before, content, [line + content.line_end for line in new])

    def plan_append(self, text: str) -> FileChange:
        """Plan that lines stand at the end of the file.

        Parameters
        ----------
        text : str
            The lines. Where the file has them already, one after the other, nothing changes.

        Raises
        ------
        ProjectError
            As `plan_write`.
        """
        before = self.read()
        content = self._content(before)
        lines = [line.rstrip("\r\n") for line in content.lines]
        new = [line.rstrip("\r\n") for line in split_lines(text)]
        if any(lines[start : start + len(new)] == new for start in range(len(lines) - len(new) + 1)):
            return self._change(before, before)
        return self.plan_write("".join(f"{line}\n" for line in (*lines, *new)))

    def plan_bytes(self, data: bytes) -> FileChange:
        """Plan that the file contains these bytes, which need be no text."""
        return self._change(self.read(), data)

    def plan_delete(self) -> FileChange:
        """Plan that the file is removed.

        Raises
        ------
        InvalidPathError
            When there is none.
        """
        before = self.read()
        if before is None:
            raise InvalidPathError(f"There is no {self.name} to remove.", hint="%astro_file list names the files.")
        return self._change(before, None)

    def write(self, text: str, *, dry_run: bool = False) -> Change:
        """Write a text to the file: `plan_write` and `Project.apply` in one.

        Parameters
        ----------
        text : str
            The new content.
        dry_run : bool, optional
            Only plan it.

        Raises
        ------
        ProjectError, ProjectBusyError
            As `plan_write` and `Project.apply`.
        """
        return self.project.apply(Change(f"write {self.name}", (self.plan_write(text),)), dry_run=dry_run)

    def plan_rewrite(self, text: str, *, edited: Literal["refuse", "merge", "overwrite"] = "refuse") -> FileChange:
        """Plan that the file contains a text, and mind edits that were made elsewhere in the meantime.

        A notebook cell that holds a whole file writes the same text again when it is run again. What an editor, git or
        another tool made of the file since it was last written from here would then be lost.

        Parameters
        ----------
        text : str
            The new content, as for `plan_write`.
        edited : {"refuse", "merge", "overwrite"}, optional
            What to do when the file was edited elsewhere: refuse, keep that edit where it does not touch those of the
            new text, or give it up.

        Returns
        -------
        FileChange
            Unchanged when the file has this text already.

        Raises
        ------
        FileConflictError
            When the file was edited elsewhere, and the edits are not to be, or cannot be, brought together.
        ProjectError
            As `plan_write`.
        """
        planned = self.plan_write(text)
        base = self.project.last_written(self.name) if planned.kind == "changed" and edited != "overwrite" else None
        if base is None or base == planned.before:
            return planned
        merged = merge_contents(base, planned.after, planned.before)
        if edited == "merge" and merged is not None:
            return self._change(planned.before, merged)
        offered = "--merge keeps both edits, which do not touch, and " if merged is not None else ""
        raise FileConflictError(
            f"{self.name} was edited elsewhere since it was last written from here{named_lines(base, planned.before)}.",
            hint=f"{offered}--overwrite writes the cell as it is.",
        )

    def _content(self, data: bytes | None) -> _Content:
        data = data or b""
        mark = data.startswith(codecs.BOM_UTF8)
        try:
            text = data[len(codecs.BOM_UTF8) :].decode() if mark else data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise InvalidContentError(
                f"{self.name} is not UTF-8 text (line {line}).",
                hint="Save it in UTF-8 with an editor, then run this again.",
            ) from error
        self._refuse_null(text, self.name)
        lines = split_lines(text)
        windows = text.count("\r\n")
        return _Content(mark, lines, "\r\n" if windows > text.count("\n") - windows else "\n")

    def _plan_lines(self, before: bytes | None, content: _Content, lines: Sequence[str]) -> FileChange:
        """Plan that the file contains these lines, which bring their own ends."""
        if before is None and not lines:
            return self._change(None, None)
        text = "".join(lines)
        self._refuse_null(text, f"The new content of {self.name}")
        try:
            data = text.encode()
        except UnicodeEncodeError as error:
            raise InvalidContentError(
                f"The new content of {self.name} has a character that is no valid Unicode.",
                hint="Remove the half of a surrogate pair.",
            ) from error
        return self._change(before, (codecs.BOM_UTF8 if content.mark else b"") + data)

    def _change(self, before: bytes | None, after: bytes | None) -> FileChange:
        return FileChange(path=self.path, name=self.name, before=before, after=after)

    @staticmethod
    def _refuse_null(text: str, subject: str) -> None:
        if "\0" in text:
            raise InvalidContentError(
                f"{subject} has a NUL character, so it is no text.",
                hint="Restore the file, or write it anew in UTF-8.",
            )


class EntriesDocument(Document, ABC):
    """A document of entries, one a line, which are brought in and removed by name."""

    @abstractmethod
    def plan_merge(self, text: str, *, replace: bool = False) -> Change:
        """Plan to bring lines into the file, or to make the file exactly these lines."""

    @abstractmethod
    def plan_remove(self, *names: str) -> Change:
        """Plan to remove entries."""

    def add(self, *lines: str, dry_run: bool = False) -> Change:
        """Bring lines into the file: `plan_merge` and `Project.edit` in one.

        Parameters
        ----------
        *lines : str
            Entries as they stand in the file, such as ``pandas==2.2.3``, ``libpq-dev`` or ``sql/``.
        dry_run : bool, optional
            Only plan it.

        Raises
        ------
        ProjectError, ProjectBusyError
            As `plan_merge` and `Project.edit`.
        """
        return self.project.edit(lambda: self.plan_merge("\n".join(lines)), dry_run=dry_run)

    def remove(self, *names: str, dry_run: bool = False) -> Change:
        """Remove entries: `plan_remove` and `Project.edit` in one.

        Parameters
        ----------
        *names : str
            Names as `plan_remove` takes them.
        dry_run : bool, optional
            Only plan it.

        Raises
        ------
        ProjectError
            As `plan_remove` and `Project.edit`.
        """
        return self.project.edit(lambda: self.plan_remove(*names), dry_run=dry_run)
