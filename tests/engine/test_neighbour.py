"""Beside the Astro CLI: it shows and stops what we start; we show, stop and take over what it starts."""

from __future__ import annotations

import os
import signal
from functools import partial

import psutil
import pytest

from astro_magic.engines.local.environments import current_environment
from astro_magic.engines.local.supervision import find_supervisor, record_of
from astro_magic.engines.options import LogQuery
from astro_magic.environment import open_environment
from astro_magic.errors import EngineError
from astro_magic.project.fingerprint import Action
from astro_magic.project.project import Project
from tests.engine.astro_cli import AstroCli
from tests.engine.living import processes_of
from tests.servers.processes import free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.airflow

#: What a loaded machine may need for the four Pythons that ``airflow standalone`` starts.
PATIENCE = 240


@pytest.fixture
def cli(project: Project) -> AstroCli:
    """The Astro CLI in that project; few workers, since each is a process."""
    project.apply(project.dotenv.plan_set({"AIRFLOW__CORE__PARALLELISM": "2"}))
    environment = current_environment(project)
    assert environment is not None
    return AstroCli(project, environment.folder)


def test_the_astro_cli_shows_and_stops_what_we_start(project: Project, cli: AstroCli) -> None:
    environment = open_environment(project, engine="local")
    status = environment.start().status
    supervisor = find_supervisor(record_of(project))
    assert supervisor is not None
    assert not any("Astro CLI" in note for note in status.notes)
    assert not status.started_by
    assert cli.ps() == {"mode": "standalone", "running": True, "pid": supervisor.pid}
    assert (project.standalone_dir / "airflow_version").read_text() == "3"
    route = cli.route()
    assert route is not None
    assert (route["port"], route["pid"], "mode" in route) == (str(supervisor.port), supervisor.pid, False)
    for component in ("scheduler", "dag-processor", "api-server", "triggerer"):
        assert wait_until(partial(cli.logs, component), PATIENCE)
    cli.stop()
    # The guard looks once more, and ends after what it guards.
    assert wait_until(lambda: processes_of(project) == [], PATIENCE)
    assert environment.status().state == "stopped"
    assert not (project.standalone_dir / "airflow.pid").exists()

    # With all of the group killed at once, as it does in the end, the guard is left to end what is outside of it.
    environment.start()
    os.killpg(cli.ps()["pid"], signal.SIGKILL)
    assert wait_until(lambda: processes_of(project) == [], PATIENCE)
    assert environment.status().state == "stopped"


def test_we_show_stop_and_take_over_what_the_astro_cli_starts(project: Project, cli: AstroCli) -> None:
    port = free_port("127.0.0.1")
    pid = cli.start(port)
    # Whatever the project's own configuration names.
    environment = open_environment(project)
    assert environment.engine.name == "local"
    assert wait_until(lambda: environment.status().state == "running", PATIENCE)
    status = environment.status()
    assert status.started_by == "the Astro CLI"
    assert str(pid) in status.notes[0]
    assert status.url == f"http://localhost:{port}"
    assert all(component.pid and component.memory for component in status.components)
    started = environment.start()
    assert started.already_running
    assert started.notes == status.notes
    lines = list(environment.logs(LogQuery(components=("dag processor",), tail=3)))
    assert {line.source for line in lines} == {"dag processor"}
    assert len(lines) == 3
    with environment.engine.api().client() as client:
        assert client.get("/version")["version"] == status.airflow_version
    assert environment.stop().stopped > len(status.components)
    gone(project, cli)

    # Its leader alone is killed: what that has left behind is no other Airflow's, and is ended.
    starting(cli, port)
    os.kill(cli.ps()["pid"], signal.SIGKILL)
    with pytest.raises(EngineError, match="is starting Airflow in this project"):
        environment.start()
    assert environment.stop().stopped
    gone(project, cli)

    starting(cli, port)
    restarted = environment.restart()
    assert restarted.pending.action is Action.NONE
    assert restarted.status.state == "running"
    assert restarted.status.url == status.url
    assert not restarted.status.started_by
    supervisor = find_supervisor(record_of(project))
    assert supervisor is not None
    assert cli.ps()["pid"] == supervisor.pid
    # Its environment is its own.
    assert (project.root / ".venv" / "bin" / "airflow").exists()


def starting(cli: AstroCli, port: int) -> None:
    """Start Airflow, and wait until its components are processes."""
    leader = psutil.Process(cli.start(port))
    assert wait_until(lambda: len(leader.children()) == 4, PATIENCE)


def gone(project: Project, cli: AstroCli) -> None:
    assert processes_of(project) == []
    assert cli.ps()["running"] is False
    assert cli.route() is None
    assert open_environment(project, engine="local").status().state == "stopped"
