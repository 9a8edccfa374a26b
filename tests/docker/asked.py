"""What an Airflow that runs in containers tells of its connections, variables and pools."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from astro_magic.airflow.objects import AirflowObject, apply_objects
from astro_magic.engines.options import LogQuery
from astro_magic.environment import Environment
from astro_magic.errors import EngineError
from astro_magic.objects.asking import ConnectionTest, connection_types, look_up, read_database, try_connection
from astro_magic.project.project import Project
from astro_magic.system.events import Event, run
from tests.docker.observing import api_of

__all__ = ["add_secrets_backend", "check_asking", "check_asking_while_stopped"]

SECRET = "sesame/open+4711 ü"
TOKEN = "sesame-token-4711"
LOCAL = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
FILE = "/usr/local/airflow/include/secrets.yaml"
DATABASE = {
    "conn_type": "postgres",
    "host": "postgres",
    "schema": "postgres",
    "login": "postgres",
    "password": "postgres",
    "port": 5432,
    "extra": '{"application_name":  "shop"}',
    "description": "its own",
}
GUARDED = {**DATABASE, "password": SECRET, "extra": json.dumps({"gssencmode": TOKEN})}


def add_secrets_backend(project: Project) -> dict[str, str]:
    """Write a file that Airflow finds secrets in; gives the variables that say so."""
    file = project.root / "include" / "secrets.yaml"
    file.write_text(f"in_file: http://me:{TOKEN}@file.invalid\nboth: ftp://file.invalid\n")
    return {
        "AIRFLOW__SECRETS__BACKEND": LOCAL,
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": FILE}),
        "AIRFLOW_CONN_BOTH": "ssh://environment.invalid",
        "AIRFLOW_CONN_IN_ENVIRONMENT": "ssh://postgres:1",
    }


def check_asking(environment: Environment) -> None:
    """Ask a running environment that has this backend; no secret may be in what is told on the way."""
    engine = environment.engine
    events: list[Event] = []
    results: list[object] = []

    def test(**given: Any) -> ConnectionTest:
        found = run(try_connection(engine, **given), events.append)
        results.append(found)
        return found

    with api_of(environment) as client:
        written = {"own": DATABASE, "guarded": GUARDED}
        applied = apply_objects(client, [AirflowObject("connection", *item) for item in written.items()])
    assert [result.outcome for result in applied if result.outcome == "failed"] == []

    stored = run(read_database(engine), events.append)
    values = {item.key: item.values for item in stored.objects}
    assert _without_team(values["connection/own"]) == DATABASE
    assert _without_team(values["connection/guarded"]) == GUARDED
    assert values["variable/region"]["value"] == "north"
    assert values["pool/default_pool"]["include_deferred"] in (True, False)
    assert stored.problems == {}

    own = test(name="own")
    assert (own.outcome, own.how, own.source) == ("passed", "provider", "database"), own
    wrong = test(values={**DATABASE, "password": SECRET})
    assert (wrong.outcome, wrong.how, wrong.source) == ("failed", "provider", "values")
    assert "authentication failed" in wrong.message
    guarded = test(name="guarded")
    assert (guarded.outcome, "gssencmode" in guarded.message) == ("failed", True), guarded
    reached = test(values={"conn_type": "redis", "host": "redis://postgres", "port": 5432})
    assert (reached.outcome, reached.how) == ("passed", "tcp")
    assert test(name="in_environment").message == "Nobody takes connections at postgres:1."
    assert test(name="in_file").source == LOCAL

    found = run(look_up(engine, "connection", ["own", "in_environment", "both", "nowhere"]), events.append)
    assert found.problems == ()
    assert {name: origin.source for name, origin in found.by_name.items()} == {
        "own": "database",
        "in_environment": "environment",
        "both": LOCAL,
        "nowhere": "",
        "in_file": LOCAL,
    }
    in_file = found.by_name["in_file"].values
    assert in_file is not None
    assert (in_file["login"], in_file["password"]) == ("me", TOKEN)
    variables = run(look_up(engine, "variable", ["greeting", "region"]), events.append)
    assert {name: origin.source for name, origin in variables.by_name.items()} == {
        "greeting": "environment",
        "region": "database",
    }
    assert {"postgres", "fs", "generic"} <= set(run(connection_types(engine), events.append))

    logged = [line.text for line in engine.logs(LogQuery(tail=None))]
    told = repr([events, results, stored, found, variables, logged])
    assert not [secret for secret in (SECRET, TOKEN, "sesame/", "sesame%2F") if secret in told]


def check_asking_while_stopped(environment: Environment) -> None:
    """Without the database server, what does not stand in it is there."""
    with pytest.raises(EngineError, match="Airflow's database does not answer: ") as error:
        run(read_database(environment.engine))
    assert "%astro_start" in str(error.value.hint)
    found = run(look_up(environment.engine, "connection", ["own", "in_environment"]))
    (problem,) = found.problems
    assert problem.startswith("The metadata database cannot be read: ")
    assert {name: origin.source for name, origin in found.by_name.items()} == {
        "own": "",
        "in_environment": "environment",
        "in_file": LOCAL,
        "both": LOCAL,
    }


def _without_team(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what only Airflow 3 has."""
    return {name: value for name, value in values.items() if name != "team_name"}
