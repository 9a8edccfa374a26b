"""The logs of tasks that the running Airflow has run, with the choices that the logs of components have."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from astro_magic.airflow.task_logs import TaskChoice, TaskLog, TaskLogLine
from astro_magic.engines.engine import Engine
from astro_magic.engines.options import LogQuery
from astro_magic.system.events import OutputLine
from astro_magic.system.logtext import matcher

__all__ = ["read_task_logs"]


def read_task_logs(engine: Engine, choice: TaskChoice, query: LogQuery) -> Iterator[OutputLine]:
    """Give the lines that `query` asks for of the tasks' logs, by time; following ends with the run.

    Raises
    ------
    NotRunningError
        When Airflow does not run.
    DagNotFoundError, AirflowError, ApiError
        When there is no such DAG, run or task, or the API does not answer.
    InvalidContentError
        When the expression of `query` is none.
    """
    matches = matcher(query.grep)

    def wanted(found: TaskLogLine) -> bool:
        return (query.since is None or found.moment >= query.since) and matches(found.line.text)

    with engine.api().client() as client:
        log = TaskLog(client, choice)
        known = log.read()
        yield from (found.line for found in deque(filter(wanted, known), query.tail))
        if not query.follow:
            return
        for found in log.follow(known):
            if query.ended:
                return
            if found is not None and wanted(found):
                yield found.line
