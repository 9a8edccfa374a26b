"""Edits of a YAML document in its text: what an edit is not about stays byte for byte what it was.

An edit is made of splices of the text. The result is read again and compared with the edit made on what the document
said before; where they differ, as they may beside anchors and in odd layouts, the edit is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from astro_magic.errors import InvalidContentError
from astro_magic.project.yaml.layout import Layout
from astro_magic.project.yaml.text import MappingNode, Node, ScalarNode, SequenceNode, YamlText, read_yaml
from astro_magic.project.yaml.values import Tree, Value, block_lines, inline, tree_of

__all__ = ["YamlEdit"]


class _Splice(NamedTuple):
    """A part of the text and what takes its place; whole lines need the line before them to be ended."""

    start: int
    end: int
    text: str
    whole_lines: bool


class YamlEdit:
    """An edit of a document: say what is to change, then take the `result`.

    Parameters
    ----------
    document : YamlText
        The document.
    step : int, optional
        How many spaces to indent by where the document does not tell.
    """

    def __init__(self, document: YamlText, *, step: int = 2) -> None:
        self._document = document
        self._text = document.text
        windows = self._text.count("\r\n")
        self._end = "\r\n" if windows > self._text.count("\n") - windows else "\n"
        self._layout = Layout(document, step)
        self._step = step
        self._splices: list[_Splice] = []
        self._changes: dict[int, Callable[[Any], Tree]] = {}
        self._root: dict[str, Tree] = {}

    def put(
        self,
        mapping: MappingNode | None,
        values: Mapping[str, Value | None],
        *,
        comments: Mapping[str, str] | None = None,
    ) -> None:
        """Set and remove keys of a mapping. Give each mapping once.

        Parameters
        ----------
        mapping : MappingNode or None
            The mapping; None for the root of a document that says nothing.
        values : Mapping of str to Value or None
            By key, as it is written in the document: the new value; None removes the key. A mapping takes the place of
            another one key by key, so that comments in it stay.
        comments : Mapping of str to str, optional
            By key: a comment for the end of its line, where that has none.

        Raises
        ------
        InvalidContentError
            When a key that is to be removed is not written in the mapping itself, or it cannot be edited.
        """
        kept = {key: value for key, value in values.items() if value is not None}
        removed = [key for key, value in values.items() if value is None]
        if mapping is None:
            self._root |= {key: tree_of(value) for key, value in kept.items()}
            self._insert_lines(len(self._text), block_lines(kept, 0, self._step))
            return
        if mapping.flow and removed:
            self._rewrite(mapping, kept, removed)
            return
        pairs = {key: mapping.find(key) for key in kept}
        new = {key: value for key, value in kept.items() if pairs[key] is None}
        replaced = {
            key: tree_of(kept[key])
            for key, pair in pairs.items()
            if pair is None or not self._update(mapping, pair, kept[key])
        }
        for key, comment in (comments or {}).items():
            self._comment_behind(pairs.get(key), comment)
        for key in removed:
            self._remove_key(mapping, key)
        if new:
            self._insert_keys(mapping, new, comments or {})
        if removed or replaced:
            self._change(mapping, lambda tree: _without({**tree, **replaced}, removed))

    def append(self, mapping: MappingNode, key: str, items: Sequence[Value]) -> None:
        """Append items to the list that is the value of a key. Without a value, the key gets a list.

        Raises
        ------
        InvalidContentError
            When the value is no list, or cannot be edited.
        """
        pair = mapping.find(key)
        node = pair[1] if pair is not None else None
        if not isinstance(node, SequenceNode) or not node.items:
            self.put(mapping, {key: list(items)})
            return
        trees = [tree_of(item) for item in items]
        self._change(node, lambda tree: [*tree, *trees])
        end = self._layout.tight_end(node)
        if node.flow:
            self._splice(end - 1, end - 1, "".join(f", {inline(item)}" for item in items))
            return
        blank = [""] if self._layout.apart(node) else []
        column = self._layout.column(node.start)
        lines = [line for item in items for line in (*blank, *block_lines([item], column, self._inner_step(node)))]
        self._insert_lines(self._layout.after_line(end), lines)

    def drop(self, mapping: MappingNode, key: str, indexes: Collection[int]) -> None:
        """Remove items from the list that is the value of a key, with the comments that stand right above them.

        Raises
        ------
        InvalidContentError
            When the value is no list, or cannot be edited.
        """
        pair = mapping.find(key)
        if pair is None or not isinstance(pair[1], SequenceNode):
            self._refuse(mapping.start)
        node = pair[1]
        self._change(node, lambda tree: [item for index, item in enumerate(tree) if index not in indexes])
        kept = [self._document.tree(item) for index, item in enumerate(node.items) if index not in indexes]
        if node.flow:
            self._check_no_comments(node)
            self._splice(node.start, node.end, inline(kept))
            return
        if not kept:
            colon = self._colon(pair[0])
            self._splice(colon, colon, " []")
        for index in sorted(indexes):
            start = self._layout.first_line_of_item(node, index, self._dash(node, index))
            end = self._layout.after_line(self._layout.tight_end(node.items[index]))
            if index and (index + 1 == len(node.items) or self._layout.is_blank(end)):
                # The blank lines that kept it apart from the item above go with it.
                start = self._layout.before_blank_lines(start)
            self._splice(start, end, "")

    def comment(self, sequence: SequenceNode, index: int, lines: Sequence[str]) -> None:
        """Put comment lines above an item of a block list, but for those that are there.

        Parameters
        ----------
        sequence : SequenceNode
            The list.
        index : int
            Which item.
        lines : sequence of str
            The comments, without indentation.
        """
        if sequence.flow:
            return
        dash = self._dash(sequence, index)
        there = self._layout.comments(sequence, index, dash)
        indent = " " * self._layout.column(dash)
        self._insert_lines(self._layout.line_start(dash), [indent + line for line in lines if line not in there])

    def result(self) -> str:
        """Give the text with all edits made.

        Raises
        ------
        InvalidContentError
            When the text would not say exactly what the edits ask for. The line is named.
        """
        if not self._splices:
            return self._text
        parts = [""]
        position = 0
        for splice in sorted(self._splices, key=lambda splice: splice[:2]):
            if splice.start < position:
                self._refuse(splice.start)
            if splice.start > position:
                parts.append(self._text[position : splice.start])
            if splice.whole_lines and parts[-1] and not parts[-1].endswith("\n"):
                parts.append(self._end)
            if splice.text:
                parts.append(splice.text)
            position = splice.end
        text = "".join([*parts, self._text[position:]])
        expected = self._document.tree(changes=self._changes)
        if isinstance(expected, dict):
            expected |= self._root
        try:
            same = read_yaml(text, self._document.subject).tree() == expected
        except InvalidContentError:
            same = False
        if not same:
            self._refuse(min(splice.start for splice in self._splices))
        return text

    def _refuse(self, position: int) -> NoReturn:
        self._document.refuse(
            "cannot be edited by machine in this place",
            position,
            hint="Edit it by hand; anchors, aliases and '? ' keys have to be written out before.",
        )

    def _splice(self, start: int, end: int, text: str) -> None:
        self._splices.append(_Splice(start, end, text, whole_lines=False))

    def _insert_lines(self, position: int, lines: Sequence[str]) -> None:
        if lines:
            text = "".join(line + self._end for line in lines)
            self._splices.append(_Splice(position, position, text, whole_lines=True))

    def _change(self, node: MappingNode | SequenceNode, change: Callable[[Any], Tree]) -> None:
        """Note that a list or mapping says something else after the edit."""
        earlier = self._changes.get(id(node))
        self._changes[id(node)] = change if earlier is None else lambda tree: change(earlier(tree))

    def _update(self, mapping: MappingNode, pair: tuple[ScalarNode, Node], value: Value) -> bool:
        """Give a key another value; tell whether that was done inside of the value that it has."""
        key, old = pair
        tree = self._document.tree(old)
        if tree == tree_of(value):
            return True
        if isinstance(old, MappingNode) and isinstance(tree, dict) and isinstance(value, dict):
            changed = {name: item for name, item in value.items() if name not in tree or tree[name] != tree_of(item)}
            gone = dict.fromkeys(name for name in tree if name not in value)
            if len(gone) < len(old.pairs):
                self.put(old, {**changed, **gone})
                return True
        self._replace(mapping, key, old, value)
        return False

    def _replace(self, mapping: MappingNode, key: ScalarNode, old: Node, value: Value) -> None:
        layout = self._layout
        colon = self._colon(key)
        end = layout.tight_end(old)
        below = layout.after_line(end)
        start = old.start if end > old.start else colon
        kept = ""
        if isinstance(old, MappingNode | SequenceNode) and not old.flow:
            self._splice(layout.after_line(colon), below, "")
            start = end = colon
        elif isinstance(old, ScalarNode) and old.style in {"|", ">"}:
            kept = layout.block_header(old)[1]
        if isinstance(value, dict | list) and value and not mapping.flow:
            self._splice(colon, end, kept)
            lines = block_lines({"k": value}, 0, layout.step(mapping), layout.list_step(mapping))
            indent = " " * layout.column(key.start)
            self._insert_lines(below, [indent + line if line else line for line in lines[1:]])
            return
        text = inline(value)
        if not text:
            start = colon
        self._splice(start, end, (" " if text and start == colon else "") + text + kept)

    def _comment_behind(self, pair: tuple[ScalarNode, Node] | None, comment: str) -> None:
        if pair is None or not isinstance(pair[1], ScalarNode):
            return
        end = self._layout.tight_end(pair[1])
        if self._layout.comment_behind(end) == "":
            self._splice(end, end, f" {comment}")

    def _insert_keys(self, mapping: MappingNode, values: dict[str, Value], comments: Mapping[str, str]) -> None:
        layout = self._layout
        if mapping.flow:
            end = layout.tight_end(mapping.pairs[-1][1]) if mapping.pairs else mapping.start + 1
            self._splice(end, end, (", " if mapping.pairs else "") + inline(values)[1:-1])
            return
        column = layout.column(mapping.pairs[0][0].start)
        lines: list[str] = []
        for key, value in values.items():
            first, *rest = block_lines({key: value}, column, layout.step(mapping), layout.list_step(mapping))
            lines += [f"{first} {comments[key]}" if key in comments else first, *rest]
        self._insert_lines(layout.after_line(layout.tight_end(mapping)), lines)

    def _remove_key(self, mapping: MappingNode, name: str) -> None:
        layout = self._layout
        pair = mapping.find(name)
        if pair is None:
            self._refuse(mapping.start)
        key, value = pair
        end = layout.after_line(layout.tight_end(value))
        if layout.starts_line(key.start):
            self._splice(layout.first_line_of_key(mapping, key), end, "")
        else:
            # The first key stands behind the dash of an item, which the next line gets.
            self._splice(key.start, layout.after_blanks(end), "")

    def _rewrite(self, mapping: MappingNode, kept: Mapping[str, Value], removed: Collection[str]) -> None:
        """Write a mapping in braces anew, from which a key goes."""
        self._check_no_comments(mapping)
        before = {key.text: self._document.tree(value) for key, value in mapping.pairs}
        self._splice(mapping.start, mapping.end, inline(_without({**before, **kept}, removed)))
        trees = {key: tree_of(value) for key, value in kept.items()}
        self._change(mapping, lambda tree: _without({**tree, **trees}, removed))

    def _colon(self, key: ScalarNode) -> int:
        colon = self._layout.colon(key)
        if colon is None:
            self._refuse(key.start)
        return colon

    def _dash(self, sequence: SequenceNode, index: int) -> int:
        dash = self._layout.dash(sequence, index)
        if dash is None:
            self._refuse(sequence.items[index].start)
        return dash

    def _inner_step(self, sequence: SequenceNode) -> int:
        first = sequence.items[0]
        return self._layout.step(first) if isinstance(first, MappingNode) and not first.flow else self._step

    def _check_no_comments(self, node: MappingNode | SequenceNode) -> None:
        """Refuse brackets over several lines with something in them that may be a comment, which would get lost."""
        text = self._text[node.start : node.end]
        if "\n" in text and "#" in text:
            self._refuse(node.start)


def _without(tree: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in tree.items() if key not in keys}
