"""What parsing a DAG file and test-running a DAG tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from astro_magic.errors import AirflowError

__all__ = ["DagSummary", "ImportFailure", "ParseResult", "TaskNode", "TaskResult", "TestRun"]

_MISSING: Any = object()


@dataclass(frozen=True)
class TaskNode:
    """A task of a parsed DAG.

    Attributes
    ----------
    task_id : str
        With its task groups, as Airflow writes it.
    operator : str
        Class name of the operator, or the decorator's (``@task``).
    downstream : tuple of str
        Task ids that follow directly.
    """

    task_id: str
    operator: str
    downstream: tuple[str, ...] = ()


@dataclass(frozen=True)
class DagSummary:
    """A DAG that a file defines.

    Attributes
    ----------
    dag_id : str
        Its id.
    schedule : str
        The timetable in short, as the Airflow UI shows it: ``0 6 * * *``, ``None``.
    next_run : datetime or None
        When the scheduler would create the next run; None when it has no schedule.
    tasks : tuple of TaskNode
        In topological order.
    """

    dag_id: str
    schedule: str
    next_run: datetime | None
    tasks: tuple[TaskNode, ...]


@dataclass(frozen=True)
class ImportFailure:
    """Why a DAG file does not import.

    Attributes
    ----------
    kind, message : str
        Exception class and text.
    line : int or None
        Line of the DAG file, from 1; None when the failure is in another file only.
    column, end_column : int or None
        Where in the line, from 1, where Python tells.
    source : str
        The line's text.
    traceback : str
        The whole traceback, as Python prints it.
    """

    kind: str
    message: str
    line: int | None
    column: int | None
    end_column: int | None
    source: str
    traceback: str


@dataclass(frozen=True)
class ParseResult:
    """What Airflow finds in a DAG file.

    Attributes
    ----------
    file : str
        Project-relative path.
    seconds : float
        How long Airflow took to import the file.
    dags : tuple of DagSummary
        What the file defines; empty when it does not import, or defines none.
    failure : ImportFailure or None
        Why it does not import.
    warnings : tuple of str
        What Airflow would pass over in silence, such as a file that its safe mode skips.
    """

    file: str
    seconds: float
    dags: tuple[DagSummary, ...] = ()
    failure: ImportFailure | None = None
    warnings: tuple[str, ...] = ()

    def masked(self, mask: Callable[[str], str]) -> ParseResult:
        """Give the same with secrets hidden by `mask`."""
        found = self.failure
        if found is None:
            return self
        message, source, traceback = mask(found.message), mask(found.source), mask(found.traceback)
        return replace(self, failure=replace(found, message=message, source=source, traceback=traceback))


@dataclass(frozen=True)
class TaskResult:
    """A task instance of a test run, at its end.

    Attributes
    ----------
    task_id : str
        With the map index in brackets for a mapped task: ``clean[2]``.
    state : str
        Airflow's task instance state.
    tries : int
        How often it was tried.
    seconds : float
        How long it ran, all tries.
    summary : str
        Its return value in a few words: ``list of 812``, ``DataFrame 790 × 6``.
    error : str
        The exception that ended it; empty when it succeeded.
    log : tuple of str
        The last lines that the task logged.
    """

    task_id: str
    state: str
    tries: int
    seconds: float
    summary: str = ""
    error: str = ""
    log: tuple[str, ...] = ()
    _value: Any = field(default=_MISSING, repr=False)

    @property
    def value(self) -> Any:
        """The return value, where it is JSON or a small object that Airflow can serialize.

        Raises
        ------
        AirflowError
            When the value was not carried over from Airflow's process.
        """
        if self._value is _MISSING:
            msg = f"The result of {self.task_id} ({self.summary or 'none'}) was not carried into the notebook."
            raise AirflowError(msg, hint="Only JSON values up to 256 KB are. Write it to a file in include/ instead.")
        return self._value


@dataclass(frozen=True)
class TestRun:
    """A DAG run in one process, with no scheduler.

    Attributes
    ----------
    dag_id, run_id : str
        Which run.
    state : str
        ``success`` or ``failed``.
    seconds : float
        Wall time of the run.
    logical_date : datetime
        The date that the run stands for.
    tasks : tuple of TaskResult
        In the order in which they ended.
    """

    __test__ = False  # not a test class

    dag_id: str
    run_id: str
    state: str
    seconds: float
    logical_date: datetime
    tasks: tuple[TaskResult, ...]

    def masked(self, mask: Callable[[str], str]) -> TestRun:
        """Give the same with secrets hidden by `mask`; the values are kept as they are."""
        tasks = (
            replace(task, summary=mask(task.summary), error=mask(task.error), log=tuple(map(mask, task.log)))
            for task in self.tasks
        )
        return replace(self, tasks=tuple(tasks))

    def __getitem__(self, task_id: str) -> TaskResult:
        """Give the result of one task."""
        for task in self.tasks:
            if task.task_id == task_id:
                return task
        raise KeyError(task_id)
