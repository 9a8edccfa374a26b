"""The process that Airflow is forked from: what is started again in it, and what needs a new one."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from astro_magic.engines.local.supervision import Supervisor, find_supervisor
from astro_magic.environment import Environment
from astro_magic.errors import StartFailedError
from astro_magic.project.project import Project
from astro_magic.system.events import Event, Step
from tests.engine.living import processes_of

pytestmark = pytest.mark.airflow

PLUGIN = """
from airflow.plugins_manager import AirflowPlugin
from include.names import NAME


class Named(AirflowPlugin):
    name = NAME
"""

#: Its task says in a file that it runs, and that it was told to end.
SLOW = """
import pathlib
import time

import pendulum
from airflow.sdk import BaseOperator, dag


class Slow(BaseOperator):
    def execute(self, context):
        pathlib.Path("{said}").write_text("running")
        time.sleep(300)

    def on_kill(self):
        pathlib.Path("{said}").write_text("told to end")


@dag(schedule=None, start_date=pendulum.datetime(2026, 1, 1))
def slow():
    # On a busy machine the API server's first answer to a task comes too late.
    Slow(task_id="slow", retries=5, retry_delay=pendulum.duration(seconds=1))


slow()
"""


def supervisor_of(project: Project) -> Supervisor:
    found = find_supervisor(project.state_dir / "run" / "supervisor.json")
    assert found is not None
    return found


def pids(environment: Environment) -> set[int | None]:
    return {component.pid for component in environment.status().components}


def plugins(environment: Environment) -> set[str]:
    with environment.engine.api().client() as client:
        return {plugin["name"] for plugin in client.get("/plugins")["plugins"]}


def test_a_restart_stays_in_the_process_as_long_as_that_is_up_to_date(
    environment: Environment, project: Project
) -> None:
    """Components are forked anew from what has imported Airflow; a change of what it imported needs a new one."""
    (project.root / "include" / "names.py").write_text("NAME = 'first'\n")
    (project.root / "plugins" / "named.py").write_text(PLUGIN)
    url = environment.start().status.url
    before, components = supervisor_of(project), pids(environment)
    assert "first" in plugins(environment)

    again = environment.restart(force=True)

    assert again.status.state == "running"
    assert again.status.url == url
    assert supervisor_of(project) == before
    assert not components & pids(environment)
    assert environment.trigger("orders", wait=True, timeout=120).state == "success"

    # The module that a plugin imports is changed, not the plugin.
    (project.root / "include" / "names.py").write_text("NAME = 'second'\n")
    environment.restart(force=True)

    assert supervisor_of(project).pid != before.pid
    assert "second" in plugins(environment)


def test_a_changed_variable_is_prepared_for_while_airflow_goes_on(environment: Environment, project: Project) -> None:
    """What imports Airflow anew has done so before anything is ended, and is the only one in the end."""
    environment.start()
    before = supervisor_of(project)
    project.apply(project.dotenv.plan_set({"AIRFLOW_VAR_GREETING": "changed"}))
    told: list[tuple[Event, bool]] = []

    environment.restart(listener=lambda event: told.append((event, before.alive())))

    imported = [alive for event, alive in told if isinstance(event, Step) and event.key == "successor"]
    assert imported
    assert all(imported)
    assert not before.alive()
    after = supervisor_of(project)
    assert after.port == before.port
    assert environment.test_dag("orders")["load"].value == "changed 406"
    assert [file.name for file in (project.state_dir / "run").iterdir() if file.is_file()] == ["supervisor.json"]
    environment.stop()
    assert not after.alive()


def test_a_change_that_airflow_cannot_be_imported_with_ends_nothing(environment: Environment, project: Project) -> None:
    """The error comes before what runs is ended."""
    before = environment.start().status
    project.apply(project.dotenv.plan_set({"AIRFLOW__LOGGING__LOGGING_LEVEL": "NONSENSE"}))

    with pytest.raises(StartFailedError, match="cannot be imported") as failed:
        environment.restart()

    assert "NONSENSE" in str(failed.value)
    assert "goes on as it was" in (failed.value.hint or "")
    assert environment.status().started_at == before.started_at
    assert environment.status().state == "running"


@pytest.mark.parametrize("moment", ["importing", "ending"])
def test_a_kernel_killed_between_two_processes(
    environment: Environment, project: Project, other_kernel: Callable[[str], subprocess.Popen[str]], moment: str
) -> None:
    """Whichever of the two runs then, the next start leaves one, and a stop none."""
    environment.start()
    project.apply(project.dotenv.plan_set({"AIRFLOW_VAR_GREETING": "changed"}))
    kernel = other_kernel("environment.restart(listener=tell)")
    assert kernel.stdout is not None
    sign = "key='successor'" if moment == "importing" else "key='stop'"
    assert any(sign in line for line in kernel.stdout)
    os.kill(kernel.pid, signal.SIGKILL)
    kernel.wait()
    run = project.state_dir / "run"
    if moment == "importing":
        # With the process that was to follow; the one that runs goes on.
        following = find_supervisor(run / "successor.json")
        assert following is not None
        os.kill(following.pid, signal.SIGKILL)
        assert environment.start().already_running

    assert environment.restart().status.state == "running"
    assert set(run.iterdir()) == {run / "supervisor.json", Path(supervisor_of(project).added).parent}
    leader = supervisor_of(project).pid
    assert {os.getsid(process.pid) for process in processes_of(project)} == {leader}
    assert environment.test_dag("orders")["load"].value == "changed 406"


def test_a_task_that_runs_is_told_to_end(environment: Environment, project: Project, tmp_path: Path) -> None:
    """A stop waits for no long task, but the task can clean up."""
    said = tmp_path / "said"
    (project.root / "dags" / "slow.py").write_text(SLOW.format(said=said))
    environment.start()
    environment.trigger("slow")
    deadline = time.monotonic() + 240
    while not (said.exists() and said.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert said.read_text() == "running"

    environment.stop()

    assert said.read_text() == "told to end"
    assert processes_of(project) == []
