"""What the rows of ``airflow_settings.yaml`` make of a running Airflow: its objects with their full values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from astro_magic.errors import InvalidContentError
from astro_magic.project.settings.objects import FieldType, Kind, KindName, check_field, unknown_field
from astro_magic.project.settings.rows import ROOT, Row, Rows
from astro_magic.project.settings.uri import parse_uri
from astro_magic.project.yaml.values import Scalar, Tree, is_null, to_json

__all__ = ["API_FIELDS", "RowProblem", "SettingsObject", "SettingsObjects", "read_objects"]

#: The field of Airflow's API by that of the file; ids and ``conn_uri`` are apart.
API_FIELDS: Mapping[KindName, Mapping[str, str]] = {
    "connection": {
        "conn_type": "conn_type",
        "conn_host": "host",
        "conn_schema": "schema",
        "conn_login": "login",
        "conn_password": "password",
        "conn_port": "port",
        "conn_extra": "extra",
        "conn_description": "description",
        "conn_team": "team_name",
    },
    "pool": {
        "pool_slot": "slots",
        "pool_description": "description",
        "pool_include_deferred": "include_deferred",
        "pool_team": "team_name",
    },
    "variable": {"variable_value": "value", "variable_description": "description", "variable_team": "team_name"},
}
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_ZERO_IN_FRONT = re.compile(r"[-+]?0[0-9]+")


@dataclass(frozen=True)
class SettingsObject:
    """An object as Airflow is to have it.

    Attributes
    ----------
    kind : {"connection", "pool", "variable"}
        Its kind.
    name : str
        Its id.
    values : Mapping of str to Any
        By the field of Airflow's REST API, what the row says, secrets included: ``conn_type``, ``host``, ``schema``,
        ``login``, ``password``, ``port`` (a number) and ``extra`` (JSON as text) of a connection; ``value`` (text) of
        a variable; ``slots`` and ``include_deferred`` of a pool; ``description`` and ``team_name`` of each. What the
        row does not say is left out.
    place : str
        Where it is written: the file and the line.
    """

    kind: KindName
    name: str
    values: Mapping[str, Any] = field(repr=False)
    place: str = ""


@dataclass(frozen=True)
class RowProblem:
    """Why a row makes no object, or what of it is passed over.

    Attributes
    ----------
    kind : {"connection", "pool", "variable"}
        Its kind.
    name : str
        Its id; empty when it has none.
    line : int
        Where it is wrong, counted from 1.
    message : str
        What is wrong, in one sentence. Values are never told.
    hint : str
        What to do.
    place : str
        The file, the line and the column.
    whole : bool
        Whether the row makes no object; else only a part of it is passed over.
    """

    kind: KindName
    name: str
    line: int
    message: str
    hint: str
    place: str = ""
    whole: bool = True


@dataclass(frozen=True)
class SettingsObjects:
    """What a settings file makes of a running Airflow.

    Attributes
    ----------
    objects : tuple of SettingsObject
        In order of the file: connections, pools, variables.
    problems : tuple of RowProblem
        The rows that make no object, or of which something is passed over, in the same order. Rows that say nothing
        are not among them.
    """

    objects: tuple[SettingsObject, ...]
    problems: tuple[RowProblem, ...]


def read_objects(rows: Rows, file: str) -> SettingsObjects:
    """Make objects of rows; one that cannot be used does not keep the others from it.

    Parameters
    ----------
    rows : Rows
        The rows. Of two with one id the last counts, as for the Astro CLI.
    file : str
        The name of the file, for the places.
    """
    told = [row for row in rows.rows if not row.blank]
    last = {(row.kind.name, row.name): row for row in told}
    objects: list[SettingsObject] = []
    problems: list[RowProblem] = []
    for row in told:
        reading = _Reading(row)
        try:
            values = reading.values(last[row.kind.name, row.name])
        except InvalidContentError as error:
            problems.append(_problem(rows, row, reading.field, file, error.message, error.hint or "Correct it."))
        else:
            objects.append(SettingsObject(row.kind.name, row.name, values, f"{file}:{row.line}"))
        for key in row.tree:
            if key.lower() not in row.kind.fields:
                found = unknown_field(row.kind, key, reading.where)
                problems.append(_problem(rows, row, key.lower(), file, found.message, found.hint or "", whole=False))
    problems += (_stray(rows, *found, file) for found in rows.stray())
    return SettingsObjects(tuple(objects), tuple(problems))


def _stray(rows: Rows, kind: Kind, key: str, start: int, file: str) -> RowProblem:
    """Tell of a section that nothing reads."""
    line, column = rows.document.place(start)
    meant = key.lower() == kind.section
    message = f"The key {key[:40]!r} stands where nothing is read."
    hint = f"Put it under {ROOT}:, indented by two spaces." if meant else f"Did you mean {kind.section}?"
    return RowProblem(kind.name, "", line, message, hint, f"{file}:{line}:{column}", whole=False)


def _problem(rows: Rows, row: Row, name: str, file: str, message: str, hint: str, *, whole: bool = True) -> RowProblem:
    line, column = rows.place(row, name)
    place = f"{file}:{line}:{column}"
    return RowProblem(row.kind.name, row.name, line, message, hint, place, whole)


#: By what a field holds: its text as Airflow's API takes it.
_CONVERTED: Mapping[FieldType, Callable[[str], Any]] = {
    "text": str,
    "slots": int,
    # The Astro CLI knows no port 0: it stands for none, and its export writes it.
    "port": lambda text: int(text) or None,
    "extra": lambda text: text if text.strip() else None,
    "flag": lambda text: text == "true",
}


class _Reading:
    """A row being read; `field` is what was looked at last, and so what an error is about."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.field = row.kind.id
        self.where = f"The {row.kind.name} {row.name[:60]!r}"

    def values(self, last: Row) -> dict[str, Any]:
        row = self.row
        if not row.name.strip():
            hint = f"Give it a {row.kind.id}, or remove it."
            raise InvalidContentError(f"This {row.kind.name} has no {row.kind.id}.", hint=hint)
        if last is not row:
            raise InvalidContentError(
                f"{self.where} is on line {last.line} again, which counts.", hint="Keep one of the two."
            )
        self._checked(row.kind.id)
        for key in row.tree:
            self.field = key.lower()
            if row.keys[self.field] != key:
                raise InvalidContentError(
                    f"{self.where} has the field {key[:40]!r} in other capitals as well.", hint="Keep one of the two."
                )
        found = {key: self._value(name) for name, key in API_FIELDS[row.kind.name].items()}
        values = {key: value for key, value in found.items() if value is not None}
        self.field = row.kind.id
        match row.kind.name:
            case "connection" if "conn_type" not in values:
                return {**self._uri(), **values}
            case "variable" if "value" not in values:
                raise InvalidContentError(
                    f"{self.where} has no variable_value.", hint="Give it one, or remove the variable."
                )
            case "pool" if "slots" not in values:
                raise InvalidContentError(f"{self.where} has no pool_slot.", hint="Give it a whole number of slots.")
        return values

    def _uri(self) -> dict[str, Any]:
        uri = self._checked("conn_uri")
        if not isinstance(uri, Scalar):
            self.field = "conn_id"
            raise InvalidContentError(
                f"{self.where} has no conn_type and no conn_uri.", hint="Give it a conn_type, such as postgres or http."
            )
        return parse_uri(uri.text, f"conn_uri of the connection {self.row.name[:60]!r}")

    def _value(self, name: str) -> Any:
        """Give what a field says, as Airflow's API takes it; None when it says nothing."""
        tree = self._checked(name)
        if tree is None:
            return None
        if not isinstance(tree, Scalar):
            # As it is written, not as it was checked: numbers keep their digits.
            return _json(self.row.get(name) or tree)
        return _CONVERTED[self.row.kind.fields[name]](tree.text)

    def _checked(self, name: str) -> Tree | None:
        """Give what a field says, checked; None when it says nothing."""
        self.field = name
        tree = self.row.get(name)
        if tree is None or (tree == Scalar("") and name != "variable_value"):
            return None
        if name == "variable_value":
            # Lists and mappings as well: they become JSON.
            return tree
        return check_field(self.row.kind, name, tree, f"{name} of the {self.row.kind.name} {self.row.name[:60]!r}")


def _json(tree: Tree) -> str:
    """Write what a document says as JSON: numbers with the digits that they have, and no octal ones."""
    if isinstance(tree, Scalar):
        return _scalar(tree)
    if isinstance(tree, list):
        return f"[{', '.join(map(_json, tree))}]"
    pairs = (f"{json.dumps(key, ensure_ascii=False)}: {_json(value)}" for key, value in tree.items())
    return f"{{{', '.join(pairs)}}}"


def _scalar(scalar: Scalar) -> str:
    if is_null(scalar):
        return "null"
    if scalar.typed and _JSON_NUMBER.fullmatch(scalar.text):
        return scalar.text
    if scalar.typed and _ZERO_IN_FRONT.fullmatch(scalar.text):
        # An account number rather than a quantity, and readers differ in whether it would be octal.
        return json.dumps(scalar.text)
    return json.dumps(to_json(scalar), ensure_ascii=False)
