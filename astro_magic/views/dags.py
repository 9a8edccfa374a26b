"""Views of the DAG loop: what a file defines, and how runs went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_magic.views.changes import change_counts
from astro_magic.views.report import Block, Cell, Graph, Line, Node, Preformatted, Report, Span, Table, line
from astro_magic.views.view import View
from astro_magic.views.words import count, duration, seconds_long, state, when

if TYPE_CHECKING:
    from astro_magic.airflow.runs import DagRun
    from astro_magic.dags.results import DagSummary, ImportFailure, ParseResult, TaskResult, TestRun
    from astro_magic.project.changes import Change

__all__ = ["ParseView", "RunView", "TriggerView", "failure_lines", "written"]


def written(change: Change) -> str:
    """Say what happened to the file of a change: ``dags/orders.py changed (+1 −1)``."""
    file = change.files[0]
    counts = change_counts(file)
    return f"{file.name} changed ({counts})" if file.kind == "changed" else f"{file.name} {file.kind}"


def failure_lines(failure: ImportFailure, *, lines_above: int = 0) -> list[str]:
    """Say why a DAG file does not import, with the place marked.

    Parameters
    ----------
    failure : ImportFailure
        Why.
    lines_above : int, optional
        How many lines of the notebook's cell stand above the file's first line.
    """
    said = f"{failure.kind}: {failure.message}" if failure.message else failure.kind
    if failure.line is None:
        return [said]
    place = f"line {failure.line + lines_above}"
    source = failure.source.strip()
    lines = [f"  {place}   {source}"]
    indent = len(failure.source) - len(failure.source.lstrip())
    if failure.column is not None and source:
        start = max(0, failure.column - 1 - indent)
        length = max(1, (failure.end_column or failure.column + 1) - failure.column)
        lines.append(" " * (5 + len(place) + start) + "^" * max(1, min(length, len(source) - start)))
    return [*lines, said]


class ParseView(View):
    """What Airflow finds in a DAG file.

    Attributes
    ----------
    parse : ParseResult or None
        What it found; None when the file was only written.
    change : Change or None
        How the file was changed just before.
    """

    def __init__(self, parse: ParseResult | None, change: Change | None = None) -> None:
        self.parse = parse
        self.change = change

    def headline(self) -> Line:
        """Say what happened to the file."""
        pieces: list[Cell] = []
        if self.change is not None:
            file = self.change.files[0]
            pieces += [Span(file.name, "strong"), written(self.change).removeprefix(file.name)]
            if not self.change.applied and file.kind != "unchanged":
                pieces.append(" · dry run, nothing was written")
        elif self.parse is not None:
            pieces.append(Span(self.parse.file, "strong"))
        if self.parse is not None:
            pieces.append(f" · parsed in {duration(self.parse.seconds)}")
        return line(*pieces)

    def report(self) -> Report:
        """Build each DAG with its graph."""
        if self.parse is None:
            return Report.of(self.headline())
        failure = self.parse.failure
        return Report.of(
            self.headline(),
            Preformatted(tuple(failure_lines(failure))) if failure is not None else None,
            [block for dag in self.parse.dags for block in _dag(dag)],
            [line(Span("warning", "strong"), f": {warning}", indent=1) for warning in self.parse.warnings],
            None if self.parse.dags or failure else line("The file defines no DAG.", indent=1),
        )


def _dag(dag: DagSummary) -> list[Block]:
    # So the timetable of a DAG that only runs when it is triggered calls itself.
    schedule = ["no schedule" if dag.schedule in {"", "None"} else dag.schedule]
    schedule += [f"next {when(dag.next_run)}"] if dag.next_run else []
    head = line(
        Span(dag.dag_id, "strong"),
        f"   {' · '.join([*schedule, count(len(dag.tasks), 'task')])}",
        indent=1,
    )
    nodes = tuple(Node(task.task_id, task.operator, task.downstream) for task in dag.tasks)
    return [head, Graph(nodes, f"Tasks of {dag.dag_id}")] if nodes else [head]


class RunView(View):
    """A test run of a DAG. ``view["task"]`` is the result of a task.

    Attributes
    ----------
    run : TestRun
        The run.
    """

    def __init__(self, run: TestRun) -> None:
        self.run = run

    def __getitem__(self, task_id: str) -> TaskResult:
        """Give the result of one task."""
        return self.run[task_id]

    def headline(self) -> Line:
        """Say how the run ended."""
        run = self.run
        return line(
            Span(run.dag_id, "strong"),
            f" · run on {when(run.logical_date)} · ",
            state(run.state),
            f" in {duration(run.seconds)}",
        )

    def report(self) -> Report:
        """Build the table of tasks, and the last lines of those that failed."""
        rows = tuple(
            (task.task_id, state(task.state), str(task.tries), duration(task.seconds), task.error or task.summary)
            for task in self.run.tasks
        )
        table = Table(("task", "state", "tries", "time", "result"), rows, "llrrl")
        return Report.of(self.headline(), table if rows else None, self._failures(), self._hint())

    def _failures(self) -> list[Block]:
        return [
            block
            for task in self.run.tasks
            if task.error and task.log
            for block in (line("last lines of ", Span(task.task_id, "strong")), Preformatted(task.log))
        ]

    def _hint(self) -> Line | None:
        """Name the first result that is more than a number or a short text."""
        for task in self.run.tasks if self.run.state == "success" else ():
            if task.state == "success" and " " in task.summary:
                return line(Span(f'run["{task.task_id}"].value is the {task.summary.split()[0]}', "muted"))
        return None


class TriggerView(View):
    """A run in the running Airflow.

    Attributes
    ----------
    run : DagRun
        The run, as it was when the magic ended.
    """

    def __init__(self, run: DagRun) -> None:
        self.run = run

    def headline(self) -> Line:
        """Say which run it is and how it stands."""
        run = self.run
        seconds = seconds_long(run.started_at, run.ended_at)
        pieces: list[Cell] = [Span(run.dag_id, "strong"), f" · {run.run_id} · ", state(run.state)]
        if seconds is not None:
            pieces.append(f" in {duration(seconds)}")
        return line(*pieces)

    def report(self) -> Report:
        """Build the table of task instances."""
        rows = tuple(
            (task.task_id, state(task.state), str(task.try_number), duration(task.seconds)) for task in self.run.tasks
        )
        table = Table(("task", "state", "try", "time"), rows, "llrr")
        url = self.run.url
        return Report.of(self.headline(), table if rows else None, line(Span(url, "link", url)) if url else None)
