"""Three places, one table: what files and Airflow say of each object, which of them counts, and whether they agree."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from astro_magic.project.settings.objects import KindName
from astro_magic.project.settings.values import RowProblem, SettingsObject
from astro_magic.system.frames import require_pandas
from astro_magic.system.secrets import MASK, mask_named

if TYPE_CHECKING:
    import pandas as pd

    from astro_magic.airflow.objects import AirflowObject

__all__ = ["COLUMNS", "Definition", "ObjectRow", "ObjectState", "ObjectsTable", "Where", "hidden", "join"]

Where = Literal["backend", "environment", "database", "settings"]
ObjectState = Literal[
    "same", "differs", "not imported", "only in Airflow", "not comparable", "after a restart", "not running", ""
]

#: In the order in which Airflow looks; what it does not look at, since it is only imported, comes last.
_ORDER: tuple[Where, ...] = ("backend", "environment", "database", "settings")

#: By kind: the columns of the DataFrame that say what an object is, by the field of Airflow's REST API.
COLUMNS: Mapping[KindName, tuple[str, ...]] = {
    "connection": (
        "conn_type",
        "host",
        "port",
        "schema",
        "login",
        "password",
        "extra",
        "description",
        "team_name",
    ),
    "variable": ("value", "description", "team_name"),
    "pool": ("slots", "include_deferred", "description", "team_name"),
}
#: As Airflow calls how the slots of a pool are used.
_USAGE = ("occupied", "running", "queued", "scheduled", "deferred", "open")
#: What the API writes in place of a secret.
_HIDDEN = "***"
#: What Airflow makes itself.
_AIRFLOWS_OWN = frozenset({"default_pool"})


@dataclass(frozen=True)
class Definition:
    """What one place says of an object.

    Attributes
    ----------
    where : {"backend", "environment", "database", "settings"}
        Which place it is.
    place : str
        Where exactly: ``airflow_settings.yaml:12``, ``.env:3``, ``Airflow``, or the class of a secrets backend.
    values : Mapping of str to Any
        By the field of Airflow's REST API, secrets included.
    """

    where: Where
    place: str
    values: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class ObjectRow:
    """A connection, a variable or a pool.

    Attributes
    ----------
    kind : {"connection", "pool", "variable"}
        Its kind.
    name : str
        Its id.
    definitions : tuple of Definition
        What says what it is, in the order in which Airflow looks; never empty. The first one counts.
    state : str
        How the files and the running Airflow agree on it: ``same``, ``differs``, ``not imported``, ``only in Airflow``,
        ``not comparable`` (Airflow hides a secret that was not imported from here), ``after a restart`` (`.env` was
        changed since), ``not running``; empty where there is nothing to compare.
    differing : tuple of str
        The fields that differ.
    usage : Mapping of str to int
        Of a pool: how its slots are used now.
    """

    kind: KindName
    name: str
    definitions: tuple[Definition, ...]
    state: ObjectState
    differing: tuple[str, ...] = ()
    usage: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def winner(self) -> Definition:
        """The definition that counts."""
        return self.definitions[0]

    def definition(self, where: Where) -> Definition | None:
        """Give what one place says of it; None when that says nothing."""
        return next((each for each in self.definitions if each.where == where), None)

    def shown(self, *, reveal: bool = False) -> dict[str, Any]:
        """Give the fields of the definition that counts, its secrets hidden unless they are to be revealed."""
        # Version 1 of the API tells no password and no extra; where the file agrees, it says them.
        agreed = self.winner.where == "database" and self.state in {"same", "not comparable"}
        fields = ChainMap(*(dict(each.values) for each in (self.definitions if agreed else self.definitions[:1])))
        return {name: value if reveal else hidden(self, name, value) for name, value in fields.items()}


@dataclass(frozen=True)
class ObjectsTable:
    """All objects of one kind.

    Attributes
    ----------
    kind : {"connection", "pool", "variable"}
        Their kind.
    rows : tuple of ObjectRow
        By name.
    problems : tuple of RowProblem
        What in the files makes no object, or is passed over.
    running : bool
        Whether Airflow was asked.
    note : str
        Why it could not be asked, where it should have been; else empty.
    """

    kind: KindName
    rows: tuple[ObjectRow, ...]
    problems: tuple[RowProblem, ...] = ()
    running: bool = False
    note: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[ObjectRow]:
        return iter(self.rows)

    def __getitem__(self, name: str) -> ObjectRow:
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def get(self, name: str) -> ObjectRow | None:
        """Give the object of that name; None when there is none."""
        return next((row for row in self.rows if row.name == name), None)

    @property
    def differing(self) -> tuple[ObjectRow, ...]:
        """Those on which the files and the running Airflow do not agree, or may not."""
        return tuple(row for row in self.rows if row.state not in {"same", "not running", ""})

    def frame(self) -> pd.DataFrame:
        """Give the objects as a DataFrame, one row each, secrets hidden.

        The columns are the fields of the definition that counts, then ``defined_in`` (all places), ``wins`` (the one
        that counts), ``in_airflow`` (the state) and ``differs`` (the fields that differ). For a pool also its slots.
        """
        require_pandas()
        import pandas as pd

        usage = _USAGE if self.kind == "pool" else ()
        columns = [self.kind, *COLUMNS[self.kind], *usage, "defined_in", "wins", "in_airflow", "differs"]
        records = []
        for row in self.rows:
            shown = row.shown()
            fields = [shown.get(name) for name in COLUMNS[self.kind]]
            places = ", ".join(each.place for each in row.definitions)
            used = [row.usage.get(name) for name in usage]
            records.append(
                [row.name, *fields, *used, places, row.winner.place, row.state, ", ".join(row.differing)],
            )
        frame = pd.DataFrame(records, columns=columns, dtype=object)
        whole = [name for name in ("port", "slots", *usage) if name in columns]
        return frame.astype(dict.fromkeys(whole, "Int64"))


def join(
    kind: KindName,
    *,
    settings: Iterable[SettingsObject],
    environment: Iterable[SettingsObject],
    database: Iterable[AirflowObject] | None,
    backend: Iterable[tuple[str, Definition]] = (),
    records: Mapping[str, str] = MappingProxyType({}),
    waiting: frozenset[str] = frozenset(),
) -> tuple[ObjectRow, ...]:
    """Join what the places say, by name.

    Parameters
    ----------
    kind : {"connection", "pool", "variable"}
        Which objects.
    settings : iterable of SettingsObject
        Those of ``airflow_settings.yaml``.
    environment : iterable of SettingsObject
        Those of ``.env``, whose names say nothing of capitals: one counts for all ids that differ only in these.
    database : iterable of AirflowObject or None
        Those that the running Airflow tells of; None when it does not run.
    backend : iterable of tuple of (str, Definition)
        Those that a secrets backend has, by name.
    records : Mapping of str to str
        What was imported last.
    waiting : frozenset of str
        The names in ``.env`` that are changed since Airflow was started.

    Returns
    -------
    tuple of ObjectRow
        By name.
    """
    there = None if database is None else {each.name: each for each in database if each.kind == kind}
    found: dict[str, list[Definition]] = {}
    for name, definition in backend:
        found.setdefault(name, []).append(definition)
    wanted = {each.name: each for each in settings if each.kind == kind}
    for each in wanted.values():
        found.setdefault(each.name, []).append(Definition("settings", each.place, each.values))
    for name, seen in (there or {}).items():
        found.setdefault(name, []).append(Definition("database", "Airflow", seen.values))
    capitals: dict[str, list[str]] = {}
    for name in found:
        capitals.setdefault(name.upper(), []).append(name)
    for each in environment:
        if each.kind != kind:
            continue
        for name in capitals.get(each.name.upper(), [each.name]):
            found.setdefault(name, []).append(Definition("environment", each.place, each.values))
    rows = []
    for name in sorted(found):
        definitions = tuple(sorted(found[name], key=lambda definition: _ORDER.index(definition.where)))
        state, differing = _state(definitions[0], name, wanted.get(name), there, records, waiting)
        usage = there[name].usage if there is not None and name in there else {}
        rows.append(ObjectRow(kind, name, definitions, state, differing, usage))
    return tuple(rows)


def _state(
    winner: Definition,
    name: str,
    wanted: SettingsObject | None,
    there: Mapping[str, AirflowObject] | None,
    records: Mapping[str, str],
    waiting: frozenset[str],
) -> tuple[ObjectState, tuple[str, ...]]:
    """Say how the files and the running Airflow agree on an object, and in what they do not."""
    if winner.where == "backend":
        return "", ()
    if there is None:
        return "not running", ()
    if winner.where == "environment":
        return ("after a restart" if name.upper() in waiting else "same"), ()
    if wanted is None or name not in there:
        return ("not imported" if wanted else "" if name in _AIRFLOWS_OWN else "only in Airflow"), ()
    from astro_magic.airflow.objects import AirflowObject, differing_fields

    item = AirflowObject(wanted.kind, name, wanted.values)
    differing = differing_fields(item, there[name].values, records.get(item.key, ""))
    state: ObjectState = "not comparable" if differing is None else "differs" if differing else "same"
    return state, differing or ()


def hidden(row: ObjectRow, name: str, value: Any) -> Any:
    """Give the value of a field as it may be shown.

    Parameters
    ----------
    row : ObjectRow
        The object.
    name : str
        The field, as Airflow's REST API calls it.
    value : Any
        Its value.
    """
    if not isinstance(value, str) or not value:
        return value
    if name == "password" or _HIDDEN in value:
        return MASK if name in {"password", "value"} else value.replace(_HIDDEN, MASK)
    return mask_named(row.name if row.kind == "variable" and name == "value" else "", value)
