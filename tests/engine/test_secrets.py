"""Secrets planted where they come from; none may come out."""

from __future__ import annotations

import json

import pytest

from astro_magic.engines.options import LogQuery
from astro_magic.environment import Environment
from astro_magic.errors import AstroMagicError
from astro_magic.project.project import Project
from astro_magic.system.events import Event
from tests.engine.living import processes_of

pytestmark = pytest.mark.airflow

PLANTED = {
    "WAREHOUSE_PASSWORD": "hunter2-planted",
    "API_TOKEN": "tok-planted-4711",
    "AIRFLOW_CONN_WAREHOUSE": "postgres://ana:s3cret-planted@127.0.0.1:5432/dwh",
}
LEAKY = """
import os
from airflow.sdk import dag, task

@dag()
def leaky():
    @task
    def tell():
        print("the password is", os.environ["WAREHOUSE_PASSWORD"])
        raise ValueError("bad token " + os.environ["API_TOKEN"])

    tell()

leaky()
"""


def test_no_secret_comes_out(environment: Environment, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    project.apply(project.dotenv.plan_set(PLANTED))
    (project.root / "dags" / "leaky.py").write_text(LEAKY)
    (project.root / "dags" / "worse.py").write_text(LEAKY + 'raise KeyError(os.environ["AIRFLOW_CONN_WAREHOUSE"])')
    shown: list[object] = []
    events: list[Event] = []

    shown.append(environment.start(listener=events.append))
    known = json.loads((project.state_dir / "secrets.json").read_text())
    environment.run(["env"], listener=events.append)
    environment.run(["cat", ".env", ".astro/magic/secrets.json"], listener=events.append)
    run = environment.test_dag("leaky", listener=events.append)
    assert "bad token" in run["tell"].error
    assert any("the password is" in line for line in run["tell"].log)
    parse = environment.parse("worse.py")
    assert parse.failure is not None
    shown += [run, parse, environment.status(), environment.pending(), *environment.logs(LogQuery(tail=None))]
    with pytest.raises(AstroMagicError) as raised:
        environment.check_requirements(
            "--index-url https://ana:s3cret-planted@127.0.0.1:9/simple\nno-such-package-1x\n"
        )
    shown.append(str(raised.value))

    text = repr(shown) + repr(events)
    assert "WAREHOUSE_PASSWORD" in text
    for secret in ["hunter2-planted", "tok-planted-4711", "s3cret-planted", *known.values()]:
        assert secret not in text, secret
    # Nor on a command line, which every user of the machine can read.
    commands = " ".join(word for process in processes_of(project) for word in process.cmdline())
    assert "astro_magic" in commands
    for secret in [*PLANTED.values(), *known.values()]:
        assert secret not in commands
