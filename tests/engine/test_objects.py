"""Connections, variables and pools of a real Airflow 3."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from astro_magic.airflow.client import AirflowClient, RefusedError
from astro_magic.airflow.health import HealthReader, read_health
from astro_magic.airflow.objects import AirflowObject, apply_objects, read_objects
from astro_magic.airflow.runs import running_tasks
from astro_magic.environment import open_environment
from astro_magic.objects.asking import read_database
from astro_magic.system.events import run
from tests.engine.conftest import copy_of

pytestmark = pytest.mark.airflow

SECRET = "sesame-open-4711"
DATABASE = {
    "conn_type": "postgres",
    "host": "db",
    "schema": "public",
    "login": "me",
    "password": SECRET,
    "port": 5432,
    "extra": '{"SslMode": "require", "token": "sesame-token-4711"}',
    "description": "the warehouse",
}


@pytest.fixture(scope="module")
def running(prepared, tmp_path_factory):
    """An Airflow that all tests here share; each has names of its own."""
    project = copy_of(prepared, tmp_path_factory.mktemp("objects") / "shop")
    environment = open_environment(project, engine="local")
    environment.start()
    yield environment
    environment.stop()


@pytest.fixture(scope="module")
def access(running):
    """How to reach it."""
    return running.engine.api()


@pytest.fixture
def client(access):
    with AirflowClient(access.base_url, access.username, access.password) as opened:
        yield opened


def outcomes(results):
    return {result.name: result.outcome for result in results}


def there(client, kind):
    """Give what is there, without the teams, which only some versions have."""
    return {
        item.name: {name: value for name, value in item.values.items() if name != "team_name"}
        for item in read_objects(client, [kind])
    }


def test_created_then_unchanged_then_updated(client):
    objects = [
        AirflowObject("variable", "a/b c ü?", {"value": "1.10", "description": "what it is for"}),
        AirflowObject("variable", "json", {"value": '{"Key": true, "list": [1.10, "x"]}'}),
        AirflowObject("pool", "p/ q ü?", {"slots": 3, "include_deferred": True}),
        AirflowObject("pool", "default_pool", {"slots": 64, "description": "not for this one"}),
        AirflowObject("connection", "db.main-1", DATABASE),
    ]
    first = apply_objects(client, objects)
    assert outcomes(first) == {item.name: "created" for item in objects} | {"default_pool": "updated"}
    assert there(client, "variable")["a/b c ü?"]["description"] == "what it is for"
    assert there(client, "pool")["p/ q ü?"] == {"slots": 3, "include_deferred": True, "description": None}
    assert there(client, "pool")["default_pool"]["slots"] == 64
    shown = there(client, "connection")["db.main-1"]
    assert (shown["host"], shown["port"], shown["password"]) == ("db", 5432, "***")

    # What the API hides is known by the records of the first time.
    known = {result.key: result.record for result in first}
    second = apply_objects(client, objects, known=known)
    assert set(outcomes(second).values()) == {"unchanged"}
    assert {result.key: result.record for result in second} == known
    assert outcomes(apply_objects(client, objects))["db.main-1"] == "updated"

    changed = [
        AirflowObject("variable", "a/b c ü?", {"value": "1.11"}),
        AirflowObject("variable", "json", {"value": '{"Key": false, "list": [1.10, "x"]}'}),
        AirflowObject("pool", "p/ q ü?", {"slots": 4}),
        AirflowObject("connection", "db.main-1", {**DATABASE, "password": "another-4711"}),
    ]
    assert set(outcomes(apply_objects(client, changed, known=known)).values()) == {"updated"}
    # A field that is not given any more is emptied, since it was written here.
    assert there(client, "variable")["a/b c ü?"] == {"value": "1.11", "description": None}
    assert there(client, "pool")["p/ q ü?"] == {"slots": 4, "include_deferred": False, "description": None}


def test_what_was_never_given_stays(client):
    apply_objects(client, [AirflowObject("connection", "typed", DATABASE)])
    result = apply_objects(client, [AirflowObject("connection", "typed", {"conn_type": "postgres", "host": "other"})])
    assert outcomes(result) == {"typed": "updated"}
    shown = there(client, "connection")["typed"]
    assert (shown["host"], shown["login"], shown["password"]) == ("other", "me", "***")
    assert shown["extra"] == '{"SslMode": "require", "token": "***"}'


def test_a_password_that_is_not_given_any_more_is_taken_away(client):
    first = apply_objects(client, [AirflowObject("connection", "open", DATABASE)])
    known = {result.key: result.record for result in first}
    wanted = AirflowObject("connection", "open", {"conn_type": "http", "description": "kept"})
    assert outcomes(apply_objects(client, [wanted], known=known)) == {"open": "updated"}
    assert there(client, "connection")["open"] == {
        **dict.fromkeys(DATABASE),
        "conn_type": "http",
        "description": "kept",
    }


def test_a_password_stays_where_taking_it_away_would_lose_a_hidden_extra(client):
    apply_objects(client, [AirflowObject("connection", "both", DATABASE)])
    wanted = AirflowObject("connection", "both", {"conn_type": "http", "password": None})
    (result,) = apply_objects(client, [wanted])
    assert (result.outcome, "takes no password away" in result.why) == ("failed", True)
    assert there(client, "connection")["both"]["password"] == "***"


def test_bad_ones_among_good_ones(client):
    objects = [
        AirflowObject("connection", "good", {"conn_type": "http", "password": SECRET}),
        AirflowObject("connection", "bad id", {"conn_type": "http", "password": SECRET}),
        AirflowObject("connection", "bad_port", {"conn_type": "http", "port": SECRET}),
        AirflowObject("connection", "bad_extra", {"conn_type": "http", "extra": SECRET}),
        AirflowObject("connection", "", {"conn_type": "http"}),
        AirflowObject("pool", "bad_pool", {"slots": -5}),
        AirflowObject("pool", "good_pool", {"slots": 1}),
        AirflowObject("variable", "v" * 300, {"value": SECRET}),
        AirflowObject("variable", "good_variable", {"value": "1"}),
        AirflowObject("variable", "good_variable", {"value": "2"}),
    ]
    results = apply_objects(client, objects)
    assert outcomes(results) == {
        "bad_pool": "failed",
        "good_pool": "created",
        "v" * 300: "failed",
        "good_variable": "created",
        "good": "created",
        "bad id": "failed",
        "bad_port": "failed",
        "bad_extra": "failed",
        "": "failed",
    }
    assert all(bool(result.why) == (result.outcome == "failed") for result in results)
    assert all(bool(result.record) == (result.outcome != "failed") for result in results)
    assert there(client, "variable")["good_variable"]["value"] == "2"
    assert SECRET not in repr(results) + repr(objects)


def test_many_at_once(client):
    objects = [AirflowObject("variable", f"many_{index}", {"value": f"value {index}"}) for index in range(200)]
    assert Counter(outcomes(apply_objects(client, objects)).values()) == {"created": 200}
    changed = [*objects[:199], AirflowObject("variable", "many_199", {"value": "other"})]
    assert Counter(outcomes(apply_objects(client, changed)).values()) == {"unchanged": 199, "updated": 1}


def test_many_passwords_at_once(running, client):
    values = {f"many_{index}": {**DATABASE, "password": f"{SECRET}-{index}"} for index in range(250)}
    objects = [AirflowObject("connection", name, each) for name, each in values.items()]
    bad = AirflowObject("connection", "many bad", DATABASE)

    results = outcomes(apply_objects(client, [*objects[:100], bad, *objects[100:]]))

    assert results.pop("many bad") == "failed"
    assert Counter(results.values()) == {"created": 250}
    stored = run(read_database(running.engine, ["connection"]), lambda _: None)
    kept = {item.name: item.values for item in stored.objects if item.name in values}
    assert {name: {field: each[field] for field in DATABASE} for name, each in kept.items()} == values


def test_a_refusal_tells_no_value(client):
    body = {"connection_id": "bad id", "conn_type": "http", "password": SECRET}
    with pytest.raises(RefusedError, match="status 422") as error:
        client.send("POST", "/connections", body)
    assert "connection_id" in error.value.detail
    assert SECRET not in str(error.value)


def test_a_wrong_password_is_refused_without_being_told(access):
    with AirflowClient(access.base_url, access.username, SECRET) as wrong:
        results = apply_objects(wrong, [AirflowObject("pool", "p", {"slots": 1})])
    assert [result.outcome for result in results] == ["failed"]
    assert SECRET not in repr(results)


def test_health_and_nothing_running(client, access):
    assert running_tasks(client) == 0
    health = read_health(access.base_url)
    assert set(health.components) == {"metadatabase", "scheduler", "triggerer", "dag_processor"}
    with HealthReader(access.base_url) as reader:
        scheduler = reader.read().components["scheduler"]
    assert scheduler.healthy_since(datetime.now(UTC) - timedelta(minutes=1))
    assert not scheduler.healthy_since(datetime.now(UTC) + timedelta(minutes=1))
