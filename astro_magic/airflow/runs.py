"""DAG runs of a running Airflow."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

from astro_magic.airflow.client import AirflowClient, LateError
from astro_magic.errors import ApiError, DagImportError, DagNotFoundError
from astro_magic.system.events import Operation, Step, TaskUpdate

__all__ = ["DagRun", "TaskInstance", "running_tasks", "trigger", "unpause", "wait_for_dag", "wait_for_run"]

_POLL_SECONDS = 0.25
_FINISHED = ("success", "failed")
#: So many are named in a message.
_MOST_TASKS = 3


@dataclass(frozen=True)
class TaskInstance:
    """A task instance of a DAG run, as the REST API tells it.

    Attributes
    ----------
    task_id : str
        With the map index in brackets for a mapped task.
    state : str
        Airflow's state; ``none`` when it has not been scheduled yet.
    try_number : int
        Which try, from 1.
    seconds : float or None
        How long it ran, in seconds; None while it runs.
    """

    task_id: str
    state: str
    try_number: int = 1
    seconds: float | None = None


@dataclass(frozen=True)
class DagRun:
    """A DAG run, as the REST API tells it.

    Attributes
    ----------
    dag_id, run_id : str
        Which run.
    state : str
        ``queued``, ``running``, ``success`` or ``failed``.
    started_at, ended_at : datetime or None
        With time zone.
    tasks : tuple of TaskInstance
        Empty when they were not asked for.
    url : str
        Its page in the Airflow UI.
    """

    dag_id: str
    run_id: str
    state: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    tasks: tuple[TaskInstance, ...] = ()
    url: str = ""


def wait_for_dag(client: AirflowClient, dag_id: str, *, changed: float | None, timeout: float) -> Operation[bool]:
    """Wait until Airflow has parsed a DAG, its last change included.

    Parameters
    ----------
    client : AirflowClient
        The running Airflow.
    dag_id : str
        Which DAG.
    changed : float or None
        When its file was last changed, in seconds since the epoch; None when that is not known.
    timeout : float
        Seconds to wait.

    Returns
    -------
    bool
        Whether the DAG is paused.

    Raises
    ------
    DagImportError
        When it is not there, and a DAG file does not import.
    DagNotFoundError
        When it is not there in time.
    """
    deadline = time.monotonic() + timeout
    told = False
    while True:
        dag = client.get(f"/dags/{quote(dag_id, safe='')}")
        if dag is not None and (changed is None or _parsed_after(dag, changed)):
            return bool(dag["is_paused"])
        if time.monotonic() > deadline:
            break
        if not told:
            yield Step("dag", "dag", detail=f"waiting until Airflow has parsed {dag_id}")
            told = True
        time.sleep(_POLL_SECONDS)
    if dag is not None:
        # Known, but not parsed again: the file was touched and means the same, or does not import any more.
        return bool(dag["is_paused"])
    errors = list(client.rows("/importErrors", "import_errors"))
    if errors:
        msg = f"Airflow does not know the DAG {dag_id}; {len(errors)} DAG file(s) do not import."
        raise DagImportError(msg, detail="\n".join(error["stack_trace"].strip() for error in errors[:3]))
    msg = f"Airflow does not know the DAG {dag_id}."
    raise DagNotFoundError(msg, hint="Check its name, and that its file is below dags/.")


def trigger(client: AirflowClient, dag_id: str, *, conf: Mapping[str, Any], ui: str) -> DagRun:
    """Trigger a run of a DAG.

    Parameters
    ----------
    client : AirflowClient
        The running Airflow.
    dag_id : str
        Which DAG.
    conf : mapping
        The run's configuration.
    ui : str
        Address of the Airflow UI, for the run's link.
    """
    body: dict[str, Any] = {"conf": dict(conf)}
    if client.airflow_major >= 3:
        # Airflow 3 wants to be told that the run has none; Airflow 2 gives each run one.
        body["logical_date"] = None
    return _run(client, client.send("POST", f"/dags/{quote(dag_id, safe='')}/dagRuns", body), ui)


def unpause(client: AirflowClient, dag_id: str) -> None:
    """Let the scheduler start runs of a DAG.

    Raises
    ------
    ApiError
        When the API refuses, or does not answer.
    """
    client.send("PATCH", f"/dags/{quote(dag_id, safe='')}", {"is_paused": False})


def running_tasks(client: AirflowClient) -> int:
    """Count the task instances of all DAGs that run, or are about to.

    Raises
    ------
    ApiError
        When the API refuses, or does not answer.
    """
    params = {"state": ["running", "queued"], "limit": 1}
    return int(client.get("/dags/~/dagRuns/~/taskInstances", params=params)["total_entries"])


def wait_for_run(client: AirflowClient, run: DagRun, *, timeout: float, ui: str) -> Operation[DagRun]:
    """Wait until a run has ended, telling each task's state as it changes.

    Raises
    ------
    ApiError
        When the run has not ended in time; it goes on.
    """
    path = f"/dags/{quote(run.dag_id, safe='')}/dagRuns/{quote(run.run_id, safe='')}"
    deadline = time.monotonic() + timeout
    told: dict[str, TaskUpdate] = {}
    while time.monotonic() < deadline:
        try:
            now = _run(client, client.get(path), ui)
            tasks = tuple(_task(row) for row in client.rows(f"{path}/taskInstances", "task_instances"))
        except LateError:
            # The first task has the server build what tasks talk to, which takes a slow machine longer.
            continue
        for task in tasks:
            before = told.get(task.task_id)
            if before is None or before.state != task.state:
                told[task.task_id] = TaskUpdate(task.task_id, task.state, task.try_number, task.seconds)
                yield told[task.task_id]
        if now.state in _FINISHED:
            return replace(now, tasks=tasks)
        time.sleep(_POLL_SECONDS)
    msg = f"The run {run.run_id} has not ended within {timeout:.0f} s{_open_tasks(told.values())}; it goes on."
    raise ApiError(msg, hint="--timeout waits longer; the Airflow UI shows the run.")


def _open_tasks(tasks: Iterable[TaskUpdate]) -> str:
    """Say what a run waits for, as `` (extract is running, load has not begun)``; empty where nothing is known."""
    said = [
        f"{task.task_id} {'has not begun' if task.state == 'none' else f'is {task.state}'}"
        for task in tasks
        if not task.ended
    ]
    more = len(said) - _MOST_TASKS
    words = ", ".join([*said[:_MOST_TASKS], *([f"{more} more"] if more > 0 else [])])
    return f" ({words})" if words else ""


def _parsed_after(dag: Mapping[str, Any], changed: float) -> bool:
    parsed = dag.get("last_parsed_time")
    return parsed is not None and datetime.fromisoformat(parsed).timestamp() >= changed


def _run(client: AirflowClient, row: Mapping[str, Any], ui: str) -> DagRun:
    dag_id, run_id = row["dag_id"], row["dag_run_id"]
    page = f"{ui}/dags/{quote(dag_id, safe='')}"
    url = f"{page}/runs/{quote(run_id, safe='')}"
    if client.airflow_major < 3:
        url = f"{page}/grid?dag_run_id={quote(run_id, safe='')}"
    return DagRun(
        dag_id=dag_id,
        run_id=run_id,
        state=row["state"],
        started_at=_moment(row.get("start_date")),
        ended_at=_moment(row.get("end_date")),
        url=url,
    )


def _task(row: Mapping[str, Any]) -> TaskInstance:
    name = row["task_id"] if row["map_index"] < 0 else f"{row['task_id']}[{row['map_index']}]"
    return TaskInstance(name, row["state"] or "none", max(row["try_number"], 1), row.get("duration"))


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
