"""The connections, pools and variables of the local Airflow: ``airflow_settings.yaml``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from itertools import zip_longest

from astro_magic.errors import InvalidContentError
from astro_magic.project.changes import Change, FileChange, split_lines
from astro_magic.project.document import Document
from astro_magic.project.settings.cell import SettingsCell, SettingsChange
from astro_magic.project.settings.objects import (
    EXAMPLE_EXTRA,
    KindName,
    SettingsEntry,
    check_field,
    kind_of,
    unknown_field,
)
from astro_magic.project.settings.rows import ROOT, Row, Rows
from astro_magic.project.settings.values import SettingsObjects, read_objects
from astro_magic.project.yaml.edits import YamlEdit
from astro_magic.project.yaml.text import YamlText, read_yaml
from astro_magic.project.yaml.values import (
    EMPTY,
    Fragment,
    Scalar,
    Tree,
    Value,
    changes_in_go,
    from_json,
    is_null,
    settled,
    to_json,
)

__all__ = ["Settings"]


class Settings(Document):
    """A settings file. What an edit is not about stays byte for byte what it was, comments included."""

    def entries(self, kind: KindName | None = None) -> tuple[SettingsEntry, ...]:
        """Read the objects of the file; rows that say nothing are left out.

        Parameters
        ----------
        kind : {"connection", "pool", "variable"}, optional
            Only these.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When it is no UTF-8 text, no YAML, or no settings file.
        """
        rows = Rows(self.parsed()).rows
        return tuple(row.entry for row in rows if not row.blank and kind in {None, row.kind.name})

    def objects(self) -> SettingsObjects:
        """Read what the file makes of a running Airflow: its objects with their full values, secrets included.

        A row that cannot be used is a problem of the result, and no error.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When it is no UTF-8 text, no YAML, or no settings file.
        """
        return read_objects(Rows(self.parsed()), self.name)

    def parsed(self) -> YamlText:
        """Read the file as YAML.

        Raises
        ------
        FileAccessError
            When it cannot be read.
        InvalidContentError
            When it is no UTF-8 text or no YAML.
        """
        return read_yaml("".join(self._content(self.read()).lines), self.name)

    def plan_merge(self, text: str, *, replace: bool = False) -> Change:
        """Plan to bring objects into the file.

        An object that is already there, by its id, gets the fields that are given; its others stay. A new one is
        appended to its section, or takes the place of a row that says nothing. What the file says already changes
        nothing.

        Parameters
        ----------
        text : str
            YAML: a whole settings file, or only its ``connections:``, ``pools:`` and ``variables:``.
        replace : bool, optional
            Make the file exactly this text instead.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When the text or the file is no YAML or no settings, an object has a field that does not exist or a value
            that it cannot have, or the file cannot be edited in that place. Values are never told.
        """
        cell = SettingsCell(text)
        if not replace:
            return Change(f"merge into {self.name}", (self._plan(cell.changes),))
        for change in cell.changes:
            change.check_complete()
        return Change(f"replace {self.name}", (self.plan_write(cell.whole()),))

    def plan_set(self, kind: KindName, name: str, values: Mapping[str, object]) -> Change:
        """Plan to set fields of one object, which is made when it is not there.

        Parameters
        ----------
        kind : {"connection", "pool", "variable"}
            Its kind.
        name : str
            Its id.
        values : Mapping of str to object
            By field, such as ``conn_host``: text, a whole number, or for ``conn_extra`` a mapping or JSON; None removes
            the field.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            As `plan_merge`.
        """
        return self.plan_set_all([(kind, name, values)])

    def plan_set_all(self, objects: Iterable[tuple[KindName, str, Mapping[str, object]]]) -> Change:
        """Plan to set fields of several objects, each given by kind, id and fields, as `plan_set` does of one."""
        incoming = [_incoming(kind, name, values) for kind, name, values in objects]
        return Change(f"set in {self.name}", (self._plan(incoming),))

    @staticmethod
    def check(kind: KindName, name: str, values: Mapping[str, object], *, new: bool) -> None:
        """Check that fields of an object can be set, given as to `plan_set`.

        Parameters
        ----------
        new : bool
            Whether it is to be made by that.

        Raises
        ------
        InvalidContentError
            When they cannot.
        """
        incoming = _incoming(kind, name, values)
        if new:
            incoming.check_complete()

    def plan_remove(self, kind: KindName, *names: str) -> Change:
        """Plan to remove objects, with the comments right above them.

        Parameters
        ----------
        kind : {"connection", "pool", "variable"}
            Their kind.
        *names : str
            Their ids.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When the file has no such object, or cannot be read or edited.
        """
        described = kind_of(kind)
        before = self.read()
        content = self._content(before)
        document = read_yaml("".join(content.lines), self.name)
        rows = Rows(document)
        found = [row for row in rows.rows if row.kind is described and row.name]
        known = [row.name for row in found]
        for name in names:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                listed = ", ".join(sorted(set(known))) or "nothing"
                hint = f"Did you mean {close[0]}?" if close else f"Its {described.section} are: {listed}."
                raise InvalidContentError(f"{self.name} has no {kind} {name!r}.", hint=hint)
        section = rows.section(described)
        edit = YamlEdit(document)
        indexes = {row.index for row in found if row.name in names}
        if indexes and section is not None and rows.parent is not None:
            edit.drop(rows.parent, section[0], indexes)
        return Change(f"remove from {self.name}", (self._plan_lines(before, content, split_lines(edit.result())),))

    def merge(self, text: str, *, dry_run: bool = False) -> Change:
        """Bring objects into the file: `plan_merge` and `Project.edit` in one.

        Parameters
        ----------
        text : str
            YAML: a whole settings file, or sections of one.
        dry_run : bool, optional
            Only plan it.

        Raises
        ------
        ProjectError
            As `plan_merge` and `Project.edit`.
        """
        return self.project.edit(lambda: self.plan_merge(text), dry_run=dry_run)

    def set(self, kind: KindName, name: str, values: Mapping[str, object], *, dry_run: bool = False) -> Change:
        """Set fields of one object: `plan_set` and `Project.edit` in one.

        Parameters
        ----------
        kind, name, values : str, str, Mapping of str to object
            As for `plan_set`.
        dry_run : bool, optional
            Only plan it.

        Raises
        ------
        ProjectError
            As `plan_set` and `Project.edit`.
        """
        return self.project.edit(lambda: self.plan_set(kind, name, values), dry_run=dry_run)

    def remove(self, kind: KindName, *names: str, dry_run: bool = False) -> Change:
        """Remove objects: `plan_remove` and `Project.edit` in one.

        Parameters
        ----------
        kind : {"connection", "pool", "variable"}
            Their kind.
        *names : str
            Their ids.
        dry_run : bool, optional
            Only plan it.

        Raises
        ------
        ProjectError
            As `plan_remove` and `Project.edit`.
        """
        return self.project.edit(lambda: self.plan_remove(kind, *names), dry_run=dry_run)

    def _plan(self, incoming: Iterable[SettingsChange]) -> FileChange:
        before = self.read()
        content = self._content(before)
        merge = _Merge(read_yaml("".join(content.lines), self.name))
        merge.bring(incoming)
        return self._plan_lines(before, content, split_lines(merge.text()))


def _incoming(kind: KindName, name: str, values: Mapping[str, object]) -> SettingsChange:
    """Make what is to be brought into a file of the fields of an object."""
    described = kind_of(kind)
    where = f"The {kind} {name[:60]!r}"
    fields: dict[str, Tree | None] = {described.id: check_field(described, described.id, Scalar(name), "The id")}
    for key, value in values.items():
        if key not in described.fields:
            raise unknown_field(described, key, where)
        if key != described.id:
            named = f"{key} of the {kind} {name[:60]!r}"
            fields[key] = None if value is None else check_field(described, key, from_json(value), named)
        elif value != name:
            raise InvalidContentError(
                f"{where} cannot be given another {key}.", hint="Set one with the new id, then remove this one."
            )
    item = {key: tree for key in described.fields if (tree := fields.get(key)) is not None}
    return SettingsChange(described, name, where, fields, item)


class _Merge:
    """Objects being brought into a document."""

    def __init__(self, document: YamlText) -> None:
        self._document = document
        self._rows = Rows(document)
        self._edit = YamlEdit(document)
        # Of two rows with one id, the Astro CLI takes the last.
        self._by_name = {(row.kind.name, row.name): row for row in self._rows.rows if row.name}
        self._blank = [row for row in self._rows.rows if row.blank and row.node is not None]
        self._new: dict[str, list[Value]] = {}

    def bring(self, incoming: Iterable[SettingsChange]) -> None:
        for new in incoming:
            row = self._by_name.get((new.kind.name, new.name))
            if row is not None:
                self._update(row, new.fields, new.comments)
                continue
            new.check_complete()
            row = next((row for row in self._blank if row.kind is new.kind), None)
            if row is None:
                self._new.setdefault(new.kind.section, []).append(new.item)
                continue
            self._blank.remove(row)
            examples = {name: EMPTY for name in row.keys if row.get(name) == EXAMPLE_EXTRA}
            self._update(row, {**examples, **new.fields}, new.comments)
            if isinstance(new.item, Fragment):
                self._edit.comment(row.sequence, row.index, new.item.above)

    def text(self) -> str:
        """Give the document with all that was brought in."""
        missing: dict[str, Value] = {}
        for section, items in self._new.items():
            found = self._rows.section(kind_of(section))
            if found is None or self._rows.parent is None:
                missing[section] = items
            else:
                self._edit.append(self._rows.parent, found[0], items)
        if missing and self._rows.parent is not None:
            self._edit.put(self._rows.parent, missing)
        elif missing:
            root = self._document.root
            pair = root.find_any(ROOT) if root is not None else None
            self._edit.put(root, {ROOT if pair is None else pair[0].text: missing})
        return self._edit.result()

    def _update(self, row: Row, fields: Mapping[str, Tree | None], comments: Mapping[str, str]) -> None:
        changed: dict[str, Value | None] = {}
        for name, tree in fields.items():
            key = row.keys.get(name, name)
            old = row.tree.get(key)
            if tree is None and old is not None:
                changed[key] = None
            elif tree is not None and not _same(old, spelled := _spelled(old, tree)):
                changed[key] = spelled
        if not changed:
            return
        if row.node is None:
            self._document.refuse(
                f"has an alias in place of the {row.kind.name} {row.name!r}",
                row.sequence.items[row.index].start,
                hint="Write the object out there, then run this again.",
            )
        behind = {key: comments[name] for name in comments if (key := row.keys.get(name, name)) in changed}
        self._edit.put(row.node, changed, comments=behind)


def _same(old: Tree | None, new: Tree) -> bool:
    """Tell whether a field says already what it is to say, for the Astro CLI as well."""
    if isinstance(old, Scalar) and isinstance(new, Scalar):
        return (is_null(old) and is_null(new)) or (
            old.text == new.text and not is_null(old) and (new.typed or not changes_in_go(old))
        )
    return is_null(new) if old is None else settled(old) == settled(new)


def _spelled(old: Tree | None, new: Tree) -> Tree:
    """Give a new value with the truth values and numbers in it spelled as they are now, where they stay."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {key: _spelled(old.get(key), tree) for key, tree in new.items()}
    if isinstance(old, list) and isinstance(new, list):
        return [_spelled(*pair) for pair in zip_longest(old[: len(new)], new)]
    if isinstance(old, Scalar) and isinstance(new, Scalar) and old.typed and new.typed:
        before, after = to_json(old), to_json(new)
        # A zero in front makes a number octal for some readers.
        clear = not isinstance(before, str) and not re.match(r"[-+]?0[0-9]", old.text)
        return old if clear and type(before) is type(after) and before == after else new
    return new
