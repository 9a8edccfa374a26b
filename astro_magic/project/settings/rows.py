"""The rows of ``airflow_settings.yaml``: where its connections, pools and variables stand, and what they say."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field

from astro_magic.project.settings.objects import EXAMPLE_EXTRA, KINDS, Kind, SettingsEntry
from astro_magic.project.yaml.text import AliasNode, MappingNode, Node, ScalarNode, SequenceNode, YamlText
from astro_magic.project.yaml.values import Scalar, Tree, is_null, to_json

__all__ = ["ROOT", "Row", "Rows"]

#: The key under which everything stands.
ROOT = "airflow"


@dataclass(frozen=True)
class Row:
    """A row of a section.

    Attributes
    ----------
    kind : Kind
        What it describes.
    sequence : SequenceNode
        The list that it is in.
    index : int
        Which item of the list.
    node : MappingNode or None
        The row itself; None when an alias stands in its place.
    line : int
        The line where it begins, counted from 1.
    column : int
        The column where it begins, counted from 1.
    tree : dict of str to Tree
        What it says, by key as it is written.
    keys : dict of str to str
        By field: the key as it is written. The Astro CLI reads keys without regard to case.
    """

    kind: Kind
    sequence: SequenceNode
    index: int
    node: MappingNode | None
    line: int
    column: int
    tree: dict[str, Tree] = field(repr=False)
    keys: dict[str, str] = field(repr=False)

    def get(self, name: str) -> Tree | None:
        """Give what a field says; None when it has no value."""
        key = self.keys.get(name)
        return None if key is None or is_null(self.tree[key]) else self.tree[key]

    @property
    def name(self) -> str:
        """The id; empty when there is none."""
        tree = self.get(self.kind.id)
        return tree.text if isinstance(tree, Scalar) else ""

    @property
    def blank(self) -> bool:
        """Whether it says nothing, as the rows of a new project."""
        return all(is_null(tree) or tree in (EXAMPLE_EXTRA, Scalar("")) for tree in self.tree.values())

    @property
    def entry(self) -> SettingsEntry:
        """What it says, for others."""
        values = {
            name: tree.text if isinstance(tree, Scalar) else to_json(tree)
            for name in self.kind.fields
            if (tree := self.get(name)) is not None
        }
        return SettingsEntry(self.kind.name, self.name, self.line, values)


class Rows:
    """The rows of a document.

    Parameters
    ----------
    document : YamlText
        A settings file, or a part of one: then the sections may stand at its root.
    whole : bool, optional
        Whether the sections can only stand under ``airflow``.

    Attributes
    ----------
    parent : MappingNode or None
        The mapping that the sections are in; None when there is none.
    rows : list of Row
        All rows, in order of the document.

    Raises
    ------
    InvalidContentError
        When ``airflow`` is no mapping, a section no list, or a row no mapping.
    """

    def __init__(self, document: YamlText, *, whole: bool = True) -> None:
        self.document = document
        self.parent: MappingNode | None = None if whole else document.root
        found = self._only(document.root, ROOT)
        if found is not None:
            value = _target(found[1])
            if isinstance(value, MappingNode):
                self.parent = value
            elif not _says_nothing(value):
                document.refuse(
                    "has something else than a mapping under airflow",
                    found[1].start,
                    hint="Under airflow: stand connections:, pools: and variables:, each with a list.",
                )
        self.rows = [row for kind in KINDS.values() for row in self._section(kind)]

    def section(self, kind: Kind) -> tuple[str, Node] | None:
        """Give the key of a section as it is written, and its value; None when it is not there."""
        found = self._only(self.parent, kind.section)
        return None if found is None else (found[0].text, found[1])

    def stray(self) -> Iterator[tuple[Kind, str, int]]:
        """Give the sections that stand where nothing reads them, with the kind that is meant, and where that is."""
        sections = {kind.section: kind for kind in KINDS.values()}
        root = self.document.root
        for key, _ in root.pairs if root is not None and root is not self.parent else ():
            if key.text.lower() in sections:
                yield sections[key.text.lower()], key.text, key.start
        for key, _ in self.parent.pairs if self.parent is not None else ():
            if key.text.lower() not in (*sections, "<<"):
                (close,) = difflib.get_close_matches(key.text.lower(), sections, n=1, cutoff=0)
                yield sections[close], key.text, key.start

    def _only(self, mapping: MappingNode | None, name: str) -> tuple[ScalarNode, Node] | None:
        """Find a key in any case; that it is there in two would lose what stands under one of them."""
        found = [pair for pair in mapping.pairs if pair[0].text.lower() == name] if mapping is not None else []
        if len(found) > 1:
            self.document.refuse(
                f"has the key {found[1][0].text!r}, which is {found[0][0].text!r} in other capitals",
                found[1][0].start,
                hint="Bring both together; readers differ in which of them counts.",
            )
        return found[0] if found else None

    def place(self, row: Row, name: str) -> tuple[int, int]:
        """Give the line and the column of a field of a row; those of the row when it is not written there."""
        key = row.keys.get(name)
        pair = row.node.find(key) if row.node is not None and key is not None else None
        return (row.line, row.column) if pair is None else self.document.place(pair[0].start)

    def _section(self, kind: Kind) -> Iterator[Row]:
        section = self.section(kind)
        sequence = None if section is None else _target(section[1])
        if section is None or sequence is None or _says_nothing(sequence):
            return
        if not isinstance(sequence, SequenceNode):
            self.document.refuse(
                f"has something else than a list under {kind.section}",
                section[1].start,
                hint=f"Begin each of its items with '- {kind.id}:'.",
            )
        for index, item in enumerate(sequence.items):
            line, column = self.document.place(item.start)
            tree = self.document.tree(item)
            if isinstance(tree, dict):
                keys = {key.lower(): key for key in tree}
                node = item if isinstance(item, MappingNode) else None
                yield Row(kind, sequence, index, node, line, column, tree, keys)
            elif not is_null(tree):
                self.document.refuse(
                    f"has something else than a mapping as an item of {kind.section}",
                    item.start,
                    hint=f"Begin it with '- {kind.id}:'.",
                )


def _target(node: Node) -> Node:
    return node.target if isinstance(node, AliasNode) else node


def _says_nothing(node: Node) -> bool:
    return isinstance(node, ScalarNode) and is_null(node.value)
