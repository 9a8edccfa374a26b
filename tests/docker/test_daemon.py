"""An engine that is not there, goes away, hangs, is not for this user, or has no room left."""

from __future__ import annotations

import json
import os
import queue
import signal
import threading
from pathlib import Path

import docker
import pytest

from astro_magic.engines.answers import EngineStatus
from astro_magic.environment import Environment, open_environment
from astro_magic.errors import EngineError, EngineUnavailableError
from astro_magic.project.project import Project
from tests.docker.kernels import kernel, strays
from tests.docker.living import containers_of
from tests.docker.second_engine import SecondEngine
from tests.waiting import wait_until

SLOW = "\nRUN sleep 300\n"


@pytest.fixture
def environment(second_project: Project) -> Environment:
    return open_environment(second_project)


def refusals(environment: Environment) -> list[EngineUnavailableError]:
    """Give the errors of everything that needs an engine."""
    refused = []
    for work in (environment.status, environment.start, environment.restart, environment.stop, environment.prepare):
        with pytest.raises(EngineUnavailableError) as caught:
            work()
        refused.append(caught.value)
    return refused


def test_an_engine_that_is_stopped(engine: SecondEngine, environment: Environment) -> None:
    """Everything says so, and where it was looked for; the connection from before is no hindrance later."""
    assert environment.status().state == "stopped"
    engine.stop()
    for error in refusals(environment):
        assert str(engine.socket) in error.message
        assert error.hint
    (problem,) = environment.preflight()
    assert str(engine.socket) in problem.why
    engine.start()
    assert environment.status().state == "stopped"
    assert environment.preflight() == ()


def test_an_engine_that_hangs(engine: SecondEngine, environment: Environment) -> None:
    """It is told that it hangs, while somebody still waits for the answer; later it is used again."""
    assert environment.status().state == "stopped"
    os.kill(engine.pid, signal.SIGSTOP)
    try:
        with pytest.raises(EngineUnavailableError, match="hangs") as hanging:
            environment.status()
        assert hanging.value.hint
        assert "hangs" in environment.preflight()[0].why
    finally:
        os.kill(engine.pid, signal.SIGCONT)
    assert wait_until(lambda: environment.preflight() == (), 10)


def test_an_engine_for_other_users(
    engine: SecondEngine, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may not use the socket is told so, and how to get there."""
    # A name of its own, so that no connection to it is kept from before.
    name = engine.folder / "for-others.sock"
    name.symlink_to(engine.socket)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{name}")
    engine.socket.chmod(0o600)
    engine.folder.chmod(0o755)
    os.setegid(65534)
    os.seteuid(65534)
    try:
        with pytest.raises(EngineUnavailableError, match="This user may not use") as refused:
            environment.status()
    finally:
        os.seteuid(0)
        os.setegid(0)
        name.unlink()
    assert "group docker" in (refused.value.hint or "")
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    assert environment.status().state == "stopped"


def test_no_engine_at_all(environment: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A socket that is not there is named, with what named it."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    for error in refusals(environment):
        assert f"{tmp_path}/none.sock" in error.message
        assert "DOCKER_HOST" in (error.hint or "")


def test_no_command_to_build_with(
    environment: Environment,
    second_client: docker.DockerClient,
    second_project: Project,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """An engine without a docker command builds nothing; the message says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.status().state == "stopped"
    (problem,) = environment.preflight()
    with pytest.raises(EngineUnavailableError, match="docker command") as refused:
        environment.start()
    assert "buildx" in (refused.value.hint or "")
    assert problem.why == refused.value.message
    assert containers_of(second_client, second_project) == []


@pytest.mark.parametrize("phase", ["build", "components"])
def test_an_engine_that_stops_during_a_start(
    engine: SecondEngine,
    environment: Environment,
    second_project: Project,
    second_client: docker.DockerClient,
    phase: str,
) -> None:
    """One clear error ends the start; when the engine is back the next one works, and nothing is left over."""
    dockerfile = second_project.root / "Dockerfile"
    text = dockerfile.read_text()
    if phase == "build":
        dockerfile.write_text(text + SLOW)
    with kernel(second_project, "environment.start(listener=tell)") as other:
        other.until("sleep 300" if phase == "build" else "key='scheduler'")
        engine.stop()
        said = other.wait()
    last = [line for line in said.splitlines() if line.startswith("astro_magic.errors.")]
    assert last, said
    assert all(line.startswith("astro_magic.errors.EngineUnavailableError: ") for line in last), said

    engine.start()
    dockerfile.write_text(text)
    assert environment.start().status.state == "running"
    assert strays(second_client, second_project) == []


def test_an_engine_that_is_killed_under_a_running_airflow(
    engine: SecondEngine, environment: Environment, second_project: Project, second_client: docker.DockerClient
) -> None:
    """A watch ends or goes on, but does not hang; the engine's next start brings Airflow back, or ours does."""
    environment.start()
    seen: queue.Queue[EngineStatus | EngineError] = queue.Queue()

    def watch() -> None:
        try:
            for status in environment.watch():
                seen.put(status)
        except EngineError as problem:
            seen.put(problem)

    threading.Thread(target=watch, daemon=True).start()
    first = seen.get(timeout=20)
    assert isinstance(first, EngineStatus)
    assert first.state == "running"
    engine.stop(signal.SIGKILL)
    while not isinstance(told := seen.get(timeout=30), EngineUnavailableError):
        continue
    assert told.hint
    with pytest.raises(EngineUnavailableError):
        environment.status()

    engine.start()
    assert environment.start().status.state == "running"
    assert strays(second_client, second_project) == []


def test_an_engine_that_was_killed_while_it_removed_containers(
    engine: SecondEngine, environment: Environment, second_project: Project, second_client: docker.DockerClient
) -> None:
    """Of what it was about to remove nothing can be started; there are new containers in their place."""
    environment.start()
    environment.stop()
    before = {container.id for container in containers_of(second_client, second_project)}
    engine.stop()
    # What it writes down before it removes the rest of a container.
    for name in before:
        about = engine.data / "containers" / str(name) / "config.v2.json"
        content = json.loads(about.read_text())
        content["State"]["Dead"] = True
        about.write_text(json.dumps(content))
    engine.start()
    states = {container.status for container in containers_of(second_client, second_project)}
    assert states == {"dead"}

    assert environment.start().status.state == "running"
    assert strays(second_client, second_project) == []
    after = {container.id for container in containers_of(second_client, second_project)}
    assert len(after) == 5
    assert not before & after


def test_a_disk_without_room(
    engine: SecondEngine, environment: Environment, second_project: Project, second_client: docker.DockerClient
) -> None:
    """A build, and a start, that find no room say so; with room again all goes well."""
    dockerfile = second_project.root / "Dockerfile"
    text = dockerfile.read_text()
    environment.prepare()
    with engine.full_disk():
        dockerfile.write_text(text + "\nRUN head -c 50000000 /dev/urandom > /tmp/large\n")
        with pytest.raises(EngineError, match="no room left on the engine's disk"):
            environment.prepare()
        dockerfile.write_text(text)
        with pytest.raises(EngineError, match=r"disk is full|[Nn]o space left"):
            environment.start()
    assert environment.start().status.state == "running"
    assert strays(second_client, second_project) == []
