"""Airflow on a real PostgreSQL server: reached or not, migrated, used; its password is seen nowhere."""

from __future__ import annotations

import stat
from pathlib import Path
from urllib.parse import quote

import pytest

from astro_magic.engines.options import DatabaseOptions, LogQuery, StartOptions
from astro_magic.environment import Environment, open_environment
from astro_magic.errors import DatabaseError, EngineError
from astro_magic.project.project import Project
from astro_magic.system.events import Event
from tests.engine.conftest import copy_of
from tests.engine.living import processes_of
from tests.servers.postgres import PostgresServer
from tests.servers.processes import free_port

pytestmark = pytest.mark.airflow


def on(url: str) -> StartOptions:
    return StartOptions(database=DatabaseOptions(url=url))


def test_airflow_on_a_server(
    environment: Environment, project: Project, prepared: Project, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """The whole life on a server, in one start since each costs seconds."""
    url = postgres_server.make("shop")
    events: list[Event] = []
    started = environment.start(on(url), listener=events.append)
    shown = f"postgresql://••••••@127.0.0.1:{postgres_server.port}/shop"
    assert f"The metadata database is {shown}." in started.notes
    assert any(f"PostgreSQL, {shown}" in getattr(event, "detail", "") for event in events)
    assert all(component.healthy for component in started.status.components)
    assert not (project.standalone_dir / "airflow.db").exists()

    # What runs is in the server, and what runs without a scheduler is not, but sees the variables that are there.
    environment.objects.set("variable", "greeting_from_server", {"value": "from the server"}, to="airflow", new=True)
    (project.root / "dags" / "orders.py").write_text(
        (project.root / "dags" / "orders.py").read_text().replace("'greeting'", "'greeting_from_server'")
    )
    assert environment.trigger("orders", wait=True, timeout=60).state == "success"
    run = environment.test_dag("orders")
    assert (run.state, run["load"].value) == ("success", "from the server 406")
    count = "SELECT count(*) FROM dag_run WHERE run_type = 'manual'"
    assert postgres_server.query(count, database="shop") == "1"

    # The same again is no error; another one is.
    assert environment.start(on(url)).already_running
    with pytest.raises(EngineError, match="%astro_stop"):
        environment.start(on("sqlite"))

    # The next start goes on with it, and tells nothing of a schema that is right.
    environment.stop()
    again: list[Event] = []
    assert environment.start(listener=again.append).notes == started.notes
    assert not [event for event in again if getattr(event, "key", "") == "database"]

    # The password is in no argument, no output, and no file that others can read.
    password = postgres_server.password
    said = [repr(events), repr(again), repr(environment.status()), repr(started)]
    said += [line.text for line in environment.logs(LogQuery(tail=None))]
    for process in processes_of(project):
        said += process.cmdline()
    assert not [text for text in said if password in text or quote(password, safe="") in text]
    for file in project.root.rglob("*"):
        if file.is_file() and "environments" not in file.parts:
            content = file.read_bytes()
            if password.encode() in content or quote(password, safe="").encode() in content:
                assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
                assert file.name == "database.json"

    # Back to the file of the project: it has nothing of all this.
    environment.stop()
    environment.start(on("sqlite"))
    with environment.engine.api().client() as client:
        assert client.get("/dags/orders/dagRuns")["total_entries"] == 0
    assert postgres_server.query(count, database="shop") == "1"


def test_a_server_that_does_not_do(environment: Environment, project: Project, postgres_server: PostgresServer) -> None:
    """Each reason is one sentence, nothing was started, and the choice from before holds."""
    url = postgres_server.make("bare")
    postgres_server.query("ALTER DATABASE bare OWNER TO chief")
    here = f"127.0.0.1:{postgres_server.port}"
    nobody = free_port("127.0.0.1")
    refusals = {
        postgres_server.url("bare", password="wrong-one-33"): f"PostgreSQL on {here} refuses the login of bare.",
        postgres_server.url("bare", user="stranger"): f"PostgreSQL on {here} refuses the login of stranger.",
        postgres_server.url("nothing", user="bare"): f"PostgreSQL on {here} has no database nothing.",
        f"postgresql://ana:s3cret-word@127.0.0.1:{nobody}/x": f"PostgreSQL on 127.0.0.1:{nobody} cannot be reached.",
        "postgresql://ana:s3cret-word@no-such-host.invalid/x": "PostgreSQL on no-such-host.invalid cannot be reached.",
        url: f"The database bare on {here} lets bare make no tables.",
    }
    for address, message in refusals.items():
        with pytest.raises(DatabaseError) as refused:
            environment.start(on(address))
        assert refused.value.message == message
        assert not [word for word in ("wrong-one-33", "s3cret-word") if word in str(refused.value)]
        assert processes_of(project) == []
        assert not (project.state_dir / "database.json").exists()

    postgres_server.query("ALTER DATABASE bare SET default_transaction_read_only = on")
    with pytest.raises(DatabaseError, match="is read-only"):
        environment.start(on(url))
    postgres_server.query("ALTER DATABASE bare RESET default_transaction_read_only")

    postgres_server.query("CREATE TABLE alembic_version (version_num text)", database="bare")
    postgres_server.query("INSERT INTO alembic_version VALUES ('of_the_future')", database="bare")
    postgres_server.query("GRANT ALL ON SCHEMA public TO bare; GRANT ALL ON alembic_version TO bare", database="bare")
    with pytest.raises(DatabaseError, match=r"(?s)made by a newer Airflow; .* name an empty database"):
        environment.start(on(url))


def test_a_server_that_is_stopped_and_back(
    environment: Environment, prepared: Project, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """A server that is away at the next start is told; the choice stays, since it was made before."""
    environment.start(on(postgres_server.make("away")))
    environment.stop()
    with postgres_server.stopped(), pytest.raises(DatabaseError, match=r"cannot be reached\."):
        environment.start()
    assert environment.start().status.state == "running"
    second = open_environment(copy_of(prepared, tmp_path / "second"))
    assert second.status().state == "stopped"
