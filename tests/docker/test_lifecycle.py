"""The whole life of an Airflow 3 environment on a real engine, from a new project to nothing."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest

from astro_magic.airflow.task_logs import TaskChoice
from astro_magic.engines.options import LogQuery
from astro_magic.engines.routes import read_routes
from astro_magic.environment import open_environment
from astro_magic.errors import NotRunningError
from astro_magic.project.fingerprint import Action
from astro_magic.project.project import Project
from astro_magic.system.events import Event, Step
from tests.docker.living import containers_of, leftovers
from tests.docker.observing import identities, lines_of, run_of, variable_of, write_dag
from tests.objects_shapes import drawn_rows
from tests.round_trip import check_round_trip

pytestmark = pytest.mark.docker

SERVICES = {"postgres", "scheduler", "dag-processor", "api-server", "triggerer"}
SETTINGS = """\
airflow:
  variables:
    - variable_name: region
      variable_value: north
  pools:
    - pool_name: narrow
      pool_slot: 2
      pool_description: two at a time
"""


def test_from_a_new_project_to_nothing(
    client: docker.DockerClient, project: Project, tmp_path: Path, campaign: bool
) -> None:
    """Init, requirements, packages.txt, start, a run with what was added, a look inside, stop, start, kill."""
    project.apply(project.requirements.plan_merge("humanize==4.12.0"))
    (project.root / "packages.txt").write_text("tree\n")
    (project.root / "airflow_settings.yaml").write_text(SETTINGS)
    write_dag(
        project,
        "counted",
        "assert humanize.intcomma(8120) == '8,120'; subprocess.check_call(['tree', '/etc/apt'])",
        more="import humanize, subprocess",
    )
    environment = open_environment(project)
    assert environment.engine.name == "docker"
    assert environment.preflight() == ()
    assert environment.status().state == "stopped"

    check_before_the_first_start(client, project, environment)

    events: list[Event] = []
    started = environment.start(listener=events.append)
    done = {event.key for event in events if isinstance(event, Step) and event.state == "done"}
    assert {"database", "scheduler", "dag-processor", "api-server", "triggerer"} <= done
    assert (started.already_running, started.status.state) == (False, "running")
    assert (started.status.airflow_version, started.status.engine) == ("3.3.2", "docker")
    assert all(component.healthy for component in started.status.components)
    assert started.objects is not None
    assert started.objects.complete, started.objects.failures
    assert variable_of(environment, "region") == "north"
    before = identities(client, project)
    assert set(before) == SERVICES

    # What was added is there, for DAGs as for a person.
    run_of(environment, "counted")
    assert {task.task_id for task in run_of(environment, "orders").tasks} == {
        line.source for line in environment.task_logs(TaskChoice("orders"), LogQuery())
    }
    assert "humanize==4.12.0" in lines_of(environment, "pip", "freeze")
    assert lines_of(environment, "tree", "--version", component="api server")
    text = project.requirements.text()
    assert environment.check_requirements(f"{text}tinydb==4.8.0\n").changes == ("adds tinydb 4.8.0",)
    assert ("humanize", "4.12.0") in {(each.name, each.version) for each in environment.packages() if each.requested}
    assert environment.run(["sh", "-c", "exit 3"]) == 3

    check_round_trip(environment, drawn_rows(500 if campaign else 100, anew=campaign), tmp_path / "round-trip")

    # What runs already is not started again, and what is as it should be not restarted.
    assert environment.start().already_running
    nothing = environment.restart()
    assert (nothing.restarted, nothing.pending.action) == (False, Action.NONE)
    assert identities(client, project) == before

    # Stop ends everything, and the data is kept.
    stopped = environment.stop()
    assert (stopped.stopped, identities(client, project)) == (5, {})
    assert environment.status().state == "stopped"
    assert str(project.root) not in {route.project_dir for route in read_routes()}
    with pytest.raises(NotRunningError):
        environment.trigger("orders")
    assert environment.stop().stopped == 0
    events.clear()
    back = environment.start(listener=events.append)
    assert back.status.state == "running"
    assert {service: each[0] for service, each in identities(client, project).items()} == {
        service: each[0] for service, each in before.items()
    }
    assert back.status.url == started.status.url
    assert variable_of(environment, "region") == "north"
    run_of(environment, "counted")

    # Kill takes away what is of this project, and nothing else.
    with_bystander(client, project, environment)


def check_before_the_first_start(client, project, environment) -> None:
    """What works then leaves nothing but the image."""
    assert environment.parse("counted.py").failure is None
    assert environment.test_dag("counted").state == "success"
    assert "humanize==4.12.0" in lines_of(environment, "pip", "freeze")
    assert {each.partition(" ")[0] for each in leftovers(client, project)} == {"image"}


def with_bystander(client, project, environment) -> None:
    name = f"{project.root.name}-bystander-{project.unique_name[-6:]}".lower()
    labels = {"com.docker.compose.project": name, "com.docker.compose.service": "postgres"}
    volume = client.volumes.create(f"{name}_postgres_data", labels=labels)
    network = client.networks.create(f"{name}_airflow", labels=labels)
    container = client.containers.run(
        "debian:bookworm",
        ["sleep", "600"],
        name=f"{name}-postgres-1",
        labels=labels,
        detach=True,
        network=network.name,
        volumes={volume.name: {"bind": "/data", "mode": "rw"}},
        stop_signal="SIGKILL",
    )
    try:
        killed = environment.kill()
        assert killed.stopped == 5
        kept = leftovers(client, project)
        assert kept
        assert all(each.startswith("image ") for each in kept)
        container.reload()
        assert container.status == "running"
        assert client.networks.list(names=[network.name])
        assert client.volumes.list(filters={"name": volume.name})
        assert environment.status().state == "stopped"
        environment.kill(images=True)
        assert leftovers(client, project) == []
        assert containers_of(client, project) == []
        assert (project.root / "dags" / "orders.py").is_file()
    finally:
        container.remove(force=True)
        network.remove()
        volume.remove()
