"""Bring the connections, pools and variables of a project's settings file into its running Airflow."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from astro_magic.engines.engine import Engine
from astro_magic.errors import ApiError, AstroMagicError, EngineError
from astro_magic.objects.keyrings import resolved
from astro_magic.objects.records import Records, alone
from astro_magic.objects.types import unknown_types
from astro_magic.project.project import Project
from astro_magic.project.settings.objects import KINDS, KindName, kind_of
from astro_magic.project.settings.values import RowProblem, SettingsObject
from astro_magic.system.events import Operation, Step, run

if TYPE_CHECKING:
    from astro_magic.airflow.objects import AirflowObject, ObjectResult

__all__ = ["ObjectsImport", "ObjectsImporter"]

_SERVERS = ("api-server", "webserver")

T = TypeVar("T")


@dataclass(frozen=True)
class ObjectsImport:
    """What became of the objects of a settings file.

    Attributes
    ----------
    results : tuple of ObjectResult
        By object.
    problems : tuple of RowProblem
        Rows that make no object.
    failure : str
        Why nothing could be imported at all; else empty.
    """

    results: tuple[ObjectResult, ...] = ()
    problems: tuple[RowProblem, ...] = ()
    failure: str = ""

    @property
    def complete(self) -> bool:
        """Whether Airflow has everything that the file says."""
        return (
            not self.failure
            and not any(each.whole for each in self.problems)
            and all(each.outcome != "failed" for each in self.results)
        )

    @property
    def described(self) -> str:
        """What became of them, in a few words."""
        if self.failure:
            return self.failure
        counts = {word: sum(each.outcome == word for each in self.results) for word in _OUTCOMES}
        counts["failed"] += sum(each.whole for each in self.problems)
        return ", ".join(f"{number} {word}" for word, number in counts.items() if number)

    @property
    def failures(self) -> tuple[str, ...]:
        """What failed and why, a sentence each, with the place in the file."""
        failed = [_told(each) for each in self.results if each.outcome == "failed"]
        return (*failed, *(f"{each.place}: {each.message}" for each in self.problems if each.whole))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was passed over of objects that were imported, and what was kept, a sentence each, with its place."""
        kept = [_told(each) for each in self.results if each.outcome == "kept"]
        passed = [f"{each.place}: {each.message} {each.hint}".strip() for each in self.problems if not each.whole]
        return (*kept, *passed)


_OUTCOMES = ("created", "updated", "removed", "kept", "unchanged", "failed")
_CHANGED = "It was changed in Airflow since it was imported; %{}s remove {} --to airflow removes it."


def _told(result: ObjectResult) -> str:
    place = f"{result.place}: " if result.place else ""
    return f"{place}{result.kind} {result.name}: {result.why}"


class ObjectsImporter:
    """Imports the objects of a project once, at the moment when its Airflow can take them.

    Parameters
    ----------
    project : Project
        The project.
    engine : Engine
        What runs its Airflow.
    prune : bool, optional
        Remove what an import made before, and the file no longer has.
    only : collection of str, optional
        Import only these, by kind and name: ``connection/warehouse``.
    exact : bool, optional
        Compare with what is stored, secrets too, which the API hides; only what differs is written then. That asks a
        process in which Airflow is imported, and so is not quick everywhere.

    Attributes
    ----------
    result : ObjectsImport or None
        What became of them; None before, and when the file has none.
    """

    def __init__(
        self,
        project: Project,
        engine: Engine,
        *,
        prune: bool = False,
        only: Collection[str] | None = None,
        exact: bool = False,
    ) -> None:
        self.result: ObjectsImport | None = None
        self._prune = prune
        self._only = only
        self._exact = exact
        self._project = project
        self._engine = engine
        self._done = False

    def beside(self, operation: Operation[T]) -> Operation[T]:
        """Go on with an operation that starts Airflow; import as soon as its API answers, whatever else happens."""
        try:
            while True:
                try:
                    event = next(operation)
                except StopIteration as stop:
                    result: T = stop.value
                    return result
                yield event
                answers = isinstance(event, Step) and event.state == "done"
                if answers and isinstance(event, Step) and event.key.replace(" ", "-") in _SERVERS:
                    yield from self.now()
        finally:
            operation.close()

    def now(self) -> Operation[None]:
        """Import them, if that has not been done; a failure is part of the result."""
        if self._done:
            return
        self._done = True
        begun = time.monotonic()
        try:
            found = self._project.settings.objects()
            if not found.objects and not found.problems and not self._prune:
                return
            yield Step("objects", "objects", detail="importing airflow_settings.yaml")
            results = self._apply(found.objects)
            if self._prune:
                results += yield from self._without_left_over()
            self.result = ObjectsImport(results, (*found.problems, *self._unknown_types(found.objects)))
        except AstroMagicError as problem:
            self.result = ObjectsImport(failure=problem.message)
        seconds = time.monotonic() - begun
        yield Step("objects", "objects", "done" if self.result.complete else "failed", self.result.described, seconds)

    def _apply(self, objects: tuple[SettingsObject, ...]) -> tuple[ObjectResult, ...]:
        from astro_magic.airflow.client import RefusedError
        from astro_magic.airflow.objects import AirflowObject, ObjectResult, apply_objects, read_objects

        wanted, failed = [], []
        for item in objects:
            if self._only is not None and f"{item.kind}/{item.name}" not in self._only:
                continue
            try:
                whole = resolved(item)
            except EngineError as problem:
                failed.append(ObjectResult(item.kind, item.name, "failed", problem.message, item.place))
            else:
                wanted.append(AirflowObject(whole.kind, whole.name, whole.values, whole.place))
        with alone(self._project), self._engine.api().client() as client:
            if self._exact:
                # Nothing else asks the API before it is written to: it may be gone, or no Airflow.
                with contextlib.suppress(RefusedError):
                    read_objects(client, ["pool"])
            records = Records.of(self._project)
            applied = apply_objects(
                client,
                wanted,
                known=records.known,
                read=_Stored(self._engine) if self._exact else None,
                making=lambda created: Records.of(self._project).making(created).store(self._project),
            )
            records.after(applied).store(self._project)
        return (*failed, *applied)

    def _without_left_over(self) -> Operation[tuple[ObjectResult, ...]]:
        """Remove what an import made and the file no longer has, unless it is something else in Airflow by now.

        The API hides secrets, so what is there is read from Airflow's database.
        """
        from astro_magic.airflow.objects import ObjectResult, remove_objects
        from astro_magic.objects.asking import read_database

        left = _by_kind(self._left_over(Records.of(self._project)))
        if not left:
            return ()
        try:
            stored = yield from read_database(self._engine, left)
        except EngineError as problem:
            why = f"It was not removed: {problem.message}"
            return tuple(ObjectResult(kind, name, "failed", why) for kind, names in left.items() for name in names)
        there = {item.key: item for item in stored.objects}
        results: list[ObjectResult] = []
        with alone(self._project), self._engine.api().client() as client:
            # Another import may have had the lock meanwhile.
            records = Records.of(self._project)
            left = _by_kind(self._left_over(records))
            gone = [f"{kind}/{name}" for kind, names in left.items() for name in names]
            absent = [key for key in gone if key not in there]
            for kind, names in left.items():
                own: list[str] = []
                changed: list[str] = []
                for name in names:
                    item = there.get(f"{kind}/{name}")
                    if item is not None:
                        (own if records.has_as_imported(item) else changed).append(name)
                results += [ObjectResult(kind, name, "kept", _CHANGED.format(kind, name)) for name in changed]
                try:
                    results += remove_objects(client, kind, own)
                except ApiError as problem:
                    why = f"It may have been removed or not: {problem.message}"
                    results += [ObjectResult(kind, name, "failed", why) for name in own]
            records.without(absent).after(results).store(self._project)
        return tuple(results)

    def _unknown_types(self, objects: tuple[SettingsObject, ...]) -> list[RowProblem]:
        """Tell of the connections that no installed provider can use, where Airflow itself is asked anyway."""
        if not self._exact:
            return []
        connections = {each.name: each for each in objects if each.kind == "connection"}
        types = {name: str(each.values["conn_type"]) for name, each in connections.items()}
        return [
            RowProblem("connection", name, 0, message, hint, connections[name].place, whole=False)
            for name, (message, hint) in unknown_types(self._engine, types).items()
        ]

    def _left_over(self, records: Records) -> list[str]:
        """Give what an import made, and the file no longer has; a row that cannot be used is not gone."""
        there = {f"{entry.kind}/{entry.name}" for entry in self._project.settings.entries()}
        return sorted(records.made - there)


def _by_kind(keys: Iterable[str]) -> dict[KindName, list[str]]:
    found: dict[KindName, list[str]] = {}
    for key in keys:
        kind, _, name = key.partition("/")
        if kind in KINDS:
            found.setdefault(kind_of(kind).name, []).append(name)
    return found


class _Stored:
    """Reads what Airflow's database holds: all at once first, later what may have changed since."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._fresh: dict[KindName, dict[str, Mapping[str, Any]]] = {}

    def __call__(self, kind: KindName, _: Sequence[AirflowObject]) -> Mapping[str, Mapping[str, Any]]:
        if kind not in self._fresh:
            self._read([kind] if self._fresh else list(KINDS))
        return self._fresh.pop(kind)

    def _read(self, kinds: Collection[KindName]) -> None:
        from astro_magic.objects.asking import read_database

        try:
            stored = run(read_database(self._engine, kinds), lambda _: None)
        except EngineError as problem:
            raise ApiError(problem.message, hint=problem.hint, detail=problem.detail) from problem
        self._fresh |= {kind: {} for kind in kinds}
        for item in stored.objects:
            self._fresh[item.kind][item.name] = item.values
