"""Changes to files of a project, planned or applied, and what they look like."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from astro_magic.project.differences import Hunk, differences, merge_lines
from astro_magic.project.masking import mask_lines

__all__ = ["Change", "FileChange", "merge_contents", "named_lines", "split_lines"]


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
        return sum(hunk.new_end - hunk.new_start for hunk in self._hunks)

    @property
    def removed(self) -> int:
        """How many lines the change removes."""
        return sum(hunk.end - hunk.start for hunk in self._hunks)

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
        before = self._lines[0]
        shown_before, shown_after = map(self._shown, self._lines)
        output = [
            f"--- {self.name if self.before is not None else '/dev/null'}",
            f"+++ {self.name if self.after is not None else '/dev/null'}",
        ]
        for group in _grouped(self._hunks, context):
            first, last = max(group[0].start - context, 0), min(group[-1].end + context, len(before))
            # What lies between hunks is the same in both, so the distance to the other text is that of the hunk.
            new_first = first + group[0].new_start - group[0].start
            new_last = last + group[-1].new_end - group[-1].end
            output.append(f"@@ -{_range(first, last)} +{_range(new_first, new_last)} @@")
            position = first
            for hunk in group:
                output += [f" {line}" for line in shown_before[position : hunk.start]]
                output += [f"-{line}" for line in shown_before[hunk.start : hunk.end]]
                output += [f"+{line}" for line in shown_after[hunk.new_start : hunk.new_end]]
                position = hunk.end
            output += [f" {line}" for line in shown_before[position:last]]
        return "\n".join(output) + "\n"

    # A change is shown as text and as HTML, and counted for both; a long file is compared once.

    @functools.cached_property
    def _lines(self) -> tuple[list[str], list[str]]:
        before, after = (
            split_lines((content or b"").decode(errors="replace")) for content in (self.before, self.after)
        )
        return before, after

    @functools.cached_property
    def _hunks(self) -> list[Hunk]:
        return differences(*self._lines)

    def _shown(self, lines: Sequence[str]) -> list[str]:
        return mask_lines(self.name, [line.rstrip("\r\n") for line in lines])


def _grouped(hunks: Sequence[Hunk], context: int) -> Iterator[list[Hunk]]:
    """Put together the hunks whose context would overlap."""
    group: list[Hunk] = []
    for hunk in hunks:
        if group and hunk.start - group[-1].end > 2 * context:
            yield group
            group = []
        group.append(hunk)
    if group:
        yield group


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


def merge_contents(base: bytes | None, ours: bytes | None, theirs: bytes | None) -> bytes | None:
    """Bring two edits of one file together, line by line.

    Parameters
    ----------
    base : bytes or None
        What both edits began with.
    ours, theirs : bytes or None
        What each of them made of it.

    Returns
    -------
    bytes or None
        The content with both edits; None when they touch, or one of the three is no file or no UTF-8 text.
    """
    if base is None or ours is None or theirs is None:
        return None
    try:
        texts = [split_lines(content.decode()) for content in (base, ours, theirs)]
    except UnicodeDecodeError:
        return None
    merged = merge_lines(*texts)
    return None if merged is None else "".join(merged).encode()


def named_lines(before: bytes | None, after: bytes | None, *, most: int = 3) -> str:
    """Name the lines in which a file differs from what it was, to follow the word "changed".

    Returns
    -------
    str
        Such as `` (lines 3-5 and 9)``; empty when one of the two is no file.
    """
    if before is None or after is None:
        return ""
    texts = [split_lines(content.decode(errors="replace")) for content in (before, after)]
    places = [
        f"{hunk.new_start + 1}-{hunk.new_end}" if hunk.new_end - hunk.new_start > 1 else str(hunk.new_start + 1)
        for hunk in differences(*texts)
    ]
    shown = [*places[:most], f"{len(places) - most} more places"] if len(places) > most else places
    word = "line" if len(shown) == 1 and shown[0].isdecimal() else "lines"
    return f" ({word} {' and '.join([', '.join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)})" if shown else ""
