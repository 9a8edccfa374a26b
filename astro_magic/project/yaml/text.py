"""A YAML document as text with the places where its parts stand.

It is read to nodes that know where they begin and end in the text, so that one of them can be replaced and the rest
stays as it is; `yaml_edits` does that. Nothing is ever constructed from a tag, and scalars stay the text that was
written.
"""

from __future__ import annotations

import functools
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn, TypeAlias

from astro_magic.errors import InvalidContentError
from astro_magic.project.yaml.values import Scalar, Tree, may_be_typed

__all__ = ["AliasNode", "MappingNode", "Node", "ScalarNode", "SequenceNode", "YamlText", "read_yaml"]

_DEEPEST = 100
_MOST_NODES = 1_000_000
_MOST_EXPANDED = 100_000
_MERGE = "<<"
_TEXT_TAGS = {"!", "tag:yaml.org,2002:str"}
_TAGS = _TEXT_TAGS | {f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null", "map", "seq")}
_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_QUOTING = "Correct that line; a value that has ': ' or ' #' in it, or begins with a sign, needs quotes."


@dataclass(slots=True, eq=False)
class ScalarNode:
    """A scalar: where it begins and ends (a tag or an anchor included), its text, its quotes or block sign, its tag."""

    start: int
    end: int
    text: str = field(repr=False)
    style: str
    tag: str | None

    @property
    def value(self) -> Scalar:
        """What it says."""
        if self.tag is not None:
            return Scalar(self.text, typed=self.tag not in _TEXT_TAGS)
        return Scalar(self.text, typed=False) if self.style else _plain(self.text)


@functools.lru_cache(maxsize=8192)
def _plain(text: str) -> Scalar:
    """Give what a bare scalar says; a file is read again after each edit, and says mostly the same."""
    return Scalar(text, typed=may_be_typed(text))


@dataclass(slots=True, eq=False)
class SequenceNode:
    """A list: where it begins and ends, whether it is written in brackets, and its items."""

    start: int
    end: int
    flow: bool
    items: list[Node] = field(default_factory=list, repr=False)


@dataclass(slots=True, eq=False)
class MappingNode:
    """A mapping: where it begins and ends, whether it is written in braces, and its keys with their values."""

    start: int
    end: int
    flow: bool
    pairs: list[tuple[ScalarNode, Node]] = field(default_factory=list, repr=False)

    def find(self, key: str) -> tuple[ScalarNode, Node] | None:
        """Give the key and the value that are written in the mapping itself, by the exact text of the key."""
        return next((pair for pair in self.pairs if pair[0].text == key), None)

    def find_any(self, key: str) -> tuple[ScalarNode, Node] | None:
        """Give a key and its value without regard to case, in which the Astro CLI reads keys; an exact one first."""
        lower = key.lower()
        return self.find(key) or next((pair for pair in self.pairs if pair[0].text.lower() == lower), None)


@dataclass(slots=True, eq=False)
class AliasNode:
    """A reference to a node with an anchor."""

    start: int
    end: int
    target: ScalarNode | SequenceNode | MappingNode = field(repr=False)


Node: TypeAlias = ScalarNode | SequenceNode | MappingNode | AliasNode


class YamlText:
    """A YAML document whose root is a mapping, or that is empty.

    Parameters
    ----------
    text : str
        The document, without a byte order mark.
    subject : str
        What errors call it: the name of the file, or "The cell".

    Attributes
    ----------
    root : MappingNode or None
        None when the document says nothing.
    anchored : bool
        Whether it has anchors, so that a part of it may say something else elsewhere.

    Raises
    ------
    InvalidContentError
        When it is no YAML, has several documents, a key twice in one mapping, a key that is no scalar, a tag that
        stands for an object, an alias without its anchor, or is nested deeper than 100 levels. The line and the column
        are named.
    """

    def __init__(self, text: str, subject: str) -> None:
        self.text = text
        self.subject = subject
        self._expanded = 0
        unreadable = _UNREADABLE.search(text)
        if unreadable:
            self.refuse(
                f"holds the character U+{ord(unreadable[0]):04X}, which YAML does not allow",
                unreadable.start(),
                hint="Remove it, or write it as an escape in double quotes.",
            )
        reader = _Reader(self)
        root = reader.read()
        self.anchored = bool(reader.anchors)
        if isinstance(root, ScalarNode) and not root.text and root.value.typed:
            root = None
        if root is not None and not isinstance(root, MappingNode):
            self.refuse("is no mapping of keys to values", root.start, hint="Write it as lines of the form key: value.")
        self.root = root

    def line(self, position: int) -> int:
        """Give the line of a position, counted from 1."""
        return bisect_left(self._line_ends, position) + 1

    def place(self, position: int) -> tuple[int, int]:
        """Give the line and the column of a position, both counted from 1."""
        return self.line(position), position - self.text.rfind("\n", 0, position)

    @cached_property
    def _line_ends(self) -> list[int]:
        return [match.start() for match in re.finditer("\n", self.text)]

    def refuse(self, problem: str, position: int, *, hint: str) -> NoReturn:
        """Raise that the document cannot be used.

        Parameters
        ----------
        problem : str
            What is wrong, to follow the name of the document. It holds no value.
        position : int
            Where.
        hint : str
            What to do.
        """
        line, column = self.place(position)
        raise InvalidContentError(f"{self.subject} {problem} (line {line}, column {column}).", hint=hint)

    def tree(self, node: Node | None = None, *, changes: Mapping[int, Callable[[Any], Tree]] | None = None) -> Tree:
        """Give what a node says, or the whole document; with aliases and merge keys written out.

        Parameters
        ----------
        node : Node, optional
            The node. Default: the root.
        changes : Mapping of int to callable, optional
            By the ``id`` of a list or mapping: what makes of what it says something else. Where an alias stands for
            it, it says what it said.

        Raises
        ------
        InvalidContentError
            When aliases make more than 100,000 nodes of it, or a merge key does not stand for mappings.
        """
        self._expanded = 0
        start = self.root if node is None else node
        return {} if start is None else self._tree(start, changes or {}, inside_alias=False)

    def _pairs(self, mapping: MappingNode) -> Iterator[tuple[str, Node, bool]]:
        """Go through the keys of a mapping and tell which are merged in: these come first, since its own win."""
        for key, value in mapping.pairs:
            if key.text == _MERGE and not key.style:
                for source in self._merged(value):
                    for name, merged, _ in self._pairs(source):
                        yield name, merged, True
        for key, value in mapping.pairs:
            if key.text != _MERGE or key.style:
                yield key.text, value, False

    def _merged(self, value: Node) -> Iterator[MappingNode]:
        self._count(value)
        target = value.target if isinstance(value, AliasNode) else value
        if isinstance(target, MappingNode):
            yield target
        elif isinstance(target, SequenceNode):
            # Earlier ones win over later ones.
            for item in reversed(target.items):
                yield from self._merged(item)
        else:
            self.refuse("merges something that is no mapping", value.start, hint="Give '<<' an alias of a mapping.")

    def _tree(self, node: Node, changes: Mapping[int, Callable[[Any], Tree]], *, inside_alias: bool) -> Tree:
        if inside_alias:
            self._count(node)
        if isinstance(node, ScalarNode):
            return node.value
        if isinstance(node, AliasNode):
            return self._tree(node.target, {}, inside_alias=True)
        found: list[Tree] | dict[str, Tree]
        if isinstance(node, SequenceNode):
            found = [self._tree(item, changes, inside_alias=inside_alias) for item in node.items]
        else:
            found = {}
            for key, value, merged in self._pairs(node):
                if isinstance(value, ScalarNode) and not (inside_alias or merged):
                    # Most of a file is this; a call for each would take a third of the time.
                    found[key] = value.value
                else:
                    found[key] = self._tree(value, {} if merged else changes, inside_alias=inside_alias or merged)
        change = changes.get(id(node))
        return found if change is None else change(found)

    def _count(self, node: Node) -> None:
        self._expanded += 1
        if self._expanded > _MOST_EXPANDED:
            self.refuse("grows too large when its aliases are written out", node.start, hint="Write it out by hand.")


@functools.lru_cache(maxsize=8)
def read_yaml(text: str, subject: str) -> YamlText:
    """Give a document as `YamlText` does. The last ones are kept: an edit begins with what the one before verified."""
    return YamlText(text, subject)


class _Reader:
    """Builds nodes from the events of PyYAML's parser."""

    def __init__(self, document: YamlText) -> None:
        self._document = document
        self.anchors: dict[str, ScalarNode | SequenceNode | MappingNode] = {}
        #: The collections that are open, each with the key that waits for its value and the keys so far.
        self._open: list[tuple[SequenceNode | MappingNode, dict[str, ScalarNode]]] = []
        self._key: list[ScalarNode | None] = []
        self._root: Node | None = None
        self._documents = 0

    def read(self) -> Node | None:
        import yaml

        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        handlers = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._start_mapping,
            yaml.SequenceStartEvent: self._start_sequence,
            yaml.MappingEndEvent: self._end,
            yaml.SequenceEndEvent: self._end,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._start_document,
        }
        count = 0
        try:
            events: Iterator[Any] = yaml.parse(self._document.text, Loader=loader)
            for event in events:
                handler: Any = handlers.get(type(event))
                if handler is not None:
                    count += 1
                    if count > _MOST_NODES:
                        self._document.refuse(
                            "is too large to be edited here", event.start_mark.index, hint="Edit it in an editor."
                        )
                    handler(event)
        except yaml.MarkedYAMLError as error:
            # The error's own text quotes the line, which may hold a secret; these words do not.
            words = ", ".join(part for part in (error.context, error.problem) if part)
            mark = error.problem_mark or error.context_mark
            position = min(mark.index, len(self._document.text)) if mark else 0
            tab = self._document.text[position : position + 1] == "\t"
            hint = "YAML indents with spaces only: replace the tab by spaces." if tab else _QUOTING
            self._document.refuse(f"is no valid YAML: {words}", position, hint=hint)
        return self._root

    def _start_document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self._document.refuse(
                "holds several YAML documents",
                event.start_mark.index,
                hint="Remove all but one of them, and the '---'.",
            )

    def _scalar(self, event: Any) -> None:
        tag = event.tag
        self._check_tag(event)
        node = ScalarNode(event.start_mark.index, event.end_mark.index, event.value, event.style or "", tag)
        if event.anchor:
            self.anchors[event.anchor] = node
        self._place(node)

    def _start_sequence(self, event: Any) -> None:
        self._start(SequenceNode(event.start_mark.index, event.end_mark.index, bool(event.flow_style)), event)

    def _start_mapping(self, event: Any) -> None:
        self._start(MappingNode(event.start_mark.index, event.end_mark.index, bool(event.flow_style)), event)

    def _start(self, node: SequenceNode | MappingNode, event: Any) -> None:
        self._check_tag(event)
        if len(self._open) >= _DEEPEST:
            self._document.refuse(
                f"is nested deeper than {_DEEPEST} levels", node.start, hint="Make it flatter, or edit it in an editor."
            )
        if event.anchor:
            self.anchors[event.anchor] = node
        self._place(node)
        self._open.append((node, {}))
        self._key.append(None)

    def _end(self, event: Any) -> None:
        node, _ = self._open.pop()
        self._key.pop()
        node.end = event.end_mark.index

    def _alias(self, event: Any) -> None:
        start = event.start_mark.index
        target = self.anchors.get(event.anchor)
        if target is None:
            self._document.refuse("has an alias without its anchor", start, hint="Write the value out in its place.")
        if any(node is target for node, _ in self._open):
            self._document.refuse("has an alias inside of what it stands for", start, hint="Write the value out.")
        self._place(AliasNode(start, event.end_mark.index, target))

    def _check_tag(self, event: Any) -> None:
        if event.tag is not None and event.tag not in _TAGS:
            self._document.refuse(
                "has a tag that does not stand for plain data",
                event.start_mark.index,
                hint="Remove the word that begins with '!', or put the value in quotes.",
            )

    def _place(self, node: Node) -> None:
        if not self._open:
            self._root = node
            return
        parent, seen = self._open[-1]
        if isinstance(parent, SequenceNode):
            parent.items.append(node)
            return
        key = self._key[-1]
        if key is not None:
            parent.pairs.append((key, node))
            self._key[-1] = None
            return
        if not isinstance(node, ScalarNode):
            self._document.refuse("has a key that is no text", node.start, hint="Write the key as text, in quotes.")
        earlier = seen.setdefault(node.text, node)
        if earlier is not node:
            self._document.refuse(
                f"has the key {node.text[:40]!r} twice in one mapping, first on line"
                f" {self._document.line(earlier.start)}",
                node.start,
                hint="Keep one of the two; readers differ in which of them counts.",
            )
        self._key[-1] = node
