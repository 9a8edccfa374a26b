"""Instructions that are to be brought into a Dockerfile: read, and refused where the builder could not read them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from astro_magic.errors import InvalidContentError
from astro_magic.project.dockerfile.lines import (
    DockerfileEntry,
    assignments,
    block_mark,
    has_other_frontend,
    parse,
)
from astro_magic.project.dockerfile.words import KEYWORDS, from_words, split_instruction, words
from astro_magic.system.secrets import mask_credentials

__all__ = ["check_inside_block", "check_name", "quoted", "read_cell", "suggestion", "whole_file"]

_BLOCK_NAME = re.compile(r"[A-Za-z0-9_-]+")
_KEYS = {
    "ENV": re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
    "ARG": re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
    "LABEL": re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*"),
}
_BARE_VALUE = re.compile(r"[A-Za-z0-9_./:@%+,=?&~^*{}$-]+")


def read_cell(text: str, *, escape: str | None, other_frontend: bool = False) -> list[DockerfileEntry]:
    r"""Read instructions that are to be brought into a Dockerfile.

    Parameters
    ----------
    text : str
        Lines of a Dockerfile.
    escape : str or None
        The character that continues lines in the file; None for a file of its own, whose directives count.
    other_frontend : bool, optional
        Whether the file is built by another frontend than Docker's, so that other instructions are possible.

    Raises
    ------
    InvalidContentError
        When a line is no instruction, or the last one is left open. The number of the line is named.
    """
    lines = [line.rstrip("\r") for line in text.removeprefix("\ufeff").rstrip("\r\n").split("\n")]
    entries = parse(lines, escape=escape)
    for entry in entries:
        _check(entry, other_frontend=other_frontend or (escape is None and has_other_frontend(entries)))
    return entries


def check_name(name: str) -> None:
    """Check the name of a managed block.

    Raises
    ------
    InvalidContentError
        When it is not made of letters, digits, ``-`` and ``_``.
    """
    if not _BLOCK_NAME.fullmatch(name):
        raise InvalidContentError(
            f"{name!r} is no name of a block.", hint="Use letters, digits, '-' and '_', such as ca-certificate."
        )


def quoted(keyword: str, key: str, value: str, escape: str) -> str:
    r"""Give a key and its value as one word; ``$NAME`` in the value refers to a variable.

    Raises
    ------
    InvalidContentError
        When the key is none, or the value has several lines.
    """
    if not _KEYS[keyword].fullmatch(key):
        raise InvalidContentError(
            f"{key!r} is no key of an {keyword} instruction.",
            hint="Use letters, digits and '_', with no digit first; in the keys of labels '.', '-' and '/' as well.",
        )
    if "\n" in value or "\r" in value:
        raise InvalidContentError(
            f"The value of {key} has several lines, which {keyword} cannot hold.",
            hint="Put it into a file of the project, and bring that into the image with COPY.",
        )
    if _BARE_VALUE.fullmatch(value):
        return f"{key}={value}"
    inside = value.replace(escape, escape + escape).replace('"', f'{escape}"')
    return f'{key}="{inside}"'


def whole_file(text: str) -> str:
    """Check a text that is to be a whole Dockerfile, and give it without blank lines around it.

    Raises
    ------
    InvalidContentError
        When a line is no instruction, or no ``FROM`` stands above the others.
    """
    entries = read_cell(text, escape=None)
    first = next((entry for entry in entries if entry.kind == "instruction" and entry.keyword != "ARG"), None)
    if first is None and all(entry.kind == "blank" for entry in entries):
        return ""
    if first is None or first.keyword != "FROM":
        raise InvalidContentError(
            "The text is no whole Dockerfile: no FROM stands above the other instructions.",
            hint="Begin it with a line such as FROM astrocrpublic.azurecr.io/runtime:3.3-1.",
        )
    return "\n".join(entry.raw for entry in entries).strip("\n")


def check_inside_block(cell: Sequence[DockerfileEntry], name: str) -> None:
    """Check instructions that are to stand in a managed block.

    Raises
    ------
    InvalidContentError
        When one is a ``FROM`` or the mark of a block.
    """
    for entry in cell:
        if entry.keyword == "FROM" or block_mark(entry.raw):
            raise InvalidContentError(
                f"Line {entry.line} cannot stand in block {name}: a block has no FROM and no other block in it.",
                hint="Merge it without naming a block.",
            )


def suggestion(name: str, known: Sequence[str]) -> str:
    """Say which known name may have been meant, else all of them. What is known may be a whole instruction."""
    close = difflib.get_close_matches(name, known, n=1)
    shown = [mask_credentials(one) for one in close or sorted(known)]
    return f"Did you mean {shown[0]}?" if close else f"It has: {', '.join(shown) or 'none'}."


def _check(entry: DockerfileEntry, *, other_frontend: bool) -> None:
    if entry.problem:
        hint = "Write the line that is missing." if entry.left_open else "Begin and end each block once."
        raise InvalidContentError(f"Line {entry.line} cannot be read: {entry.problem}.", hint=hint)
    if entry.kind != "instruction":
        return
    if not other_frontend:
        _check_keyword(entry.line, entry.keyword)
    if not entry.arguments:
        raise InvalidContentError(
            f"Line {entry.line} has nothing behind {entry.keyword}.", hint="Write what the instruction is about."
        )
    if entry.keyword == "ONBUILD" and not other_frontend:
        _check_keyword(entry.line, split_instruction(entry.arguments)[0])
    if entry.keyword == "FROM":
        options, image, name = from_words(entry.arguments)
        count = len(options.split()) + (3 if name else 1)
        if not image or len(entry.arguments.split()) != count:
            raise InvalidContentError(
                f"Line {entry.line} is no FROM that can be read.", hint="Write FROM IMAGE, or FROM IMAGE AS NAME."
            )
    if entry.keyword in _KEYS and not _assigns(entry):
        raise InvalidContentError(
            f"Line {entry.line} is no {entry.keyword} that can be read.",
            hint=f"Write {entry.keyword} KEY=VALUE, with quotes around a value that has blanks.",
        )


def _assigns(entry: DockerfileEntry) -> bool:
    """Tell whether each word of the instruction is a key with its value."""
    found = assignments(entry)
    if not found or any(not assignment.key for assignment in found):
        return False
    return found[0].legacy or len(found) == len(words(entry.arguments, entry.escape))


def _check_keyword(line: int, keyword: str) -> None:
    if keyword in KEYWORDS:
        return
    word = keyword.partition("=")[0]
    close = difflib.get_close_matches(word, KEYWORDS, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"A command of a shell goes behind RUN: RUN {word.lower()} ..."
    raise InvalidContentError(f"Line {line} begins with {word}, which is no instruction of a Dockerfile.", hint=hint)
