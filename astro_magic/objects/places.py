"""What a project's files and its running Airflow say of its connections, variables and pools."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from astro_magic.engines.engine import Engine
from astro_magic.errors import AirflowError, EngineError, NotRunningError
from astro_magic.objects.keyrings import resolved
from astro_magic.objects.records import Records
from astro_magic.objects.table import Definition, ObjectsTable, join
from astro_magic.project.fingerprint import Fingerprint
from astro_magic.project.project import Project
from astro_magic.project.settings.environment import read_environment
from astro_magic.project.settings.objects import KindName
from astro_magic.project.settings.values import SettingsObject
from astro_magic.system.events import Event, run

if TYPE_CHECKING:
    from astro_magic.airflow.objects import AirflowObject

__all__ = ["read_tables"]


def read_tables(
    project: Project, engine: Engine, kinds: Iterable[KindName], *, secrets: bool = False
) -> tuple[ObjectsTable, ...]:
    """Read all three places, and a secrets backend where there is one, and join them.

    Parameters
    ----------
    project : Project
        The project.
    engine : Engine
        What runs its Airflow. One that cannot be asked is no error: the tables say so.
    kinds : iterable of {"connection", "pool", "variable"}
        Which objects.
    secrets : bool, optional
        Read the secrets in Airflow's database, too, which its API hides.

    Raises
    ------
    FileAccessError, InvalidContentError
        When a file cannot be read.
    """
    chosen = tuple(kinds)
    settings, environment = project.settings.objects(), read_environment(project)
    database, note = _ask(engine, chosen, secrets=secrets)
    known = Records.of(project).known
    wanted = [_as_imported(each) for each in settings.objects]
    waiting = _waiting(project) if database is not None else frozenset()
    tables = []
    for kind in chosen:
        backend: Sequence[tuple[str, Definition]] = ()
        if database is not None and kind != "pool" and _has_backend(project):
            names = {each.name for each in (*wanted, *environment.objects) if each.kind == kind}
            names |= {each.name for each in database if each.kind == kind}
            backend, problems = _from_backend(engine, kind, names)
            note = " ".join([note, *problems]).strip()
        prefix = _PREFIX.get(kind)
        rows = join(
            kind,
            settings=wanted,
            environment=environment.objects,
            database=database,
            backend=backend,
            records=known,
            waiting=frozenset(name.removeprefix(prefix) for name in waiting if prefix and name.startswith(prefix)),
        )
        problems_here = tuple(each for each in (*settings.problems, *environment.problems) if each.kind == kind)
        tables.append(ObjectsTable(kind, rows, problems_here, database is not None, note))
    return tuple(tables)


_PREFIX = {"connection": "AIRFLOW_CONN_", "variable": "AIRFLOW_VAR_"}


def _as_imported(item: SettingsObject) -> SettingsObject:
    """Give an object with its values out of the keyring; one that cannot be read stays a reference."""
    try:
        return resolved(item)
    except EngineError:
        return item


def _ask(engine: Engine, kinds: tuple[KindName, ...], *, secrets: bool) -> tuple[tuple[AirflowObject, ...] | None, str]:
    """Give what the running Airflow has; None, and why where that is worth a word, when it cannot be asked."""
    from astro_magic.airflow.objects import read_objects
    from astro_magic.objects.asking import read_database

    try:
        with engine.api().client() as client:
            if secrets:
                return run(read_database(engine, kinds), _silent).objects, ""
            return read_objects(client, kinds), ""
    except NotRunningError:
        return None, ""
    except (AirflowError, EngineError) as problem:
        return None, f"Airflow could not be asked: {problem.message}"


def _waiting(project: Project) -> frozenset[str]:
    """Give the variables of ``.env`` that were changed since Airflow was started."""
    started_with = Fingerprint.stored(project)
    if started_with is None:
        return frozenset()
    reasons = started_with.pending(Fingerprint.take(project)).reasons
    return frozenset(reason.detail.rpartition(" ")[2] for reason in reasons if reason.file == ".env")


def _has_backend(project: Project) -> bool:
    """Tell whether Airflow may be set to another place for secrets than its environment and its database."""
    names = (*project.variables(), project.dockerfile.text())
    return any(sign in name for name in names for sign in ("SECRETS__BACKEND", "SECRETS_BACKEND"))


def _from_backend(
    engine: Engine, kind: KindName, names: Iterable[str]
) -> tuple[list[tuple[str, Definition]], tuple[str, ...]]:
    """Give what a secrets backend has of the objects, and what is wrong with it."""
    from astro_magic.objects.asking import look_up

    try:
        found = run(look_up(engine, kind, sorted(names)), _silent)
    except EngineError as problem:
        return [], (problem.message,)
    definitions = [
        (name, Definition("backend", origin.source.rpartition(".")[2], origin.values))
        for name, origin in found.by_name.items()
        if origin.values is not None
    ]
    problems = {problem: None for origin in found.by_name.values() for problem in origin.problems}
    return definitions, (*found.problems, *problems)


def _silent(_: Event) -> None:
    """Tell nobody: what is asked takes a moment."""
