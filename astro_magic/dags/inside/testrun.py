"""Run a DAG in this one process, with no scheduler, on a copy of the metadata database.

The copy keeps the run out of the way of a scheduler that works on the original, and brings its connections and
variables along.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["main"]

_Emit = Callable[[dict[str, Any]], None]
_VALUE_LIMIT = 256_000
_LOG_LINES = 40
_LINE_LIMIT = 500
#: A line of Airflow's own log format: time, level, message, logger.
_LOGGED = re.compile(r"^\d{4}-\d\d-\d\dT\S+ \[(?P<level>\w+)\s*\] (?P<message>.*?)\s+\[(?P<logger>[\w.]+)\]")


def main(request: dict[str, Any], emit: _Emit) -> dict[str, Any]:
    """Run ``request["dag_id"]`` and tell each task's state as it changes."""
    from airflow.dag_processing.dagbag import DagBag

    # The DAG processor lets DAG files import what stands beside them; this is a process of its own, so it may as well.
    sys.path.append(request["dags_folder"])
    dag = None
    errors: dict[str, str] = {}
    for file in request["files"]:
        bag = DagBag(file, safe_mode=True, bundle_path=request["dags_folder"])
        errors.update(bag.import_errors)
        dag = bag.dags.get(request["dag_id"])
        if dag is not None:
            break
    if dag is None:
        return {"missing": True, "errors": errors}
    needs_others = any(task.task_type == "TriggerDagRunOperator" for task in dag.tasks)
    only = None if needs_others else dag.fileloc
    with tempfile.TemporaryDirectory(prefix="astro-magic-run-") as folder:
        _use_copy(request["database"], Path(folder) / "airflow.db", only)
        recorder = _Recorder(emit)
        with recorder.watch():
            started = time.perf_counter()
            run = dag.test(run_conf=request["conf"])
            seconds = time.perf_counter() - started
        return {
            "run_id": run.run_id,
            "state": _state(run.state),
            "seconds": seconds,
            "logical_date": (run.logical_date or run.run_after).isoformat(),
            "tasks": recorder.finish(run),
        }


def _state(state: Any) -> str:
    """Give a state as Airflow's API writes it."""
    return str(getattr(state, "value", state) or "none")


def _use_copy(source: str, copy: Path, only: str | None) -> None:
    """Work on a copy of the database, and read no other DAG file than the one that is run."""
    with contextlib.closing(sqlite3.connect(source)) as read, contextlib.closing(sqlite3.connect(copy)) as write:
        read.backup(write)
    os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{copy}"
    if only is not None:
        bundle = {
            "name": "dags-folder",
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": only},
        }
        os.environ["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"] = json.dumps([bundle])
    from airflow import settings

    settings.dispose_orm()
    settings.configure_vars()
    settings.configure_orm()


class _Recorder:
    """Watch tasks run: their states, times, results and last log lines."""

    def __init__(self, emit: _Emit) -> None:
        self.emit = emit
        self.tasks: dict[str, dict[str, Any]] = {}
        self.log = _Lines()

    @contextlib.contextmanager
    def watch(self) -> Any:
        """Stand between ``DAG.test`` and the function that runs one task."""
        from airflow.sdk.execution_time import supervisor

        original = supervisor.run_task_in_process

        def recorded(*, ti: Any, task: Any, **more: Any) -> Any:
            name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"
            known = self.tasks.setdefault(name, {"task_id": name, "tries": 0, "seconds": 0.0, "error": ""})
            known["tries"] = ti.try_number
            self.emit({"task_id": name, "state": "running", "try_number": ti.try_number})
            started = time.perf_counter()
            try:
                with contextlib.redirect_stdout(self.log):
                    outcome = original(ti=ti, task=task, **more)
            except BaseException as problem:
                known["error"] = f"{type(problem).__name__}: {problem}"
                raise
            else:
                known["error"] = f"{type(outcome.error).__name__}: {outcome.error}" if outcome.error else ""
                known["state"] = _state(outcome.state)
            finally:
                known["seconds"] += time.perf_counter() - started
                known["log"] = self.log.take()
                self._tell(known, ti)
            return outcome

        supervisor.run_task_in_process = recorded
        try:
            yield
        finally:
            supervisor.run_task_in_process = original

    def _tell(self, known: dict[str, Any], ti: Any) -> None:
        known.setdefault("state", "failed")
        known.update(_result_of(ti))
        told = {name: known.get(name) for name in ("task_id", "state", "seconds")}
        self.emit({**told, "try_number": ti.try_number, "result": known.get("summary", "")})

    def finish(self, run: Any) -> list[dict[str, Any]]:
        """Give every task's final state; those that never ran as well."""
        for ti in run.get_task_instances():
            name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"
            known = self.tasks.setdefault(name, {"task_id": name, "tries": ti.try_number, "seconds": 0.0, "error": ""})
            known["state"] = _state(ti.state)
        return list(self.tasks.values())


class _Lines:
    """A text stream that keeps the last lines of what the running task prints and logs.

    Airflow logs to standard output here; its own bookkeeping between the task's lines is left out.
    """

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=_LOG_LINES)
        self.rest = ""

    def take(self) -> list[str]:
        """Give the lines that were kept, and begin anew."""
        lines = [*self.lines, self.rest] if self.rest else list(self.lines)
        self.lines.clear()
        self.rest = ""
        return lines

    def write(self, text: str) -> int:
        *whole, self.rest = (self.rest + text).split("\n")
        self.lines.extend(line[:_LINE_LIMIT] for line in whole if not _is_bookkeeping(line))
        return len(text)

    def flush(self) -> None:
        """Nothing is held back but an unfinished line."""

    def isatty(self) -> bool:
        return False


def _is_bookkeeping(line: str) -> bool:
    found = _LOGGED.match(line)
    if found is None:
        return False
    level, message, logger = found["level"], found["message"], found["logger"]
    if message.startswith("::"):
        return True
    return level in ("info", "debug") and (logger == "task" or logger.startswith("airflow."))


def _result_of(ti: Any) -> dict[str, Any]:
    """Describe what a task returned, and give the value where it is small JSON."""
    from airflow.models.xcom import XComModel
    from airflow.sdk.execution_time.xcom import XCom
    from airflow.utils.session import create_session
    from sqlalchemy import select

    question = select(XComModel).where(
        XComModel.dag_id == ti.dag_id,
        XComModel.task_id == ti.task_id,
        XComModel.run_id == ti.run_id,
        XComModel.map_index == ti.map_index,
        XComModel.key == "return_value",
    )
    try:
        with create_session() as session:
            row = session.scalars(question).first()
            if row is None:
                return {"summary": ""}
            value = XCom.deserialize_value(row)
    except Exception as problem:
        return {"summary": f"unreadable ({type(problem).__name__})"}
    return _describe(value)


def _describe(value: Any) -> dict[str, Any]:
    try:
        text = json.dumps(value)
        if json.loads(text) == value and len(text) <= _VALUE_LIMIT:
            return {"summary": _summary(value), "value": value}
    except (TypeError, ValueError):
        pass
    return {"summary": _summary(value)}


def _summary(value: Any) -> str:
    """Put a value in a few words: ``list of 812``, ``DataFrame 790 × 6``."""
    kind = type(value).__name__
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"{kind} {' × '.join(str(size) for size in shape)}"
    if isinstance(value, (list, tuple, set)):
        return f"{kind} of {len(value)}"
    if isinstance(value, dict):
        return f"dict of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
