"""Where the parts of a YAML document stand on its lines: what belongs to an item or a key, and what to indent by."""

from __future__ import annotations

import re

from astro_magic.project.yaml.text import MappingNode, Node, ScalarNode, SequenceNode, YamlText
from astro_magic.project.yaml.values import Fragment, Value

__all__ = ["Layout"]

_COLON = re.compile(r"[ \t]*:")
_BLANKS = re.compile(r" *")
_BLANK_LINE = re.compile(r"(?m)^[ \t]*\r?\n")
_REST_OF_LINE = re.compile(r"[ \t]*(?P<comment>#[^\r\n]*)?(?=\r?\n|\Z)")
_BLOCK_HEADER = re.compile(r"[^#\r\n]*?[|>](?P<signs>[-+0-9]*)(?P<comment>[ \t]+#[^\r\n]*)?")


class Layout:
    """The lines of a document.

    Parameters
    ----------
    document : YamlText
        The document.
    step : int
        How many spaces to indent by where the document does not tell.
    """

    def __init__(self, document: YamlText, step: int) -> None:
        self._document = document
        self._text = document.text
        self._step = step

    def line_start(self, position: int) -> int:
        """Give where the line of a position begins."""
        return self._text.rfind("\n", 0, position) + 1

    def after_line(self, position: int) -> int:
        """Give where the line after the one that ends at or behind a position begins."""
        if position and self._text[position - 1] == "\n":
            return position
        end = self._text.find("\n", position)
        return len(self._text) if end < 0 else end + 1

    def after_blanks(self, position: int) -> int:
        """Give the position of what comes after spaces."""
        match = _BLANKS.match(self._text, position)
        return match.end() if match else position

    def column(self, position: int) -> int:
        """Give how many characters stand before a position on its line."""
        return position - self.line_start(position)

    def starts_line(self, position: int) -> bool:
        """Tell whether only blanks stand before a position on its line."""
        return not self._text[self.line_start(position) : position].strip()

    def colon(self, key: ScalarNode) -> int | None:
        """Give the position behind the colon of a key; None when it has none, or on another line."""
        match = _COLON.match(self._text, key.end)
        return match.end() if match else None

    def tight_end(self, node: Node) -> int:
        """Give where the last thing of a node ends; the parser counts the space up to the next one in."""
        if isinstance(node, SequenceNode | MappingNode) and not node.flow:
            return self.tight_end(node.items[-1] if isinstance(node, SequenceNode) else node.pairs[-1][1])
        if isinstance(node, ScalarNode) and node.style in {"|", ">"}:
            signs, _ = self.block_header(node)
            return node.end if "+" in signs else node.start + len(self._text[node.start : node.end].rstrip())
        return node.end

    def block_header(self, node: ScalarNode) -> tuple[str, str]:
        """Give the signs and the comment (with the blanks before it) on the first line of a block scalar."""
        match = _BLOCK_HEADER.match(self._text, node.start)
        return (match["signs"], match["comment"] or "") if match else ("", "")

    def comment_behind(self, position: int) -> str | None:
        """Give the comment behind a position on its line; empty without one, None when something else stands there."""
        match = _REST_OF_LINE.match(self._text, position)
        return (match["comment"] or "").rstrip() if match else None

    def comments_in(self, mapping: MappingNode) -> dict[str, str]:
        """Give the comments at the ends of the lines of a block mapping, by key; of keys with a value on that line."""
        if mapping.flow:
            return {}
        found = {key.text: self.comment_behind(self.tight_end(value)) for key, value in mapping.pairs if _short(value)}
        return {key: comment for key, comment in found.items() if comment}

    def first_line_of_key(self, mapping: MappingNode, key: ScalarNode) -> int:
        """Give where the lines of a key of a block mapping begin, with the comments right above it."""
        start = self.line_start(key.start)
        index = next(number for number, pair in enumerate(mapping.pairs) if pair[0] is key)
        bound = self.after_line(self.tight_end(mapping.pairs[index - 1][1])) if index else start
        return self._with_comments(start, bound, key.start - start)

    def dash(self, sequence: SequenceNode, index: int) -> int | None:
        """Give the position of the dash of an item of a block list; None when it does not begin its line."""
        if not self.starts_line(sequence.start) or not self._text.startswith("-", sequence.start):
            return None
        if index == 0:
            return sequence.start
        begin = self.after_line(self.tight_end(sequence.items[index - 1]))
        pattern = re.compile(rf"(?m)^ {{{self.column(sequence.start)}}}-(?=\s|\Z)")
        match = pattern.search(self._text, begin, sequence.items[index].start + 1)
        return match.end() - 1 if match else None

    def first_line_of_item(self, sequence: SequenceNode, index: int, dash: int) -> int:
        """Give where the lines of an item of a block list begin, with the comments right above it."""
        start = self.line_start(dash)
        bound = self.after_line(self.tight_end(sequence.items[index - 1])) if index else 0
        return self._with_comments(start, bound, dash - start)

    def is_blank(self, position: int) -> bool:
        """Tell whether the line that begins at a position is there and blank."""
        return _BLANK_LINE.match(self._text, position) is not None

    def before_blank_lines(self, position: int) -> int:
        """Go up from the start of a line over blank lines."""
        while position and self.is_blank(above := self.line_start(position - 1)):
            position = above
        return position

    def comments(self, sequence: SequenceNode, index: int, dash: int) -> tuple[str, ...]:
        """Give the comment lines right above an item of a block list, without indentation."""
        lines = self._text[self.first_line_of_item(sequence, index, dash) : self.line_start(dash)].split("\n")
        return tuple(line.strip() for line in lines[:-1])

    def item(self, sequence: SequenceNode, index: int) -> Value:
        """Give an item as it is written, to be put into another document.

        Returns
        -------
        Value
            What it says, where its lines would say something else elsewhere: in brackets, and beside anchors.
        """
        node = sequence.items[index]
        tree = self._document.tree(node)
        dash = None if sequence.flow or self._document.anchored else self.dash(sequence, index)
        if dash is None:
            return tree
        text = self._text[dash : self.after_line(self.tight_end(node))].removesuffix("\n")
        first, *rest = text.split("\n")
        indent = self.column(dash)
        lines = [line[min(indent, len(line) - len(line.lstrip(" "))) :] for line in rest]
        return Fragment((first, *lines), self.comments(sequence, index, dash), tree)

    def apart(self, sequence: SequenceNode) -> bool:
        """Tell whether the last two items of a block list have a blank line between them."""
        if len(sequence.items) < 2:
            return False
        end = self.after_line(self.tight_end(sequence.items[-2]))
        return _BLANK_LINE.search(self._text[end : self.line_start(sequence.items[-1].start)]) is not None

    def step(self, mapping: MappingNode) -> int:
        """Give how far the document indents the mappings that are in a mapping."""
        for key, value in mapping.pairs:
            if isinstance(value, MappingNode) and not value.flow:
                return max(1, self.column(value.pairs[0][0].start) - self.column(key.start))
        return self._step

    def list_step(self, mapping: MappingNode) -> int:
        """Give how far the document indents the dashes of the lists in a mapping."""
        for key, value in mapping.pairs:
            if isinstance(value, SequenceNode) and not value.flow:
                return max(0, self.column(value.start) - self.column(key.start))
        return self._step

    def _with_comments(self, start: int, bound: int, column: int) -> int:
        """Go up from the start of a line over comments in the same column, but not above a bound."""
        while start > bound:
            above = self.line_start(start - 1)
            line = self._text[above:start]
            if above < bound or not line.startswith("#", column) or line[:column].strip(" "):
                break
            start = above
        return start


def _short(node: Node) -> bool:
    """Tell whether a value is a scalar that does not begin a block."""
    return isinstance(node, ScalarNode) and node.style not in {"|", ">"}
