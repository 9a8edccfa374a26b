"""Objects of all shapes, from a file into a real Airflow 3 and back."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from astro_magic.airflow.objects import AirflowObject, apply_objects, remove_objects
from astro_magic.environment import open_environment
from astro_magic.objects.asking import read_database
from astro_magic.project.settings.environment import connection_text, read_connection
from astro_magic.system.events import Step, run
from tests.engine.conftest import copy_of
from tests.objects_shapes import drawn_connections, drawn_rows, settings_text
from tests.round_trip import check_round_trip

pytestmark = pytest.mark.airflow

#: Reads connections as Airflow does that finds them in its environment.
READ = """
def main(request, emit):
    import os

    from airflow.secrets.environment_variables import EnvironmentVariablesBackend

    found = []
    for text in request["texts"]:
        os.environ["AIRFLOW_CONN_IT"] = text
        read = EnvironmentVariablesBackend().get_connection("it")
        found.append({name: getattr(read, name) for name in request["fields"]} | {"extra": read.extra_dejson})
    return {"found": found}
"""
FIELDS = ("conn_type", "host", "schema", "login", "password", "port", "description")


@pytest.fixture(scope="module")
def environment(prepared, tmp_path_factory):
    """Give an Airflow that all tests here share; each leaves it as it was."""
    project = copy_of(prepared, tmp_path_factory.mktemp("round-trip") / "shop")
    opened = open_environment(project, engine="local")
    opened.start()
    yield opened
    opened.stop()


@pytest.fixture
def stored(environment):
    """Put objects into Airflow, as a person does; they are taken away again, and the file is as before."""
    before = environment.project.settings.read()
    made: list[AirflowObject] = []

    def store(*items):
        made.extend(items)
        with environment.engine.api().client() as client:
            assert {result.outcome for result in apply_objects(client, items)} == {"created"}

    yield store
    with environment.engine.api().client() as client:
        for item in made:
            remove_objects(client, item.kind, [item.name])
    environment.project.settings.path.write_bytes(before)


def said(environment):
    return {item.name: dict(item.values) for item in environment.project.settings.objects().objects}


def test_objects_of_all_shapes_survive(environment, tmp_path, campaign):
    check_round_trip(environment, drawn_rows(500 if campaign else 100, anew=campaign), tmp_path)


def test_airflow_reads_in_its_environment_what_was_written_for_it(environment, tmp_path, campaign):
    wanted = drawn_connections(2000 if campaign else 200, anew=campaign)
    script = tmp_path / "read.py"
    script.write_text(READ)
    request: Any = {"texts": [connection_text(values) for values in wanted], "fields": FIELDS}
    told = run(environment.engine.call(script, request, stage="core", event=lambda _: Step("read", "read")))
    for text, values, found in zip(request["texts"], wanted, told["found"], strict=True):
        ours = read_connection(text, "It")
        assert {name: found[name] or None for name in FIELDS} == {name: values.get(name) or None for name in FIELDS}
        assert found["extra"] == _decoded(values.get("extra")) == _decoded(ours.get("extra"))


def _decoded(extra):
    return json.loads(extra or "{}")


def test_export_a_works_where_airflow_has_no_connections(environment, stored):
    stored(AirflowObject("variable", "region", {"value": "north"}))
    assert not [item for item in run(read_database(environment.engine)).objects if item.kind == "connection"]
    assert environment.objects.export().exported == ("variable/region",)
    assert said(environment) == {"region": {"value": "north"}}


def test_export_c_keeps_secrets(environment, stored):
    values = {
        "conn_type": "postgres",
        "host": "db",
        "login": "me",
        "password": "sesame-4711",
        "extra": '{"token": "sesame", "n": [1.10, null]}',
    }
    stored(AirflowObject("connection", "db", values))
    environment.objects.export()
    assert said(environment) == {"db": values}
    text = environment.project.settings.read()
    assert not environment.objects.export().change.changed
    assert environment.project.settings.read() == text


def test_export_e_keeps_variables_that_are_json_or_have_a_description(environment, stored):
    values = {"number": "1.10", "truth": "true", "nothing": "null", "json": '{"Key":  [1.10]}', "secret_key": "s"}
    stored(*(AirflowObject("variable", name, {"value": value, "description": "d"}) for name, value in values.items()))
    environment.objects.export()
    assert said(environment) == {name: {"value": value, "description": "d"} for name, value in values.items()}


def test_export_h_leaves_secrets_nowhere_but_in_env(environment, stored):
    stored(AirflowObject("connection", "db", {"conn_type": "http", "password": "sesame-4712"}))
    project = environment.project
    before = project.dotenv.read()
    told = environment.objects.export(to_env=True)
    assert told.exported == ("connection/db",)
    files = [path for path in project.root.rglob("*") if path.is_file() and "environments" not in path.parts]
    found = [path for path in files if b"sesame-4712" in path.read_bytes()]
    assert [path.name for path in found if project.state_dir not in path.parents] == [".env"]
    assert all(path.stat().st_mode & 0o77 == 0 for path in found)
    project.dotenv.path.write_bytes(before)


def test_imports_at_once_end_right(environment, stored):
    project = environment.project
    before = project.settings.read()
    rows = drawn_rows(60)
    project.settings.path.write_text(settings_text(rows))
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(environment.objects.import_settings())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.failures for result in results] == [(), (), ()]
    assert sorted(len([each for each in result.results if each.outcome == "created"]) for result in results) == [
        0,
        0,
        len(rows),
    ]
    project.settings.path.write_bytes(before)
    pruned = environment.objects.import_settings(prune=True)
    assert {each.outcome for each in pruned.results} == {"removed"}


def test_one_row_that_fails_keeps_no_other_from_being_imported(environment, stored):
    project = environment.project
    before = project.settings.read()
    project.settings.path.write_text(
        "airflow:\n  connections:\n    - {conn_id: a/b, conn_type: http}\n    - {conn_id: good, conn_type: http}\n"
        "  pools:\n    - {pool_name: closed, pool_slot: 0}\n    - {pool_name: open, pool_slot: 1}\n"
    )
    result = environment.objects.import_settings()
    assert {each.name for each in result.results if each.outcome == "created"} == {"good", "open"}
    assert [failure.partition(" ")[0] for failure in result.failures] == [
        "airflow_settings.yaml:3:",
        "airflow_settings.yaml:6:27:",
    ]
    project.settings.path.write_bytes(before)
    assert len(environment.objects.import_settings(prune=True).results) == 2
