"""The REST API of a real Airflow 2, in one container with SQLite."""

from __future__ import annotations

import io
import secrets
import tarfile
import time
import uuid
from collections import Counter

import pytest

from astro_magic.airflow import runs
from astro_magic.airflow.client import AirflowClient, RefusedError
from astro_magic.airflow.health import read_health
from astro_magic.airflow.objects import AirflowObject, apply_objects, read_objects, remove_objects
from astro_magic.errors import DagNotFoundError
from astro_magic.system.events import Event, TaskUpdate, run
from tests.docker.conftest import DAG, IMPORTS
from tests.docker.images import AIRFLOW_2

pytestmark = pytest.mark.docker

SECRET = "sesame-open-4711"
START = """
airflow db migrate
airflow users create -u admin -p "$PASSWORD" -f a -l b -r Admin -e a@b.c
airflow scheduler &
exec airflow webserver
"""
DATABASE = {
    "conn_type": "postgres",
    "host": "db",
    "login": "me",
    "password": SECRET,
    "port": 5432,
    "extra": '{"SslMode": "require"}',
    "description": "the warehouse",
}


@pytest.fixture(scope="module")
def address(client):
    """Give the address of an Airflow 2 and the password of its user, once it answers and its scheduler runs."""
    # A password with signs that a header does not carry as they are.
    password = f"pä:ss {secrets.token_hex(8)}"
    container = client.containers.create(
        AIRFLOW_2,
        ["bash", "-c", START],
        name=f"astro-magic-test-api-{uuid.uuid4().hex[:8]}",
        environment={
            "PASSWORD": password,
            "AIRFLOW__API__AUTH_BACKENDS": "airflow.api.auth.backend.session,airflow.api.auth.backend.basic_auth",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__WEBSERVER__WORKERS": "1",
            "AIRFLOW_VAR_GREETING": "hello",
        },
        ports={"8080/tcp": ("127.0.0.1", None)},
    )
    try:
        container.put_archive("/usr/local/airflow", folder_with("dags/orders.py", DAG.format(imports=IMPORTS["2"])))
        container.start()
        container.reload()
        url = f"http://127.0.0.1:{container.ports['8080/tcp'][0]['HostPort']}"
        for _ in range(600):
            health = read_health(url, airflow_major=2)
            if health is not None and health.components["scheduler"].status == "healthy":
                break
            time.sleep(0.2)
        else:
            pytest.fail(container.logs(tail=40).decode())
        yield url, password
    finally:
        container.remove(force=True, v=True)


def folder_with(path: str, text: str) -> bytes:
    """Pack a file as the engine takes it; for everybody to read."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(path)
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


@pytest.fixture
def airflow(address):
    with AirflowClient(address[0], "admin", address[1], airflow_major=2) as opened:
        yield opened


def outcomes(results):
    return {result.name: result.outcome for result in results}


def there(airflow, kind):
    return {item.name: item.values for item in read_objects(airflow, [kind])}


def test_created_then_unchanged_then_updated(airflow):
    objects = [
        AirflowObject("variable", "a/b c ü?", {"value": "1.10", "description": "what it is for"}),
        AirflowObject("pool", "p q ü?", {"slots": 3, "include_deferred": True}),
        AirflowObject("pool", "default_pool", {"slots": 64, "description": "not for this one"}),
        AirflowObject("connection", "db.main-1", DATABASE),
    ]
    first = apply_objects(airflow, objects)
    assert outcomes(first) == {item.name: "created" for item in objects} | {"default_pool": "updated"}
    assert there(airflow, "pool")["default_pool"]["slots"] == 64
    assert airflow.get("/connections/db.main-1")["extra"] == DATABASE["extra"]

    known = {result.key: result.record for result in first}
    assert set(outcomes(apply_objects(airflow, objects, known=known)).values()) == {"unchanged"}

    changed = [
        AirflowObject("variable", "a/b c ü?", {"value": "1.1"}),
        AirflowObject("pool", "p q ü?", {"slots": 4}),
        # Its password, host and login were given before, and are not any more: they are taken away.
        AirflowObject("connection", "db.main-1", {"conn_type": "http", "extra": '{"Key": 1}'}),
    ]
    assert set(outcomes(apply_objects(airflow, changed, known=known)).values()) == {"updated"}
    assert there(airflow, "variable")["a/b c ü?"] == {"value": "1.1", "description": ""}
    assert there(airflow, "pool")["p q ü?"] == {"slots": 4, "include_deferred": False, "description": None}
    made = airflow.get("/connections/db.main-1")
    assert (made["conn_type"], made["host"], made["login"], made["extra"]) == ("http", None, None, '{"Key": 1}')


def test_bad_ones_among_good_ones(airflow):
    objects = [
        AirflowObject("connection", "good", {"conn_type": "http", "password": SECRET}),
        AirflowObject("connection", "bad id", {"conn_type": "http", "password": SECRET}),
        AirflowObject("connection", "bad_port", {"conn_type": "http", "port": SECRET}),
        AirflowObject("connection", "", {"conn_type": "http"}),
    ]
    results = apply_objects(airflow, objects)
    assert outcomes(results) == {"good": "created", "bad id": "failed", "bad_port": "failed", "": "failed"}
    assert all(bool(result.why) == (result.outcome == "failed") for result in results)
    assert SECRET not in repr(results)


def test_many_over_several_pages(airflow):
    objects = [AirflowObject("variable", f"many_{index}", {"value": f"value {index}"}) for index in range(120)]
    assert Counter(outcomes(apply_objects(airflow, objects)).values()) == {"created": 120}
    changed = [*objects[:119], AirflowObject("variable", "many_119", {"value": "other"})]
    assert Counter(outcomes(apply_objects(airflow, changed)).values()) == {"unchanged": 119, "updated": 1}


def test_a_pool_without_a_limit_is_written_and_keeps_no_other_from_it(airflow):
    objects = [
        AirflowObject("pool", "wide", {"slots": -1, "description": "all"}),
        AirflowObject("pool", "default_pool", {"slots": -1}),
        AirflowObject("pool", "narrow", {"slots": 1}),
    ]
    first = apply_objects(airflow, objects)
    assert outcomes(first) == {"wide": "created", "default_pool": "updated", "narrow": "created"}
    with pytest.raises(RefusedError, match="inf is not of type 'integer'"):
        airflow.get("/pools")
    assert {"wide", "narrow"} & there(airflow, "pool").keys() == {"narrow"}
    known = {result.key: result.record for result in first}
    assert set(outcomes(apply_objects(airflow, objects, known=known)).values()) == {"unchanged"}
    limited = [AirflowObject("pool", "wide", {"slots": 2}), AirflowObject("pool", "default_pool", {"slots": 128})]
    assert set(outcomes(apply_objects(airflow, limited, known=known)).values()) == {"updated"}
    assert there(airflow, "pool")["wide"] == {"slots": 2, "include_deferred": False, "description": ""}
    assert outcomes(remove_objects(airflow, "pool", ["wide", "narrow"])) == {"wide": "removed", "narrow": "removed"}


def test_what_its_api_does_not_take_is_told(airflow):
    objects = [
        AirflowObject("connection", "lagerhäuser", {"conn_type": "http"}),
        AirflowObject("pool", "a/b", {"slots": 1}),
        AirflowObject("variable", "/a", {"value": "1"}),
        AirflowObject("variable", "large", {"value": "x" * 1_000_000}),
    ]
    first = apply_objects(airflow, objects)
    assert outcomes(first) == {"lagerhäuser": "failed", "a/b": "created", "/a": "created", "large": "failed"}
    assert outcomes(apply_objects(airflow, [AirflowObject("variable", "two\nlines", {"value": "1"})])) == {
        "two\nlines": "created"
    }
    changed = [
        AirflowObject("pool", "a/b", {"slots": 2}),
        AirflowObject("variable", "two\nlines", {"value": "2"}),
        AirflowObject("variable", "/a", {"value": "2"}),
    ]
    second = apply_objects(airflow, changed)
    assert {result.outcome for result in second} == {"failed"}
    gone = remove_objects(airflow, "pool", ["a/b"])
    whys = [result.why for result in (*first, *second, *gone) if result.outcome == "failed"]
    assert len(whys) == 6
    assert all(why.startswith("The API of Airflow 2 ") for why in whys)


def test_a_run(airflow):
    updates: list[Event] = []
    assert run(runs.wait_for_dag(airflow, "orders", changed=None, timeout=60), updates.append)
    runs.unpause(airflow, "orders")
    assert not run(runs.wait_for_dag(airflow, "orders", changed=None, timeout=60), updates.append)
    started = runs.trigger(airflow, "orders", conf={"day": 1}, ui="http://ui")
    assert started.url.startswith("http://ui/dags/orders/grid?dag_run_id=manual")
    counts = []

    def seen(event):
        updates.append(event)
        counts.append(runs.running_tasks(airflow))

    ended = run(runs.wait_for_run(airflow, started, timeout=120, ui="http://ui"), seen)
    assert ended.state == "success"
    assert {task.task_id: task.state for task in ended.tasks} == {"extract": "success", "load": "success"}
    assert TaskUpdate("load", "success", 1, ended.tasks[1].seconds) in updates
    assert max(counts) == 1
    assert runs.running_tasks(airflow) == 0
    with pytest.raises(DagNotFoundError):
        run(runs.wait_for_dag(airflow, "nothing", changed=None, timeout=0), updates.append)


def test_a_wrong_password(address):
    with AirflowClient(address[0], "admin", SECRET, airflow_major=2) as wrong:
        with pytest.raises(RefusedError, match=r"status 40[13]"):
            wrong.get("/pools")
        (result,) = apply_objects(wrong, [AirflowObject("pool", "p", {"slots": 1})])
    assert (result.outcome, SECRET in repr(result)) == ("failed", False)
