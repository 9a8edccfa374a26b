"""Import one DAG file as the DAG processor would, and tell what it defines."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

__all__ = ["main"]


def main(request: dict[str, Any], emit: object) -> dict[str, Any]:
    """Parse ``request["file"]``; gives DAGs, the import error, and what Airflow passes over."""
    os.environ["AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACK_DEPTH"] = "50"
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils.file import might_contain_dag

    # The DAG processor lets DAG files import what stands beside them; this is a process of its own, so it may as well.
    sys.path.append(request["dags_folder"])
    file = request["file"]
    started = time.perf_counter()
    bag = DagBag(file, safe_mode=False, bundle_path=request["dags_folder"])
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
        "seconds": seconds,
        "error": error,
        "dags": dags,
        "skipped": not might_contain_dag(file, safe_mode=True),
        "warnings": [str(warning) for found in bag.captured_warnings.values() for warning in found],
    }


def _describe(dag: Any) -> dict[str, Any]:
    """Describe a DAG by its serialized form, which is what the scheduler works with."""
    from airflow.serialization.serialized_objects import DagSerialization

    scheduled = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    following = scheduled.next_dagrun_info(last_automated_run_info=None)
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
