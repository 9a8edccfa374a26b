"""Which of a project's objects are shown, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from astro_magic.objects.table import ObjectRow, ObjectsTable
from astro_magic.project.settings.objects import KindName
from astro_magic.views.object_table import COLUMN_HEADS

__all__ = ["chosen_rows", "sort_columns"]

_PLACE, _STATE = "place", "state"
_USAGE = ("occupied", "queued")


def sort_columns(kind: KindName) -> tuple[tuple[str, str], ...]:
    """Give the columns by which objects can be sorted: what each is called, and its name here.

    Parameters
    ----------
    kind : {"connection", "pool", "variable"}
        The objects' kind.
    """
    heads: Mapping[str, str] = COLUMN_HEADS[kind]
    usage = _USAGE if kind == "pool" else ()
    own = [(head, name) for name, head in heads.items() if name not in {"password", "extra"}]
    return ((kind, ""), *own, *((name, name) for name in usage), ("defined in", _PLACE), ("in Airflow", _STATE))


def chosen_rows(table: ObjectsTable, *, text: str = "", column: str = "", descending: bool = False) -> list[ObjectRow]:
    """Give the rows that hold a text, in the order of a column.

    Parameters
    ----------
    table : ObjectsTable
        All rows.
    text : str, optional
        Is looked for, in capital or small letters, in the id and in all that is shown of an object.
    column : str, optional
        One of `sort_columns`; rows that have nothing there come last.
    descending : bool, optional
        The largest first.
    """
    wanted = text.strip().casefold()
    rows = [row for row in table.rows if not wanted or wanted in _shown_text(row).casefold()]
    if not column:
        return rows[::-1] if descending else rows
    told = {row.name: _value(row, column) for row in rows}
    having = [row for row in rows if told[row.name] not in (None, "")]
    having.sort(key=lambda row: _order(told[row.name]), reverse=descending)
    return having + [row for row in rows if told[row.name] in (None, "")]


def _shown_text(row: ObjectRow) -> str:
    values = [str(value) for value in row.shown().values() if value is not None]
    places = [each.place for each in row.definitions]
    # Between two values stands what nobody searches for.
    return "\n".join([row.name, *values, *places, row.state])


def _value(row: ObjectRow, column: str) -> Any:
    if column == _PLACE:
        return row.winner.place
    if column == _STATE:
        return row.state
    return row.usage.get(column) if column in _USAGE else row.shown().get(column)


def _order(value: Any) -> tuple[bool, Any]:
    """Give by what a value is sorted: numbers before texts."""
    return (False, value) if isinstance(value, int | float) else (True, str(value).casefold())
