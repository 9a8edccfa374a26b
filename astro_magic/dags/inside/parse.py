"""Import one DAG file as the DAG processor would, and tell what it defines."""

from __future__ import annotations

import inspect
import os
import sys
import time
from typing import Any

__all__ = ["main"]


def main(request: dict[str, Any], emit: object) -> dict[str, Any]:
    """Parse ``request["file"]``, a path below ``request["project"]``.

    Gives DAGs, the import error, and what Airflow passes over; and the project's folder, for the error's paths.
    """
    os.environ["AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACK_DEPTH"] = "50"
    from airflow.utils.file import might_contain_dag

    # The DAG processor lets DAG files import what stands beside them; this is a process of its own, so it may as well.
    dags_folder = os.path.join(request["project"], "dags")
    sys.path.append(dags_folder)
    file = os.path.join(request["project"], request["file"])
    started = time.perf_counter()
    bag = _bag(file, dags_folder)
    seconds = time.perf_counter() - started
    error = next(iter(bag.import_errors.values()), "")
    dags = []
    for dag in bag.dags.values():
        try:
            dags.append(_describe(dag))
        except Exception:
            import traceback

            error = error or traceback.format_exc()
    return {
        "project": request["project"],
        "seconds": seconds,
        "error": error,
        "dags": dags,
        "skipped": not might_contain_dag(file, safe_mode=True),
        "warnings": [str(warning) for found in bag.captured_warnings.values() for warning in found],
    }


def _bag(file: str, dags_folder: str) -> Any:
    """Parse a file; where the class for it is, and what it takes, depends on Airflow's version."""
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:
        from airflow.models.dagbag import DagBag
    if "bundle_path" in inspect.signature(DagBag).parameters:
        return DagBag(file, safe_mode=False, bundle_path=dags_folder)
    return DagBag(file, safe_mode=False, include_examples=False)


def _describe(dag: Any) -> dict[str, Any]:
    """Describe a DAG by its serialized form, which is what the scheduler works with."""
    try:
        from airflow.serialization.serialized_objects import DagSerialization
    except ImportError:
        from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization

    scheduled = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    # The parameter, None for a DAG that never ran, has another name in each line of Airflow.
    (last, *_) = inspect.signature(scheduled.next_dagrun_info).parameters
    following = scheduled.next_dagrun_info(**{last: None})
    when = getattr(following, "run_after", None)
    return {
        "dag_id": dag.dag_id,
        "schedule": scheduled.timetable.summary or "",
        "next_run": when.isoformat() if when else None,
        "tasks": [
            {
                "task_id": task.task_id,
                "operator": getattr(task, "custom_operator_name", None) or task.task_type,
                "downstream": sorted(task.downstream_task_ids),
            }
            for task in dag.topological_sort()
        ],
    }
