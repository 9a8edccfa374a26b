"""The lines of an environment file, and the variables that they set."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

__all__ = ["Assignment", "assignments", "read_line"]

_ASSIGNMENT = re.compile(r"\s*(?P<export>export\s+)?(?P<key>[A-Za-z_][A-Za-z0-9_.-]*)\s*=(?P<value>.*)", re.DOTALL)
_AFTER_QUOTE = re.compile(r"\s*(?:#.*)?", re.DOTALL)
_UP_TO_QUOTE = {quote: re.compile(rf"(?:[^\\{quote}]++|\\.|\\\Z)*+{quote}", re.DOTALL) for quote in ("'", '"')}


@dataclass(frozen=True)
class Assignment:
    """A variable that is set.

    Attributes
    ----------
    key : str
        Its name.
    value : str
        Its value, without quotes; with line feeds where it stands on several lines.
    comment : str
        The comment behind it.
    closed : bool
        Whether the quote that the value begins with, if it does, is closed.
    exported : bool
        Whether ``export`` stands in front.
    line : int
        Where it begins, counted from 0.
    length : int
        On how many lines it stands.
    """

    key: str
    value: str = field(repr=False)
    comment: str = field(repr=False)
    closed: bool
    exported: bool
    line: int = 0
    length: int = 1


def assignments(lines: Sequence[str]) -> list[Assignment]:
    """Read the variables that lines set, in their order, each time that they are.

    A value that opens a quote goes on up to the line that closes it, as for Docker Compose. Where no line does, or
    something else than a comment stands behind the quote, it ends with its own line.

    Parameters
    ----------
    lines : sequence of str
        The lines, without their ends.
    """
    found = []
    number = 0
    while number < len(lines):
        first = _read(lines[number])
        whole = first if first is None or first.closed else _on_several_lines(lines, number, first)
        if whole is not None:
            found.append(replace(whole, line=number))
        number += whole.length if whole is not None else 1
    return found


def read_line(line: str) -> tuple[str, str] | None:
    """Read a line of an environment file, without its end: the key and the value; None when it sets no variable."""
    assignment = _read(line)
    return None if assignment is None else (assignment.key, assignment.value)


@functools.lru_cache(maxsize=8192)
def _read(line: str) -> Assignment | None:
    """Read a line by itself. The same lines are read at each look at a file, so what was read is kept."""
    match = _ASSIGNMENT.fullmatch(line)
    if match is None:
        return None
    exported = match["export"] is not None
    text = match["value"].strip()
    quote = text[:1]
    if quote in {"'", '"'}:
        for end in (position for position in range(1, len(text)) if text[position] == quote):
            if _AFTER_QUOTE.fullmatch(text, end + 1):
                comment = text[end + 1 :].strip()
                return Assignment(match["key"], text[1:end], comment, closed=True, exported=exported)
        return Assignment(match["key"], text, "", closed=False, exported=exported)
    behind = re.search(r"(?:^|(?<=\s))#.*", match["value"].rstrip(), re.DOTALL)
    if behind:
        value = match["value"].rstrip()[: behind.start()].strip()
        return Assignment(match["key"], value, behind[0], closed=True, exported=exported)
    return Assignment(match["key"], text, "", closed=True, exported=exported)


def _on_several_lines(lines: Sequence[str], begin: int, first: Assignment) -> Assignment:
    """Read a value that opens a quote up to where that is closed; what was read already when it is not."""
    quote = first.value[0]
    text = lines[begin].partition("=")[2].lstrip()[1:]
    if _UP_TO_QUOTE[quote].match(text):
        # Compose ends the value on this line.
        return first
    values = [text]
    for number in range(begin + 1, len(lines)):
        match = _UP_TO_QUOTE[quote].match(lines[number])
        if match is None:
            values.append(lines[number])
            continue
        if not _AFTER_QUOTE.fullmatch(lines[number], match.end()):
            break
        return replace(
            first,
            value="\n".join([*values, match[0][:-1]]),
            comment=lines[number][match.end() :].strip(),
            closed=True,
            length=number + 1 - begin,
        )
    return first
