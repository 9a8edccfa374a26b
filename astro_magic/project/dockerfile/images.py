"""The image that a Dockerfile builds on, through earlier stages and the defaults of ``ARG``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from astro_magic.errors import InvalidContentError
from astro_magic.project.dockerfile.lines import DockerfileEntry, assignments
from astro_magic.project.dockerfile.words import plain

__all__ = ["BaseImage", "argument_for", "base_of", "stage_images", "stage_parents"]

_VARIABLE = re.compile(r"\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?::?(?P<operator>[-+])(?P<word>[^}]*))?\})")
_FROM = re.compile(r"(?:--\S+\s+)*(?P<image>\S+)(?:\s+AS\s+\S+)?", re.IGNORECASE)


@dataclass(frozen=True)
class BaseImage:
    """The image that a stage of a Dockerfile builds on, and the line (from 1) that names it."""

    image: str
    line: int


def stage_images(entries: Sequence[DockerfileEntry]) -> list[BaseImage]:
    """Find the image that each stage builds on, in the order of the stages.

    Raises
    ------
    InvalidContentError
        When a ``FROM`` names no image.
    """
    stages: dict[str, BaseImage] = {}
    found = []
    for entry, image in _named(entries):
        if not image or image.startswith(":") or image.endswith(":"):
            raise InvalidContentError(
                f"Dockerfile line {entry.line}: FROM {entry.arguments} names no image.",
                hint="Give each ARG that FROM uses a default value above it.",
            )
        base = stages.get(image.lower()) or BaseImage(image, entry.line)
        if entry.stage_name:
            stages[entry.stage_name] = base
        found.append(base)
    return found


def stage_parents(entries: Sequence[DockerfileEntry]) -> dict[int, int]:
    """Find the stages, counted from 0, that build on an earlier one, and on which."""
    names: dict[str, int] = {}
    found = {}
    for number, (entry, image) in enumerate(_named(entries)):
        if image.lower() in names:
            found[number] = names[image.lower()]
        if entry.stage_name:
            names[entry.stage_name] = number
    return found


def _named(entries: Sequence[DockerfileEntry]) -> Iterator[tuple[DockerfileEntry, str]]:
    """Give each ``FROM`` with what it names: an image or an earlier stage; empty when it is neither."""
    values = _defaults(entries)
    for entry in entries:
        if entry.keyword == "FROM":
            match = _FROM.fullmatch(_resolve(entry.arguments, values).strip())
            yield entry, match["image"].strip("\"'") if match else ""


def base_of(entries: Sequence[DockerfileEntry]) -> BaseImage:
    """Find the image that the last stage builds on.

    Raises
    ------
    InvalidContentError
        When there is no ``FROM``, or one names no image.
    """
    found = stage_images(entries)
    if not found:
        raise InvalidContentError(
            "The Dockerfile has no FROM, so it builds on no image.",
            hint="Begin it with a line such as FROM astrocrpublic.azurecr.io/runtime:3.3-1.",
        )
    return found[-1]


def argument_for(entries: Sequence[DockerfileEntry], image: str, wanted: str) -> tuple[str, str] | None:
    """Find the one ``ARG`` whose default has to change so that an image becomes another.

    Parameters
    ----------
    entries : sequence of DockerfileEntry
        The Dockerfile.
    image : str
        The image as the ``FROM`` writes it, such as ``${REPOSITORY}:${TAG}``.
    wanted : str
        The image that it is to be.

    Returns
    -------
    tuple of (str, str), or None
        The key and its new default; None when there is no such ``ARG``.
    """
    written = {
        found.key: plain(found.value, entry.escape)
        for entry in _arguments(entries)
        for found in assignments(entry)
        if found.value is not None
    }
    return _solve(image, wanted, written, _defaults(entries), depth=len(written))


def _solve(
    text: str, wanted: str, written: Mapping[str, str], values: Mapping[str, str], *, depth: int
) -> tuple[str, str] | None:
    for variable in _VARIABLE.finditer(text):
        key = variable["plain"] or variable["name"]
        if key not in written or variable["operator"] == "+":
            continue
        before, after = _resolve(text[: variable.start()], values), _resolve(text[variable.end() :], values)
        value = wanted[len(before) : len(wanted) - len(after)]
        if not value or before + value + after != wanted:
            continue
        deeper = _solve(written[key], value, written, values, depth=depth - 1) if depth else None
        return deeper or (key, value)
    return None


def _arguments(entries: Sequence[DockerfileEntry]) -> list[DockerfileEntry]:
    """Give the ``ARG`` instructions above the first ``FROM``, which are those that ``FROM`` can use."""
    return [entry for entry in entries if entry.keyword == "ARG" and entry.stage is None]


def _defaults(entries: Sequence[DockerfileEntry]) -> dict[str, str]:
    values: dict[str, str] = {}
    for entry in _arguments(entries):
        for found in assignments(entry):
            if found.value is not None:
                values[found.key] = _resolve(plain(found.value, entry.escape), values)
    return values


def _resolve(text: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        known = values.get(match["plain"] or match["name"], "")
        if match["operator"] == "-":
            return known or match["word"]
        if match["operator"] == "+":
            return match["word"] if known else ""
        return known

    return _VARIABLE.sub(value, text)
