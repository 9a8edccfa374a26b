"""The options in front of an instruction's words, and what a ``RUN`` mounts by them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

__all__ = ["mounts", "split_options"]

_OPTION = re.compile(r"\s*--(?P<name>[a-z.-]+)(?:=(?P<value>\S*))?")
_QUOTES = str.maketrans("", "", "\"'")


def split_options(arguments: str) -> tuple[list[tuple[str, str]], str]:
    """Part the options of an instruction, each with its value, from what follows them."""
    position = 0
    found = []
    while match := _OPTION.match(arguments, position):
        position = match.end()
        found.append((match["name"], match["value"] or ""))
    return found, arguments[position:].lstrip(" \t")


def mounts(arguments: str) -> Iterator[dict[str, str]]:
    """Read the ``--mount`` options of a ``RUN``: the fields of each, with ``destination`` as ``target``."""
    for name, value in split_options(arguments)[0]:
        if name == "mount":
            parts = next(csv.reader([value.strip("\"'")]), [])
            pairs = (part.partition("=") for part in parts)
            found = {key.strip().lower(): text.strip().translate(_QUOTES) for key, _, text in pairs}
            # `required` alone means true, as the others that are switches.
            yield found | ({"target": found["destination"]} if "destination" in found else {})
