"""What a cell says about connections, pools and variables."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from astro_magic.errors import InvalidContentError
from astro_magic.project.changes import split_lines
from astro_magic.project.settings.objects import KINDS, Kind, check_field, unknown_field
from astro_magic.project.settings.rows import ROOT, Row, Rows
from astro_magic.project.yaml.edits import YamlEdit
from astro_magic.project.yaml.layout import Layout
from astro_magic.project.yaml.text import YamlText
from astro_magic.project.yaml.values import Fragment, Tree, Value, block_lines, is_null

__all__ = ["SettingsCell", "SettingsChange"]

_SUBJECT = "The cell"
_STEP = 2
_SECTIONS = tuple(kind.section for kind in KINDS.values())


@dataclass(frozen=True)
class SettingsChange:
    """An object that is to be brought into a settings file.

    Attributes
    ----------
    kind : Kind
        Its kind.
    name : str
        Its id.
    where : str
        What errors call it.
    fields : Mapping of str to Tree or None
        By field, the id included: the value; None removes the field.
    item : Value
        The item that a new one becomes.
    comments : Mapping of str to str
        By field: the comment at the end of its line.
    """

    kind: Kind
    name: str
    where: str
    fields: Mapping[str, Tree | None] = field(repr=False)
    item: Value = field(repr=False)
    comments: Mapping[str, str] = field(default_factory=dict, repr=False)

    def check_complete(self) -> None:
        """Check that a new object has what the Astro CLI asks for.

        Raises
        ------
        InvalidContentError
            When it has not.
        """
        values = [self.fields.get(name) for name in self.kind.required]
        if all(tree is None or is_null(tree) for tree in values):
            raise InvalidContentError(
                f"{self.where} is new and has no {' or '.join(self.kind.required)}.",
                hint=f"Give it one; without, the Astro CLI does not make a {self.kind.name} of it.",
            )


class SettingsCell:
    """The text of a cell: a settings file, or only sections of one.

    Parameters
    ----------
    text : str
        The text.

    Attributes
    ----------
    changes : list of SettingsChange
        Its objects; rows that say nothing are left out.

    Raises
    ------
    InvalidContentError
        When it is no YAML or no settings, or an object has a field that does not exist or a value that it cannot have.
        Values are never told.
    """

    def __init__(self, text: str) -> None:
        lines = [line.rstrip("\r\n") for line in split_lines(text.removeprefix("\ufeff"))]
        stripped = "\n".join(lines).strip("\n")
        document = YamlText(f"{stripped}\n" if stripped else "", _SUBJECT)
        _check_keys(document)
        # Values that a reader could take for something else are quoted first; the rest of the cell goes on as it is.
        self._document = YamlText(_quoted(document), _SUBJECT)
        layout = Layout(self._document, _STEP)
        self.changes: list[SettingsChange] = []
        for row in Rows(self._document, whole=False).rows:
            if not row.blank:
                fields = _checked(row)
                item = layout.item(row.sequence, row.index)
                given = {name: tree for name, tree in fields.items() if not is_null(tree)}
                where = f"Line {row.line}: the {row.kind.name} {row.name[:60]!r}"
                new = item if isinstance(item, Fragment) else given
                comments = {} if row.node is None else layout.comments_in(row.node)
                behind = {key.lower(): comment for key, comment in comments.items()}
                self.changes.append(SettingsChange(row.kind, row.name, where, given, new, behind))

    def whole(self) -> str:
        """Give the cell as a settings file: sections alone get the root that they lack."""
        text, root = self._document.text, self._document.root
        if root is None or ROOT in [key.text.lower() for key, _ in root.pairs]:
            return text
        if root.flow:
            return "\n".join(block_lines({ROOT: self._document.tree()}, 0, _STEP)) + "\n"
        lines = [f"{' ' * _STEP}{line}" if line else line for line in text.removesuffix("\n").split("\n")]
        return "\n".join([f"{ROOT}:", *lines]) + "\n"


def _quoted(document: YamlText) -> str:
    edit = YamlEdit(document)
    seen: dict[tuple[str, str], int] = {}
    for row in Rows(document, whole=False).rows:
        if row.blank:
            continue
        kind = row.kind
        if not row.name:
            raise InvalidContentError(
                f"Line {row.line}: this {kind.name} has no {kind.id}.", hint=f"Begin it with '- {kind.id}: NAME'."
            )
        first = seen.setdefault((kind.name, row.name), row.line)
        if first != row.line:
            raise InvalidContentError(
                f"Line {row.line} names the {kind.name} {row.name[:60]!r} again, which line {first} did.",
                hint="Keep one of the two.",
            )
        written = {row.keys[name]: tree for name, tree in _checked(row).items() if row.tree[row.keys[name]] != tree}
        if row.node is not None and not document.anchored:
            edit.put(row.node, written)
    return edit.result()


def _check_keys(document: YamlText) -> None:
    """Check the keys above the rows of a cell."""
    tree = document.tree()
    roots = list(tree) if isinstance(tree, dict) else []
    whole = ROOT in [key.lower() for key in roots]
    inner = (
        next((value for key, value in tree.items() if key.lower() == ROOT), None) if isinstance(tree, dict) else None
    )
    _check_names(roots, (ROOT,) if whole else _SECTIONS, "The cell")
    if isinstance(inner, dict):
        _check_names(inner, _SECTIONS, f"{ROOT} in the cell")


def _check_names(keys: Iterable[str], known: Collection[str], where: str) -> None:
    for key in keys:
        if key.lower() not in known:
            close = difflib.get_close_matches(key.lower(), known, n=1)
            listed = f"There stand: {', '.join(known)}."
            raise InvalidContentError(
                f"{where} has the key {key[:40]!r}, which no settings file has there.",
                hint=f"Did you mean {close[0]}?" if close else listed,
            )


def _checked(row: Row) -> dict[str, Tree]:
    """Check the fields of a row of a cell and give them as they are to be written."""
    checked = {}
    for key, tree in row.tree.items():
        if key.lower() not in row.kind.fields:
            raise unknown_field(row.kind, key, f"Line {row.line}: the {row.kind.name} {row.name[:60]!r}")
        where = f"Line {row.line}: {key} of the {row.kind.name} {row.name[:60]!r}"
        checked[key.lower()] = check_field(row.kind, key.lower(), tree, where)
    return checked
