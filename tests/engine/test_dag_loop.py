"""Parse DAG files and run DAGs in the warm process, with no scheduler."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from astro_magic.environment import Environment
from astro_magic.errors import AirflowError, DagImportError, DagNotFoundError
from astro_magic.project.project import Project
from astro_magic.system.events import Event, TaskUpdate
from tests.engine.living import processes_of

pytestmark = pytest.mark.airflow

HEAD = "from airflow.sdk import dag, task\n"


def write(project: Project, name: str, text: str) -> None:
    (project.root / "dags" / name).write_text(text)


def test_parse_tells_what_a_file_defines(environment: Environment) -> None:
    """DAG id, schedule, next run and tasks in order."""
    result = environment.parse("orders.py")

    assert result.failure is None
    (dag,) = result.dags
    assert dag.dag_id == "orders"
    assert dag.schedule == "0 0 * * *"
    assert dag.next_run is not None
    assert [(task.task_id, task.downstream) for task in dag.tasks] == [
        ("extract", ("clean",)),
        ("clean", ("load",)),
        ("load", ()),
    ]


@pytest.mark.parametrize(
    ("text", "kind", "line", "source"),
    [
        (HEAD + "def f(rows:\n    return 1\n", "SyntaxError", 2, "def f(rows:"),
        (HEAD + "def f(rows):\n    return clean(rows)\nf(3)\n", "NameError", 3, "return clean(rows)"),
        (HEAD + "import no_such_module_here\n", "ModuleNotFoundError", 2, "import no_such_module_here"),
        (HEAD + "@dag()\ndef broken():\n    @task\n    def a(): ...\n    a() >> a\nbroken()\n", None, None, None),
        (HEAD + "raise SystemExit('stop here')\n", None, None, None),
    ],
)
def test_parse_finds_the_line_of_a_mistake(
    environment: Environment, project: Project, text: str, kind: str | None, line: int | None, source: str | None
) -> None:
    """Whatever a file does when it is imported, the answer is a failure with its place."""
    write(project, "mistake.py", text)

    failure = environment.parse("mistake.py").failure

    assert failure is not None
    if kind is not None:
        assert (failure.kind, failure.line, failure.source) == (kind, line, source)
        assert failure.traceback


def test_parse_warns_of_a_file_that_airflow_passes_over(environment: Environment, project: Project) -> None:
    """Safe mode skips a file without the two words, in silence."""
    write(project, "quiet.py", "x = 1\n")

    result = environment.parse("quiet.py")

    assert result.dags == ()
    assert "safe mode" in result.warnings[0]


def test_run_gives_states_results_and_logs(environment: Environment, project: Project) -> None:
    """A run in one process: live updates, values in the notebook, the database untouched."""
    updates: list[Event] = []
    run = environment.test_dag("orders", listener=updates.append)

    assert run.state == "success"
    assert [(task.task_id, task.state, task.tries) for task in run.tasks] == [
        ("extract", "success", 1),
        ("clean", "success", 1),
        ("load", "success", 1),
    ]
    assert run["extract"].summary == "list of 812"
    assert run["extract"].value == list(range(812))
    assert run["extract"].log == ("extracting 12,345",)
    assert run["load"].value == "hello 406"
    states = [(update.task_id, update.state) for update in updates if isinstance(update, TaskUpdate)]
    assert states[:2] == [("extract", "running"), ("extract", "success")]
    with closing(sqlite3.connect(project.standalone_dir / "airflow.db")) as database:
        assert database.execute("select count(*) from dag_run").fetchone() == (0,)


def test_a_failing_task_fails_the_run(environment: Environment, project: Project) -> None:
    """The run tells which task failed, why, how often it was tried, and what did not run."""
    write(
        project,
        "fails.py",
        HEAD
        + """
@dag()
def fails():
    @task(retries=1, retry_delay=0)
    def divide():
        print("about to divide")
        return 1 / 0

    @task
    def after(value): ...

    after(divide())

fails()
""",
    )
    run = environment.test_dag("fails")

    assert run.state == "failed"
    assert run["divide"].state == "failed"
    assert "ZeroDivisionError: division by zero" in run["divide"].error
    assert "about to divide" in run["divide"].log
    assert run["after"].state == "upstream_failed"
    with pytest.raises(AirflowError, match="not carried"):
        _ = run["after"].value


def test_mapped_tasks_and_configuration(environment: Environment, project: Project) -> None:
    """Each mapped task instance is a row of its own; the configuration arrives."""
    write(
        project,
        "mapped.py",
        HEAD
        + """
@dag()
def mapped():
    @task
    def names(params=None, dag_run=None):
        return dag_run.conf["names"]

    @task
    def greet(name):
        return f"hello {name}"

    greet.expand(name=names())

mapped()
""",
    )
    run = environment.test_dag("mapped", conf={"names": ["ana", "bo"]})

    assert run.state == "success"
    assert run["greet[0]"].value == "hello ana"
    assert run["greet[1]"].value == "hello bo"


def test_an_unknown_dag(environment: Environment, project: Project) -> None:
    """The message lists the DAGs there are; a file that may define it is named."""
    with pytest.raises(DagNotFoundError, match="no DAG sales") as not_found:
        environment.test_dag("sales")
    assert "orders" in (not_found.value.hint or "")

    write(project, "sales.py", HEAD + "@dag()\ndef sales(:\n")
    with pytest.raises(DagImportError, match=r"sales\.py"):
        environment.test_dag("sales")


def test_an_interrupted_run_leaves_no_process(
    environment: Environment, project: Project, other_kernel: Callable[[str], subprocess.Popen[str]]
) -> None:
    """Ctrl-C ends the run, the command that its task started included."""
    write(
        project,
        "slow.py",
        HEAD
        + """
@dag()
def slow():
    @task
    def sleep():
        import subprocess
        subprocess.run(["sleep", "611"])

    sleep()

slow()
""",
    )
    environment.test_dag("orders")
    kernel = other_kernel("environment.test_dag('slow', listener=tell)")
    assert kernel.stdout is not None
    for line in kernel.stdout:
        if "TaskUpdate" in line:
            break
    time.sleep(0.3)
    os.kill(kernel.pid, signal.SIGINT)
    output, _ = kernel.communicate(timeout=10)
    assert "KeyboardInterrupt" in output
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and _sleepers():
        time.sleep(0.05)
    assert _sleepers() == []
    assert environment.test_dag("orders").state == "success"
    environment.stop()
    assert processes_of(project) == []


def _sleepers() -> list[int]:
    listed = subprocess.run(["pgrep", "-f", "sleep 611"], capture_output=True, text=True, check=False)
    return [int(pid) for pid in listed.stdout.split()]
