"""The Python packages of a project: ``requirements.txt``, in pip's format."""

from __future__ import annotations

import difflib
import posixpath
from collections.abc import Sequence

from packaging.utils import canonicalize_name

from astro_magic.errors import InvalidContentError
from astro_magic.project.changes import Change
from astro_magic.project.document import EntriesDocument
from astro_magic.project.requirements.lines import RequirementLine, check, parse

__all__ = ["Requirements"]


class Requirements(EntriesDocument):
    """A requirements file. Lines that an edit is not about stay byte for byte what they were."""

    def entries(self) -> tuple[RequirementLine, ...]:
        """Read the file as logical lines: continued lines count as one.

        Raises
        ------
        FileAccessError
            When it cannot be read.
        InvalidContentError
            When it is no UTF-8 text.
        """
        return tuple(parse(self.lines()))

    def included(self, *, constraints: bool = True) -> tuple[Requirements, ...]:
        """Give the files of the project that this one includes with ``-r`` or ``-c``, and those that they include.

        Parameters
        ----------
        constraints : bool, optional
            Whether those included with ``-c`` are among them, which request nothing.

        Raises
        ------
        FileAccessError
            When a file cannot be read.
        InvalidContentError
            When one is no UTF-8 text.
        """
        options = {"--requirement", "--constraint"} if constraints else {"--requirement"}
        found: dict[str, Requirements] = {}
        waiting: list[Requirements] = [self]
        while waiting:
            document = waiting.pop(0)
            for entry in document.entries():
                option, _, target = entry.meaning.partition(" ")
                if entry.kind != "option" or option not in options:
                    continue
                name = posixpath.normpath(posixpath.join(posixpath.dirname(document.name), target))
                path = self.project.root / name
                if name in {self.name, *found} or name.startswith("..") or not path.is_file():
                    continue
                found[name] = Requirements(self.project, name)
                waiting.append(found[name])
        return tuple(found.values())

    def names(self) -> dict[str, tuple[int, str]]:
        """Read which packages the file names.

        Returns
        -------
        dict of str to (int, str)
            By normalised name (``my-package``): the first line that names the package, counted from 1, and the text
            of the requirement without its comment.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When it is no UTF-8 text.
        """
        found: dict[str, tuple[int, str]] = {}
        for entry in self.entries():
            if entry.name is not None:
                found.setdefault(entry.name, (entry.line, entry.text))
        return found

    def plan_merge(self, text: str, *, replace: bool = False) -> Change:
        """Plan to bring lines into the file.

        A line that names a package which is already there takes the place of that line; the others are appended.
        A comment above a line goes where the line goes. What the file already says changes nothing.

        Parameters
        ----------
        text : str
            Lines of a requirements file.
        replace : bool, optional
            Make the file exactly this text instead.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When a line is no requirement, or names a package a second time.
        """
        # A backslash at the very end continues nothing.
        raw = [line.rstrip("\r") for line in text.removeprefix("\ufeff").rstrip("\\\r\n").split("\n")]
        new = parse(raw)
        check(new)
        if replace:
            return Change(f"replace {self.name}", (self.plan_write("\n".join(raw).strip("\n")),))
        before = self.read()
        content = self._content(before)
        merge = _Merge(content.lines, content.line_end)
        merge.bring(new)
        return Change(f"merge into {self.name}", (self._plan_lines(before, content, merge.lines()),))

    def plan_remove(self, *names: str) -> Change:
        """Plan to remove all lines that name the packages.

        Parameters
        ----------
        *names : str
            Names of packages, in any spelling.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When it does not name one of them.
        """
        before = self.read()
        content = self._content(before)
        entries = parse([line.rstrip("\r\n") for line in content.lines])
        known = {entry.name for entry in entries if entry.name is not None}
        wanted = {str(canonicalize_name(name.strip())) for name in names}
        for name in sorted(wanted - known):
            close = difflib.get_close_matches(name, known, n=1)
            raise InvalidContentError(
                f"{self.name} does not name {name}.",
                hint=f"Did you mean {close[0]}?" if close else f"It names: {', '.join(sorted(known)) or 'nothing'}.",
            )
        lines = [
            line
            for entry in entries
            if entry.name not in wanted
            for line in content.lines[entry.line - 1 : entry.line - 1 + entry.length]
        ]
        return Change(f"remove from {self.name}", (self._plan_lines(before, content, lines),))


class _Block:
    """A logical line of the file with the physical lines that it stands on."""

    def __init__(self, entry: RequirementLine, physical: Sequence[str]) -> None:
        self.entry = entry
        self.physical = list(physical)
        self.above: list[str] = []
        self.claimed = False


class _Merge:
    """Lines being brought into a file."""

    def __init__(self, lines: Sequence[str], line_end: str) -> None:
        entries = parse([line.rstrip("\r\n") for line in lines])
        self._blocks = [_Block(entry, lines[entry.line - 1 : entry.line - 1 + entry.length]) for entry in entries]
        self._end = line_end
        self._comments = {entry.raw.strip() for entry in entries if entry.kind == "comment"}
        self._by_identity: dict[str, list[_Block]] = {}
        for block in self._blocks:
            self._by_identity.setdefault(block.entry.identity, []).append(block)

    def bring(self, new: Sequence[RequirementLine]) -> None:
        """Bring all lines in: first those that the file has, so that no other line takes their place."""
        exact = {entry.line: self._claim(entry, exact=True) for entry in new}
        comments: list[str] = []
        for entry in new:
            if entry.kind == "blank":
                continue
            if entry.kind == "comment":
                comment = entry.raw.strip()
                if comment not in self._comments:
                    self._comments.add(comment)
                    comments.append(entry.raw.rstrip())
                continue
            block = exact[entry.line] or self._claim(entry, exact=False)
            if block is None:
                for comment in comments:
                    self._append(RequirementLine.of_comment(comment), [comment])
                block = self._append(entry, entry.raw.split("\n"))
            else:
                block.above += [comment + self._end for comment in comments]
                self._put(block, entry)
            comments = []
        for comment in comments:
            self._append(RequirementLine.of_comment(comment), [comment])

    def lines(self) -> list[str]:
        """Give the physical lines as they are now."""
        return [line for block in self._blocks for line in (*block.above, *block.physical)]

    def _claim(self, entry: RequirementLine, *, exact: bool) -> _Block | None:
        """Find the line whose place a new line takes, and keep it from being taken again."""
        if entry.kind in {"blank", "comment"}:
            return None
        same = self._by_identity.get(entry.identity, [])
        if exact:
            found = [block for block in same if block.entry.marker == entry.marker]
            # Of several lines about one package, such as for its extras, the one that says the same comes first.
            found.sort(key=lambda block: block.entry.meaning != entry.meaning)
        else:
            # Two markers that differ are two requirements; a line without one gives way to, or takes, the other.
            single = len(same) == 1 and not same[0].claimed and not (same[0].entry.marker and entry.marker)
            found = same if single else []
        if not found:
            return None
        found[0].claimed = True
        return found[0]

    def _put(self, block: _Block, entry: RequirementLine) -> None:
        if block.entry.meaning == entry.meaning:
            return
        lines = entry.raw.split("\n")
        if len(lines) == 1 and len(block.physical) == 1 and block.entry.comment and not entry.comment:
            lines = [f"{lines[0].rstrip()}{block.entry.comment}"]
        last = block.physical[-1]
        final_end = last[len(last.rstrip("\r\n")) :]
        block.physical = [*(line + self._end for line in lines[:-1]), lines[-1] + final_end]
        block.entry = entry

    def _append(self, entry: RequirementLine, lines: Sequence[str]) -> _Block:
        if self._blocks:
            physical = self._blocks[-1].physical
            if not physical[-1].endswith("\n"):
                physical[-1] += self._end
            if physical[-1].rstrip("\r\n").endswith("\\"):
                # The file ends in the middle of a continued line, which must not swallow the new one.
                physical.append(self._end)
        block = _Block(entry, [line + self._end for line in lines])
        block.claimed = True
        self._blocks.append(block)
        self._by_identity.setdefault(entry.identity, []).append(block)
        return block
