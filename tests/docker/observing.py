"""What the tests of a whole life look at: which containers run since when, what a DAG sees, whether the UI answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker

from astro_magic.airflow.client import AirflowClient
from astro_magic.airflow.runs import DagRun
from astro_magic.engines.docker.names import SERVICE_LABEL
from astro_magic.environment import Environment
from astro_magic.project.project import Project
from astro_magic.system.events import OutputLine
from tests.docker.conftest import IMPORTS
from tests.docker.living import containers_of

__all__ = ["WORKERS", "added", "api_of", "identities", "lines_of", "run_of", "variable_of", "write_dag"]

WORKERS = ("scheduler", "dag-processor", "triggerer")
_TIMEOUT = 180.0

_DAG = """
import datetime
import os
import time

{imports}
{more}


@dag(schedule=None, start_date=datetime.datetime(2026, 1, 1), catchup=False, tags=["test"])
def {dag_id}():
    @task
    def check():
        {statement}

    check()


{dag_id}()
"""


@contextmanager
def added(file: Path, text: str) -> Iterator[None]:
    """Put something at the end of a file, as long as the context lasts."""
    before = file.read_text()
    file.write_text(before + text)
    try:
        yield
    finally:
        file.write_text(before)


def identities(client: docker.DockerClient, project: Project) -> dict[str, tuple[str, str]]:
    """Give by service which container of a project runs, and since when."""
    return {
        container.labels[SERVICE_LABEL]: (container.id, container.attrs["State"]["StartedAt"])
        for container in containers_of(client, project)
        if container.status == "running"
    }


def write_dag(project: Project, dag_id: str, statement: str, *, more: str = "", airflow: str = "3") -> None:
    """Write a DAG whose one task executes a statement; it succeeds when nothing is raised."""
    text = _DAG.format(dag_id=dag_id, statement=statement, more=more, imports=IMPORTS[airflow])
    (project.root / "dags" / f"{dag_id}.py").write_text(text)


def run_of(environment: Environment, dag_id: str) -> DagRun:
    """Run a DAG to its end, which has to be a good one."""
    ended = environment.trigger(dag_id, wait=True, timeout=_TIMEOUT)
    assert ended.state == "success", ended
    return ended


def lines_of(environment: Environment, *argv: str, component: str = "") -> list[str]:
    """Run a command in the environment; gives the lines of its output."""
    events: list[object] = []
    assert environment.run(argv, component=component, listener=events.append) == 0, events
    return [event.text for event in events if isinstance(event, OutputLine) and event.source == "stdout"]


def api_of(environment: Environment) -> AirflowClient:
    """Give a client of the environment's API, to be closed."""
    access = environment.engine.api()
    return AirflowClient(access.base_url, access.username, access.password, airflow_major=access.airflow_major)


def variable_of(environment: Environment, key: str) -> str | None:
    """Give the value that a variable has in Airflow; None when there is no such variable."""
    with api_of(environment) as client:
        found: dict[str, str] = {row["key"]: row["value"] for row in client.rows("/variables", "variables")}
    return found.get(key)
