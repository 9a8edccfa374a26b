"""Bring what a project's Airflow has into its files: ``airflow_settings.yaml``, or ``.env``.

What a file says already in its own way stays byte for byte: a URI, a reference to the keyring, comments and order. Only
fields that differ are written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from astro_magic.airflow.comparison import make_record, same_json
from astro_magic.engines.engine import Engine
from astro_magic.errors import EngineError, InvalidContentError
from astro_magic.objects.asking import read_database
from astro_magic.objects.keyrings import resolved
from astro_magic.objects.records import Records, alone, is_imported, note_as_imported
from astro_magic.project.changes import Change
from astro_magic.project.project import Project
from astro_magic.project.settings.environment import connection_text, read_environment, variable_name
from astro_magic.project.settings.objects import KindName
from astro_magic.project.settings.values import API_FIELDS, SettingsObject
from astro_magic.system.events import Operation
from astro_magic.system.keyrings import is_kept

if TYPE_CHECKING:
    from astro_magic.airflow.objects import AirflowObject

__all__ = ["ExportPlan", "export_objects", "plan_to_env", "plan_to_settings"]

#: What Airflow makes itself, as it makes it.
_AIRFLOWS_OWN = {"pool/default_pool": {"slots": 128, "include_deferred": False, "description": "Default pool"}}


@dataclass(frozen=True)
class ExportPlan:
    """What an export is to write.

    Attributes
    ----------
    change : Change
        The change of the file.
    exported : tuple of str
        The keys of the objects that are new in it, or change: ``connection/warehouse``.
    unchanged : int
        How many it has as they are.
    skipped : Mapping of str to str
        By key: why an object cannot stand there.
    """

    change: Change
    exported: tuple[str, ...]
    unchanged: int
    skipped: Mapping[str, str] = field(default_factory=dict)


def export_objects(
    project: Project, engine: Engine, kinds: Collection[KindName], *, to_env: bool = False, dry_run: bool = False
) -> Operation[ExportPlan]:
    """Bring what Airflow's database holds into a file; its objects alone, and not what a backend or ``.env`` defines.

    Parameters
    ----------
    project : Project
        The project.
    engine : Engine
        What runs its Airflow.
    kinds : collection of {"connection", "pool", "variable"}
        Which objects.
    to_env : bool, optional
        Into ``.env`` rather than ``airflow_settings.yaml``; pools cannot stand there.
    dry_run : bool, optional
        Only plan it.

    Raises
    ------
    EngineError
        When the database cannot be read.
    FileAccessError, InvalidContentError, InvalidPathError
        When the file cannot be read or edited.
    """
    stored = yield from read_database(engine, kinds)
    clean = is_imported(project)
    plan = plan_to_env if to_env else plan_to_settings
    plans: list[ExportPlan] = []

    def planned() -> Change:
        plans.append(plan(project, stored.objects))
        return plans[-1].change

    change = project.edit(planned, dry_run=dry_run)
    if not (to_env or dry_run):
        _note(project, {item.key for item in stored.objects} - plans[-1].skipped.keys())
        if clean:
            note_as_imported(project)
    unread = {key: " ".join(problems) for key, problems in stored.problems.items()}
    return replace(plans[-1], change=change, skipped={**unread, **plans[-1].skipped})


def _note(project: Project, keys: Collection[str]) -> None:
    """Note that Airflow has what the file says of objects now, so that hidden secrets need not be compared."""
    known = {}
    for item in project.settings.objects().objects:
        key = f"{item.kind}/{item.name}"
        try:
            if key in keys:
                known[key] = make_record(resolved(item).values)
        except EngineError:
            continue
    with alone(project):
        records = Records.of(project)
        replace(records, known={**records.known, **known}).store(project)


def plan_to_settings(project: Project, stored: Iterable[AirflowObject]) -> ExportPlan:
    """Plan to bring objects into ``airflow_settings.yaml``.

    Parameters
    ----------
    project : Project
        The project.
    stored : iterable of AirflowObject
        The objects, with all their values. A value that is hidden or left out is kept as the file has it.

    Raises
    ------
    FileAccessError, InvalidContentError
        When the file cannot be read or edited.
    """
    found = project.settings.objects()
    there = {f"{each.kind}/{each.name}": each for each in found.objects}
    unusable = {f"{each.kind}/{each.name}": each for each in found.problems if each.whole and each.name}
    by_uri = {
        f"{entry.kind}/{entry.name}" for entry in project.settings.entries("connection") if "conn_uri" in entry.values
    }
    wanted: dict[str, tuple[KindName, str, dict[str, object]]] = {}
    skipped: dict[str, str] = {}
    unchanged = 0
    for item in stored:
        has = there.get(item.key)
        if has is None and item.key in unusable:
            # What stands there may be more than Airflow has, such as a reference to the keyring.
            problem = unusable[item.key]
            skipped[item.key] = f"Its row cannot be used, and is left as it is: {problem.place}: {problem.message}"
            continue
        if has is None and item.key in _AIRFLOWS_OWN and not _differing(item.values, _AIRFLOWS_OWN[item.key]):
            continue
        differing = _differing(item.values, has.values if has else {}, ignored=_kept(has) if has else ())
        if has is not None and not differing:
            unchanged += 1
            continue
        names = {key: name for name, key in API_FIELDS[item.kind].items()}
        # The Astro CLI ignores a URI beside other fields.
        written = item.values if has is None or item.key in by_uri else differing
        fields: dict[str, object] = {names[key]: item.values.get(key) for key in written if key in names}
        fields = {name: value for name, value in fields.items() if has is not None or value not in (None, "")}
        if item.kind == "variable" and "value" in written:
            fields["variable_value"] = str(item.values["value"] or "")
        if item.key in by_uri:
            fields["conn_uri"] = None
        wanted[item.key] = (item.kind, item.name, fields)
    for key, one in list(wanted.items()):
        try:
            project.settings.check(*one, new=key not in there)
        except InvalidContentError as problem:
            skipped[key] = problem.message
            del wanted[key]
    change = project.settings.plan_set_all(wanted.values())
    return ExportPlan(change, tuple(wanted), unchanged, skipped)


def plan_to_env(project: Project, stored: Iterable[AirflowObject]) -> ExportPlan:
    """Plan to bring connections and variables into ``.env``, one line each.

    Parameters
    ----------
    project : Project
        The project.
    stored : iterable of AirflowObject
        The objects, with all their values.

    Raises
    ------
    FileAccessError, InvalidContentError, InvalidPathError
        When the file cannot be read or edited.
    """
    there = {f"{each.kind}/{each.name}": each.values for each in read_environment(project).objects}
    lines: dict[str, str] = {}
    skipped: dict[str, str] = {}
    unchanged = 0
    exported: list[str] = []
    owner: dict[str, str] = {}
    for item in stored:
        if item.key in _AIRFLOWS_OWN:
            continue
        has = there.get(f"{item.kind}/{item.name.lower()}")
        # What cannot be decrypted is left out, and stays as the file has it.
        whole = {**(has or {}), **item.values}
        needed = "conn_type" if item.kind == "connection" else "value"
        try:
            variable = variable_name(item.kind, item.name)
            if whole.get(needed) is None:
                skipped[item.key] = f"It has no {needed}."
                continue
            text = connection_text(whole) if item.kind == "connection" else str(whole["value"])
        except InvalidContentError as problem:
            skipped[item.key] = problem.message
            continue
        if owner.setdefault(variable, item.key) != item.key:
            skipped[item.key] = f"{variable} is that of {owner[variable]} as well: only capitals differ."
        elif has is not None and not _differing(item.values, has, ignored=_NOT_IN_ENV[item.kind]):
            unchanged += 1
        elif not project.dotenv.can_hold(variable, text):
            skipped[item.key] = "Its value cannot stand on one line."
        else:
            lines[variable] = text
            exported.append(item.key)
    return ExportPlan(project.dotenv.plan_set(lines), tuple(exported), unchanged, skipped)


_NOT_IN_ENV: Mapping[KindName, Collection[str]] = {
    "connection": {"team_name"},
    "variable": {"description", "team_name"},
    "pool": (),
}


def _kept(item: SettingsObject) -> frozenset[str]:
    """Give the fields that the file keeps in the keyring: what stands for them stays."""
    return frozenset(name for name, value in item.values.items() if is_kept(value))


def _differing(values: Mapping[str, Any], has: Mapping[str, Any], *, ignored: Collection[str] = ()) -> list[str]:
    """Give the fields of an object that differ from what a file has."""
    return [name for name, value in values.items() if name not in ignored and not _same(name, value, has.get(name))]


def _same(name: str, one: Any, other: Any) -> bool:
    if name == "include_deferred":
        return bool(one) == bool(other)
    empty: tuple[Any, ...] = (None, "", "{}") if name == "extra" else (None, "")
    if one in empty or other in empty:
        return (one in empty) == (other in empty)
    return same_json(one, other) if name == "extra" else bool(one == other)
