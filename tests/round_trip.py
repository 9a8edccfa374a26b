"""From a settings file into a running Airflow, and from there into files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from astro_magic.airflow.comparison import same_json
from astro_magic.airflow.objects import ObjectResult
from astro_magic.environment import Environment
from astro_magic.objects.asking import read_database
from astro_magic.objects.exporting import export_objects
from astro_magic.project.project import Project
from astro_magic.project.settings.objects import KINDS
from astro_magic.system.events import run
from tests.objects_shapes import Row, settings_text

__all__ = ["check_round_trip", "values_of"]


def values_of(project: Project) -> dict[str, Mapping[str, Any]]:
    """Give what a settings file says of all objects, which has to be without a fault."""
    found = project.settings.objects()
    assert found.problems == (), found.problems
    return {f"{item.kind}/{item.name}": item.values for item in found.objects}


def check_round_trip(environment: Environment, rows: Sequence[Row], folder: Path) -> None:
    """Bring rows into a running Airflow, and from there into files; at the end it has what it had before.

    Parameters
    ----------
    environment : Environment
        It runs, and was given what its settings file says.
    rows : sequence of Row
        The rows.
    folder : Path
        An empty folder.
    """
    project = environment.project
    before = project.settings.read()
    had = {item.key: item.values for item in run(read_database(environment.engine)).objects}
    theirs = {f"{kind}/{name}" for kind, name in ((entry.kind, entry.name) for entry in project.settings.entries())}
    text = settings_text(rows).encode()
    project.settings.path.write_bytes(text)
    wanted = values_of(project)
    assert wanted.keys() == {row.key for row in rows}
    assert not wanted.keys() & theirs

    imported = environment.objects.import_settings()
    assert imported is not None
    assert imported.failures == (), imported.failures
    assert not (other := _other_than(imported.results, "created")), other
    again = environment.objects.import_settings()
    assert again is not None
    assert not (other := _other_than(again.results, "unchanged")), other

    # Airflow has what was meant, in a file that says nothing yet as in its own.
    empty = Project.create(folder / "empty").project
    empty.settings.path.write_bytes(b"")
    run(export_objects(empty, environment.engine, tuple(KINDS)))
    exported = values_of(empty)
    assert not (lost := [key for key in wanted if not _equal(wanted[key], exported.get(key, {}))]), lost
    assert exported.keys() <= wanted.keys() | had.keys()
    plan = environment.objects.export(dry_run=True)
    assert set(plan.exported) <= had.keys()
    if not had.keys() - {"pool/default_pool"}:
        assert not environment.objects.export().change.changed
        assert project.settings.read() == text

    # Each object with the fields of another: what it has not any more is emptied.
    changed = _exchanged(rows)
    project.settings.path.write_bytes(settings_text(changed).encode())
    wanted = values_of(project)
    imported = environment.objects.import_settings()
    assert imported is not None
    assert imported.failures == (), imported.failures
    run(export_objects(empty, environment.engine, tuple(KINDS)))
    exported = values_of(empty)
    assert not (lost := [key for key in wanted if not _equal(wanted[key], exported.get(key, {}))]), lost

    # What the file has no more goes, and nothing else.
    project.settings.path.write_bytes(before)
    pruned = environment.objects.import_settings(prune=True)
    assert pruned is not None
    assert not (others := [each for each in pruned.results if each.outcome not in {"removed", "unchanged"}]), others
    assert {item.key: item.values for item in run(read_database(environment.engine)).objects} == had


def _other_than(results: Iterable[ObjectResult], outcome: str) -> list[ObjectResult]:
    return [result for result in results if result.outcome != outcome]


def _exchanged(rows: Sequence[Row]) -> list[Row]:
    of_kind = {kind: [row for row in rows if row.kind == kind] for kind in KINDS}
    return [
        replace(row, fields=other.fields)
        for chosen in of_kind.values()
        for row, other in zip(chosen, chosen[1:] + chosen[:1], strict=True)
    ]


def _equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two files say the same of an object; what is not said is empty."""
    empty = {None, "", False}
    return all(
        one.get(name) == other.get(name)
        or (one.get(name) in empty and other.get(name) in empty)
        or (name == "extra" and same_json(one.get(name) or "{}", other.get(name) or "{}"))
        for name in one.keys() | other.keys()
    )
