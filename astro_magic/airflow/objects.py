"""The connections, variables and pools of a running Airflow: read them, and bring them to what they are to be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from astro_magic.airflow.client import AirflowClient, RefusedError
from astro_magic.airflow.comparison import Agreement, compare, make_record, record_fields, record_matches
from astro_magic.airflow.unlimited import UNLIMITED, list_limited, unlimited_among
from astro_magic.airflow.writing import (
    DEFAULT_POOL,
    RESOURCES,
    KindName,
    Write,
    object_path,
    remove,
    texts_in,
    write,
)
from astro_magic.errors import ApiError
from astro_magic.system.known import mask

__all__ = [
    "AirflowObject",
    "KindName",
    "ObjectResult",
    "Outcome",
    "Reader",
    "apply_objects",
    "differing_fields",
    "read_objects",
    "remove_objects",
]

Outcome = Literal["created", "updated", "unchanged", "removed", "kept", "failed"]

#: Pools first, as the Astro CLI has it.
_ORDER: tuple[KindName, ...] = ("pool", "variable", "connection")
_SLOTS = "_slots"
_SECRET_FIELDS = ("password", "extra", "value")


@dataclass(frozen=True)
class AirflowObject:
    """A connection, a variable or a pool.

    Attributes
    ----------
    kind : {"connection", "pool", "variable"}
        Its kind.
    name : str
        Its id.
    values : Mapping of str to Any
        By the field of version 2 of the API: ``conn_type``, ``host``, ``schema``, ``login``, ``password``, ``port``
        and ``extra`` (JSON as text) of a connection; ``value`` of a variable; ``slots`` and ``include_deferred`` of a
        pool; ``description`` and ``team_name`` of each. A field that is left out is none of our business; None
        empties it.
    place : str
        Where it is written down, such as ``airflow_settings.yaml:12``; empty when it was read from Airflow.
    usage : Mapping of str to int
        Of a pool that was read from Airflow: how many of its slots are ``occupied``, ``running``, ``queued``,
        ``scheduled``, ``deferred`` and ``open``.
    """

    kind: KindName
    name: str
    values: Mapping[str, Any] = field(repr=False)
    place: str = ""
    usage: Mapping[str, int] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its kind and its name as one text."""
        return f"{self.kind}/{self.name}"


#: Gives the fields of all objects of a kind, by name; those that are wanted, where a place cannot list all.
Reader = Callable[[KindName, Sequence[AirflowObject]], Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class ObjectResult:
    """What became of an object.

    Attributes
    ----------
    kind : {"connection", "pool", "variable"}
        Its kind.
    name : str
        Its id.
    outcome : {"created", "updated", "unchanged", "removed", "kept", "failed"}
        What became of it.
    why : str
        Why it failed, in Airflow's words without any value, or why it was kept.
    place : str
        Where the object is written down.
    record : str
        To be kept and given to the next `apply_objects` as ``known``. It tells no value. Empty when the object failed;
        but where it may have been created all the same, it has one.
    """

    kind: KindName
    name: str
    outcome: Outcome
    why: str = ""
    place: str = ""
    record: str = field(default="", repr=False)

    @property
    def key(self) -> str:
        """Its kind and its name as one text: the key under which the record is to be kept."""
        return f"{self.kind}/{self.name}"


def read_objects(client: AirflowClient, kinds: Iterable[KindName] = _ORDER) -> tuple[AirflowObject, ...]:
    """Read the objects that Airflow's database holds.

    Parameters
    ----------
    client : AirflowClient
        The running Airflow.
    kinds : iterable of str, optional
        Only these.

    Returns
    -------
    tuple of AirflowObject
        With all fields that the API tells. Where it hides a secret stands ``***``; version 1 leaves the ``password``
        and the ``extra`` of connections out.

    Raises
    ------
    ApiError
        When the API refuses, or does not answer.
    """
    return tuple(_described(kind, row) for kind in kinds for row in _rows(client, kind))


def apply_objects(
    client: AirflowClient,
    objects: Iterable[AirflowObject],
    *,
    known: Mapping[str, str] = MappingProxyType({}),
    read: Reader | None = None,
    making: Callable[[Mapping[str, str]], None] = lambda _: None,
) -> tuple[ObjectResult, ...]:
    """Bring objects to what they are to be. Each is tried, whatever becomes of the others; none is removed.

    What is there is read first, and what is there as it is to be is not written; what was written is read again, and
    has failed where Airflow kept something else. Where the API hides a secret, so that
    this cannot be seen, the object is written again: the values given win over what was changed elsewhere.

    A field that is left out stays as it is, such as a password that was only ever typed into the Airflow UI; but one
    that was written before, by ``known``, is emptied. Of two objects with one name the last counts.

    Parameters
    ----------
    client : AirflowClient
        The running Airflow.
    objects : iterable of AirflowObject
        The objects.
    known : Mapping of str to str, optional
        By `ObjectResult.key`: the ``record`` of when the object was last applied to this Airflow. Without it, an
        object with a secret is told to be updated each time.
    read : callable, optional
        Gives the fields of all objects of a kind, by name, from somewhere that hides no secret. Default: the API.
    making : callable, optional
        Called before objects are created, with their records by `ObjectResult.key`: whatever ends this work then, it is
        known what it may have made.

    Returns
    -------
    tuple of ObjectResult
        Pools, variables, connections; each in the order given.

    Raises
    ------
    ApiError
        When Airflow does not answer before anything was applied. If it stops later, the results say what was applied
        and what was not; all can be applied again.
    """
    reader = read or partial(_listing, client)
    wanted = {item.key: item for item in objects}
    results: list[ObjectResult] = []
    silent: ApiError | None = None
    for kind in _ORDER:
        of_kind = [item for item in wanted.values() if item.kind == kind]
        if silent is not None:
            results += [_failed(item, f"It was not tried: {silent.message}") for item in of_kind]
        elif of_kind:
            try:
                there = reader(kind, of_kind)
            except RefusedError as refusal:
                results += [_failed(item, refusal.detail or refusal.message) for item in of_kind]
            except ApiError as problem:
                if not results:
                    raise
                silent = problem
                results += [_failed(item, f"It was not tried: {silent.message}") for item in of_kind]
            else:
                applied, silent = _apply(client, of_kind, there, known, reader, making)
                results += applied
    # What refuses one object may quote the whole request.
    secrets = {text for item in wanted.values() for text in _secrets(item)}
    return tuple(replace(each, why=mask(each.why, secrets)) if each.why else each for each in results)


def _secrets(item: AirflowObject) -> Iterator[str]:
    """Give the texts of an object that no message about another one may hold; short ones are words."""
    texts = (text for name in _SECRET_FIELDS for text in texts_in(item.values.get(name)))
    return (text for text in texts if len(text) >= 8)


def remove_objects(client: AirflowClient, kind: KindName, names: Sequence[str]) -> tuple[ObjectResult, ...]:
    """Remove objects of one kind from Airflow. Each is tried; one that is not there counts as removed.

    Parameters
    ----------
    client : AirflowClient
        The running Airflow.
    kind : {"connection", "pool", "variable"}
        Their kind.
    names : sequence of str
        Their ids.

    Raises
    ------
    ApiError
        When Airflow does not answer.
    """
    refused = remove(client, kind, names)
    return tuple(
        ObjectResult(kind, name, "failed" if name in refused else "removed", refused.get(name, "")) for name in names
    )


def _rows(client: AirflowClient, kind: KindName) -> Iterator[dict[str, Any]]:
    resource = RESOURCES[kind]
    of_airflow_2 = kind == "pool" and client.airflow_major < 3
    for row in list_limited(client)[0] if of_airflow_2 else client.rows(resource.path, resource.listing):
        if not isinstance(row.get(resource.id), str):
            raise client.misunderstood("GET", resource.path)
        yield row


def _described(kind: KindName, row: Mapping[str, Any]) -> AirflowObject:
    resource = RESOURCES[kind]
    values = {name: row[name] for name in resource.fields if name in row}
    usage = {name.removesuffix(_SLOTS): row[name] for name in row if kind == "pool" and name.endswith(_SLOTS)}
    return AirflowObject(kind, row[resource.id], MappingProxyType(values), usage=usage)


def _listing(client: AirflowClient, kind: KindName, wanted: Iterable[AirflowObject]) -> dict[str, Mapping[str, Any]]:
    """Give the objects of a kind by name; those that Airflow 2 cannot list are there when they are wanted."""
    if kind != "pool" or client.airflow_major >= 3:
        return {row[RESOURCES[kind].id]: _described(kind, row).values for row in _rows(client, kind)}
    rows, hidden = list_limited(client)
    found = {row["name"]: _described(kind, row).values for row in rows}
    if hidden:
        paths = [(item.name, object_path(kind, item.name)) for item in wanted if item.name not in found]
        found |= {name: {"slots": UNLIMITED} for name in unlimited_among(client, paths)}
    return found


@dataclass(frozen=True)
class _Planned:
    """What is to be written of an object, and what it then becomes."""

    item: AirflowObject
    write: Write
    before: Agreement
    result: ObjectResult

    def told(self, why: str, kept: Mapping[str, Mapping[str, Any]] | None, problem: ApiError | None) -> ObjectResult:
        """Tell what became of it.

        Parameters
        ----------
        why : str
            Why Airflow refused it; empty when it did not.
        kept : Mapping of str to Mapping, or None
            What Airflow has now; None when that cannot be read.
        problem : ApiError or None
            What broke the work off.
        """
        if why:
            return _failed(self.item, why)
        creates = self.result.outcome == "created"
        if problem is not None and (kept is None or (self.before is Agreement.UNSEEN and not creates)):
            told = _failed(self.item, f"It may have been written or not: {problem.message}")
            return replace(told, record=self.result.record) if creates else told
        lost = _lost(self.write.change, (kept or {}).get(self.item.name))
        if lost and problem is not None:
            return _failed(self.item, f"It was not written: {problem.message}")
        return _failed(self.item, lost) if lost else self.result


def _apply(
    client: AirflowClient,
    objects: Sequence[AirflowObject],
    there: Mapping[str, Mapping[str, Any]],
    known: Mapping[str, str],
    read: Reader,
    making: Callable[[Mapping[str, str]], None],
) -> tuple[list[ObjectResult], ApiError | None]:
    """Apply the objects of one kind; gives what became of them, and why Airflow can be asked no more."""
    results: dict[str, ObjectResult] = {}
    writes: list[_Planned] = []
    for item in objects:
        if not item.name.strip():
            results[item.key] = _failed(item, "It has no name.")
            continue
        record = known.get(item.key, "")
        seen = there.get(item.name)
        change = _change(item, record if seen is not None else "")
        agreement = Agreement.DIFFERENT if seen is None else compare(change, seen)
        if agreement is Agreement.SAME:
            results[item.key] = _done(item, "unchanged", record)
            continue
        outcome: Outcome = "created" if seen is None else "updated"
        if agreement is Agreement.UNSEEN and record_matches(record, item.values):
            outcome = "unchanged"
        results[item.key] = _done(item, outcome, record)
        writes.append(_Planned(item, Write(item.kind, item.name, change, seen), agreement, results[item.key]))
    if not writes:
        return list(results.values()), None
    created = {each.item.key: each.result.record for each in writes if each.result.outcome == "created"}
    if created:
        making(created)
    refused: Mapping[str, str] = {}
    problem: ApiError | None = None
    kept: Mapping[str, Mapping[str, Any]] | None = None
    try:
        refused = write(client, [each.write for each in writes])
    except ApiError as broken:
        problem = broken
    try:
        kept = read(objects[0].kind, [each.item for each in writes])
    except ApiError as broken:
        problem = problem or broken
    for each in writes:
        results[each.item.key] = each.told(refused.get(each.item.name, ""), kept, problem)
    return list(results.values()), problem if kept is None and not isinstance(problem, RefusedError) else None


def _lost(change: Mapping[str, Any], kept: Mapping[str, Any] | None) -> str:
    """Say what Airflow took and did not keep; empty when it has all of it, as far as it tells."""
    if kept is None:
        return "Airflow took it, but does not have it."
    lost = [name for name, value in change.items() if compare({name: value}, kept) is Agreement.DIFFERENT]
    return f"Airflow took it, but has another {' and '.join(lost)}." if lost else ""


def differing_fields(item: AirflowObject, seen: Mapping[str, Any], record: str = "") -> tuple[str, ...] | None:
    """Tell which fields of an object are otherwise in Airflow than they are to be.

    Parameters
    ----------
    item : AirflowObject
        What it is to be.
    seen : Mapping of str to Any
        Its fields, as `read_objects` gives them.
    record : str, optional
        Of when it was last applied.

    Returns
    -------
    tuple of str or None
        The fields, sorted; empty when none is, as far as Airflow tells; None when that cannot be known, since Airflow
        hides a secret that was never applied as it is now.
    """
    change = _change(item, record)
    found = {name: compare({name: value}, seen) for name, value in change.items()}
    different = sorted(name for name, agreement in found.items() if agreement is Agreement.DIFFERENT)
    unseen = Agreement.UNSEEN in found.values() and not record_matches(record, item.values)
    return None if unseen and not different else tuple(different)


def _change(item: AirflowObject, record: str) -> dict[str, Any]:
    """Give the fields to be written: those given, and empty ones that were given before."""
    empty = {name: False if name == "include_deferred" else None for name in record_fields(record)}
    change = {**empty, **item.values}
    if item.key == f"pool/{DEFAULT_POOL}":
        # Airflow refuses to change anything else of it.
        change = {name: value for name, value in change.items() if name in {"slots", "include_deferred"}}
    return change


def _done(item: AirflowObject, outcome: Outcome, record: str) -> ObjectResult:
    kept = record if record_matches(record, item.values) else make_record(item.values)
    return ObjectResult(item.kind, item.name, outcome, place=item.place, record=kept)


def _failed(item: AirflowObject, why: str) -> ObjectResult:
    return ObjectResult(item.kind, item.name, "failed", why, item.place)
