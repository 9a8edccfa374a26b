"""What the tasks of a DAG run have logged, as Airflow's API gives it."""

from __future__ import annotations

import ast
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from astro_magic.airflow.client import AirflowClient
from astro_magic.errors import AirflowError, DagNotFoundError
from astro_magic.system.events import OutputLine
from astro_magic.system.logtext import plain

__all__ = ["TaskChoice", "TaskLog", "TaskLogLine"]

_POLL_SECONDS = 1.0
_FINISHED = ("success", "failed")
#: What Airflow 2 puts in front of a line: ``[2026-11-22T10:00:00.000+0000] {``.
_TIME = re.compile(r"\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+[+-]\d{4})\]")
#: Fields of a message that are words of its line already, that say which task it is, or that are of no use to a reader.
_UNSHOWN = (
    *("timestamp", "event", "level", "logger", "loc", "filename", "lineno", "chan", "error_detail"),
    *("dag_id", "run_id", "task_id", "map_index", "try_number", "ti", "ti_id"),
)
_SOURCES = "::group::Log message source details"
_NEVER = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class TaskChoice:
    """Which tasks' logs to read.

    Attributes
    ----------
    name : str
        ``DAG_ID`` for all tasks of a run, ``DAG_ID.TASK_ID`` for one; of a mapped task with the index in brackets or
        without.
    run_id : str
        Which run; the latest when empty.
    try_number : int or None
        Which try of each task; the latest when None.
    """

    name: str
    run_id: str = ""
    try_number: int | None = None


@dataclass(frozen=True)
class TaskLogLine:
    """A line of a task's log, and when it was written."""

    moment: datetime
    line: OutputLine


class TaskLog:
    """The logs of the tasks of one run.

    Parameters
    ----------
    client : AirflowClient
        The running Airflow.
    choice : TaskChoice
        Which ones.

    Raises
    ------
    DagNotFoundError
        When there is no such DAG.
    AirflowError
        When it has no such run or task.
    """

    def __init__(self, client: AirflowClient, choice: TaskChoice) -> None:
        self._client = client
        self._choice = choice
        self.dag_id, self.task = _split(client, choice.name)
        self._dag = f"/dags/{quote(self.dag_id, safe='')}"
        self.run_id = choice.run_id or self._latest()
        self._run = f"{self._dag}/dagRuns/{quote(self.run_id, safe='')}"
        if client.get(self._run) is None:
            raise AirflowError(
                f"{self.dag_id} has no run {self.run_id}.", hint=f"%astro_logs --task {self.dag_id} shows the latest."
            )

    def read(self) -> tuple[TaskLogLine, ...]:
        """Give all lines, by time."""
        lines: list[TaskLogLine] = []
        rows = list(self._client.rows(f"{self._run}/taskInstances", "task_instances"))
        chosen = [row for row in rows if self.task in ("", row["task_id"], _label(row))]
        if self.task and not chosen:
            known = ", ".join(dict.fromkeys(row["task_id"] for row in rows)) or "none yet"
            raise AirflowError(f"{self.dag_id} has no task {self.task} in this run.", hint=f"Its tasks: {known}.")
        for row in chosen:
            if row["try_number"] and (self._choice.try_number or 1) <= row["try_number"]:
                lines += self._lines_of(row)
        return tuple(sorted(lines, key=lambda line: line.moment))

    def follow(self, known: tuple[TaskLogLine, ...]) -> Iterator[TaskLogLine | None]:
        """Give the lines that are not known yet, until the run has ended; None where none has come for a while."""
        told = Counter(line.line.source for line in known)
        while True:
            ended = self._client.get(self._run)["state"] in _FINISHED
            seen: Counter[str] = Counter()
            for line in self.read():
                seen[line.line.source] += 1
                if seen[line.line.source] > told[line.line.source]:
                    yield line
            told = seen
            if ended:
                return
            yield None
            time.sleep(_POLL_SECONDS)

    def _latest(self) -> str:
        order = "-run_after" if self._client.airflow_major >= 3 else "-execution_date"
        page = self._client.get(f"{self._dag}/dagRuns", params={"order_by": order, "limit": 1})
        for row in page["dag_runs"]:
            return str(row["dag_run_id"])
        raise AirflowError(f"{self.dag_id} has had no run yet.", hint=f"%astro_trigger {self.dag_id} makes one.")

    def _lines_of(self, row: Mapping[str, Any]) -> Iterator[TaskLogLine]:
        number = self._choice.try_number or row["try_number"]
        path = f"{self._run}/taskInstances/{quote(row['task_id'], safe='')}/logs/{number}"
        params = {"full_content": "true", "map_index": row["map_index"]}
        answer = self._client.get(path, params=params) or {"content": []}
        content = answer["content"]
        moment = _NEVER
        for found, text in _of_airflow_2(content) if isinstance(content, str) else _of_airflow_3(content):
            # A line without a time goes on from the one before.
            moment = found or moment
            yield TaskLogLine(moment, OutputLine(_label(row), plain(text)))


def _split(client: AirflowClient, name: str) -> tuple[str, str]:
    """Take a DAG's id off a name; both ids may have dots in them, so Airflow is asked, with the longest first."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        dag_id = ".".join(parts[:length])
        if dag_id and client.get(f"/dags/{quote(dag_id, safe='')}") is not None:
            return dag_id, ".".join(parts[length:])
    raise DagNotFoundError(
        f"Airflow knows no DAG for {name}.", hint="Write DAG_ID, or DAG_ID.TASK_ID for one of its tasks."
    )


def _label(row: Mapping[str, Any]) -> str:
    return str(row["task_id"]) if row["map_index"] < 0 else f"{row['task_id']}[{row['map_index']}]"


def _of_airflow_3(messages: list[Any]) -> Iterator[tuple[datetime | None, str]]:
    folded = False
    for message in messages:
        if not isinstance(message, dict):
            yield None, str(message)
            continue
        event = str(message.get("event", ""))
        # The UI folds groups; of the one that names the files of the log, a reader here has nothing.
        if event.startswith(("::group::", "::endgroup::")):
            folded = event == _SOURCES
            continue
        if folded:
            continue
        written = message.get("timestamp")
        level = f"[{message['level']}] " if message.get("level") else ""
        more = "".join(f" {name}={value}" for name, value in message.items() if name not in _UNSHOWN)
        first, *others = f"{event}{more}".split("\n")
        yield datetime.fromisoformat(written) if written else None, f"{written or ''} {level}{first}".strip()
        for text in (*others, *_traceback(message.get("error_detail") or [])):
            yield None, text


def _traceback(errors: list[Any]) -> Iterator[str]:
    """Set what was raised as Python does; what Airflow itself called stands in front."""
    for error in errors:
        yield "Traceback (most recent call last):"
        for frame in error.get("frames") or []:
            yield f'  File "{frame["filename"]}", line {frame["lineno"]}, in {frame["name"]}'
        yield f"{error.get('exc_type')}: {error.get('exc_value')}"


def _of_airflow_2(content: str) -> Iterator[tuple[datetime | None, str]]:
    """Read the text of a list of pairs: a host, and what it has."""
    try:
        pairs = ast.literal_eval(content)
    except (ValueError, SyntaxError):
        pairs = [("", content)]
    for _, text in pairs:
        for line in text.splitlines():
            found = _TIME.match(line)
            if "::group::" not in line and "::endgroup::" not in line:
                yield datetime.fromisoformat(found[1]) if found else None, line
