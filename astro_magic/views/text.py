"""Set a report as plain text, for a terminal and for ``repr``."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from astro_magic.views.graph import chain, levels
from astro_magic.views.report import Block, Cell, Diff, Graph, Line, Listing, Preformatted, Report, Table, clean

__all__ = ["diff_lines", "flat", "set_text", "text_block", "width"]

_INDENT = "  "
_GAP = "   "
_LINE_LENGTH = 100
#: A column that is wider than this is not padded to its widest cell.
_WIDEST_COLUMN = 60


def set_text(report: Report) -> str:
    """Set a report as text, without an end of the last line.

    Parameters
    ----------
    report : Report
        What to set.
    """
    return "\n".join(line for block in report.blocks for line in text_block(block))


def text_block(block: Block) -> Iterator[str]:
    """Give the lines of one block."""
    match block:
        case Line():
            content = "".join(flat(span) for span in block.spans)
            yield (_INDENT * block.indent + content).rstrip()
        case Table():
            yield from _table(block)
        case Diff():
            yield from (_INDENT + clean(line) for line in diff_lines(block.text))
        case Preformatted():
            yield from (_INDENT + clean(line) for line in block.lines)
        case Listing():
            yield from _listing(block.items)
        case Graph():
            yield from _graph(block)


def diff_lines(text: str) -> Iterator[str]:
    """Give the lines of a unified diff without the file names; a hunk head only stands between two hunks."""
    hunks = 0
    for line in text.split("\n"):
        if (not hunks and line.startswith(("---", "+++"))) or not line:
            continue
        if line.startswith("@@"):
            hunks += 1
            if hunks > 1:
                yield "⋮"
            continue
        sign, content = line[:1], line[1:]
        yield f"{sign} {content}" if sign in "+-" else f"  {content}"


def flat(cell: Cell) -> str:
    """Give a cell as one line of text."""
    return clean(cell if isinstance(cell, str) else cell.text).replace("\n", " ").replace("\t", " ")


def width(text: str) -> int:
    """Give how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def _table(table: Table) -> Iterator[str]:
    rows = [[flat(cell) for cell in row] for row in table.rows]
    if table.columns:
        rows.insert(0, [flat(column) for column in table.columns])
    yield from (_INDENT + row for row in _aligned(rows, table.alignment))


def _aligned(rows: Sequence[Sequence[str]], alignment: str) -> Iterator[str]:
    columns = max((len(row) for row in rows), default=0)
    widths = [
        max((wide for row in rows if column < len(row) and (wide := width(row[column])) <= _WIDEST_COLUMN), default=0)
        for column in range(columns)
    ]
    for row in rows:
        cells = []
        for column, cell in enumerate(row):
            padding = " " * (widths[column] - width(cell))
            cells.append(padding + cell if alignment[column : column + 1] == "r" else cell + padding)
        yield _GAP.join(cells).rstrip()


def _listing(items: Sequence[str]) -> Iterator[str]:
    names = [clean(item) for item in items]
    widest = max(map(width, names), default=0)
    columns = max(1, (_LINE_LENGTH - len(_INDENT)) // (widest + len(_GAP)))
    rows = [names[start : start + columns] for start in range(0, len(names), columns)]
    yield from (_INDENT + row for row in _aligned(rows, ""))


def _graph(graph: Graph) -> Iterator[str]:
    straight = chain(graph.nodes)
    if straight is not None:
        text = " ─→ ".join(clean(name) for name in straight)
        if width(text) <= _LINE_LENGTH:
            yield _INDENT + text
            return
    nodes = {node.name: node for node in graph.nodes}
    for level in levels(graph.nodes):
        for name in level:
            following = ", ".join(map(clean, nodes[name].downstream))
            yield _INDENT + (f"{clean(name)} ─→ {following}" if following else clean(name))
