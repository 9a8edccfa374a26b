"""Real Airflow on the local engine; one environment is built for all tests, each of which has a project of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from astro_magic.engines.local.last_port import remember_port
from astro_magic.environment import Environment, open_environment
from astro_magic.project.project import Project
from tests.engine.living import processes_of
from tests.servers.processes import free_port

REQUIREMENT = "humanize==4.9.0"

DAG = """
import pendulum
from airflow.sdk import Variable, dag, task


@dag(schedule="@daily", start_date=pendulum.datetime(2026, 1, 1), catchup=False, tags=["test"])
def orders():
    @task
    def extract():
        import humanize

        print("extracting", humanize.intcomma(12345))
        return list(range(812))

    @task
    def clean(rows):
        return [row for row in rows if row % 2]

    @task
    def load(rows):
        return f"{Variable.get('greeting')} {len(rows)}"

    load(clean(extract()))


orders()
"""


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose environment has been built; only ever copied."""
    project = Project.create(tmp_path_factory.mktemp("prepared") / "shop").project
    project.requirements.add(REQUIREMENT)
    open_environment(project).prepare()
    return project


@pytest.fixture
def project(prepared: Project, tmp_path: Path) -> Iterator[Project]:
    """A project with an environment, a DAG and a variable; whatever runs for it is ended, and must be."""
    made = copy_of(prepared, tmp_path / "shop")
    yield made
    open_environment(made).stop()
    assert processes_of(made) == []


@pytest.fixture
def environment(project: Project) -> Environment:
    """The environment of that project."""
    return open_environment(project)


def copy_of(prepared: Project, root: Path) -> Project:
    """Copy the project whose environment has been built; give it a DAG, a variable and a port of its own.

    Between two starts nobody listens on that, and the usual one is taken by tests beside this one.
    """
    shutil.copytree(prepared.root, root, symlinks=True, copy_function=_link)
    made = Project(root)
    (root / "dags" / "exampledag.py").unlink()
    (root / "dags" / "orders.py").write_text(DAG)
    made.apply(made.dotenv.plan_set({"AIRFLOW_VAR_GREETING": "hello"}))
    remember_port(made.make_state_dir(), free_port("127.0.0.1"))
    return made


def _link(source: str, target: str) -> None:
    """Share what is installed; copy what is written to."""
    if f"{os.sep}environments{os.sep}" in source:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


@pytest.fixture
def other_kernel(project: Project) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start a Python of its own, as a second kernel is one; the code sees ``environment``."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str) -> subprocess.Popen[str]:
        prelude = f"""
            from astro_magic.environment import open_environment
            from astro_magic.project.project import Project

            environment = open_environment(Project.find({str(project.root)!r}))
            tell = lambda event: print(event, flush=True)
        """
        program = textwrap.dedent(prelude) + textwrap.dedent(code)
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
