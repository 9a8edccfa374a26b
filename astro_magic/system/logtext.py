"""Lines of logs as text to be shown: without escape codes and what was written over, and not endless."""

from __future__ import annotations

import re
from collections.abc import Callable

from astro_magic.errors import InvalidContentError

__all__ = ["LONGEST", "matcher", "plain"]

#: Characters of a line that are shown; the rest is counted only. A line of a megabyte would freeze a notebook.
LONGEST = 8000

_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def plain(line: str, *, left_out: int = 0) -> str:
    """Give a line as it would look on paper.

    Parameters
    ----------
    line : str
        A line, with or without its end.
    left_out : int, optional
        Number of characters that were left out of it already, at its end.
    """
    text = line.rstrip("\r\n")
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    if "\r" in text:
        text = text.rpartition("\r")[2]
    if not text.isprintable():
        text = _CONTROL.sub("", text)
    left_out += max(len(text) - LONGEST, 0)
    return f"{text[:LONGEST]} … ({left_out:,} more characters)" if left_out else text


def matcher(expression: str | None) -> Callable[[str], bool]:
    """Give a test whether a line has something that `expression` finds; without one, all have.

    Raises
    ------
    InvalidContentError
        When `expression` is no regular expression.
    """
    if not expression:
        return lambda _: True
    try:
        wanted = re.compile(expression)
    except re.error as problem:
        msg = f"{expression!r} is no regular expression: {problem}."
        raise InvalidContentError(msg, hint="Put a backslash before characters such as ( [ . *.") from problem
    return lambda line: wanted.search(line) is not None
