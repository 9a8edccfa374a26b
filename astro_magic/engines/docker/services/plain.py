"""Single values of a Compose file: what they have to be, and the refusal when they are not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from astro_magic.engines.docker.services.quantities import nanoseconds, octets

__all__ = [
    "Place",
    "RefusedError",
    "boolean",
    "choice",
    "decimal",
    "duration",
    "integer",
    "listing",
    "mapping",
    "size",
    "text",
    "texts",
]

#: Where a value stands: the keys and positions that lead to it.
Place: TypeAlias = tuple[str | int, ...]

_TRUE = {"true", "yes", "y", "on", "1"}
_FALSE = {"false", "no", "n", "off", "0"}


class RefusedError(Exception):
    """A value that cannot be used: where, what is wrong with it (never the value itself), and what to do."""

    def __init__(self, place: Place, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.place = place
        self.problem = problem
        self.hint = hint


def text(value: Any, at: Place) -> str:
    """Give text; numbers and truth values as Compose writes them."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    raise RefusedError(at, "is no text", "Write one value, in quotes.")


def texts(value: Any, at: Place) -> list[str]:
    """Give a list of texts."""
    return [text(item, (*at, number)) for number, item in enumerate(listing(value, at))]


def listing(value: Any, at: Place) -> list[Any]:
    """Give a list."""
    if not isinstance(value, list):
        raise RefusedError(at, "is no list", "Write its items on lines that begin with a dash.")
    return value


def mapping(value: Any, at: Place) -> dict[str, Any]:
    """Give a mapping."""
    if not isinstance(value, dict):
        raise RefusedError(at, "is no mapping", "Write it as lines of the form key: value.")
    return value


def boolean(value: Any, at: Place) -> bool:
    """Give a truth value."""
    word = str(value).lower()
    if word not in _TRUE | _FALSE:
        raise RefusedError(at, "is neither true nor false", "Write true or false.")
    return word in _TRUE


def integer(value: Any, at: Place) -> int:
    """Give a whole number."""
    try:
        return int(text(value, at))
    except ValueError as problem:
        raise RefusedError(at, "is no whole number", "Write a whole number.") from problem


def decimal(value: Any, at: Place) -> float:
    """Give a number that is not negative."""
    try:
        found = float(text(value, at))
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise RefusedError(at, "is no number", "Write a number such as 1.5.")
    return found


def duration(value: Any, at: Place) -> str:
    """Give a duration as it is written."""
    try:
        nanoseconds(text(value, at))
    except ValueError as problem:
        raise RefusedError(at, "is no duration", "Write one such as 30s or 1m30s.") from problem
    return text(value, at)


def size(value: Any, at: Place) -> int:
    """Give a size in bytes; -1 for none."""
    if text(value, at) == "-1":
        return -1
    try:
        return octets(text(value, at))
    except ValueError as problem:
        raise RefusedError(at, "is no size", "Write one such as 512m or 2g.") from problem


def choice(*words: str) -> Callable[[Any, Place], str]:
    """Give a reader of one of several words."""

    def read(value: Any, at: Place) -> str:
        if value not in words:
            raise RefusedError(at, f"is none of {', '.join(words)}", "Write one of these.")
        return str(value)

    return read
