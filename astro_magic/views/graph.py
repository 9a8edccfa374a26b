"""Where the boxes of a graph go: levels from left to right, and the picture made of them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from astro_magic.views.report import Graph, Node, clean

__all__ = ["chain", "levels", "svg"]

#: A larger graph is no longer readable as a picture in a cell; it is listed.
MOST_BOXES = 40

_LONGEST_NAME = 26
_BOX_HEIGHT = 26
_COLUMN_GAP = 44
_ROW_GAP = 12
_MARGIN = 6
#: Width of a character at the picture's font size, on the safe side.
_CHARACTER = 7.3


def chain(nodes: Sequence[Node]) -> list[str] | None:
    """Give the names in order when each node but the last has exactly one that follows; else None."""
    names = {node.name for node in nodes}
    follows = {node.name: [name for name in node.downstream if name in names] for node in nodes}
    targets = [name for following in follows.values() for name in following]
    starts = [node.name for node in nodes if node.name not in set(targets)]
    if len(starts) != 1 or len(targets) != len(nodes) - 1 or any(len(following) > 1 for following in follows.values()):
        return None
    order = [starts[0]]
    while follows[order[-1]]:
        order.append(follows[order[-1]][0])
    return order if len(order) == len(nodes) else None


def levels(nodes: Sequence[Node]) -> list[list[str]]:
    """Give the names in levels: a node stands right of all that lead to it.

    A graph with a circle, which no DAG has, ends as well: what is in the circle keeps the level it reached.
    """
    level = {node.name: 0 for node in nodes}
    for _ in nodes:
        moved = False
        for node in nodes:
            for following in node.downstream:
                if following in level and level[following] <= level[node.name] < len(nodes):
                    level[following] = level[node.name] + 1
                    moved = True
        if not moved:
            break
    columns: dict[int, list[str]] = {}
    for node in nodes:
        columns.setdefault(level[node.name], []).append(node.name)
    return [columns[number] for number in sorted(columns)]


def svg(graph: Graph, accent: str) -> str:
    """Draw a graph as one inline SVG element; empty when it has too many boxes.

    Parameters
    ----------
    graph : Graph
        What to draw.
    accent : str
        The CSS colour of the arrows.
    """
    if not graph.nodes or len(graph.nodes) > MOST_BOXES:
        return ""
    columns = _ordered(graph.nodes)
    labels = {node.name: _short(node.name) for node in graph.nodes}
    tallest = max(map(len, columns))
    height = tallest * (_BOX_HEIGHT + _ROW_GAP) - _ROW_GAP + 2 * _MARGIN
    boxes: dict[str, tuple[float, float, float]] = {}
    left = float(_MARGIN)
    for column in columns:
        wide = max(len(labels[name]) for name in column) * _CHARACTER + 20
        top = (height - len(column) * (_BOX_HEIGHT + _ROW_GAP) + _ROW_GAP) / 2
        for row, name in enumerate(column):
            boxes[name] = (left, top + row * (_BOX_HEIGHT + _ROW_GAP), wide)
        left += wide + _COLUMN_GAP
    total = left - _COLUMN_GAP + _MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{total:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {total:.0f} {height:.0f}" style="display:block;margin:4px 0;color:inherit">'
        f"<title>{escape(clean(graph.title))}</title>"
    )
    arrows = [
        _arrow(boxes[node.name], boxes[name], accent)
        for node in graph.nodes
        for name in node.downstream
        if name in boxes
    ]
    drawn = [_box(boxes[node.name], labels[node.name], node) for node in graph.nodes]
    return "".join([head, *arrows, *drawn, "</svg>"])


def _ordered(nodes: Sequence[Node]) -> list[list[str]]:
    """Give the levels with each level ordered by where its arrows come from, so that fewer of them cross."""
    columns = levels(nodes)
    upstream: dict[str, list[str]] = {node.name: [] for node in nodes}
    for node in nodes:
        for name in node.downstream:
            upstream.get(name, []).append(node.name)
    position: dict[str, float] = {}
    for column in columns:
        centre = {
            name: sum(places) / len(places)
            if (places := [position[source] for source in upstream[name] if source in position])
            else 0.5
            for name in column
        }
        column.sort(key=centre.__getitem__)
        position.update({name: (row + 0.5) / len(column) for row, name in enumerate(column)})
    return columns


def _short(name: str) -> str:
    name = clean(name)
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _box(box: tuple[float, float, float], label: str, node: Node) -> str:
    left, top, wide = box
    hover = escape(clean(f"{node.name} · {node.label}" if node.label else node.name))
    return (
        f'<g><title>{hover}</title><rect x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{_BOX_HEIGHT}" rx="5" '
        'fill="transparent" stroke="currentColor" stroke-opacity="0.45"/>'
        f'<text x="{left + wide / 2:.1f}" y="{top + _BOX_HEIGHT / 2 + 4:.1f}" text-anchor="middle" '
        'font-family="ui-monospace,Menlo,Consolas,monospace" font-size="12" fill="currentColor">'
        f"{escape(label)}</text></g>"
    )


def _arrow(source: tuple[float, float, float], target: tuple[float, float, float], accent: str) -> str:
    start, high = source[0] + source[2], source[1] + _BOX_HEIGHT / 2
    end, low = target[0], target[1] + _BOX_HEIGHT / 2
    middle = (start + end) / 2
    tip = end - 6
    return (
        f'<path d="M{start:.1f} {high:.1f}C{middle:.1f} {high:.1f} {middle:.1f} {low:.1f} {tip:.1f} {low:.1f}" '
        f'fill="none" style="stroke:{accent}" stroke-width="1.4"/>'
        f'<path d="M{end:.1f} {low:.1f}l-7 -3.5v7z" style="fill:{accent}"/>'
    )
