"""A run of a three-task DAG without a scheduler, beside ``airflow dags test``; and a parse beside a fresh process."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from benchmarks._measure import Row, alternate, show, timed
from benchmarks._project import DAG, baseline_environment, measured_project

_ROUNDS = 5


def main() -> None:
    """Measure and print."""
    with measured_project() as environment, tempfile.TemporaryDirectory() as folder:
        variables = baseline_environment(environment, Path(folder) / "home")

        def command(*words: str) -> None:
            subprocess.run(words, env=variables, check=True, capture_output=True)

        command("airflow", "db", "migrate")
        command("airflow", "dags", "reserialize")
        first = timed(lambda: environment.test_dag(DAG))
        run, dags_test = alternate(
            _ROUNDS,
            lambda: timed(lambda: environment.test_dag(DAG)),
            lambda: timed(lambda: command("airflow", "dags", "test", DAG)),
        )
        parse, import_errors = alternate(
            _ROUNDS,
            lambda: timed(lambda: environment.parse("orders.py")),
            lambda: timed(lambda: command("airflow", "dags", "list-import-errors")),
        )
    show(
        [
            Row("%astro_run, three tasks", run, dags_test, "s", "at most 0.33"),
            Row("%%dag, parse", parse, import_errors, "s", "-"),
        ]
    )
    print(f"\nfirst %astro_run of a project, Airflow's import included: {first:.2f} s")
    print("otherwise: airflow dags test · airflow dags list-import-errors")


if __name__ == "__main__":
    main()
