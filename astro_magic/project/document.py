"""A project file that is edited: read, plan a change, show it, apply it.

Planning never writes. A `FileChange` holds what the file contains now and what it will contain; `Project.apply` writes
a `Change` when each of its files still is what was read.
"""

from __future__ import annotations

import codecs
import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from astro_magic.errors import InvalidContentError
from astro_magic.project.masking import mask_lines
from astro_magic.system import files

if TYPE_CHECKING:
    from astro_magic.project.project import Project

__all__ = ["Change", "Document", "FileChange", "split_lines"]


def split_lines(text: str) -> list[str]:
    """Split a text into lines that keep their ends; only a line feed ends one.

    `str.splitlines` would also split at characters that are content in these files, such as a form feed.
    """
    lines = text.split("\n")
    ended = [line + "\n" for line in lines[:-1]]
    return [*ended, lines[-1]] if lines[-1] else ended


@dataclass(frozen=True)
class FileChange:
    """What a file contains before and after a change.

    Attributes
    ----------
    path : Path
        The file on disk.
    name : str
        The file as a POSIX path relative to the project.
    before : bytes or None
        Its content as it was read; None when it did not exist.
    after : bytes or None
        Its content after the change; None when it will not exist.
    """

    path: Path
    name: str
    before: bytes | None = field(repr=False)
    after: bytes | None = field(repr=False)

    @property
    def kind(self) -> Literal["created", "changed", "removed", "unchanged"]:
        """What happens to the file."""
        if self.before == self.after:
            return "unchanged"
        if self.before is None:
            return "created"
        return "removed" if self.after is None else "changed"

    @property
    def added(self) -> int:
        """How many lines the change adds; a changed line counts as one added and one removed."""
        return sum(end - start for _, _, _, start, end in self._differences())

    @property
    def removed(self) -> int:
        """How many lines the change removes."""
        return sum(end - start for _, start, end, _, _ in self._differences())

    def diff(self, *, context: int = 3) -> str:
        """Give the change as a unified diff, with the values of secrets hidden.

        Parameters
        ----------
        context : int, optional
            How many unchanged lines to give around each change.

        Returns
        -------
        str
            Empty when nothing changes. A line whose only change is a hidden value shows up as removed and added.
        """
        if self.kind == "unchanged":
            return ""
        before, after = self._lines(self.before), self._lines(self.after)
        shown_before, shown_after = self._shown(before), self._shown(after)
        output = [
            f"--- {self.name if self.before is not None else '/dev/null'}",
            f"+++ {self.name if self.after is not None else '/dev/null'}",
        ]
        for group in difflib.SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(context):
            _, first_before, _, first_after, _ = group[0]
            _, _, last_before, _, last_after = group[-1]
            output.append(f"@@ -{_range(first_before, last_before)} +{_range(first_after, last_after)} @@")
            for tag, before_start, before_end, after_start, after_end in group:
                if tag == "equal":
                    output += [f" {line}" for line in shown_before[before_start:before_end]]
                    continue
                output += [f"-{line}" for line in shown_before[before_start:before_end]]
                output += [f"+{line}" for line in shown_after[after_start:after_end]]
        return "\n".join(output) + "\n"

    def _differences(self) -> Iterator[tuple[str, int, int, int, int]]:
        matcher = difflib.SequenceMatcher(None, self._lines(self.before), self._lines(self.after), autojunk=False)
        return (opcode for opcode in matcher.get_opcodes() if opcode[0] != "equal")

    def _shown(self, lines: Sequence[str]) -> list[str]:
        return mask_lines(self.name, [line.rstrip("\r\n") for line in lines])

    @staticmethod
    def _lines(content: bytes | None) -> list[str]:
        return split_lines((content or b"").decode("utf-8", errors="replace"))


def _range(start: int, end: int) -> str:
    """Give a range of lines as unified diffs count them."""
    length = end - start
    first = start + 1 if length else start
    return str(first) if length == 1 else f"{first},{length}"


@dataclass(frozen=True)
class Change:
    """A change to files of a project: planned, or applied.

    Attributes
    ----------
    title : str
        What the change is, in a few words.
    files : tuple of FileChange
        The files that it is about.
    applied : bool
        Whether it was written to disk.
    """

    title: str
    files: tuple[FileChange, ...]
    applied: bool = False

    @property
    def changed(self) -> bool:
        """Whether any file differs after the change."""
        return any(file.kind != "unchanged" for file in self.files)

    def diff(self) -> str:
        """Give the diffs of all files one after the other, with the values of secrets hidden."""
        return "".join(file.diff() for file in self.files)


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
        with files.guard(self.path, "read"):
            exists = self.path.exists()
        return files.read_bytes(self.path) if exists else None

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
        ProjectError
            As `plan_write` and `Project.apply`.
        """
        return self.project.apply(Change(f"write {self.name}", (self.plan_write(text),)), dry_run=dry_run)

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
