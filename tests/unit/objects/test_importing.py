"""What an import makes of an API that refuses, hangs, breaks off, or is no Airflow at all."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading

import pytest

from astro_magic.airflow.writing import write
from astro_magic.errors import AstroMagicError
from astro_magic.objects.records import Records
from tests.unit.objects.small_airflow import running

SECRET = "sesame-open-4711"
SETTINGS = f"""\
airflow:
  connections:
    - conn_id: warehouse
      conn_type: postgres
      conn_password: {SECRET}
      conn_extra: {{token: {SECRET}-2}}
    - conn_id: plain
      conn_type: http
  pools:
    - {{pool_name: narrow, pool_slot: 2}}
    - {{pool_name: wide, pool_slot: -1}}
  variables:
    - variable_name: api_key
      variable_value: {SECRET}-3
    - {{variable_name: region, variable_value: north}}
"""
KEYS = {
    "connection/warehouse",
    "connection/plain",
    "pool/narrow",
    "pool/wide",
    "variable/api_key",
    "variable/region",
}


@pytest.fixture
def settings(project):
    project.settings.path.write_text(SETTINGS)
    return project.settings


def by_outcome(result):
    found: dict[str, set[str]] = {}
    for each in result.results:
        found.setdefault(each.outcome, set()).add(each.key)
    return found


def kept(server):
    return {f"{kind}/{name}" for kind, name in server.kept} - {"pool/default_pool"}


def assert_told_in_one_sentence(result):
    for text in (*result.failures, result.failure, *(each.why for each in result.results)):
        assert "\n" not in text
        assert "Traceback" not in text
        assert "Error(" not in text
    assert SECRET not in repr(result) + "".join(result.failures)


def assert_completed_by_a_second_run(objects, server):
    server.fault = lambda method, path, body: None
    again = objects.import_settings()
    assert again.failures == ()
    assert again.complete
    assert kept(server) == KEYS
    assert server.kept["connection", "warehouse"]["password"] == SECRET
    assert server.kept["variable", "api_key"]["value"] == f"{SECRET}-3"
    assert by_outcome(objects.import_settings()) == {"unchanged": KEYS}
    # Whatever broke off, all are known to be the work of imports.
    assert Records.of(objects._project).made == KEYS


BODIES = {
    401: {"detail": "Unauthorized"},
    403: {"detail": "Forbidden"},
    409: {"detail": {"reason": "Unique constraint violation", "statement": "hidden", "orig_error": "x"}},
    422: {"detail": [{"loc": ["body", "actions", 0], "msg": "no action", "input": SECRET}]},
    500: b"<html>Internal Server Error</html>",
    502: f"upstream said {SECRET}\nand more",
}


@pytest.mark.parametrize("status", BODIES)
@pytest.mark.parametrize("section", ["pools", "variables", "connections"])
def test_a_refusal_of_one_kind_keeps_no_other_from_being_applied(objects, server, settings, status, section):
    def refuse(method, path, body):
        return (status, BODIES[status]) if method != "GET" and section in path else None

    server.fault = refuse
    result = objects.import_settings()
    failed = {key for key in KEYS if key.startswith(section[:-1])}
    assert by_outcome(result) == {"failed": failed, "created": KEYS - failed}
    assert kept(server) == KEYS - failed
    assert all(failure.startswith("airflow_settings.yaml:") for failure in result.failures)
    assert Records.of(objects._project).made == KEYS - failed
    assert_told_in_one_sentence(result)
    assert_completed_by_a_second_run(objects, server)


@pytest.mark.parametrize("status", BODIES)
def test_a_refusal_of_everything_is_told(objects, server, settings, status):
    server.fault = lambda method, path, body: (status, BODIES[status])
    result = objects.import_settings()
    assert not result.complete
    assert {each.outcome for each in result.results} == {"failed"}
    assert kept(server) == set()
    assert_told_in_one_sentence(result)
    assert_completed_by_a_second_run(objects, server)


@pytest.mark.parametrize("fault", ["before", "after"])
@pytest.mark.parametrize("section", ["pools", "variables", "connections"])
def test_a_connection_that_breaks_within_the_writes(objects, server, settings, section, fault):
    def break_off(method, path, body):
        return fault if method != "GET" and section in path else None

    server.fault = break_off
    result = objects.import_settings()
    lost = {key for key in KEYS if key.startswith(section[:-1])}
    # What was done although nobody answered is read again, and told.
    told = {"created": KEYS} if fault == "after" else {"created": KEYS - lost, "failed": lost}
    assert by_outcome(result) == told
    assert all("It was not written" in failure for failure in result.failures)
    assert_told_in_one_sentence(result)
    assert_completed_by_a_second_run(objects, server)


@pytest.mark.parametrize("fault", ["before", "after", "slow"])
def test_a_server_that_is_gone_within_the_writes(objects, server, settings, fault):
    gone = threading.Event()

    def end(method, path, body):
        if method != "GET" and "variables" in path:
            gone.set()
            objects._engine.database_answers = False
        return fault if gone.is_set() else None

    server.fault = end
    result = objects.import_settings()
    objects._engine.database_answers = True
    assert by_outcome(result) == {
        "created": {"pool/narrow", "pool/wide"},
        "failed": KEYS - {"pool/narrow", "pool/wide"},
    }
    whys = {each.key: each.why for each in result.results}
    assert whys["variable/region"].startswith("It may have been written or not: Airflow's API at http")
    assert whys["connection/plain"].startswith("It was not tried: Airflow's API at http")
    assert_told_in_one_sentence(result)
    assert_completed_by_a_second_run(objects, server)


def test_a_server_that_is_gone_before_anything_was_written(objects, server, settings):
    server.fault = lambda method, path, body: "before" if path != "/auth/token" else None
    result = objects.import_settings()
    assert (result.results, result.complete) == ((), False)
    assert "does not answer" in result.failure
    assert_completed_by_a_second_run(objects, server)


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"3", b'{"pools": 3}', b'{"pools": [3], "total_entries": 1}'])
@pytest.mark.parametrize("which", ["/auth/token", "/api/v2/pools"])
def test_a_server_that_is_no_airflow(objects, server, settings, which, content):
    server.fault = lambda method, path, body: (200, content) if path == which else None
    result = objects.import_settings()
    assert not result.complete
    assert "Airflow's API" in result.failure
    assert_told_in_one_sentence(result)
    assert_completed_by_a_second_run(objects, server)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"create": 1}', b'{"create": {}}', b"{"])
def test_an_answer_to_many_writes_that_cannot_be_read(objects, server, settings, content):
    server.fault = lambda method, path, body: (200, content) if method == "PATCH" else None
    result = objects.import_settings()
    assert by_outcome(result) == {"failed": KEYS}
    assert_told_in_one_sentence(result)
    assert_completed_by_a_second_run(objects, server)


def test_an_object_that_airflow_takes_and_does_not_keep(objects, server, settings):
    server.fault = lambda method, path, body: (
        (200, {"create": {"success": ["region", "api_key"], "errors": []}})
        if method == "PATCH" and path == "/api/v2/variables"
        else None
    )
    result = objects.import_settings()
    assert by_outcome(result)["failed"] == {"variable/region", "variable/api_key"}
    assert "Airflow took it, but does not have it." in result.failures[0]
    assert_completed_by_a_second_run(objects, server)


def test_an_interrupt_loses_nothing_of_what_was_made(objects, server, settings, monkeypatch):
    def interrupted(client, writes):
        refused = write(client, writes)
        if writes[0].kind == "variable":
            raise KeyboardInterrupt
        return refused

    monkeypatch.setattr("astro_magic.airflow.objects.write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        objects.import_settings()
    monkeypatch.undo()
    assert {"pool/narrow", "variable/region"} <= Records.of(objects._project).made
    assert_completed_by_a_second_run(objects, server)
    settings.path.write_text("airflow:\n")
    assert by_outcome(objects.import_settings(prune=True)) == {"removed": KEYS}


def test_a_row_that_fails_is_told_with_its_place_and_the_others_are_applied(objects, server, settings):
    names = {"wide", "plain", "region"}

    def refuse(method, path, body):
        if method == "PATCH" and "actions" in (body or {}):
            return 500, b"<html>"
        if method == "POST" and names & set(map(str, (body or {}).values())):
            return 403, {"detail": f"no, {SECRET}-3"}
        return None

    server.fault = refuse
    result = objects.import_settings()
    assert by_outcome(result) == {
        "created": {"connection/warehouse", "pool/narrow", "variable/api_key"},
        "failed": {"connection/plain", "pool/wide", "variable/region"},
    }
    assert {failure.partition(": ")[0] for failure in result.failures} == {
        "airflow_settings.yaml:7",
        "airflow_settings.yaml:11",
        "airflow_settings.yaml:15",
    }
    assert_completed_by_a_second_run(objects, server)


def test_imports_at_once_from_threads(objects, server, settings):
    results = []
    threads = [threading.Thread(target=lambda: results.append(objects.import_settings())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.failures for result in results] == [()] * 4
    assert sorted(tuple(by_outcome(result)) for result in results) == [("created",), *[("unchanged",)] * 3]
    assert_completed_by_a_second_run(objects, server)


def test_imports_at_once_from_processes_note_what_each_made(objects, server, project):
    program = f"""
        from pathlib import Path
        import sys

        from astro_magic.airflow.client import AirflowClient
        from astro_magic.engines.answers import ApiAccess
        from astro_magic.objects.importing import ObjectsImporter
        from astro_magic.project import Project
        from astro_magic.system.events import run

        class Engine:
            def api(self):
                return ApiAccess("http://127.0.0.1:{server.server_address[1]}", "me", "p")

        project = Project(Path({str(project.root)!r}))
        importing = ObjectsImporter(project, Engine(), only=[sys.argv[1]])
        run(importing.now(), lambda _: None)
        assert importing.result.results[0].outcome == "created", importing.result
    """
    project.settings.path.write_text(SETTINGS)
    keys = ["connection/warehouse", "pool/wide", "variable/region"]
    children = [subprocess.Popen([sys.executable, "-c", textwrap.dedent(program), key]) for key in keys]
    assert [child.wait() for child in children] == [0, 0, 0]
    assert Records.of(project).made == set(keys)
    assert by_outcome(objects.import_settings()) == {"unchanged": set(keys), "created": KEYS - set(keys)}


def test_nothing_runs(objects, engine, settings):
    engine.running = False
    with pytest.raises(AstroMagicError):
        objects.import_settings()


def test_two_airflows_one_after_the_other(objects, engine, server, settings):
    """What is noted of one Airflow leads to nothing wrong in another that took its place."""
    objects.import_settings()
    with running() as other:
        other.add("variable", "region", value="north", description="by hand")
        engine.server = other
        assert by_outcome(objects.import_settings())["created"] == KEYS - {"variable/region"}
        assert other.kept["variable", "region"]["description"] == "by hand"
