"""Reading a Dockerfile: its instructions, and the image that its last stage builds on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from astro_magic.errors import InvalidContentError

__all__ = ["BaseImage", "Instruction", "base_image", "instructions"]

_DIRECTIVE = re.compile(r"\s*#\s*(?P<name>\w+)\s*=\s*(?P<value>\S+)\s*$")
_HERE_DOCUMENT = re.compile(r"<<(?P<strip>-?)(?P<quote>[\"']?)(?P<word>\w+)(?P=quote)")
_VARIABLE = re.compile(r"\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?::?(?P<operator>[-+])(?P<word>[^}]*))?\})")
_FROM = re.compile(r"(?:--\S+\s+)*(?P<image>\S+)(?:\s+AS\s+(?P<stage>\S+))?", re.IGNORECASE)


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile.

    Attributes
    ----------
    line : int
        The line where it begins, from 1.
    keyword : str
        In capitals: ``FROM``, ``RUN``.
    arguments : str
        What follows, with continued lines joined.
    """

    line: int
    keyword: str
    arguments: str


@dataclass(frozen=True)
class BaseImage:
    """The image that the last stage of a Dockerfile builds on, and the line (from 1) that names it."""

    image: str
    line: int


def instructions(text: str) -> list[Instruction]:
    """Take a Dockerfile apart. Comments and blank lines are left out; here-documents belong to their instruction."""
    lines = text.removeprefix("\ufeff").splitlines()
    escape = _escape_character(lines)
    found: list[Instruction] = []
    number = 0
    while number < len(lines):
        start = number
        joined = ""
        open_end = True
        while open_end and number < len(lines):
            line = lines[number]
            number += 1
            if line.lstrip().startswith("#") or not line.strip():
                # Inside a continued instruction, Docker passes over these lines as well.
                if not joined:
                    break
                continue
            stripped = line.rstrip()
            open_end = stripped.endswith(escape)
            joined += stripped[:-1] if open_end else line
        if not joined.strip():
            continue
        keyword, _, arguments = joined.strip().partition(" ")
        if keyword.upper() in {"RUN", "COPY", "ADD"}:
            for document in _HERE_DOCUMENT.finditer(joined):
                while number < len(lines):
                    line = lines[number]
                    number += 1
                    arguments += f"\n{line}"
                    if (line.lstrip("\t") if document["strip"] else line) == document["word"]:
                        break
        found.append(Instruction(start + 1, keyword.upper(), arguments.strip()))
    return found


def base_image(text: str) -> BaseImage:
    """Find the image that the last stage builds on, through earlier stages and ``ARG`` defaults.

    Parameters
    ----------
    text : str
        The content of the Dockerfile.

    Raises
    ------
    InvalidContentError
        When there is no ``FROM``, or it names no image.
    """
    arguments: dict[str, str] = {}
    stages: dict[str, BaseImage] = {}
    base: BaseImage | None = None
    for instruction in instructions(text):
        if instruction.keyword == "ARG" and base is None:
            for assignment in instruction.arguments.split():
                name, equals, value = assignment.partition("=")
                if equals:
                    arguments[name] = _resolve(value.strip("\"'"), arguments)
        elif instruction.keyword == "FROM":
            match = _FROM.fullmatch(_resolve(instruction.arguments, arguments).strip())
            if match is None or match["image"].startswith(":") or match["image"].endswith(":"):
                raise InvalidContentError(
                    f"Dockerfile line {instruction.line}: FROM {instruction.arguments} names no image.",
                    hint="Give each ARG that FROM uses a default value above it.",
                )
            image = match["image"].strip("\"'")
            base = stages.get(image.lower()) or BaseImage(image, instruction.line)
            if match["stage"]:
                stages[match["stage"].lower()] = base
    if base is None:
        raise InvalidContentError(
            "The Dockerfile has no FROM, so it builds on no image.",
            hint="Begin it with a line such as FROM astrocrpublic.azurecr.io/runtime:3.3-1.",
        )
    return base


def _escape_character(lines: list[str]) -> str:
    """Read the parser directives, which only count above everything else."""
    for line in lines:
        match = _DIRECTIVE.match(line)
        if match is None:
            break
        if match["name"].lower() == "escape":
            return match["value"]
    return "\\"


def _resolve(text: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        known = values.get(match["plain"] or match["name"], "")
        if match["operator"] == "-":
            return known or match["word"]
        if match["operator"] == "+":
            return match["word"] if known else ""
        return known

    return _VARIABLE.sub(value, text)
