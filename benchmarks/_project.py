"""A project to measure on: an environment, three tasks, and the same Airflow for the baseline."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from astro_magic.engines.local.environments import current_environment
from astro_magic.engines.local.settings import command_environment
from astro_magic.environment import Environment, open_environment
from astro_magic.project.project import Project

__all__ = ["DAG", "baseline_environment", "measured_project"]

#: The DAG of the project.
DAG = "orders"
_CODE = """
import pendulum
from airflow.sdk import dag, task


@dag(schedule=None, start_date=pendulum.datetime(2026, 1, 1))
def orders():
    @task
    def extract():
        return list(range(812))

    @task
    def clean(rows):
        return [row for row in rows if row % 2]

    @task
    def load(rows):
        return len(rows)

    load(clean(extract()))


orders()
"""


@contextmanager
def measured_project() -> Iterator[Environment]:
    """Give the local environment of a project that is ready to start; it is stopped and removed in the end."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    folder = Path(tempfile.mkdtemp(prefix="astro-magic-bench-"))
    environment = open_environment(Project.create(folder / "shop").project, engine="local")
    try:
        (environment.project.root / "dags" / "exampledag.py").unlink()
        (environment.project.root / "dags" / f"{DAG}.py").write_text(_CODE)
        environment.prepare()
        yield environment
    finally:
        environment.stop()
        shutil.rmtree(folder, ignore_errors=True)


def baseline_environment(environment: Environment, home: Path) -> dict[str, str]:
    """Give the variables of a plain Airflow of the same version, in a home of its own, without examples."""
    local = current_environment(environment.project)
    assert local is not None
    variables = command_environment(environment.project, local, port=None)
    plain = {name: value for name, value in variables.items() if not name.startswith("AIRFLOW__")}
    return {
        **plain,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(environment.project.root / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
