"""Variables in a Compose file: ``$NAME``, ``${NAME:-default}`` and their like, put in as Docker Compose does."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["InterpolationError", "interpolate"]

_VARIABLE = re.compile(r"\$(?:(?P<escaped>\$)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<open>\{))")
_BRACED = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<operator>:?[-+?])(?P<word>.*))?", re.DOTALL)
_DEEPEST = 20


class InterpolationError(Exception):
    """A text whose variables cannot be put in: what is wrong, and what to do."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


def interpolate(text: str, environment: Mapping[str, str], unset: set[str], *, depth: int = 0) -> str:
    """Put the values of variables into a text.

    Parameters
    ----------
    text : str
        The text.
    environment : Mapping of str to str
        Their values.
    unset : set of str
        Gets the names of those that have no value, nor another for that case.
    depth : int, optional
        How deep inside of other variables the text stands.

    Raises
    ------
    InterpolationError
        When a dollar sign begins nothing that is known, or a variable that must have a value has none.
    """
    if depth > _DEEPEST:
        raise InterpolationError("nests variables too deeply", "Write fewer of them into each other.")
    parts = []
    position = 0
    while (dollar := text.find("$", position)) >= 0:
        parts.append(text[position:dollar])
        match = _VARIABLE.match(text, dollar)
        if match is None:
            raise _malformed()
        position = match.end()
        if match["escaped"]:
            parts.append("$")
        elif match["name"]:
            parts.append(_plain(match["name"], environment, unset))
        else:
            end = _closing(text, position)
            parts.append(_braced(text[position:end], environment, unset, depth))
            position = end + 1
    return "".join(parts) + text[position:]


def _malformed() -> InterpolationError:
    return InterpolationError(
        "has a dollar sign that begins no variable", "Write $$ for a dollar sign, and ${NAME} for a variable."
    )


def _closing(text: str, position: int) -> int:
    level = 1
    for place in range(position, len(text)):
        if text[place] == "{" and text[place - 1] == "$":
            level += 1
        elif text[place] == "}":
            level -= 1
            if level == 0:
                return place
    raise _malformed()


def _braced(inner: str, environment: Mapping[str, str], unset: set[str], depth: int) -> str:
    match = _BRACED.fullmatch(inner)
    if match is None:
        raise _malformed()
    name, operator, word = match["name"], match["operator"] or "", match["word"] or ""
    value = environment.get(name)
    there = bool(value) if operator.startswith(":") else value is not None
    if operator.endswith("-"):
        return value or "" if there else interpolate(word, environment, unset, depth=depth + 1)
    if operator.endswith("+"):
        return interpolate(word, environment, unset, depth=depth + 1) if there else ""
    if operator.endswith("?") and not there:
        why = interpolate(word, environment, unset, depth=depth + 1)
        raise InterpolationError(
            f"needs the variable {name}, which has no value" + (f": {why}" if why else ""),
            f"Set {name} in the environment of the kernel.",
        )
    return _plain(name, environment, unset)


def _plain(name: str, environment: Mapping[str, str], unset: set[str]) -> str:
    if name not in environment:
        unset.add(name)
    return environment.get(name, "")
