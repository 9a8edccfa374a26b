"""What a view says, before it is set as HTML or as text.

A `Report` is a sequence of blocks. It is built once for a result; `astro_magic.views.html` and
`astro_magic.views.text` set the same report for a notebook and for a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = [
    "Block",
    "Cell",
    "Diff",
    "Graph",
    "Line",
    "Listing",
    "Node",
    "Preformatted",
    "Report",
    "Role",
    "Span",
    "Table",
    "clean",
    "line",
]

Role = Literal["plain", "strong", "muted", "code", "good", "bad", "link"]

#: A longer value is cut: it can only be data that slipped into a message.
LONGEST_VALUE = 2_000

# CSI and OSC sequences (colours, titles, links) first, then every other control character but tab and line feed.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Give a text that cannot steer a terminal or reorder what stands beside it, and is not over long.

    Parameters
    ----------
    text : str
        Anything, such as a line that a command printed in colour.
    """
    text = _CONTROLS.sub("", _ESCAPES.sub("", text))
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


@dataclass(frozen=True)
class Span:
    """A piece of text with one role.

    Attributes
    ----------
    text : str
        The text.
    role : str
        What it is; the setting decides how that looks. ``good`` and ``bad`` are words that say a state.
    href : str
        Where a ``link`` leads.
    """

    text: str
    role: Role = "plain"
    href: str = ""


Cell: TypeAlias = Span | str


@dataclass(frozen=True)
class Line:
    """A line of text, `indent` levels in."""

    spans: tuple[Span, ...]
    indent: int = 0


def line(*pieces: Cell, indent: int = 0) -> Line:
    """Make a line of spans and plain strings."""
    return Line(tuple(Span(piece) if isinstance(piece, str) else piece for piece in pieces), indent)


@dataclass(frozen=True)
class Table:
    """Rows of cells.

    Attributes
    ----------
    columns : tuple of str
        The heads; empty for a table without.
    rows : tuple of tuple
        The cells.
    alignment : str
        ``l`` or ``r`` for each column; columns that it does not reach are set left.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    alignment: str = ""


@dataclass(frozen=True)
class Diff:
    """A unified diff. The lines with the file names are left out: the line above the block has the name."""

    text: str


@dataclass(frozen=True)
class Preformatted:
    """Lines of output; `keep` says which of them stay when there are too many."""

    lines: tuple[str, ...]
    keep: Literal["start", "end"] = "end"


@dataclass(frozen=True)
class Listing:
    """Short names, set in columns."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Node:
    """A box of a graph, and the names of those that follow it."""

    name: str
    label: str = ""
    downstream: tuple[str, ...] = ()


@dataclass(frozen=True)
class Graph:
    """Boxes and arrows, in topological order."""

    nodes: tuple[Node, ...]
    title: str = ""


Block: TypeAlias = Line | Table | Diff | Preformatted | Listing | Graph


@dataclass(frozen=True)
class Report:
    """What a view says: blocks, one below the other."""

    blocks: tuple[Block, ...]

    @classmethod
    def of(cls, *blocks: Block | Sequence[Block] | None) -> Report:
        """Make a report of blocks and sequences of blocks; None is passed over."""
        flat: list[Block] = []
        for block in blocks:
            if isinstance(block, Sequence):
                flat.extend(block)
            elif block is not None:
                flat.append(block)
        return cls(tuple(flat))
