"""A second project's environment, beside uv; and a package that a running DAG imports, beside a restart for it."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import time
from pathlib import Path

from uv import find_uv_bin

from astro_magic.engines.local.environments import current_environment
from astro_magic.environment import Environment, open_environment
from astro_magic.errors import AirflowError
from astro_magic.project.project import Project
from astro_magic.system import processes
from benchmarks._measure import Row, alternate, show, timed
from benchmarks._project import measured_project
from tests.servers.backend import write_wheel

_ROUNDS = 5
_PATIENCE = 120.0
_DAG = """
import pendulum
import {module}
from airflow.sdk import dag, task


@dag(schedule=None, start_date=pendulum.datetime(2026, 1, 1))
def {module}_imported():
    @task
    def nothing():
        return {module}.VALUE

    nothing()


{module}_imported()
"""


def main() -> None:
    """Measure and print."""
    with measured_project() as environment, tempfile.TemporaryDirectory() as folder:
        numbers = itertools.count()
        ours, with_uv = alternate(
            _ROUNDS,
            lambda: timed(lambda: _second_project(Path(folder) / f"shop{next(numbers)}")),
            lambda: timed(lambda: _by_uv(environment, Path(folder) / f"plain{next(numbers)}")),
        )
        wheels = Path(folder) / "wheels"
        wheels.mkdir()
        os.environ["UV_FIND_LINKS"] = os.fspath(wheels)
        environment.start()
        added, restarted = alternate(
            _ROUNDS,
            lambda: _until_imported(environment, wheels, f"added{next(numbers)}", restart=False),
            lambda: _until_imported(environment, wheels, f"restarted{next(numbers)}", restart=True),
        )
    show(
        [
            Row("environment of a second project", ours, with_uv, "s", "under 2 s"),
            Row("package until a DAG imported it", added, restarted, "s", "under 3 s"),
        ]
    )
    print("\notherwise: uv venv, uv pip install --compile-bytecode with a warm cache · %astro_restart")


def _second_project(root: Path) -> None:
    """Make a project, from nothing until its environment is ready."""
    made = open_environment(Project.create(root).project, engine="local").prepare()
    assert made.created


def _by_uv(environment: Environment, folder: Path) -> None:
    """Install the same packages with uv alone."""
    present = current_environment(environment.project)
    assert present is not None
    for words in (
        ["venv", "--quiet", "--python", os.fspath(present.python.resolve()), os.fspath(folder)],
        ["pip", "install", "--quiet", "--compile-bytecode", "--python", os.fspath(folder / "bin" / "python")],
    ):
        packages = [f"apache-airflow=={present.airflow_version}"] if words[0] == "pip" else []
        done = processes.run([find_uv_bin(), *words, *packages])
        assert done.code == 0, done.errors
    shutil.rmtree(folder, ignore_errors=True)


def _until_imported(environment: Environment, wheels: Path, name: str, *, restart: bool) -> float:
    """Ask for a package, write a DAG that imports it, and wait until the running Airflow has that DAG."""
    project = environment.project
    write_wheel(wheels, name, "1.0", [], {f"{name}.py": "VALUE = 812"})
    started = time.perf_counter()
    text = f"{project.requirements.text()}\n{name}==1.0\n"
    environment.check_requirements(text)
    (project.root / "requirements.txt").write_text(text)
    if restart:
        environment.restart()
    else:
        assert environment.add_packages()
    (project.root / "dags" / f"{name}.py").write_text(_DAG.format(module=name))
    while not _has(environment, f"{name}_imported"):
        if time.perf_counter() - started > _PATIENCE:
            raise RuntimeError(f"{name} did not arrive")
        time.sleep(0.05)
    return time.perf_counter() - started


def _has(environment: Environment, dag_id: str) -> bool:
    try:
        with environment.engine.api().client() as client:
            return client.get(f"/dags/{dag_id}") is not None
    except AirflowError:
        return False


if __name__ == "__main__":
    main()
