"""What goes wrong with a project's containers: missing images, deaths, no memory, interrupts, killed kernels."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from astro_magic.engines.answers import Component, EngineStatus
from astro_magic.engines.docker.names import Names
from astro_magic.engines.options import StartOptions
from astro_magic.environment import Environment, open_environment
from astro_magic.errors import EngineError, StartFailedError
from astro_magic.project.project import Project
from tests.docker.conftest import _create, _emptied
from tests.docker.kernels import builds_of, kernel, strays
from tests.docker.living import containers_of
from tests.waiting import wait_until

OVERRIDE = "docker-compose.override.yml"
#: Longer than a test may take: what is only told after a time-out is told too late.
LONG = StartOptions(timeout=3600)


@pytest.fixture(scope="module")
def shop(client: docker.DockerClient, astro_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Give the project that several tests use; each brings it to the state that it needs."""
    with _emptied(client, _create(tmp_path_factory.mktemp("faults") / "shop", "3")) as made:
        yield made


@pytest.fixture
def running(shop: Project) -> Environment:
    """Give an environment that runs."""
    environment = open_environment(shop)
    assert environment.start().status.state == "running"
    return environment


def running_of(client: docker.DockerClient, project: Project) -> list[str]:
    return [
        str(container.name)
        for container in containers_of(client, project)
        if container.status in ("running", "restarting", "paused")
    ]


def component(environment: Environment, name: str) -> Component:
    return next(part for part in environment.status().components if part.name == name)


# -- images -------------------------------------------------------------------------------------------------------


def test_an_image_that_is_not_there(client: docker.DockerClient, project: Project) -> None:
    """A prepared image or a base image that nobody has is named, and nothing was made."""
    environment = open_environment(project)
    with pytest.raises(EngineError, match="nonsense") as refused:
        environment.start(StartOptions(image="nonsense"))
    assert refused.value.hint
    dockerfile = project.root / "Dockerfile"
    text = dockerfile.read_text()
    dockerfile.write_text("FROM localhost:9/no-such-base:1.2.3\n")
    with pytest.raises(EngineError, match="no-such-base") as failed:
        environment.start()
    assert "Dockerfile" in str(failed.value)
    assert containers_of(client, project) == []

    # What was asked for and not there is not asked for again.
    dockerfile.write_text(text)
    assert environment.prepare().airflow_version.startswith("3.")
    assert strays(client, project) == []


# -- containers that die ------------------------------------------------------------------------------------------


def test_a_crash_loop_is_told_with_its_cause(client: docker.DockerClient, shop: Project) -> None:
    """A component that ends again and again fails the start at once; nothing runs on, and without it all is well."""
    environment = open_environment(shop)
    environment.stop()
    override = shop.root / OVERRIDE
    override.write_text(
        "services:\n  scheduler:\n    entrypoint: [bash, -c, 'echo broken on purpose >&2; exit 3']\n    command: []\n"
    )
    try:
        with pytest.raises(StartFailedError, match=r"scheduler .*exit code 3") as failed:
            environment.start(LONG)
    finally:
        override.unlink()
    assert "broken on purpose" in str(failed.value)
    assert running_of(client, shop) == []
    assert strays(client, shop) == []
    assert environment.start().status.state == "running"


def test_a_component_killed_for_memory(client: docker.DockerClient, shop: Project) -> None:
    """The start says that it was memory; nothing runs on, and with enough of it all is well."""
    environment = open_environment(shop)
    environment.stop()
    override = shop.root / OVERRIDE
    override.write_text("services:\n  triggerer:\n    mem_limit: 40m\n    memswap_limit: 40m\n")
    try:
        with pytest.raises(StartFailedError, match=r"triggerer .*memory"):
            environment.start(LONG)
    finally:
        override.unlink()
    assert running_of(client, shop) == []
    assert strays(client, shop) == []
    assert environment.start().status.state == "running"


def test_a_killed_component_is_started_again(running: Environment, shop: Project, client: docker.DockerClient) -> None:
    """The engine starts it again; the status tells of it, and a watch at once."""
    seen: list[EngineStatus] = []
    over = threading.Event()

    def watch() -> None:
        statuses = running.watch()
        for status in statuses:
            seen.append(status)
            if over.is_set():
                break

    watching = threading.Thread(target=watch)
    watching.start()
    assert wait_until(lambda: bool(seen), 20)
    container = client.containers.get(Names.of(shop).container("scheduler"))
    before = component(running, "scheduler")
    os.kill(container.attrs["State"]["Pid"], signal.SIGKILL)
    try:
        assert wait_until(lambda: any(status.state != "running" for status in seen), 10)
        assert wait_until(lambda: running.status().state == "running", 60)
        assert wait_until(lambda: seen[-1].state == "running", 20)
    finally:
        over.set()
        watching.join(30)
    after = component(running, "scheduler")
    assert after.restarts == before.restarts + 1
    assert after.since is not None
    assert before.since is not None
    assert after.since > before.since
    assert not watching.is_alive()


@pytest.mark.parametrize("service", ["scheduler", "postgres"])
def test_a_container_that_somebody_killed(
    running: Environment, shop: Project, client: docker.DockerClient, service: str
) -> None:
    """What `docker kill` ended the engine leaves ended; the status says so, and a start brings it back."""
    client.containers.get(Names.of(shop).container(service)).kill()

    assert wait_until(lambda: running.status().state == "failed", 10)
    assert component(running, service).state in ("failed", "stopped")
    assert running.start().status.state == "running"
    assert component(running, service).healthy
    assert strays(client, shop) == []


def test_a_database_that_was_killed_while_it_was_made(client: docker.DockerClient, project: Project) -> None:
    """It holds nothing, and cannot be used; the next start makes it anew."""
    environment = open_environment(project)
    with kernel(project, "environment.start(listener=tell)") as other:
        other.until("key='database'")
        other.end(signal.SIGKILL)
    postgres = client.containers.get(Names.of(project).container("postgres"))
    postgres.kill()
    # As if it had been killed even earlier than it could be.
    (volume,) = [mount["Source"] for mount in postgres.attrs["Mounts"] if mount["Type"] == "volume"]
    data = Path(volume)
    for gone in ("postmaster.opts", "postgresql.conf", "global/pg_control"):
        (data / gone).unlink(missing_ok=True)
    (data / "PG_VERSION").write_text("15\n")
    assert environment.start().status.state == "running"
    assert strays(client, project) == []


# -- a folder of DAGs with too much in it -------------------------------------------------------------------------


def test_a_dag_file_of_a_million_lines(running: Environment, shop: Project) -> None:
    """It does no harm to the others, nor to start, status and restart."""
    huge = shop.root / "dags" / "huge.py"
    with huge.open("w") as file:
        file.write("from airflow.sdk import dag\n")
        file.writelines(f"# order {number}\n" for number in range(1_000_000))
        file.write("@dag(schedule=None)\ndef huge():\n    pass\nhuge()\n")
    try:
        assert {found.dag_id for found in running.parse("huge.py").dags} == {"huge"}
        assert set(running.dag_ids()) == {"huge", "orders"}
        assert running.trigger("orders", wait=True, timeout=120).state == "success"
        assert running.status().state == "running"
    finally:
        huge.unlink()


# -- interrupts and killed kernels --------------------------------------------------------------------------------

SLOW = "\nRUN sleep 300\n"
#: What says that a start has come to a phase.
PHASES = {
    "build": "sleep 300",
    "database": "key='database'",
    "migration": "detail='migrating",
    "components": "key='scheduler'",
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_a_start_that_is_ended_at_each_phase(
    client: docker.DockerClient, project: Project, tmp_path: Path, number: signal.Signals
) -> None:
    """An interrupted start ends what it started; a killed one is no hindrance to the next one."""
    environment = open_environment(project)
    dockerfile = project.root / "Dockerfile"
    text = dockerfile.read_text()
    # Nobody has kept the schema there, so that it has to be made.
    variables = {"ASTRO_MAGIC_CACHE": str(tmp_path / "cache")}
    for phase, mark in PHASES.items():
        dockerfile.write_text(text + SLOW if phase == "build" else text)
        with kernel(project, "environment.start(listener=tell)", environment=variables) as other:
            other.until(mark)
            said = other.end(number)
        if number == signal.SIGINT:
            assert "KeyboardInterrupt" in said, phase
            assert builds_of(project) == [], phase
            assert running_of(client, project) == [], phase
            assert strays(client, project) == [], phase
            assert environment.status().state == "stopped", phase
    assert environment.start().status.state == "running"
    assert strays(client, project) == []


@pytest.mark.parametrize("phase", ["build", "switch"])
def test_an_interrupted_restart(client: docker.DockerClient, running: Environment, shop: Project, phase: str) -> None:
    """What ran before runs on, or again; the change is still pending, and the next restart applies it."""
    before = {container.id for container in containers_of(client, shop)}
    _change(shop, slow=phase == "build")
    with kernel(shop, "environment.restart(listener=tell)") as other:
        other.until("sleep 300" if phase == "build" else "key='switch'")
        said = other.end(signal.SIGINT)
    assert "KeyboardInterrupt" in said
    assert strays(client, shop) == []
    assert {container.id for container in containers_of(client, shop)} == before
    assert wait_until(lambda: running.status().state == "running", 60)
    assert running.pending().reasons
    _make_quick(shop)
    assert running.restart().status.state == "running"
    assert not running.pending().reasons
    assert strays(client, shop) == []


@pytest.mark.parametrize("phase", ["build", "switch", "components"])
def test_a_kernel_killed_in_a_restart(
    client: docker.DockerClient, running: Environment, shop: Project, phase: str
) -> None:
    """The next restart applies the change, and nothing is left of the killed one."""
    _change(shop, slow=phase == "build")
    marks = {"build": "sleep 300", "switch": "key='switch'", "components": "key='scheduler'"}
    with kernel(shop, "environment.restart(listener=tell)") as other:
        other.until(marks[phase])
        other.end(signal.SIGKILL)
    if phase == "build":
        # Nothing has been touched that runs.
        assert running.status().state == "running"
    _make_quick(shop)
    assert running.restart().status.state == "running"
    assert running.status().state == "running"
    assert strays(client, shop) == []
    assert not running.pending().reasons
    assert _greeting(client, shop) == shop.variables()["AIRFLOW_VAR_GREETING"]


def test_a_database_killed_in_a_restart(client: docker.DockerClient, running: Environment, shop: Project) -> None:
    """It is told at once, and what ran before runs again with its database; the next restart applies the change."""
    _change(shop, slow=False)
    with kernel(shop, "environment.restart(StartOptions(timeout=3600), listener=tell)") as other:
        other.until("key='scheduler'")
        client.containers.get(Names.of(shop).container("postgres")).kill()
        said = other.wait(110)
    assert "The database was killed" in said
    assert "runs again as it did before" in said
    assert running.status().state == "running"
    assert strays(client, shop) == []
    assert running.restart().status.state == "running"
    assert _greeting(client, shop) == shop.variables()["AIRFLOW_VAR_GREETING"]


def test_a_build_in_the_background_outlives_its_kernel(
    client: docker.DockerClient, running: Environment, shop: Project
) -> None:
    """A kernel that is killed after a fast restart leaves the build to itself; a kill of the project ends it."""
    (shop.root / "Dockerfile").write_text((shop.root / "Dockerfile").read_text() + SLOW)
    code = """
        from astro_magic.engines.docker.image.background import background_build
        background_build(environment.project).start()
        print("started", flush=True)
        import time
        time.sleep(600)
    """
    try:
        with kernel(shop, code) as other:
            other.until("started")
            assert wait_until(lambda: builds_of(shop) != [], 20)
            other.end(signal.SIGKILL)
        assert builds_of(shop) != []
        running.kill()
        assert wait_until(lambda: builds_of(shop) == [], 10)
    finally:
        _make_quick(shop)
    assert containers_of(client, shop) == []
    assert running.start().status.state == "running"


def test_two_restarts_at_once(client: docker.DockerClient, running: Environment, shop: Project) -> None:
    """Both end well; what runs afterwards has the change, once."""
    _change(shop, slow=False)
    code = "print('up', environment.restart(StartOptions(timeout=200)).status.state)"
    with kernel(shop, code) as first, kernel(shop, code) as second:
        said = [first.wait(), second.wait()]
    assert all("up running" in each or "has been working on this project since" in each for each in said), said
    assert any("up running" in each for each in said), said
    assert running.status().state == "running"
    assert not running.pending().reasons
    assert strays(client, shop) == []
    assert _greeting(client, shop) == shop.variables()["AIRFLOW_VAR_GREETING"]


def _change(project: Project, *, slow: bool) -> None:
    """Change a variable; and the Dockerfile, so that a build takes minutes, where that is asked for."""
    present = project.variables()["AIRFLOW_VAR_GREETING"]
    project.apply(project.dotenv.plan_set({"AIRFLOW_VAR_GREETING": f"{present}, again"}))
    if slow:
        dockerfile = project.root / "Dockerfile"
        dockerfile.write_text(dockerfile.read_text() + SLOW)


def _make_quick(project: Project) -> None:
    dockerfile = project.root / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace(SLOW, ""))


def _greeting(client: docker.DockerClient, project: Project) -> str:
    """Give the variable as the running scheduler has it."""
    container = client.containers.get(Names.of(project).container("scheduler"))
    return str(dict(entry.split("=", 1) for entry in container.attrs["Config"]["Env"])["AIRFLOW_VAR_GREETING"])
