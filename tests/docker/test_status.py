"""The status of small containers that stand for a project's, on a real engine."""

from datetime import UTC, datetime, timedelta

import pytest

from astro_magic.engines.docker.watching.listing import find_containers
from astro_magic.engines.docker.watching.status import read_status, watch_status
from tests.docker.small import HEALTH_PAGE, SLEEP, SmallStack, until

pytestmark = pytest.mark.docker

VERSIONS = {"astro-magic.airflow-version": "3.3.2", "astro-magic.python-version": "3.13.1"}
ALL_ADMINS = {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True"}


@pytest.fixture
def stack():
    with SmallStack() as stack:
        yield stack


def status_of(stack, **options):
    return read_status(stack.connection, stack.names, **options)


def part(status, name):
    return next(component for component in status.components if component.name == name)


def run_server(stack, *, age=-5, **options):
    """Serve a health page whose heartbeats are `age` seconds old: by default newer than any container."""
    stack.run(
        "api-server", HEALTH_PAGE, port=8080, environment={"AGE": str(age), **ALL_ADMINS}, labels=VERSIONS, **options
    )
    until(lambda: part(status_of(stack), "api server").healthy)


def test_nothing_there(stack):
    status = status_of(stack)
    assert (status.engine, status.state, status.components, status.url) == ("docker", "stopped", (), None)


def test_a_healthy_stack(stack):
    stack.run("postgres", healthcheck={"test": ["CMD", "true"], "interval": 200_000_000})
    for service in ("triggerer", "dag-processor", "scheduler", "mailhog"):
        stack.run(service)
    stack.run("db-migration", "exit 0")
    run_server(stack)
    status = until(lambda: (now := status_of(stack)).state == "running" and now)
    names = [component.name for component in status.components]
    assert names == ["api server", "scheduler", "dag processor", "triggerer", "mailhog", "postgres"]
    assert all(component.healthy and component.state == "running" for component in status.components)
    server = status.components[0]
    assert status.url == f"http://localhost:{server.ports[0].rpartition(':')[2]}"
    assert server.ports[0].startswith("127.0.0.1:")
    assert server.image == "debian:bookworm"
    assert (status.airflow_version, status.python_version) == ("3.3.2", "3.13.1")
    assert status.login == "anyone on this machine (no login)"
    assert status.started_at == min(component.since for component in status.components[:4])
    assert timedelta(0) < datetime.now(UTC) - status.started_at < timedelta(minutes=5)
    assert all(component.memory > 0 and component.cpu_percent >= 0 for component in status.components)
    assert all(component.cpu_percent is None for component in status_of(stack, measured=False).components)


def test_a_heartbeat_from_before_the_start_does_not_count(stack):
    stack.run("scheduler")
    run_server(stack, age=20)
    status = status_of(stack)
    assert part(status, "api server").healthy
    assert (part(status, "scheduler").healthy, part(status, "scheduler").state) == (False, "starting")
    assert status.state == "starting"


def test_airflow_2_and_containers_of_the_astro_cli(stack):
    labels = {"io.astronomer.docker": "true", "io.astronomer.docker.airflow.version": "2.11.0"}
    stack.run("webserver", port=8080, labels=labels)
    status = status_of(stack)
    assert (status.airflow_version, status.login) == ("2.11.0", "user admin, password admin")
    assert (status.components[0].healthy, status.state) == (False, "starting")


def test_what_ended_is_not_there_and_what_crashes_is_told_with_its_words(stack):
    stack.run("scheduler", "exit 0")
    until(lambda: all(found.state == "exited" for found in find_containers(stack.connection, stack.names)))
    assert status_of(stack).state == "stopped"
    crash = "echo 'cannot import name: boom' >&2; exit 3"
    stack.run("triggerer", crash, restart_policy={"Name": "unless-stopped"})
    status = until(lambda: (now := status_of(stack)).state == "failed" and now)
    failed = part(status, "triggerer")
    assert failed.state == "failed"
    assert "cannot import name: boom" in failed.detail
    grown = until(lambda: (now := part(status_of(stack), "triggerer")).restarts >= 2 and now.state == "failed" and now)
    assert "started again" in grown.detail


def test_killed_for_want_of_memory(stack):
    eat = "head -c 200000000 /dev/zero | tail -c 190000000 > /dev/null; exit 9"
    container = stack.run(
        "scheduler", f"perl -e '$x = q(a) x 200_000_000'; {eat}", mem_limit="20m", memswap_limit="20m"
    )
    until(lambda: not stack.connection.api.inspect_container(container)["State"]["Running"])
    status = status_of(stack)
    assert status.state == "failed"
    assert part(status, "scheduler").detail.startswith("was killed for want of memory")


def test_killed_while_the_others_go_on(stack):
    run_server(stack)
    container = stack.run("scheduler", restart_policy={"Name": "unless-stopped"})
    stack.connection.api.kill(container, "SIGKILL")
    status = until(lambda: (now := status_of(stack)).state == "failed" and now)
    assert part(status, "scheduler").detail == "was killed (exit code 137)"
    # All of them stopped is no failure.
    for found in find_containers(stack.connection, stack.names, stopped=False):
        stack.connection.api.stop(found.id)
    assert status_of(stack).state == "stopped"


def test_a_migration_is_shown_while_it_runs_and_when_it_failed(stack):
    run_server(stack)
    container = stack.run("db-migration", "sleep 600")
    assert part(status_of(stack), "db migration").state == "starting"
    stack.connection.api.remove_container(container, force=True)
    stack.run("db-migration", "echo 'relation exists'; exit 1")
    failed = until(lambda: next((one for one in status_of(stack).components if one.state == "failed"), None))
    assert (failed.name, failed.detail) == ("db migration", "ended with exit code 1\nrelation exists")


def test_an_image_that_no_tag_names_any_more_and_a_scaled_service(stack):
    api = stack.connection.api
    tag = f"{stack.names.compose}:latest"
    first = stack.run("scheduler")
    api.commit(first, stack.names.compose, "latest")
    stack.run("worker", image=tag)
    stack.run("worker", image=tag, labels={"com.docker.compose.container-number": "2"})
    before = status_of(stack)
    assert [component.name for component in before.components] == ["scheduler", "worker", "worker 2"]
    assert part(before, "worker").image == tag
    identity = api.inspect_image(tag)["Id"]
    api.commit(first, stack.names.compose, "latest")
    assert part(status_of(stack), "worker").image == identity.removeprefix("sha256:")[:12]
    for found in find_containers(stack.connection, stack.names):
        api.remove_container(found.id, force=True)
    api.remove_image(tag)
    api.remove_image(identity)


def test_a_command_of_its_own_is_no_component(stack):
    stack.run("scheduler", SLEEP, labels={"com.docker.compose.oneoff": "True"})
    assert status_of(stack).components == ()


def test_a_death_comes_with_the_next_status(stack):
    container = stack.run("scheduler")
    run_server(stack)
    statuses = watch_status(stack.connection, stack.names, interval=600)
    assert part(next(statuses), "scheduler").since
    stack.connection.api.kill(container, "SIGKILL")
    # There is no other reason for a new status before ten minutes are over.
    until(lambda: part(next(statuses), "scheduler").state == "failed")
    statuses.close()
