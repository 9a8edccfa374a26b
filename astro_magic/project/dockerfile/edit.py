"""Edits of a Dockerfile's lines: what an edit is not about stays as it is, and the result is read again to be sure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from astro_magic.errors import InvalidContentError
from astro_magic.project.dockerfile.cell import quoted
from astro_magic.project.dockerfile.images import argument_for, base_of
from astro_magic.project.dockerfile.lines import (
    Assignment,
    DockerfileEntry,
    LogicalLine,
    assignments,
    block_mark,
    has_other_frontend,
    parse,
)
from astro_magic.project.dockerfile.words import from_words, plain, words

__all__ = ["DockerfileEdit", "Part", "same_value"]


class Part:
    """An entry of the file with its lines, and what an edit puts above and below it."""

    def __init__(self, entry: DockerfileEntry, physical: Sequence[str]) -> None:
        self.entry = entry
        self.physical = list(physical)
        self.above: list[Part] = []
        self.below: list[Part] = []

    def around(self) -> Iterator[Part]:
        """Give what stands above, the part itself and what stands below."""
        yield from self.above
        yield self
        yield from self.below


class DockerfileEdit:
    """The lines of a Dockerfile while they are edited.

    Parameters
    ----------
    lines : sequence of str
        The lines, with their ends.
    line_end : str
        How lines of the file end.

    Attributes
    ----------
    parts : list of Part
        What stands in the file.
    escape : str
        The character that continues lines.
    other_frontend : bool
        Whether the file is built by another frontend than Docker's.
    """

    def __init__(self, lines: Sequence[str], line_end: str) -> None:
        bodies = [line.rstrip("\r\n") for line in lines]
        entries = parse(bodies)
        self._read = (bodies, entries)
        self._lines = list(lines)
        self._end = line_end
        self._new: list[Part] = []
        self.escape = entries[0].escape if entries else "\\"
        self.other_frontend = has_other_frontend(entries)
        self.parts = [Part(entry, lines[entry.line - 1 : entry.line - 1 + entry.length]) for entry in entries]
        self.comments = {entry.raw.strip() for entry in entries if entry.kind == "comment"}

    def lines(self) -> list[str]:
        """Give the lines as they are now, with their ends.

        Raises
        ------
        InvalidContentError
            When the builder would read them otherwise than they are meant.
        """
        found = [line for part in self._all() for line in part.physical]
        for place in range(len(found) - 1):
            if not found[place].endswith("\n"):
                found[place] += self._end
        if found == self._lines:
            return found
        expected = [(part.entry.kind, part.entry.raw) for part in self._all()]
        entries = self.entries()
        if expected != [(entry.kind, entry.raw) for entry in entries]:
            pairs = itertools.zip_longest(entries, expected)
            line = next(
                entry.line if entry else len(found)
                for entry, wanted in pairs
                if entry is None or (entry.kind, entry.raw) != wanted
            )
            raise InvalidContentError(
                f"With this edit the Dockerfile would mean something else than was asked for, from line {line} on.",
                hint="Edit the file by hand, or replace it as a whole.",
            )
        return found

    def entries(self) -> list[DockerfileEntry]:
        """Read the lines as they are now."""
        lines = [line.rstrip("\r\n") for part in self._all() for line in part.physical]
        if lines != self._read[0]:
            self._read = (lines, parse(lines))
        return self._read[1]

    def make(self, lines: Iterable[str]) -> list[Part]:
        """Make parts of new lines, which bring no ends."""
        raw = list(lines)
        return [
            Part(entry, [line + self._end for line in raw[entry.line - 1 : entry.line - 1 + entry.length]])
            for entry in parse(raw, escape=self.escape)
        ]

    def last_stage(self) -> list[Part]:
        """Give the parts of the last stage, from its ``FROM`` on.

        Raises
        ------
        InvalidContentError
            When the file has no stage.
        """
        for place in reversed(range(len(self.parts))):
            if self.parts[place].entry.keyword == "FROM":
                return self.parts[place:]
        raise InvalidContentError(
            "The Dockerfile has no FROM, so there is no stage that could be edited.",
            hint="Begin with the image: FROM astrocrpublic.azurecr.io/runtime:3.3-1.",
        )

    def head(self) -> list[Part]:
        """Give the parts above the first ``FROM``."""
        return [part for part in self.parts if part.entry.stage is None]

    def anchor(self, parts: Sequence[Part]) -> Part | None:
        """Find the last instruction, or end of a block, of these parts."""
        return next((part for part in reversed(parts) if _anchors(part.entry)), None)

    def append(self, parts: Sequence[Part], *, below: Part | None) -> None:
        """Put parts below another; below everything when there is none.

        Raises
        ------
        InvalidContentError
            When the file ends in the middle of an instruction.
        """
        entry = self.parts[-1].entry if self.parts else None
        if entry is not None and entry.left_open:
            raise InvalidContentError(
                f"Dockerfile line {entry.line} cannot be read, so nothing can be added: {entry.problem}.",
                hint="Complete that instruction, or remove what continues it.",
            )
        if below is not None:
            below.below += parts
        elif self.parts:
            self.parts[-1].below += parts
        else:
            self._new += parts

    def comment(self, part: Part, comments: Iterable[str]) -> None:
        """Put those comments above a part that the file does not have yet."""
        for comment in comments:
            if comment.strip() not in self.comments:
                self.comments.add(comment.strip())
                part.above += self.make([comment])

    def put(self, part: Part, old: Assignment, new: str) -> None:
        """Write a key and its value in the place of another.

        Raises
        ------
        InvalidContentError
            When the instruction could not be read afterwards.
        """
        self._splice(part, old.start, old.end, new)

    def drop(self, part: Part, key: str) -> None:
        """Take a key out of an instruction that has others as well.

        Raises
        ------
        InvalidContentError
            When the instruction could not be read afterwards.
        """
        raw = part.entry.raw.split("\n")
        logical = LogicalLine(raw, self.escape)
        spans = words(logical.text, self.escape)
        found = next(found for found in assignments(part.entry) if found.key == key)
        place = spans.index((found.start, found.end))
        line, column = logical.position(found.start)
        last, end = logical.position(found.end - 1)
        if last == line and not (raw[line][:column] + raw[line][end + 1 :]).strip(f" \t{self.escape}"):
            physical = part.physical[:line] + part.physical[line + 1 :]
            if place == len(spans) - 1:
                # What was the last but one line with words is the last now, and must not continue.
                before = logical.position(spans[place - 1][1] - 1)[0]
                body = raw[before].rstrip(" \t")
                physical[before] = body[:-1].rstrip() + part.physical[before][len(raw[before]) :]
            self._reread(part, physical)
        elif place + 1 < len(spans) and logical.position(spans[place - 1][0])[0] != line:
            self._splice(part, found.start, spans[place + 1][0], "")
        else:
            self._splice(part, spans[place - 1][1], found.end, "")

    def set_base(self, image: str, options: str = "", name: str = "") -> Part:
        """Make the last stage build on another image: by the ``ARG`` that names it, else in its ``FROM``.

        Parameters
        ----------
        image : str
            The image; it may use an ``ARG``.
        options : str, optional
            Options of ``FROM``, such as ``--platform=linux/amd64``; without them, those of the file stay.
        name : str, optional
            The name of the stage; without it, that of the file stays.

        Returns
        -------
        Part
            The ``FROM``.

        Raises
        ------
        InvalidContentError
            When there is no ``FROM``, or the stage cannot have this image or name.
        """
        entries = self.entries()
        base = base_of(entries)
        place = next(place for place, entry in enumerate(entries) if entry.line == base.line)
        part = self._all()[place]
        old = from_words(part.entry.arguments)
        self._check_stage(entries, image, old[2], name)
        new = (options or old[0], self._image(entries, old[1], image, base.image), name or old[2])
        logical = LogicalLine(part.entry.raw.split("\n"), self.escape)
        spans = words(logical.text, self.escape)[1:]
        if (new[0], new[2]) == (old[0], old[2]):
            start, end = spans[len(old[0].split())]
            if new[1] != old[1]:
                self._splice(part, start, end, new[1])
        elif new != old:
            text = " ".join(f"{new[0]} {new[1]} {f'AS {new[2]}' if new[2] else ''}".split())
            self._splice(part, spans[0][0], spans[-1][1], text)
        result = base_of(self.entries()).image
        if "$" not in image and result != image:
            raise InvalidContentError(
                f"The Dockerfile would build on {result}, not on {image}.", hint="Edit its FROM lines by hand."
            )
        return part

    def block(self, name: str) -> tuple[int, int] | None:
        """Find the places of the two marks of a managed block.

        Raises
        ------
        InvalidContentError
            When a block of the file is not begun and ended once.
        """
        for part in self.parts:
            if part.entry.problem and not part.entry.left_open:
                raise InvalidContentError(
                    f"Dockerfile line {part.entry.line}: {part.entry.problem}.",
                    hint="Each block begins with a line '# >>> NAME' and ends with a line '# <<< NAME', once.",
                )
        marks = [place for place, part in enumerate(self.parts) if block_mark(part.entry.raw) in _marks(name)]
        return (marks[0], marks[1]) if marks else None

    def put_block(self, name: str, lines: Sequence[str], *, above: Collection[str] = (), below: int = 0) -> None:
        """Make a managed block hold these lines.

        Parameters
        ----------
        name : str
            The block.
        lines : sequence of str
            Its lines.
        above : collection of str, optional
            Blocks that it is put above, when it is not there yet.
        below : int, optional
            The line, from 1, of the instruction that it is put below when it is not there yet, or of one in the block
            that it is put below; by default the last one.
        """
        place = self.block(name)
        new = self.make(lines)
        if place is not None:
            start, end = place
            if [part.entry.raw for part in self.parts[start + 1 : end]] != [part.entry.raw for part in new]:
                self.parts[start + 1 : end] = new
            return
        block = self.make([f"# >>> {name}", *lines, f"# <<< {name}"])
        next_one = min((found[0] for other in above if (found := self.block(other)) is not None), default=None)
        anchor = next((part for part in self.parts if below and part.entry.line == below), None)
        if anchor is not None and (inside := self.block(anchor.entry.block)) is not None:
            anchor = self.parts[inside[1]]
        if anchor is None and next_one is not None:
            self.parts[next_one:next_one] = [*block, *self.make([""])]
        else:
            self.append([*self.make([""]), *block], below=anchor or self.anchor(self.last_stage()))
            # What is put next is to find it.
            self.settle()

    def settle(self) -> None:
        """Count what was put above and below as parts of the file."""
        self.parts, self._new = self._all(), []
        for part in self.parts:
            part.above, part.below = [], []

    def remove_block(self, name: str) -> bool:
        """Take a managed block out, with the blank line above it; gives whether it was there."""
        place = self.block(name)
        if place is None:
            return False
        start, end = place
        blank = start > 0 and self.parts[start - 1].entry.kind == "blank"
        self.remove_parts(self.parts[start - blank : end + 1])
        return True

    def remove_parts(self, parts: Sequence[Part]) -> None:
        """Take whole entries out of the file."""
        gone = set(map(id, parts))
        self.parts = [part for part in self.parts if id(part) not in gone]

    def _image(self, entries: Sequence[DockerfileEntry], old: str, wanted: str, current: str) -> str:
        """Give what the ``FROM`` has to name, after an ``ARG`` was changed where that is enough."""
        if "$" in wanted:
            return wanted
        argument = argument_for(entries, old, wanted) if current != wanted else None
        if argument is not None:
            key, value = argument
            target = [part for part in self.head() if key in {found.key for found in assignments(part.entry)}][-1]
            found = [found for found in assignments(target.entry) if found.key == key][-1]
            self.put(target, found, quoted("ARG", key, value, self.escape))
        return old if argument is not None or current == wanted else wanted

    @staticmethod
    def _check_stage(entries: Sequence[DockerfileEntry], image: str, old_name: str, name: str) -> None:
        if image.lower() in {entry.stage_name for entry in entries if entry.stage_name}:
            raise InvalidContentError(
                f"{image} is a stage of this Dockerfile, not an image that its last stage could begin from.",
                hint="To change how stages build on each other, replace the Dockerfile as a whole.",
            )
        if not name or not old_name or name.lower() == old_name.lower():
            return
        used = re.compile(rf"from={re.escape(old_name)}(?![\w.-])", re.IGNORECASE)
        for entry in entries:
            base = from_words(entry.arguments)[1].lower() if entry.keyword == "FROM" else ""
            if base == old_name.lower() or ("from=" in entry.arguments.lower() and used.search(entry.arguments)):
                raise InvalidContentError(
                    f"Dockerfile line {entry.line} uses the stage {old_name}, so it cannot be named {name}.",
                    hint=f"Leave AS {name} away, or write AS {old_name}.",
                )

    def _splice(self, part: Part, start: int, end: int, text: str) -> None:
        """Put a text between two characters of an instruction, counted in its logical line."""
        raw = part.entry.raw.split("\n")
        logical = LogicalLine(raw, self.escape)
        first, column = logical.position(start)
        last, last_column = logical.position(end - 1) if end > start else (first, column - 1)
        line = raw[first][:column] + text + raw[last][last_column + 1 :] + part.physical[last][len(raw[last]) :]
        self._reread(part, [*part.physical[:first], line, *part.physical[last + 1 :]])

    def _reread(self, part: Part, physical: Sequence[str]) -> None:
        raw = [line.rstrip("\r\n") for line in physical]
        first, *others = parse(raw, escape=self.escape)
        if first.keyword != part.entry.keyword or first.left_open or any(found.keyword for found in others):
            raise InvalidContentError(
                f"Dockerfile line {part.entry.line} could not be read after this edit.", hint="Edit the file by hand."
            )
        place = replace(first, line=part.entry.line, stage=part.entry.stage, block=part.entry.block)
        part.entry, part.physical = place, list(physical[: first.length])
        # Comments inside a continued instruction stand on their own when nothing is continued any more.
        part.below = [
            *(Part(found, physical[found.line - 1 : found.line - 1 + found.length]) for found in others),
            *part.below,
        ]

    def _all(self) -> list[Part]:
        return [*self._new, *(found for part in self.parts for found in part.around())]


def same_value(first: Assignment, second: Assignment, escape: str) -> bool:
    """Tell whether two keys are given the same value, however it is written."""
    return _value(first, escape) == _value(second, escape)


def _value(assignment: Assignment, escape: str) -> str | None:
    # A dollar sign that refers to nothing is told from one that does.
    return None if assignment.value is None else plain(assignment.value, escape, dollar="\0")


def _marks(name: str) -> set[tuple[str, str]]:
    return {(">>>", name), ("<<<", name)}


def _anchors(entry: DockerfileEntry) -> bool:
    mark = block_mark(entry.raw) if entry.kind == "comment" else None
    return entry.kind == "instruction" or (mark is not None and mark[0] == "<<<")
