"""Run a DAG in this one process, with no scheduler, on a copy of the metadata database.

The copy keeps the run out of the way of a scheduler that works on the original, and brings its connections and
variables along.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import json
import logging
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
#: A line of Airflow's own log format: time, level, message, logger; and that of Airflow 2: time, file, level, message.
_LOGGED = re.compile(r"^\d{4}-\d\d-\d\dT\S+ \[(?P<level>\w+)\s*\] (?P<message>.*?)\s+\[(?P<logger>[\w.]+)\]")
_LOGGED_2 = re.compile(r"^\[[^]]+\] \{(?P<file>[\w.]+):\d+\} (?P<level>\w+) - (?P<message>.*)")
#: Where in Airflow 2 the bookkeeping of a task comes from.
_BOOKKEEPERS_2 = frozenset({"dag.py", "python.py", "taskinstance.py", "xcom.py"})


def main(request: dict[str, Any], emit: _Emit) -> dict[str, Any]:
    """Run ``request["dag_id"]`` and tell each task's state as it changes.

    ``request["files"]`` are searched for it: paths below ``request["project"]``. ``request["database"]`` is the SQLite
    file to copy; None where the database that Airflow is told to use is a copy already. With ``request["objects"]``
    that file is an empty one, which gets the connections, variables and pools of the database that Airflow uses.
    """
    # The DAG processor lets DAG files import what stands beside them; this is a process of its own, so it may as well.
    dags_folder = os.path.join(request["project"], "dags")
    sys.path.append(dags_folder)
    dag = None
    errors: dict[str, str] = {}
    for file in request["files"]:
        bag = _bag(os.path.join(request["project"], file), dags_folder)
        if bag.import_errors:
            errors[file] = "\n".join(bag.import_errors.values())
        dag = bag.dags.get(request["dag_id"])
        if dag is not None:
            break
    if dag is None:
        return {"missing": True, "project": request["project"], "errors": errors}
    with tempfile.TemporaryDirectory(prefix="astro-magic-run-") as folder:
        if request["database"]:
            _use_copy(request["database"], Path(folder) / "airflow.db", objects=request.get("objects", False))
        triggers = any(task.task_type == "TriggerDagRunOperator" for task in dag.tasks)
        if _is_airflow_2() and triggers:
            _bag(dags_folder, dags_folder).sync_to_db()
        elif not triggers:
            _read_only(dag.fileloc)
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


def _is_airflow_2() -> bool:
    import airflow

    return str(airflow.__version__).startswith("2.")


def _bag(path: str, dags_folder: str) -> Any:
    """Parse a file or folder; where the class for it is, and what it takes, depends on Airflow's version."""
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:
        from airflow.models.dagbag import DagBag
    if "bundle_path" in inspect.signature(DagBag).parameters:
        return DagBag(path, safe_mode=True, bundle_path=dags_folder)
    return DagBag(path, safe_mode=True, include_examples=False)


def _state(state: Any) -> str:
    """Give a state as Airflow's API writes it."""
    return str(getattr(state, "value", state) or "none")


def _use_copy(source: str, copy: Path, *, objects: bool) -> None:
    """Work on a copy of the database."""
    kept = _read_objects() if objects else []
    with contextlib.closing(sqlite3.connect(source)) as read, contextlib.closing(sqlite3.connect(copy)) as write:
        read.backup(write)
    os.environ.pop("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC", None)
    os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{copy}"
    from airflow import settings

    settings.dispose_orm()
    settings.configure_vars()
    settings.configure_orm()
    with settings.engine.begin() as connection:
        for table, rows in kept:
            connection.execute(table.delete())
            if rows:
                connection.execute(table.insert(), rows)


def _read_objects() -> list[tuple[Any, list[dict[str, Any]]]]:
    """Give the tables of connections, variables and pools with their rows, as they are stored."""
    from airflow import settings
    from airflow.models.base import Base

    names = {"connection": "connection", "variable": "variable", "pool": "slot_pool"}
    for module in names:
        importlib.import_module(f"airflow.models.{module}")
    tables = [Base.metadata.tables[name] for name in names.values()]
    with settings.engine.connect() as connection:
        return [(table, [dict(row) for row in connection.execute(table.select()).mappings()]) for table in tables]


def _read_only(file: str) -> None:
    """Let Airflow 3 read no other DAG file than the one that is run; Airflow 2 reads none for a run."""
    bundle = {
        "name": "dags-folder",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": file},
    }
    os.environ["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"] = json.dumps([bundle])


class _Recorder:
    """Watch tasks run: their states, times, results and last log lines."""

    def __init__(self, emit: _Emit) -> None:
        self.emit = emit
        self.tasks: dict[str, dict[str, Any]] = {}
        self.log = _Lines()

    @contextlib.contextmanager
    def watch(self) -> Any:
        """Stand between ``DAG.test`` and the function that runs one task."""
        output: contextlib.AbstractContextManager[Any]
        if _is_airflow_2():
            place = importlib.import_module("airflow.models.dag")
            name, recorded, output = "_run_task", self._airflow_2, self._output_of_airflow_2()
        else:
            place = importlib.import_module("airflow.sdk.execution_time.supervisor")
            name, recorded, output = "run_task_in_process", self._airflow_3, contextlib.nullcontext()
        original = getattr(place, name)
        setattr(place, name, functools.partial(recorded, original))
        try:
            with output:
                yield
        finally:
            setattr(place, name, original)

    @contextlib.contextmanager
    def _output_of_airflow_2(self) -> Any:
        """Take what tasks log, which goes to what standard output is before the first begins; and take it once."""
        logger = logging.getLogger("airflow.task")
        propagated, logger.propagate = logger.propagate, False
        try:
            with contextlib.redirect_stdout(self.log):
                yield
        finally:
            logger.propagate = propagated

    def _airflow_2(self, original: Any, *arguments: Any, **named: Any) -> Any:
        ti, session = (named.get(name) or arguments[place] for place, name in enumerate(("ti", "session")))
        with self._task(ti, session) as known:
            try:
                return original(*arguments, **named)
            finally:
                known["state"] = _state(ti.state)

    def _airflow_3(self, original: Any, *, ti: Any, task: Any, **more: Any) -> Any:
        with self._task(ti, None) as known:
            outcome = original(ti=ti, task=task, **more)
            known["error"] = f"{type(outcome.error).__name__}: {outcome.error}" if outcome.error else ""
            known["state"] = _state(outcome.state)
        return outcome

    @contextlib.contextmanager
    def _task(self, ti: Any, session: Any) -> Any:
        """Tell that a task runs, and what became of it."""
        name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"
        known = self.tasks.setdefault(name, {"task_id": name, "tries": 0, "seconds": 0.0})
        known.update(tries=ti.try_number, error="", state="failed")
        self.emit({"task_id": name, "state": "running", "try_number": ti.try_number})
        self.log.take()
        started = time.perf_counter()
        try:
            with contextlib.redirect_stdout(self.log):
                yield known
        except BaseException as problem:
            known["error"] = f"{type(problem).__name__}: {problem}"
            raise
        finally:
            known["seconds"] += time.perf_counter() - started
            known["log"] = self.log.take()
            self._tell(known, ti, session)

    def _tell(self, known: dict[str, Any], ti: Any, session: Any) -> None:
        known.update(_result_of(ti, session))
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
    if found := _LOGGED_2.match(line):
        by_airflow = found["file"] in _BOOKKEEPERS_2
        return found["message"].startswith("::") or (found["level"] in ("INFO", "DEBUG") and by_airflow)
    if found := _LOGGED.match(line):
        logger = found["logger"]
        # What a command of a task writes is logged by a hook.
        by_airflow = logger == "task" or (
            logger.startswith("airflow.") and not logger.startswith("airflow.task.hooks.")
        )
        return found["message"].startswith("::") or (found["level"] in ("info", "debug") and by_airflow)
    return False


def _result_of(ti: Any, session: Any) -> dict[str, Any]:
    """Describe what a task returned, and give the value where it is small JSON."""
    from airflow.models import xcom
    from airflow.utils.session import create_session
    from sqlalchemy import select

    if _is_airflow_2():
        reader = table = xcom.XCom
    else:
        from airflow.sdk.execution_time.xcom import XCom

        reader, table = XCom, xcom.XComModel
    question = select(table.value).where(
        table.dag_id == ti.dag_id,
        table.task_id == ti.task_id,
        table.run_id == ti.run_id,
        table.map_index == ti.map_index,
        table.key == "return_value",
    )
    try:
        # In Airflow 2 what the run's own session has not written out yet would be missed, and lock the database.
        with contextlib.nullcontext(session) if session is not None else create_session() as reading:
            row = reading.execute(question).first()
            if row is None:
                return {"summary": ""}
            value = reader.deserialize_value(row)
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
