"""The lines of a Dockerfile, read the way BuildKit reads them.

Entries cover all lines of the file. The rules are those of BuildKit's Dockerfile frontend: which lines continue, what
begins a here-document, and how the words of an instruction are told apart.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from astro_magic.project.dockerfile.words import from_words, here_documents, plain, split_instruction, words

__all__ = [
    "Assignment",
    "DockerfileEntry",
    "LogicalLine",
    "assignments",
    "block_mark",
    "has_other_frontend",
    "parse",
]

_DIRECTIVE = re.compile(r"#\s*(?P<name>syntax|escape|check)\s*=\s*(?P<value>\S.*)", re.IGNORECASE | re.DOTALL)
_DOCKERS_FRONTEND = re.compile(r"(?:docker\.io/)?docker/dockerfile\b")
_MARK = re.compile(r"#\s*(?P<kind>>>>|<<<)\s+(?P<name>[A-Za-z0-9_-]+)")


@dataclass(frozen=True)
class DockerfileEntry:
    """What stands on one or more whole lines of a Dockerfile.

    Attributes
    ----------
    kind : {"blank", "comment", "directive", "instruction"}
        What it is. A directive is a comment at the very top that the builder reads, such as ``# syntax=...``.
    line : int
        The line where it begins, counted from 1.
    length : int
        On how many lines of the file it stands: continued lines and here-documents belong to their instruction.
    raw : str
        The lines as they are, joined by line feeds.
    keyword : str
        Of an instruction, in capitals: ``FROM``, ``RUN``.
    arguments : str
        What follows the keyword, with continued lines joined and here-documents on lines of their own.
    stage : int or None
        Which build stage it belongs to, counted from 0; None above the first ``FROM``.
    stage_name : str
        The name of that stage, in lower case; empty when it has none.
    block : str
        The managed block that it belongs to, with the two comments around it; empty when there is none.
    problem : str
        Why the builder could not read it; empty when it could.
    left_open : bool
        Whether the entry would go on with lines behind the end of the file.
    escape : str
        The character that continues lines in this file.
    """

    kind: Literal["blank", "comment", "directive", "instruction"]
    line: int
    length: int
    raw: str
    keyword: str = ""
    arguments: str = ""
    stage: int | None = None
    stage_name: str = ""
    block: str = ""
    problem: str = ""
    left_open: bool = False
    escape: str = "\\"

    @property
    def meaning(self) -> str:
        """Give the instruction in a form that is the same for all spellings of it."""
        first, *bodies = self.arguments.split("\n")
        spelled = " ".join(first[start:end] for start, end in words(first, self.escape))
        return "\n".join([f"{self.keyword} {spelled}", *bodies])


@dataclass(frozen=True)
class Assignment:
    """A key of an ``ENV``, ``LABEL`` or ``ARG`` instruction.

    Attributes
    ----------
    key : str
        The key, without quotes.
    value : str or None
        The value as it is written; None for an ``ARG`` without one.
    start, end : int
        Where key and value stand in the `LogicalLine` of the instruction.
    legacy : bool
        Whether it is written as ``ENV KEY VALUE``.
    """

    key: str
    value: str | None
    start: int
    end: int
    legacy: bool


class LogicalLine:
    """The lines of an instruction joined to one, without its here-documents.

    Parameters
    ----------
    lines : sequence of str
        Lines of the file, without their ends.
    escape : str
        The character that continues lines.
    start : int, optional
        Where the instruction begins.

    Attributes
    ----------
    text : str
        The joined line.
    length : int
        How many lines were joined, with the comments in between.
    left_open : bool
        Whether the last line is continued, too.
    """

    def __init__(self, lines: Sequence[str], escape: str, start: int = 0) -> None:
        pieces: list[str] = []
        self._starts: list[tuple[int, int]] = []
        offset = 0
        number = start
        self.left_open = True
        while self.left_open and number < len(lines):
            line = lines[number]
            # Inside a continued instruction, the builder passes over blank lines and comments.
            if number == start or (line.strip() and not line.lstrip().startswith("#")):
                stripped = line.rstrip(" \t")
                self.left_open = stripped.endswith(escape) and stripped[-2:-1] != escape
                piece = stripped[:-1] if self.left_open else line
                self._starts.append((offset, number - start))
                pieces.append(piece)
                offset += len(piece)
            number += 1
        self.text = "".join(pieces)
        self.length = number - start

    def position(self, offset: int) -> tuple[int, int]:
        """Tell on which of the lines, counted from 0, and in which column a character of the text stands."""
        start, line = next(found for found in reversed(self._starts) if found[0] <= offset)
        return line, offset - start


def parse(lines: Sequence[str], *, escape: str | None = None) -> list[DockerfileEntry]:
    """Read the lines of a Dockerfile.

    Parameters
    ----------
    lines : sequence of str
        The lines, without their ends.
    escape : str, optional
        The character that continues lines, for lines that do not stand at the top of a file. Without it, the
        directives at the top are read.

    Returns
    -------
    list of DockerfileEntry
        They cover all lines, in order.
    """
    return list(_parsed(tuple(lines), escape))


@functools.lru_cache(maxsize=8)
def _parsed(lines: tuple[str, ...], escape: str | None) -> Sequence[DockerfileEntry]:
    """Read lines. One edit looks at the same lines several times, and the next one begins with what it verified."""
    directives = 0 if escape is not None else _count_directives(lines)
    escape = escape or _escape_character(lines[:directives])
    blocks = _Blocks()
    found: list[DockerfileEntry] = []
    stage: int | None = None
    name = ""
    number = 0
    while number < len(lines):
        stripped = lines[number].strip()
        read = _Instruction()
        kind: Literal["blank", "comment", "directive", "instruction"] = "instruction"
        if not stripped:
            kind = "blank"
        elif stripped.startswith("#"):
            kind = "directive" if number < directives else "comment"
        else:
            read = _instruction(lines, number, escape)
            if read.keyword == "FROM":
                stage = 0 if stage is None else stage + 1
                name = from_words(read.arguments)[2].lower()
        block, misplaced = blocks.at(stripped, number + 1)
        found.append(
            DockerfileEntry(
                kind=kind,
                line=number + 1,
                length=read.length,
                raw=lines[number] if read.length == 1 else "\n".join(lines[number : number + read.length]),
                keyword=read.keyword,
                arguments=read.arguments,
                stage=stage,
                stage_name=name,
                block=block,
                problem=read.problem or misplaced,
                left_open=bool(read.problem),
                escape=escape,
            )
        )
        number += read.length
    if blocks.name:
        place = next(place for place, entry in enumerate(found) if entry.line == blocks.line)
        found[place] = replace(found[place], problem=f"block {blocks.name} is not closed by a line # <<< {blocks.name}")
    return found


def block_mark(line: str) -> tuple[str, str] | None:
    """Read a line as the mark of a managed block: ``>>>`` or ``<<<``, and the name of the block."""
    match = _MARK.fullmatch(line.strip()) if ">>>" in line or "<<<" in line else None
    return (match["kind"], match["name"]) if match else None


def has_other_frontend(entries: Iterable[DockerfileEntry]) -> bool:
    """Tell whether a ``syntax`` directive names another frontend than Docker's, which may know more instructions.

    Astronomer's ``airflow-extensions``, for instance, knows ``PYENV``.
    """
    for entry in entries:
        match = _DIRECTIVE.fullmatch(entry.raw.strip()) if entry.kind == "directive" else None
        if match is not None and match["name"].lower() == "syntax":
            return _DOCKERS_FRONTEND.match(match["value"]) is None
    return False


def assignments(entry: DockerfileEntry) -> list[Assignment]:
    """Read the keys of an ``ENV``, ``LABEL`` or ``ARG`` instruction; words that are none are left out."""
    if entry.keyword not in {"ENV", "LABEL", "ARG"}:
        return []
    return list(_assigned(entry.keyword, entry.raw, entry.escape))


@functools.lru_cache(maxsize=8192)
def _assigned(keyword: str, raw: str, escape: str) -> tuple[Assignment, ...]:
    text = LogicalLine(raw.split("\n"), escape).text
    spans = words(text, escape)[1:]
    if not spans:
        return ()
    first = text[slice(*spans[0])]
    if "=" not in first and keyword != "ARG":
        start, end = spans[0]
        value = text[end:].strip()
        return (Assignment(plain(first, escape), value, start, len(text.rstrip()), legacy=True),) if value else ()
    found = []
    for start, end in spans:
        key, equals, value = text[start:end].partition("=")
        if equals or keyword == "ARG":
            found.append(Assignment(plain(key, escape), value if equals else None, start, end, legacy=False))
    return tuple(found)


def _count_directives(lines: Sequence[str]) -> int:
    seen = set()
    for number, line in enumerate(lines):
        match = _DIRECTIVE.fullmatch(line.strip())
        if match is None or match["name"].lower() in seen:
            return number
        seen.add(match["name"].lower())
    return len(lines)


def _escape_character(directives: Sequence[str]) -> str:
    for line in directives:
        match = _DIRECTIVE.fullmatch(line.strip())
        if match and match["name"].lower() == "escape" and match["value"] in {"\\", "`"}:
            return match["value"]
    return "\\"


class _Instruction(NamedTuple):
    length: int = 1
    keyword: str = ""
    arguments: str = ""
    problem: str = ""


def _instruction(lines: Sequence[str], start: int, escape: str) -> _Instruction:
    if escape not in lines[start] and "<<" not in lines[start]:
        return _one_line(lines[start])
    logical = LogicalLine(lines, escape, start)
    keyword, arguments = split_instruction(logical.text)
    end = start + logical.length
    problem = "it goes on in a next line, and there is none" if logical.left_open else ""
    if "<<" in arguments:
        bodies = []
        for word, strip in here_documents(keyword, arguments):
            closed = False
            while end < len(lines) and not closed:
                closed = (lines[end].lstrip("\t") if strip else lines[end]) == word
                bodies.append(lines[end])
                end += 1
            if not closed:
                problem = f"its here-document is not closed by a line {word}"
        arguments = "\n".join([arguments, *bodies])
    return _Instruction(end - start, keyword, arguments, problem)


@functools.lru_cache(maxsize=8192)
def _one_line(line: str) -> _Instruction:
    """Read an instruction that cannot go on in the next line. The lines of a file are read again after each edit."""
    return _Instruction(1, *split_instruction(line))


class _Blocks:
    """Managed blocks, told as the lines go by. `name` is the one that is open, and `line` where it began."""

    def __init__(self) -> None:
        self.name = ""
        self.line = 0
        self._seen: dict[str, int] = {}

    def at(self, stripped: str, line: int) -> tuple[str, str]:
        """Give the block that a line belongs to, and what is wrong with the line if it is a misplaced mark."""
        mark = block_mark(stripped)
        if mark is None:
            return self.name, ""
        kind, name = mark
        if kind == ">>>":
            if self.name:
                return self.name, f"block {name} begins inside block {self.name}, which began in line {self.line}"
            if name in self._seen:
                return "", f"block {name} is there already, in line {self._seen[name]}"
            self.name, self.line = name, line
            self._seen[name] = line
            return name, ""
        if name != self.name:
            return self.name, f"block {name} ends, and did not begin"
        self.name = ""
        return name, ""
