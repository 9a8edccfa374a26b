"""Run a DAG in one process, without a scheduler, and tell its tasks as they run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from astro_magic.dags.inside import testrun as script
from astro_magic.dags.paths import outside_paths
from astro_magic.dags.results import TaskResult, TestRun
from astro_magic.engines.engine import Engine
from astro_magic.errors import DagImportError, DagNotFoundError
from astro_magic.project.dags.files import DagFile, dag_files, dag_ids
from astro_magic.project.project import Project
from astro_magic.system.events import Event, Operation, TaskUpdate

__all__ = ["dag_ids", "last_change", "run_dag"]


def last_change(project: Project, dag_id: str) -> float | None:
    """Give when the file that seems to define a DAG was last changed, in seconds since the epoch; None if none does."""
    return max((file.modified for file in dag_files(project) if _suggests(file, dag_id)), default=None)


def run_dag(engine: Engine, dag_id: str, *, conf: Mapping[str, Any] | None = None) -> Operation[TestRun]:
    """Run a DAG once.

    Parameters
    ----------
    engine : Engine
        Where Airflow is; it need not be running.
    dag_id : str
        Which DAG.
    conf : mapping, optional
        The run's configuration, JSON.

    Raises
    ------
    DagNotFoundError
        When no DAG file defines it.
    DagImportError
        When it was not found, and a file that may define it does not import.
    """
    project = engine.project
    files = sorted(dag_files(project), key=lambda file: not _suggests(file, dag_id))
    request = {
        "dag_id": dag_id,
        "project": str(project.root),
        "files": [file.path.relative_to(project.root).as_posix() for file in files],
        "database": str(project.standalone_dir / "airflow.db"),
        "conf": dict(conf or {}),
    }
    found = yield from engine.call(Path(script.__file__), request, stage="execution", event=_update)
    if found.get("missing"):
        errors = {
            file: outside_paths(error, inside=found["project"], root=project.root)
            for file, error in found["errors"].items()
        }
        raise _missing(project, dag_id, errors)
    return TestRun(
        dag_id=dag_id,
        run_id=found["run_id"],
        state=found["state"],
        seconds=found["seconds"],
        logical_date=datetime.fromisoformat(found["logical_date"]),
        tasks=tuple(_task(task) for task in found["tasks"]),
    )


def _suggests(file: DagFile, dag_id: str) -> bool:
    return any(dag.dag_id == dag_id for dag in file.dags)


def _missing(project: Project, dag_id: str, errors: Mapping[str, str]) -> DagNotFoundError | DagImportError:
    if errors:
        names = ", ".join(sorted(errors))
        msg = f"There is no DAG {dag_id}; it may be in a file that does not import: {names}."
        return DagImportError(msg, detail="\n".join(str(error).strip() for error in errors.values()))
    known = ", ".join(dag_ids(project)) or "none"
    return DagNotFoundError(f"There is no DAG {dag_id} in dags/.", hint=f"The DAGs there are: {known}.")


def _update(told: dict[str, Any]) -> Event:
    return TaskUpdate(
        task_id=told["task_id"],
        state=told["state"],
        try_number=told["try_number"],
        seconds=told.get("seconds"),
        result=told.get("result", ""),
    )


def _task(task: dict[str, Any]) -> TaskResult:
    known = {"_value": task["value"]} if "value" in task else {}
    return TaskResult(
        task_id=task["task_id"],
        state=task["state"],
        tries=task["tries"],
        seconds=task["seconds"],
        summary=task.get("summary", ""),
        error=task["error"],
        log=tuple(task.get("log", ())),
        **known,
    )
