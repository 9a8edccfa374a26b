"""Start, use, restart, stop and remove a real Airflow."""

from __future__ import annotations

import stat
import subprocess
import sys

import httpx
import psutil
import pytest

from astro_magic.airflow.client import AirflowClient
from astro_magic.airflow.task_logs import TaskChoice
from astro_magic.engines.local.inside.components import components_of
from astro_magic.engines.options import BuildOptions, LogQuery, StartOptions
from astro_magic.engines.routes import read_routes
from astro_magic.environment import Environment
from astro_magic.errors import AirflowError, EngineError, NotRunningError
from astro_magic.project.fingerprint import Action
from astro_magic.project.project import Project
from astro_magic.results import StartResult
from astro_magic.system.events import Event, OutputLine, Step, TaskUpdate
from tests.engine.conftest import REQUIREMENT
from tests.engine.living import processes_of

COMPONENTS = components_of("3.3.2")
pytestmark = pytest.mark.airflow


def test_a_run_from_start_to_stop(environment: Environment, project: Project) -> None:
    """The whole life of an environment, in one start since each costs seconds."""
    events: list[Event] = []
    started = environment.start(listener=events.append)

    # Every component was told healthy, and is.
    done = {event.title for event in events if isinstance(event, Step) and event.state == "done"}
    assert set(COMPONENTS) <= done
    assert not started.already_running
    status = environment.status()
    assert status.state == "running"
    assert {component.name: component.healthy for component in status.components} == dict.fromkeys(COMPONENTS, True)
    assert all((component.memory or 0) > 1_000_000 for component in status.components)
    assert environment.pending().reasons == ()

    # Nothing listens but on the loopback address.
    processes = processes_of(project)
    listening = [
        connection.laddr.ip
        for process in processes
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}

    # The API lets in those who know the password, and nobody else; the password is the owner's alone.
    access = environment.engine.api()
    assert httpx.get(f"{access.base_url}/api/v2/dags").status_code == httpx.codes.UNAUTHORIZED
    assert access.password not in repr(access)
    with AirflowClient(access.base_url, access.username, access.password) as client:
        assert client.get("/version")["version"] == status.airflow_version
    for name in ("secrets.json", "passwords.json"):
        assert stat.S_IMODE((project.state_dir / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((project.standalone_dir / "airflow.db").stat().st_mode) == 0o600

    # A triggered run reads the variable of .env and the package of requirements.txt.
    updates: list[Event] = []
    run = environment.trigger("orders", wait=True, timeout=60, listener=updates.append)
    assert run.state == "success", run
    assert {task.task_id: task.state for task in run.tasks} == dict.fromkeys(["extract", "clean", "load"], "success")
    assert any(isinstance(update, TaskUpdate) and update.state == "success" for update in updates)

    check_task_logs(environment, run.run_id)

    # Logs, packages and commands.
    lines = list(environment.logs(LogQuery(components=("scheduler",), tail=5)))
    assert 0 < len(lines) <= 5
    assert {line.source for line in lines} == {"scheduler"}
    assert "humanize" in {package.name for package in environment.packages() if package.requested == REQUIREMENT}
    output: list[Event] = []
    assert environment.run(["airflow", "version"], listener=output.append) == 0
    assert OutputLine("stdout", status.airflow_version or "") in output
    assert environment.run(["python", "-c", "raise SystemExit(3)"]) == 3

    check_second_start(environment, started)

    stopped = environment.stop()
    assert stopped.stopped >= len(COMPONENTS)
    assert processes_of(project) == []
    assert [route for route in read_routes() if route.project_dir == str(project.root)] == []
    assert environment.status().state == "stopped"
    assert (project.standalone_dir / "airflow.db").exists()
    assert not (project.standalone_dir / "airflow.pid").exists()
    assert environment.stop().stopped == 0
    with pytest.raises(NotRunningError):
        environment.trigger("orders")


def check_second_start(environment: Environment, started: StartResult) -> None:
    """It finds Airflow running, starts nothing, and says what it did not do; local processes have no image."""
    again = environment.start(StartOptions(port=1024, build=BuildOptions()))
    assert again.already_running
    assert ["--port 1024" in again.notes[-2], "--image-name" in again.notes[-1]] == [True, True]
    assert again.status.started_at == started.status.started_at
    for refused in (StartOptions(build=BuildOptions()), StartOptions(image="shop:1")):
        with pytest.raises(EngineError, match="ocal processes"):
            environment.restart(refused)


def check_task_logs(environment: Environment, run_id: str) -> None:
    """What the tasks of the run have logged: of all of them, and of one."""
    logged = list(environment.task_logs(TaskChoice("orders"), LogQuery(tail=None)))
    assert {line.source for line in logged} == {"extract", "clean", "load"}
    query = LogQuery(grep="extracting", follow=True)
    (line,) = environment.task_logs(TaskChoice("orders.extract", run_id), query)
    assert line.text.endswith("extracting 12,345")
    with pytest.raises(AirflowError, match="no task nothing"):
        list(environment.task_logs(TaskChoice("orders.nothing"), LogQuery()))


def test_a_requirement_added_while_it_runs(environment: Environment, project: Project) -> None:
    """The change is pending with its reason, the restart applies it, and the port stays."""
    url = environment.start().status.url
    project.requirements.add("tinydb==4.8.0")

    pending = environment.pending()
    assert pending.action is Action.REBUILD
    assert [(reason.file, reason.detail) for reason in pending.reasons] == [("requirements.txt", "+ tinydb==4.8.0")]

    restarted = environment.restart()
    assert restarted.pending == pending
    assert restarted.status.state == "running"
    assert restarted.status.url == url
    assert environment.run(["python", "-c", "import tinydb"]) == 0
    assert environment.pending().reasons == ()

    # With nothing pending, a restart restarts nothing.
    unchanged = environment.restart()
    assert unchanged.pending.reasons == ()
    assert unchanged.status.started_at == restarted.status.started_at


def test_a_changed_variable_recreates(environment: Environment, project: Project) -> None:
    """A change of .env is told by its name, never its value, and applied by a restart."""
    environment.start()
    project.apply(project.dotenv.plan_set({"AIRFLOW_VAR_GREETING": "good-morning-secret"}))

    pending = environment.pending()
    assert pending.action is Action.RECREATE
    assert "GREETING" in pending.reasons[0].detail
    assert "good-morning-secret" not in repr(pending)

    # What somebody installs by hand meanwhile is told at a restart as at a start.
    by_hand = ["pip", "install", "--quiet", "--python", str(environment.engine.installation().python), "tinydb==4.8.0"]
    subprocess.run([sys.executable, "-m", "uv", *by_hand], check=True)
    told = environment.restart().status.notes
    assert any(note.startswith("tinydb 4.8.0 was installed by hand") for note in told), told
    run = environment.test_dag("orders")
    assert run["load"].value == "good-morning-secret 406"
    assert environment.pending().reasons == ()


def test_kill_removes_data_and_environment_but_no_file_of_the_project(
    environment: Environment, project: Project
) -> None:
    """After a kill nothing runs, and the project is as it was before the first start."""
    environment.start()
    files = {name.name for name in project.root.iterdir()}

    result = environment.kill()

    assert processes_of(project) == []
    assert ".astro/standalone/" in result.removed
    assert not (project.state_dir / "environments").exists()
    assert {name.name for name in project.root.iterdir()} == files
    assert environment.status().state == "stopped"
