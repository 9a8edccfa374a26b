"""``%astro`` on a project of 500 DAG files, beside looking for the DAGs with grep from a cell; in a real kernel."""

from __future__ import annotations

import tempfile
from pathlib import Path

from astro_magic.project.project import Project
from benchmarks._kernel import timed_kernel
from benchmarks._measure import Row, alternate, show

_ROUNDS = 9
_FILES = 500
_DAG = '''"""The pipeline of region {number}."""

import pendulum
from airflow.sdk import dag, task


@dag(dag_id="region_{number}", schedule="@daily", start_date=pendulum.datetime(2026, 1, 1), tags=["region"])
def region():
{tasks}

region()
'''
_TASK = '''    @task
    def step_{step}():
        """Do one step."""
        return {step}

    step_{step}()

'''


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project.create(Path(folder) / "shop").project
        dags = project.root / "dags"
        for number in range(_FILES):
            tasks = "".join(_TASK.format(step=step) for step in range(8))
            (dags / f"region_{number}.py").write_text(_DAG.format(number=number, tasks=tasks))
        with timed_kernel(project.root) as kernel:
            first = kernel.run("%astro")
            overview, grep = alternate(
                _ROUNDS, lambda: kernel.run("%astro"), lambda: kernel.run("!grep -rn dag_id dags; cat Dockerfile .env")
            )
    show([Row(f"%astro, {_FILES} DAG files", overview, grep, "ms", "under 150 ms")])
    print(f"\nfirst %astro of a session: {first:.0f} ms")
    print("otherwise: grep -rn dag_id dags, from a cell")


if __name__ == "__main__":
    main()
