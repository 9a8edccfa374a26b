"""Set and remove single connections, variables and pools: in a file, or in the running Airflow alone."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from astro_magic.engines.engine import Engine
from astro_magic.errors import ApiError, EngineUnavailableError, InvalidContentError, NotRunningError
from astro_magic.objects.importing import ObjectsImporter
from astro_magic.objects.places import read_tables
from astro_magic.objects.records import Records, alone, is_imported, note_as_imported
from astro_magic.objects.table import ObjectsTable, Where
from astro_magic.objects.types import unknown_types
from astro_magic.project.changes import Change
from astro_magic.project.project import Project
from astro_magic.project.settings.environment import connection_text, read_environment, variable_name
from astro_magic.project.settings.objects import KindName
from astro_magic.project.settings.values import API_FIELDS
from astro_magic.system.events import run

if TYPE_CHECKING:
    from astro_magic.airflow.objects import ObjectResult

__all__ = ["PLACES", "ObjectEdit", "Target", "remove_objects", "set_object"]

Target = Literal["settings", "env", "airflow"]
#: What each is called in a table. Of several places that define an object, the first one counts.
PLACES: Mapping[Target, Where] = {"env": "environment", "settings": "settings", "airflow": "database"}


@dataclass(frozen=True)
class ObjectEdit:
    """What an edit did.

    Attributes
    ----------
    target : {"settings", "env", "airflow"}
        Where it was made.
    change : Change or None
        The change of the file; None when only Airflow was changed.
    results : tuple of ObjectResult
        What became of it in the running Airflow; empty when that was not asked, or does not run.
    notes : tuple of str
        What the user should know.
    """

    target: Target
    change: Change | None = None
    results: tuple[ObjectResult, ...] = ()
    notes: tuple[str, ...] = ()


def set_object(
    project: Project,
    engine: Engine,
    kind: KindName,
    name: str,
    values: Mapping[str, Any],
    *,
    to: Target | None = None,
    new: bool = False,
    dry_run: bool = False,
) -> ObjectEdit:
    """Set fields of an object, which is made when it is not there; its other fields stay.

    Parameters
    ----------
    project : Project
        The project.
    engine : Engine
        What runs its Airflow.
    kind : {"connection", "pool", "variable"}
        The object's kind.
    name : str
        Its id.
    values : Mapping of str to Any
        By the field of Airflow's REST API; None empties it.
    to : {"settings", "env", "airflow"}, optional
        Where. By default where it is defined and counts, and in ``airflow_settings.yaml`` when it is nowhere.
    new : bool, optional
        Refuse one that is there already.
    dry_run : bool, optional
        Only plan the change of a file.

    Raises
    ------
    InvalidContentError
        When a field cannot have that value, or the object is there and should not be.
    NotRunningError
        When only the running Airflow is to have it, and it does not run.
    """
    (table,) = read_tables(project, engine, [kind])
    target = to or _place_of(table, name)
    if new and _defined(table, name, target):
        raise InvalidContentError(f"The {kind} {name!r} is there already.", hint=f"Change it with set {name}.")
    if target == "airflow":
        if dry_run:
            return ObjectEdit("airflow")
        return ObjectEdit("airflow", None, _apply(engine, kind, name, values), _only_there(table, name))
    clean = is_imported(project)
    if target == "env":
        change = project.edit(lambda: _plan_variable(project, kind, name, values), dry_run=dry_run)
        return ObjectEdit("env", change, (), _shadows(table, name, "env"))
    fields = {field: values[key] for field, key in API_FIELDS[kind].items() if key in values}
    change = project.edit(lambda: project.settings.plan_set(kind, name, fields), dry_run=dry_run)
    applied = () if dry_run else _bring(project, engine, kind, name)
    if applied and clean:
        note_as_imported(project)
    notes = _shadows(table, name, "settings")
    if applied and kind == "connection" and values.get("conn_type"):
        notes += tuple(" ".join(told) for told in unknown_types(engine, {name: values["conn_type"]}).values())
    return ObjectEdit("settings", change, applied, notes)


def remove_objects(
    project: Project,
    engine: Engine,
    kind: KindName,
    names: Sequence[str],
    *,
    to: Target | None = None,
    dry_run: bool = False,
) -> tuple[ObjectEdit, ...]:
    """Remove objects; what an import made of them in the running Airflow goes, too.

    Parameters
    ----------
    project : Project
        The project.
    engine : Engine
        What runs its Airflow.
    kind : {"connection", "pool", "variable"}
        Their kind.
    names : sequence of str
        Their ids.
    to : {"settings", "env", "airflow"}, optional
        From where. By default from where each is defined and counts.
    dry_run : bool, optional
        Only plan the change of a file.

    Returns
    -------
    tuple of ObjectEdit
        One for each place.

    Raises
    ------
    InvalidContentError
        When one is not there; nothing was removed then.
    NotRunningError
        When only the running Airflow has one, and it does not run.
    """
    (table,) = read_tables(project, engine, [kind])
    places: dict[Target, list[str]] = {}
    for name in dict.fromkeys(names):
        target = to or _place_of(table, name)
        if not _defined(table, name, target):
            raise _missing(table, name, to)
        places.setdefault(target, []).append(name)
    clean = is_imported(project)
    edits = []
    for target, chosen in places.items():
        notes = tuple(note for name in chosen for note in _shadows(table, name, target))
        change: Change | None = None
        gone: Sequence[str] = ()
        if target == "settings":
            change = project.edit(partial(project.settings.plan_remove, kind, *chosen), dry_run=dry_run)
            gone = [name for name in chosen if table.running and f"{kind}/{name}" in Records.of(project).made]
        elif target == "env":
            keys = [variable_name(kind, name) for name in chosen]
            change = project.edit(partial(project.dotenv.plan_remove, *keys), dry_run=dry_run)
        else:
            gone = chosen
        results = () if dry_run or not gone else _take_away(project, engine, kind, gone)
        edits.append(ObjectEdit(target, change, results, notes))
    if clean and table.running and not dry_run and "settings" in places:
        note_as_imported(project)
    return tuple(edits)


_FILES: Mapping[Target, str] = {"settings": "airflow_settings.yaml", "env": ".env", "airflow": "The running Airflow"}


def _only_there(table: ObjectsTable, name: str) -> tuple[str, ...]:
    """Say what an edit of the running Airflow alone leaves."""
    row = table.get(name)
    file = row.definition("settings") if row is not None else None
    if file is None:
        return ("It is in the running Airflow alone: %astro_objects export brings it into airflow_settings.yaml.",)
    return (f"{file.place} stays as it is: %astro_objects export brings it there, a start or import takes it back.",)


def _defined(table: ObjectsTable, name: str, target: Target) -> bool:
    row = table.get(name)
    return row is not None and row.definition(PLACES[target]) is not None


def _place_of(table: ObjectsTable, name: str) -> Target:
    """Tell where an object is edited: where it is defined and counts, as far as that can be edited."""
    return next((target for target in PLACES if _defined(table, name, target)), "settings")


def _missing(table: ObjectsTable, name: str, to: Target | None) -> InvalidContentError:
    names = [row.name for row in table if to is None or row.definition(PLACES[to]) is not None]
    close = difflib.get_close_matches(name, names, n=1)
    where = _FILES[to] if to else "Neither the project nor its Airflow"
    listed = ", ".join(names[:20]) or "none"
    return InvalidContentError(
        f"{where} has {'no' if to else 'a'} {table.kind} {name[:60]!r}.",
        hint=f"Did you mean {close[0]}?" if close else f"There are: {listed}.",
    )


def _shadows(table: ObjectsTable, name: str, target: Target) -> tuple[str, ...]:
    """Say which definition counts, where it is not the one that is edited."""
    row = table.get(name)
    if row is None or target == "env":
        backend = row.definition("backend") if row is not None else None
        return (f"The secrets backend {backend.place} has {name} as well, and wins.",) if backend else ()
    winner = row.winner
    if winner.where in {"backend", "environment"}:
        return (f"{winner.place} has {name} as well, and wins.",)
    return ()


def _plan_variable(project: Project, kind: KindName, name: str, values: Mapping[str, Any]) -> Change:
    variable = variable_name(kind, name)
    before = {each.name: each.values for each in read_environment(project).objects if each.kind == kind}
    whole = {**before.get(name.lower(), {}), **values}
    if kind == "connection":
        if not whole.get("conn_type"):
            raise InvalidContentError(f"The connection {name!r} is new and has no type.", hint="Give it one: --type.")
        return project.dotenv.plan_set({variable: connection_text(whole)})
    if whole.get("description"):
        raise InvalidContentError("A variable in .env has no description.", hint="Use --to settings.")
    return project.dotenv.plan_set({variable: str(whole["value"])})


def _apply(engine: Engine, kind: KindName, name: str, values: Mapping[str, Any]) -> tuple[ObjectResult, ...]:
    from astro_magic.airflow.objects import AirflowObject, apply_objects

    with engine.api().client() as client:
        return apply_objects(client, [AirflowObject(kind, name, values)])


def _take_away(project: Project, engine: Engine, kind: KindName, names: Sequence[str]) -> tuple[ObjectResult, ...]:
    from astro_magic.airflow.objects import remove_objects as remove

    with alone(project), engine.api().client() as client:
        results = remove(client, kind, names)
        Records.of(project).after(results).store(project)
    return results


def _bring(project: Project, engine: Engine, kind: KindName, name: str) -> tuple[ObjectResult, ...]:
    """Bring an object of the file into the running Airflow; nothing when it does not run."""
    try:
        engine.api()
    except (NotRunningError, EngineUnavailableError):
        return ()
    importing = ObjectsImporter(project, engine, only=[f"{kind}/{name}"])
    run(importing.now(), lambda _: None)
    if importing.result is None:
        return ()
    if importing.result.failure:
        raise ApiError(importing.result.failure, hint="The file is written; %astro_objects import tries it again.")
    return importing.result.results
