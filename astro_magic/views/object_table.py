"""View of the table of connections, variables or pools, and what other views of them tell in the same way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from astro_magic.system.secrets import MASK
from astro_magic.views.report import Block, Cell, Line, Report, Span, Table, line
from astro_magic.views.view import View
from astro_magic.views.words import count

if TYPE_CHECKING:
    import pandas as pd

    from astro_magic.objects.table import ObjectRow, ObjectsTable
    from astro_magic.project.settings.values import RowProblem

__all__ = ["COLUMN_HEADS", "WIDEST", "WORRYING", "ObjectsView", "defining_places", "problem_lines", "state_cell"]

#: By kind: the heads of the columns, by field.
COLUMN_HEADS: dict[str, dict[str, str]] = {
    "connection": {
        "conn_type": "type",
        "host": "host",
        "login": "login",
        "password": "password",
        "extra": "extra",
        "description": "description",
        "team_name": "team",
    },
    "variable": {"value": "value", "description": "description", "team_name": "team"},
    "pool": {
        "slots": "slots",
        "include_deferred": "counts deferred",
        "description": "description",
        "team_name": "team",
    },
}
#: A longer value is cut in a table; the DataFrame has all of it.
WIDEST = 60
#: Where the files say something that Airflow does not have, or may not have.
WORRYING = frozenset({"differs", "not imported", "not comparable"})

_NUMBERS = frozenset({"slots", "occupied", "queued"})
_ALWAYS = frozenset({"conn_type", "host", "value", "slots"})
_NOT_TO_BE_SAVED = "Secrets are shown: hidden again in a minute, or when the next cell is run. Do not save before."
#: So many problems are told; the doctor tells all.
_MOST_PROBLEMS = 5


class ObjectsView(View):
    """Connections, variables or pools: what they are, where that is said, and whether Airflow agrees.

    Attributes
    ----------
    table : ObjectsTable
        All of them.
    rows : tuple of ObjectRow
        Those that are shown.
    """

    def __init__(self, table: ObjectsTable, rows: Sequence[ObjectRow] | None = None, *, reveal: bool = False) -> None:
        self.table = table
        self.rows = table.rows if rows is None else tuple(rows)
        self._reveal = reveal

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[ObjectRow]:
        return iter(self.rows)

    @property
    def df(self) -> pd.DataFrame:
        """The objects that are shown as a DataFrame, one row each, secrets hidden."""
        frame = self.table.frame()
        return frame[frame[self.table.kind].isin([row.name for row in self.rows])].reset_index(drop=True)

    def headline(self) -> Line:
        """Say how many there are, and of how many files and Airflow differ."""
        total = count(len(self.table), self.table.kind) if len(self.table) else f"No {self.table.kind}s"
        shown = f"{len(self.rows):,} of {total}" if len(self.rows) != len(self.table) else total
        differing = len(self.table.differing)
        state = "" if self.table.running else " · Airflow is not running"
        return line(shown, f" · files and Airflow differ on {differing:,}" if differing else state)

    def report(self) -> Report:
        """Build the table, and what the files say that makes no object."""
        return Report.of(
            self.headline(),
            self.blocks(),
            line(Span(_NOT_TO_BE_SAVED, "strong")) if self._reveal else None,
            line(Span(".df is the DataFrame", "muted")) if self.rows else None,
        )

    def blocks(self) -> Sequence[Block]:
        """Build the table alone, and below it what is wrong."""
        note = self.table.note
        table = self._rows() if self.rows else None
        return Report.of(table, problem_lines(self.table.problems), line(note) if note else None).blocks

    def _rows(self) -> Table:
        kind = self.table.kind
        shown = [row.shown(reveal=self._reveal) for row in self.rows]
        columns = COLUMN_HEADS[kind]
        # What none of them has needs no column.
        used = [name for name in columns if name in _ALWAYS or any(each.get(name) not in (None, "") for each in shown)]
        if kind == "pool" and self.table.running:
            used[1:1] = ["occupied", "queued"]
        heads = (kind, *(columns.get(name, name) for name in used), "defined in")
        cells = [
            (row.name, *(_cell(name, fields, row, whole=self._reveal) for name in used), defining_places(row))
            for row, fields in zip(self.rows, shown, strict=True)
        ]
        if self.table.running:
            heads = (*heads, "in Airflow")
            cells = [(*cell, state_cell(row)) for cell, row in zip(cells, self.rows, strict=True)]
        return Table(heads, tuple(cells), "l" + "".join("r" if name in _NUMBERS else "l" for name in used))


def _cell(name: str, fields: dict[str, Any], row: ObjectRow, *, whole: bool) -> Cell:
    value = row.usage.get(name) if name in {"occupied", "queued"} else fields.get(name)
    if name == "host":
        value = _address(fields)
    elif name == "extra" and not whole:
        value = _keys(value)
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = " ".join(str(value).split())
    return text if whole or len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def _address(fields: dict[str, Any]) -> str:
    """Say where a connection leads, in one cell: a table of all fields is wider than a notebook."""
    port = f":{fields['port']}" if fields.get("port") else ""
    schema = f"/{fields['schema']}" if fields.get("schema") else ""
    return f"{fields.get('host') or ''}{port}{schema}"


def _keys(extra: Any) -> str:
    """Name the keys of an extra; the DataFrame has their values, too."""
    try:
        return ", ".join(json.loads(extra))
    except (ValueError, TypeError):
        return MASK if extra else ""


def defining_places(row: ObjectRow) -> Cell:
    """Say which files define an object; where several do, which of them wins."""
    files = [each.place for each in row.definitions if each.where != "database"]
    if not files:
        return Span("-", "muted")
    return files[0] if len(files) == 1 else f"{files[0]} wins over {', '.join(files[1:])}"


def state_cell(row: ObjectRow) -> Cell:
    """Say whether the files and Airflow agree on an object."""
    if row.state == "differs":
        return Span(f"differs: {', '.join(row.differing)}", "strong")
    return Span(row.state, "strong" if row.state in WORRYING else "muted")


def problem_lines(problems: Sequence[RowProblem]) -> list[Block]:
    """Tell what the files say that makes no object; no lines where there is nothing to tell."""
    lines: list[Block] = [
        line(Span(problem.place, "code"), f"  {problem.message} ", Span(problem.hint, "muted"), indent=1)
        for problem in problems[:_MOST_PROBLEMS]
    ]
    more = len(problems) - _MOST_PROBLEMS
    if more > 0:
        lines.append(line(f"{more} more; ", Span("%astro_doctor", "code"), " shows them.", indent=1))
    return [line(f"{count(len(problems), 'problem')} in the files:"), *lines] if lines else []
