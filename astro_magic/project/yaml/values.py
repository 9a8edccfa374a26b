"""What YAML scalars and collections say, apart from where they stand; and how new ones are written.

A scalar is kept as the text that was written. Readers differ in what they make of a plain ``no``, ``1.10`` or
``0o17`` (YAML 1.1 or 1.2, PyYAML or Go's yaml.v3), so a text that any of them might take for something else is quoted
when it is written.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from astro_magic.errors import InvalidContentError

__all__ = [
    "EMPTY",
    "Fragment",
    "Scalar",
    "Tree",
    "Value",
    "block_lines",
    "changes_in_go",
    "from_json",
    "inline",
    "is_null",
    "may_be_typed",
    "settled",
    "to_json",
    "tree_of",
]


class Scalar(NamedTuple):
    """What a scalar says.

    Attributes
    ----------
    text : str
        The text as it was written, without quotes.
    typed : bool
        Whether it is written plain and some reader takes it for more than text: a number, a truth value, nothing.
    """

    text: str
    typed: bool = False


#: What a document says: scalars in lists and mappings.
Tree: TypeAlias = "Scalar | list[Tree] | dict[str, Tree]"

#: No value, written as nothing at all.
EMPTY = Scalar("", typed=True)


@dataclass(frozen=True)
class Fragment:
    """An item of a block sequence as lines that were written elsewhere.

    Attributes
    ----------
    lines : tuple of str
        The item from its dash on, which stands in the first column, without line ends.
    above : tuple of str
        Comment lines that go above it, without indentation.
    tree : Tree
        What the item says.
    """

    lines: tuple[str, ...]
    above: tuple[str, ...]
    tree: Tree


#: What is to be written.
Value: TypeAlias = "Scalar | Fragment | Sequence[Value] | Mapping[str, Value]"

_NULL = re.compile(r"|~|null|Null|NULL")
# The union of what PyYAML (YAML 1.1), the core schema of YAML 1.2 and Go's yaml.v3 resolve to something else.
_TYPED = re.compile(
    r"~|null|y|n|yes|no|on|off|true|false|=|<<"
    r"|[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-f_]+)"
    r"|[-+]?(?:\.[0-9_]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:e[-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|nan)"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[t \t].*)?",
    re.IGNORECASE | re.DOTALL,
)
# Numbers that Go writes as they are; a float of few digits that does not end in a zero is among them.
_DECIMAL = re.compile(r"0|-?[1-9][0-9]*|-?(?:0|[1-9][0-9]{0,8})\.[0-9]{0,5}[1-9]")
# Go's yaml.v3 knows yes, no, on and off only where a truth value is asked for; here a text is asked for.
_TEXT_IN_GO = re.compile(r"y|n|yes|no|on|off|=", re.IGNORECASE)
_CORE_INTEGER = re.compile(r"(?P<decimal>[-+]?[0-9]+)|0o[0-7]+|0x[0-9a-fA-F]+")
_CORE_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_PLAIN = re.compile(r"(?!\.\.\.)[\w/.$(][\w/.$()@%+=&?!*~;:\\#-]*(?: [\w/.$()@%+=&?!*~;\\][\w/.$()@%+=&?!*~;:\\#-]*)*")
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f]")


def may_be_typed(text: str) -> bool:
    """Tell whether some reader takes a plain scalar for a number, a truth value, a date or nothing."""
    return not text or _TYPED.fullmatch(text) is not None


def is_null(tree: Tree) -> bool:
    """Tell whether there is no value: nothing is written, ``null`` or ``~``."""
    return isinstance(tree, Scalar) and tree.typed and _NULL.fullmatch(tree.text) is not None


def changes_in_go(scalar: Scalar) -> bool:
    """Tell whether the Astro CLI makes another text of a scalar where a text is asked for: ``1.10``, ``true``, ``012``.

    Source: viper 1.19 with mapstructure's weak typing, on yaml.v3.
    """
    return scalar.typed and not _DECIMAL.fullmatch(scalar.text) and not _TEXT_IN_GO.fullmatch(scalar.text)


def to_json(tree: Tree) -> Any:
    """Give what a document says as JSON types, by the core schema of YAML 1.2."""
    if isinstance(tree, dict):
        return {key: to_json(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [to_json(value) for value in tree]
    return _scalar_to_json(tree)


def settled(tree: Tree) -> Tree:
    """Give what a document says, with no doubt left about what is text by the core schema of YAML 1.2."""
    if isinstance(tree, dict):
        return {key: settled(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [settled(value) for value in tree]
    return Scalar(tree.text) if isinstance(_scalar_to_json(tree), str) else tree


def _scalar_to_json(scalar: Scalar) -> str | float | bool | None:
    text = scalar.text
    if not scalar.typed or is_null(scalar):
        return None if scalar.typed else text
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    # More digits than any JSON reader keeps stay text; converting them would also take very long.
    integer = _CORE_INTEGER.fullmatch(text) if len(text) < 400 else None
    if integer and integer["decimal"]:
        return int(integer["decimal"])
    if integer:
        return int(text, 0)
    is_float = _CORE_FLOAT.fullmatch(text) and math.isfinite(float(text))
    return float(text) if is_float else text


def from_json(value: object) -> Tree:
    """Give JSON types as what a document says.

    Raises
    ------
    InvalidContentError
        When a value is of another type. The value is not told.
    """
    if isinstance(value, str):
        return Scalar(value)
    if value is None or isinstance(value, bool | int):
        return Scalar(json.dumps(value), typed=True)
    if isinstance(value, float) and math.isfinite(value):
        # YAML 1.1 takes a number with an exponent for one only when it has a point.
        return Scalar(re.sub(r"^(-?\d+)e", r"\1.0e", repr(value)), typed=True)
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: from_json(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [from_json(item) for item in value]
    raise InvalidContentError(
        f"A value of the type {type(value).__name__} cannot be written to this file.",
        hint="Give text, finite numbers, true, false, null, and lists and mappings of them with text as keys.",
    )


def tree_of(value: Value) -> Tree:
    """Give what a value says, however it is written."""
    if isinstance(value, Fragment):
        return value.tree
    if isinstance(value, Scalar):
        return value
    if isinstance(value, Mapping):
        return {key: tree_of(item) for key, item in value.items()}
    return [tree_of(item) for item in value]


def inline(value: Value) -> str:
    """Write a value on one line; collections in flow style.

    Parameters
    ----------
    value : Value
        The value. A text gets quotes where it needs them.

    Returns
    -------
    str
        Empty for `EMPTY`.
    """
    if isinstance(value, Fragment):
        return inline(value.tree)
    if isinstance(value, Scalar):
        return value.text if value.typed or _fits_plain(value.text) else _quoted(value.text)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(Scalar(key))}: {_flow(item)}" for key, item in value.items()) + "}"
    return "[" + ", ".join(_flow(item) for item in value) + "]"


def _flow(value: Value) -> str:
    # Readers differ in how they take these signs inside a plain scalar in flow style.
    if isinstance(value, Scalar) and not value.typed and (":" in value.text or "?" in value.text):
        return _quoted(value.text)
    return inline(value) or "null"


def _fits_plain(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None and not text.endswith(":") and ": " not in text and not may_be_typed(text)


def _quoted(text: str) -> str:
    special = _CONTROL.search(text) or _UNPRINTABLE.search(text)
    if not special and ('"' in text or "\\" in text):
        return "'" + text.replace("'", "''") + "'"
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))


def block_lines(value: Value, indent: int, step: int, list_step: int | None = None) -> list[str]:
    """Write a list or mapping that is not empty in block style.

    Parameters
    ----------
    value : Value
        The list or mapping.
    indent : int
        How many spaces stand before each of its keys or dashes.
    step : int
        How many more stand before what is in it.
    list_step : int, optional
        How many more stand before the dashes of lists that are values of its keys. Default: as many.

    Returns
    -------
    list of str
        The lines, without their ends.
    """
    pad = " " * indent
    lines = []
    if isinstance(value, dict):
        for key, item in value.items():
            start = f"{pad}{inline(Scalar(key))}:"
            if isinstance(item, dict | list) and item:
                inner = list_step if isinstance(item, list) and list_step is not None else step
                lines += [start, *block_lines(item, indent + inner, step)]
            else:
                lines.append(f"{start} {inline(item)}".rstrip())
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, Fragment):
                lines += [f"{pad}{line}" if line else "" for line in (*item.above, *item.lines)]
            elif isinstance(item, dict | list) and item:
                first, *rest = block_lines(item, indent + 2, step)
                lines += [f"{pad}- {first[indent + 2 :]}", *rest]
            else:
                lines.append(f"{pad}- {inline(item)}".rstrip())
    return lines
