"""The operating system's packages of a project: ``packages.txt``, one Debian package a line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from astro_magic.errors import InvalidContentError
from astro_magic.project.changes import Change
from astro_magic.project.document import EntriesDocument
from astro_magic.system.secrets import mask_credentials

__all__ = ["OsPackages", "PackageLine", "parse_packages"]

# Names, versions and architectures by the Debian policy (5.6.1, 5.6.12, 5.6.8); apt takes `*` in a version as well.
_WORD = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]+)"
    r"(?::(?P<architecture>[a-z0-9][a-z0-9-]*))?"
    r"(?:=(?P<version>[0-9A-Za-z][0-9A-Za-z.+:~*-]*)|/(?P<release>[A-Za-z0-9][A-Za-z0-9._/-]*))?"
)
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*", re.DOTALL)
_COMMAND = re.compile(r"(?:sudo\s+)?(?:apt-get|apt|aptitude)\b.*?\binstall\s+(?P<rest>.*)")
_HINT = "Write one package a line, such as libpq-dev or curl=7.88.1-10."


@dataclass(frozen=True)
class PackageLine:
    """A line of a packages file.

    Attributes
    ----------
    kind : {"blank", "comment", "package", "invalid"}
        What it is. A line of several packages is a package line as well: apt reads it.
    line : int
        Its number, from 1.
    raw : str
        The line as it is, without its end.
    text : str
        What it says, without its comment.
    comment : str
        The comment at its end, with the blanks before it.
    names : tuple of str
        The packages that it names, with the architecture if that is named: ``libc6:arm64``.
    problem : str
        Why apt could not read it.
    """

    kind: Literal["blank", "comment", "package", "invalid"]
    line: int
    raw: str
    text: str = ""
    comment: str = ""
    names: tuple[str, ...] = ()
    problem: str = ""


def parse_packages(lines: Sequence[str]) -> list[PackageLine]:
    """Read the lines of a packages file, without their ends; the result covers all of them."""
    return [_read(line, number) for number, line in enumerate(lines, start=1)]


class OsPackages(EntriesDocument):
    """A packages file. Lines that an edit is not about stay byte for byte what they were."""

    def entries(self) -> tuple[PackageLine, ...]:
        """Read the file, line by line.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When it is no UTF-8 text.
        """
        return tuple(parse_packages(self.lines()))

    def names(self) -> dict[str, tuple[int, str]]:
        """Read which packages the file names.

        Returns
        -------
        dict of str to (int, str)
            By name: the first line that names the package, counted from 1, and what it says of the package.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When it is no UTF-8 text.
        """
        found: dict[str, tuple[int, str]] = {}
        for entry in self.entries():
            for name, word in zip(entry.names, entry.text.split(), strict=False):
                found.setdefault(name, (entry.line, word))
        return found

    def plan_merge(self, text: str, *, replace: bool = False) -> Change:
        """Plan to bring packages into the file.

        A package that is already there is changed where it stands; the others are appended. A comment above a line
        goes where the line goes. What the file already says changes nothing.

        Parameters
        ----------
        text : str
            One package a line: ``name``, ``name=version``, ``name:architecture`` or ``name/release``.
        replace : bool, optional
            Make the file exactly this text instead.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When a line is no package, or names one a second time.
        """
        raw = [line.rstrip("\r") for line in text.removeprefix("\ufeff").rstrip("\r\n").split("\n")]
        new = parse_packages(raw)
        _check(new)
        if replace:
            return Change(f"replace {self.name}", (self.plan_write("\n".join(raw).strip("\n")),))
        before = self.read()
        content = self._content(before)
        lines = _merged(content.lines, new, content.line_end)
        return Change(f"merge into {self.name}", (self._plan_lines(before, content, lines),))

    def plan_remove(self, *names: str) -> Change:
        """Plan to remove packages, wherever the file names them.

        Parameters
        ----------
        *names : str
            Names of packages, with the architecture where the file has one.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When it does not name one of them.
        """
        before = self.read()
        content = self._content(before)
        entries = parse_packages([line.rstrip("\r\n") for line in content.lines])
        known = {name for entry in entries for name in entry.names}
        wanted = {name.strip() for name in names}
        for name in sorted(wanted - known):
            close = difflib.get_close_matches(name, known, n=1)
            raise InvalidContentError(
                f"{self.name} does not name {name}.",
                hint=f"Did you mean {close[0]}?" if close else f"It names: {', '.join(sorted(known)) or 'nothing'}.",
            )
        lines = []
        for entry, line in zip(entries, content.lines, strict=True):
            gone = [name in wanted for name in entry.names]
            if not any(gone):
                lines.append(line)
            elif not all(gone):
                kept = " ".join(word for word, drop in zip(entry.text.split(), gone, strict=True) if not drop)
                lines.append(line.replace(entry.text, kept, 1))
        return Change(f"remove from {self.name}", (self._plan_lines(before, content, lines),))


def _read(raw: str, number: int) -> PackageLine:
    match = _COMMENT.search(raw)
    text = raw[: match.start()].strip() if match else raw.strip()
    if not text:
        return PackageLine("comment" if match else "blank", number, raw, comment=raw.strip())
    comment = raw[raw.index(text) + len(text) :].rstrip() if match else ""
    found = [_WORD.fullmatch(word) for word in text.split()]
    names = tuple(
        f"{word['name']}:{word['architecture']}" if word["architecture"] else word["name"]
        for word in found
        if word is not None
    )
    if len(names) == len(found):
        return PackageLine("package", number, raw, text, comment, names)
    word = next(word for word, match in zip(text.split(), found, strict=True) if match is None)
    problem = f"{mask_credentials(word)!r} is no name of a Debian package"
    return PackageLine("invalid", number, raw, text, comment, problem=problem)


def _check(lines: Sequence[PackageLine]) -> None:
    """Check lines that are to be brought into a file."""
    seen: dict[str, PackageLine] = {}
    for entry in lines:
        command = _COMMAND.fullmatch(entry.text)
        if command is not None:
            packages = [word for word in command["rest"].split() if _WORD.fullmatch(word)]
            raise InvalidContentError(
                f"Line {entry.line} is a command, not the name of a package.",
                hint=f"Write only what is to be installed, one a line: {', '.join(packages) or 'libpq-dev'}.",
            )
        if entry.kind == "invalid":
            lower = entry.text.lower()
            close = f"Names are in lower case: {lower}." if _WORD.fullmatch(lower) else _HINT
            raise InvalidContentError(f"Line {entry.line} is no package: {entry.problem}.", hint=close)
        if len(entry.names) > 1:
            raise InvalidContentError(
                f"Line {entry.line} names {len(entry.names)} packages.", hint="Write each on a line of its own."
            )
        for name in entry.names:
            earlier = seen.setdefault(name, entry)
            if earlier.text != entry.text:
                raise InvalidContentError(
                    f"Line {entry.line} names {name} again, and differs from line {earlier.line}.",
                    hint="Keep one of the two lines.",
                )


def _merged(lines: Sequence[str], new: Sequence[PackageLine], line_end: str) -> list[str]:
    """Bring new lines into those of a file."""
    entries = parse_packages([line.rstrip("\r\n") for line in lines])
    known = {entry.comment for entry in entries if entry.kind == "comment"}
    places: dict[str, int] = {}
    for number, entry in enumerate(entries):
        for name in entry.names:
            places.setdefault(name, number)
    found = [[line] for line in lines]
    appended: list[str] = []
    added: set[str] = set()
    comments: list[str] = []
    for entry in new:
        if entry.kind == "comment" and entry.comment not in known:
            known.add(entry.comment)
            comments.append(entry.raw.strip())
        if entry.kind != "package":
            continue
        place = places.get(entry.names[0])
        if place is None:
            if entry.raw.strip() not in added:
                added.add(entry.raw.strip())
                appended += [*comments, entry.raw.strip()]
        else:
            found[place] = [*(comment + line_end for comment in comments), *_put(entries[place], found[place], entry)]
        comments = []
    appended += comments
    result = [line for group in found for line in group]
    if appended and result and not result[-1].endswith("\n"):
        result[-1] += line_end
    return [*result, *(line + line_end for line in appended)]


def _put(old: PackageLine, lines: Sequence[str], new: PackageLine) -> list[str]:
    """Write a package in the place of its old text, with its new comment if it brings one."""
    line = lines[-1]
    word = old.text.split()[old.names.index(new.names[0])]
    if word == new.text:
        return list(lines)
    body, end = line[: len(old.raw)], line[len(old.raw) :]
    if len(old.names) == 1:
        start = body.index(old.text)
        comment = new.comment or old.comment
        tail = body[start + len(old.text) :] if comment == old.comment else comment
        return [*lines[:-1], body[:start] + new.text + tail + end]
    spans = re.sub(rf"(?<!\S){re.escape(word)}(?!\S)", lambda _: new.text, body, count=1)
    return [*lines[:-1], spans + end]
