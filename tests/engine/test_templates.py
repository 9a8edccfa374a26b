"""The built-in templates really run: their requirements install, their DAGs parse, and a run succeeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from astro_magic.environment import open_environment
from astro_magic.project.project import Project
from astro_magic.sources.templates import find_template
from tests.engine.living import processes_of

pytestmark = pytest.mark.airflow


@pytest.mark.parametrize(
    ("template", "dag_id", "results", "tasks"),
    [
        (
            "etl",
            "etl_orders",
            {
                "load": 4,
                "report": [
                    {"day": "2025-03-01", "country": "DE", "orders": 1, "revenue": 19.9},
                    {"day": "2025-03-01", "country": "FR", "orders": 1, "revenue": 5.0},
                    {"day": "2025-03-02", "country": "DE", "orders": 1, "revenue": 7.25},
                    {"day": "2025-03-02", "country": "IT", "orders": 1, "revenue": 12.4},
                ],
            },
            {"extract", "transform"},
        ),
        ("ml", "train_iris", {"predict": ["setosa", "virginica"]}, {"train", "evaluate"}),
        ("dbt", "dbt_shop", {}, {"raw_orders_seed", "stg_orders.run", "customers.run", "customers.test"}),
    ],
)
def test_a_template_runs(
    template: str,
    dag_id: str,
    results: dict[str, Any],
    tasks: set[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One project for each template: environment, parse, test run."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    project = Project.create(tmp_path / "shop", template=find_template(template)).project
    environment = open_environment(project)
    environment.prepare()
    try:
        (file,) = (project.root / "dags").glob("*.py")
        parsed = environment.parse(file.name)
        assert parsed.failure is None, parsed.failure.traceback
        assert [dag.dag_id for dag in parsed.dags] == [dag_id]

        run = environment.test_dag(dag_id)

        assert run.state == "success", [(task.task_id, task.state, task.error, task.log) for task in run.tasks]
        assert {task: run[task].value for task in results} == results
        assert {task.task_id for task in run.tasks} >= tasks
    finally:
        environment.stop()
    assert processes_of(project) == []


def test_an_empty_project_has_no_dags(tmp_path: Path) -> None:
    """Nothing to parse; the folder of DAGs is there."""
    project = Project.create(tmp_path / "shop", template=find_template("empty")).project
    assert list((project.root / "dags").glob("*.py")) == []
    assert open_environment(project).dag_ids() == ()
