"""What ``import --prune`` removes, and what it leaves alone."""

from __future__ import annotations

import pytest

from astro_magic.objects.records import Records, records_file

SETTINGS = """\
airflow:
  connections:
    - {conn_id: warehouse, conn_type: postgres, conn_password: sesame-4711, conn_extra: {}}
  pools:
    - {pool_name: narrow, pool_slot: 2}
  variables:
    - {variable_name: region, variable_value: north}
    - {variable_name: there, variable_value: file}
"""
MADE = {"connection/warehouse", "pool/narrow", "variable/region"}


@pytest.fixture
def imported(project, server, objects):
    """Import a file, of which one object was in Airflow before; then take all out of the file."""
    server.add("variable", "there", value="by hand")
    project.settings.path.write_text(SETTINGS)
    assert objects.import_settings().complete
    project.settings.path.write_text("airflow:\n")
    return server


def outcomes(result):
    return {each.key: each.outcome for each in result.results}


def test_what_an_import_made_goes_and_what_was_there_before_stays(objects, imported):
    assert outcomes(objects.import_settings(prune=True)) == dict.fromkeys(MADE, "removed")
    assert set(imported.kept) == {("variable", "there"), ("pool", "default_pool")}
    assert objects.import_settings(prune=True).results == ()


def test_nothing_goes_without_being_asked(objects, imported):
    assert objects.import_settings() is None
    assert len(imported.kept) == 5


@pytest.mark.parametrize(
    ("kind", "name", "change"),
    [
        ("connection", "warehouse", {"password": "another"}),
        ("connection", "warehouse", {"host": "far"}),
        ("connection", "warehouse", {"extra": '{"a": 1}'}),
        ("pool", "narrow", {"slots": 3}),
        ("pool", "narrow", {"description": "mine"}),
        ("pool", "narrow", {"include_deferred": True}),
        ("variable", "region", {"value": "south"}),
        ("variable", "region", {"value": ""}),
    ],
)
def test_what_was_changed_in_airflow_is_kept_and_told(objects, imported, kind, name, change):
    imported.kept[kind, name].update(change)
    result = objects.import_settings(prune=True)
    assert outcomes(result) == {**dict.fromkeys(MADE, "removed"), f"{kind}/{name}": "kept"}
    (note,) = result.notes
    assert note.startswith(f"{kind} {name}: It was changed in Airflow since it was imported")
    assert f"%{kind}s remove {name} --to airflow" in note
    assert (result.complete, result.failures) == (True, ())
    assert "1 kept" in result.described
    assert "sesame" not in repr(result)
    # As long as it is there, it is told.
    assert outcomes(objects.import_settings(prune=True)) == {f"{kind}/{name}": "kept"}


def test_what_was_deleted_and_made_again_by_hand_is_kept(objects, imported):
    del imported.kept["connection", "warehouse"]
    imported.add("connection", "warehouse", conn_type="postgres", host="mine")
    assert outcomes(objects.import_settings(prune=True))["connection/warehouse"] == "kept"
    assert imported.kept["connection", "warehouse"]["host"] == "mine"


def test_what_was_deleted_by_hand_is_forgotten(project, objects, imported):
    del imported.kept["variable", "region"]
    assert outcomes(objects.import_settings(prune=True)) == dict.fromkeys(MADE - {"variable/region"}, "removed")
    assert Records.of(project).made == set()
    imported.add("variable", "region", value="north")
    assert objects.import_settings(prune=True).results == ()
    assert ("variable", "region") in imported.kept


def test_a_row_that_cannot_be_used_is_not_gone(project, objects, imported):
    project.settings.path.write_text(SETTINGS.replace("pool_slot: 2", "pool_slot: none"))
    result = objects.import_settings(prune=True)
    assert set(outcomes(result).values()) == {"unchanged"}
    assert ("pool", "narrow") in imported.kept


def test_nothing_goes_while_the_file_cannot_be_read(project, objects, imported):
    project.settings.path.write_text("airflow: [\n")
    assert "no valid YAML" in objects.import_settings(prune=True).failure
    assert len(imported.kept) == 5


def test_nothing_goes_while_the_database_cannot_be_read(objects, engine, imported):
    engine.database_answers = False
    result = objects.import_settings(prune=True)
    assert outcomes(result) == dict.fromkeys(MADE, "failed")
    assert {each.why for each in result.results} == {"It was not removed: Airflow's database does not answer."}
    engine.database_answers = True
    assert outcomes(objects.import_settings(prune=True)) == dict.fromkeys(MADE, "removed")


@pytest.mark.parametrize("fault", ["before", "after", (500, b"<html>"), (403, {"detail": "Forbidden"})])
def test_a_removal_that_fails_is_told_and_completed_by_a_second_run(objects, imported, fault):
    def fail(method, path, body):
        return fault if method == "DELETE" or (method == "PATCH" and "actions" in body) else None

    imported.fault = fail
    result = objects.import_settings(prune=True)
    assert outcomes(result) == dict.fromkeys(MADE, "failed")
    assert all(each.why for each in result.results)
    imported.fault = lambda method, path, body: None
    again = objects.import_settings(prune=True)
    assert again.failures == ()
    assert set(imported.kept) == {("variable", "there"), ("pool", "default_pool")}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"known": {}, "made": ["variable/region", "nothing/x", "y"]}'])
def test_notes_that_cannot_be_read_remove_nothing(project, objects, imported, content):
    records_file(project).write_text(content)
    result = objects.import_settings(prune=True)
    assert set(outcomes(result).values()) <= {"kept"}
    assert len(imported.kept) == 5
