"""DAG files that crash when they are imported, and tasks that eat memory: everything else goes on."""

from __future__ import annotations

import time

import pytest

from astro_magic.airflow.client import AirflowClient
from astro_magic.engines.local.inside.components import components_of
from astro_magic.environment import Environment
from astro_magic.errors import CommandFailedError
from astro_magic.project.project import Project

pytestmark = pytest.mark.airflow

#: What a DAG file may do when it is imported, and a word of what Airflow says of it, if it does.
CRASHES = {
    "raise RuntimeError('broken on purpose')": "broken on purpose",
    "import no_such_module_here": "no_such_module_here",
    "def f(:\n    pass": "SyntaxError",
    "import sys\nsys.exit(3)": "",
    "import os\nos._exit(1)": "",
    "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)": "",
    "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)": "",
    "def f():\n    f()\nf()": "recursion",
    "bytes(1 << 50)": "MemoryError",
}
FILES = 39

EATERS = """
import os
import resource
import signal

import pendulum
from airflow.sdk import dag, task


@dag(schedule=None, start_date=pendulum.datetime(2026, 1, 1))
def eaters():
    @task
    def eats_more_than_it_may():
        resource.setrlimit(resource.RLIMIT_AS, (1 << 31, 1 << 31))
        return len(bytes(1 << 40))

    @task
    def is_killed_by_the_kernel():
        # As the kernel does to the process that has taken most.
        os.kill(os.getpid(), signal.SIGKILL)

    eats_more_than_it_may()
    is_killed_by_the_kernel()


eaters()
"""


@pytest.mark.timeout(900)
def test_files_that_crash_and_tasks_that_eat_memory(environment: Environment, project: Project) -> None:
    """Forty files do not keep the others from being parsed, and no component dies of what a task does."""
    dags = project.root / "dags"
    kinds = list(CRASHES)
    for number in range(FILES):
        (dags / f"crash{number:02}.py").write_text(f"import airflow.sdk as dag\n{kinds[number % len(kinds)]}\n")
    (dags / "endless.py").write_text("import airflow.sdk as dag\nwhile True:\n    pass\n")
    (dags / "eaters.py").write_text(EATERS)
    project.apply(project.dotenv.plan_set({"AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "20"}))

    environment.start()
    assert environment.trigger("orders", wait=True, timeout=200).state == "success"

    run = environment.trigger("eaters", wait=True, timeout=200)
    assert run.state == "failed"
    assert {task.task_id: task.state for task in run.tasks} == {
        "eats_more_than_it_may": "failed",
        "is_killed_by_the_kernel": "failed",
    }
    # Run without a scheduler, the process that is killed is the run's own.
    with pytest.raises(CommandFailedError, match="killed or ran out of memory"):
        environment.test_dag("eaters")

    expected = {f"crash{number:02}.py": CRASHES[kinds[number % len(kinds)]] for number in range(FILES)}
    told = import_errors(environment, {name for name, said in expected.items() if said})
    assert {name for name, said in expected.items() if said not in told.get(name, "")} == set()
    status = environment.status()
    assert status.state == "running"
    assert {part.name: part.restarts for part in status.components} == dict.fromkeys(components_of("3.3.2"), 0)


def import_errors(environment: Environment, wanted: set[str]) -> dict[str, str]:
    """Wait until Airflow has told what is wrong with these files; gives what it tells of each file."""
    access = environment.engine.api()
    deadline = time.monotonic() + 200
    with AirflowClient(access.base_url, access.username, access.password) as client:
        while True:
            told = {row["filename"]: row["stack_trace"] for row in client.rows("/importErrors", "import_errors")}
            if wanted <= set(told) or time.monotonic() > deadline:
                return told
            time.sleep(1)
