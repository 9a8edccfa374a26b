"""Restarts of a real stack: each costs what its cause asks for, and none takes away what worked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from astro_magic.engines.docker.names import Names
from astro_magic.engines.options import StartOptions
from astro_magic.environment import Environment, open_environment
from astro_magic.errors import BuildFailedError, StartFailedError
from astro_magic.project.fingerprint import Action
from astro_magic.project.project import Project
from astro_magic.system.events import Event, Step
from tests.docker.conftest import _create, _emptied
from tests.docker.living import containers_of
from tests.docker.observing import (
    WORKERS,
    added,
    api_of,
    identities,
    lines_of,
    run_of,
    variable_of,
    write_dag,
)
from tests.docker.small import until
from tests.docker.ui_probe import UiProbe

pytestmark = pytest.mark.docker

SETTINGS = """\
airflow:
  variables:
    - variable_name: region
      variable_value: {region}
  pools:
    - pool_name: narrow
      pool_slot: 2
"""
OVERRIDE = """\
services:
  mail:
    image: debian:bookworm
    command: ["sleep", "infinity"]
    stop_signal: SIGKILL
  scheduler:
    environment:
      FROM_OVERRIDE: "yes"
"""
#: The scheduler of such an image ends as soon as it is started.
BROKEN_SCHEDULER = r"""
USER root
RUN entry="$(command -v airflow)" && mv "$entry" "$entry-real" \
 && printf '#!/bin/sh\n[ "$1" = scheduler ] && { echo "a wheel came off" >&2; exit 7; }\n' >"$entry" \
 && printf 'exec airflow-real "$@"\n' >>"$entry" \
 && chmod 755 "$entry"
USER astro
"""


@pytest.fixture(scope="module")
def shop(client: docker.DockerClient, astro_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Give the project that all of these tests change, each something of its own."""
    with _emptied(client, _create(tmp_path_factory.mktemp("restart") / "shop", "3")) as made:
        (made.root / "requirements.txt").write_text("humanize==4.11.0\ntitlecase==2.4\n")
        yield made


@pytest.fixture
def environment(shop: Project) -> Environment:
    """Give an environment that runs, with nothing pending."""
    opened = open_environment(shop)
    opened.restart()
    assert opened.pending().reasons == ()
    assert opened.status().state == "running"
    return opened


def test_objects_only(client: docker.DockerClient, shop: Project, environment: Environment) -> None:
    """Connections, pools and variables go in by the API; nothing is restarted."""
    before = identities(client, shop)
    for region, outcomes in (("north", {"created"}), ("south", {"updated", "unchanged"})):
        (shop.root / "airflow_settings.yaml").write_text(SETTINGS.format(region=region))
        restarted = environment.restart()
        assert restarted.pending.action is Action.IMPORT_OBJECTS
        assert restarted.objects is not None
        assert {result.outcome for result in restarted.objects.results} == outcomes
        assert variable_of(environment, "region") == region
    assert identities(client, shop) == before
    assert environment.restart().restarted is False


def test_a_requirement_added_and_then_a_variable(
    client: docker.DockerClient, shop: Project, environment: Environment
) -> None:
    """What is only added is there at once and nothing is restarted; whoever restarts later runs the image with it."""
    before = identities(client, shop)
    image = client.images.get(Names.of(shop).image).id
    shop.apply(shop.requirements.plan_merge("cowsay==6.1"))
    with UiProbe(str(environment.status().url)) as probe:
        restarted = environment.restart()
    assert [reason.detail for reason in restarted.pending.reasons] == ["+ cowsay==6.1"]
    assert identities(client, shop) == before
    assert probe.failed == 0
    assert "cowsay 6.1" in " ".join(environment.status().notes)
    assert environment.pending().reasons == ()
    for component in ("scheduler", "api-server", "triggerer"):
        assert "cowsay==6.1" in lines_of(environment, "pip", "freeze", component=component)
    assert "cowsay" in {each.name for each in environment.packages() if each.requested}
    added = environment.dependencies().matching("cowsay")
    assert [(each.version, each.origin) for each in added] == [("6.1", "added at run time")]
    write_dag(shop, "said", "assert 'moo' in cowsay.get_output_string('cow', 'moo')", more="import cowsay")
    run_of(environment, "said")

    until(lambda: "The image has it" in " ".join(environment.status().notes), seconds=180)
    assert client.images.get(Names.of(shop).image).id != image
    assert identities(client, shop) == before

    # A variable: Airflow's containers are new, of the new image, and the database goes on.
    shop.apply(shop.dotenv.plan_set({"SHOP_SIZE": "large"}))
    assert environment.restart().pending.action is Action.RECREATE
    after = identities(client, shop)
    assert after["postgres"] == before["postgres"]
    assert all(after[service][0] != before[service][0] for service in (*WORKERS, "api-server"))
    assert {one.image.id for one in containers_of(client, shop) if one.name != _postgres(shop)} == {
        client.images.get(Names.of(shop).image).id
    }
    assert environment.status().notes == ()
    assert "cowsay==6.1" in lines_of(environment, "pip", "freeze")
    write_dag(shop, "sized", "assert os.environ['SHOP_SIZE'] == 'large'")
    run_of(environment, "sized")
    run_of(environment, "said")


def _postgres(project: Project) -> str:
    return Names.of(project).container("postgres")


def test_a_requirement_changed(client: docker.DockerClient, shop: Project, environment: Environment) -> None:
    """The workers are restarted, since they may have imported it; the UI answers all the time."""
    before = identities(client, shop)
    shop.apply(shop.requirements.plan_merge("humanize==4.12.0"))
    assert not environment.add_packages()
    assert identities(client, shop) == before
    with UiProbe(str(environment.status().url)) as probe:
        restarted = environment.restart()
    assert "humanize==4.11.0 → humanize==4.12.0" in restarted.pending.reasons[0].detail
    after = identities(client, shop)
    assert {service for service in before if before[service] != after[service]} == set(WORKERS)
    assert {service: each[0] for service, each in before.items()} == {
        service: each[0] for service, each in after.items()
    }
    assert probe.asked > 5
    assert probe.failed == 0
    assert restarted.status.state == "running"
    assert all(component.restarts == 0 for component in restarted.status.components)
    write_dag(shop, "counted", "assert humanize.__version__ == '4.12.0'", more="import humanize")
    run_of(environment, "counted")


def test_what_needs_another_image(client: docker.DockerClient, shop: Project, environment: Environment) -> None:
    """A requirement that goes, a Debian package and a line of the Dockerfile, all in one switch."""
    before = identities(client, shop)
    (old,) = {one.image.id for one in containers_of(client, shop) if one.name != _postgres(shop)}
    shop.apply(shop.requirements.plan_remove("titlecase"))
    (shop.root / "packages.txt").write_text("tree\n")
    with (shop.root / "Dockerfile").open("a") as dockerfile:
        dockerfile.write("\nENV BAKED_IN=yes\n")
    events: list[Event] = []
    restarted = environment.restart(listener=events.append)
    assert {reason.file for reason in restarted.pending.reasons} == {"requirements.txt", "packages.txt", "Dockerfile"}
    assert restarted.pending.action is Action.REBUILD
    after = identities(client, shop)
    assert after["postgres"] == before["postgres"]
    assert set(after) == set(before)
    assert not {each[0] for each in after.values()} & {before[service][0] for service in (*WORKERS, "api-server")}
    assert client.images.get(Names.of(shop).previous_image).id == old
    freeze = lines_of(environment, "pip", "freeze")
    assert not any(line.startswith("titlecase") for line in freeze)
    assert any(line.startswith("humanize==") for line in freeze)
    assert lines_of(environment, "tree", "--version")
    assert lines_of(environment, "printenv", "BAKED_IN") == ["yes"]
    assert not any(isinstance(event, Step) and "migrating" in event.detail for event in events)
    assert not any(one.name.endswith(("-next", "-before")) for one in containers_of(client, shop))


def test_an_override_file(client: docker.DockerClient, shop: Project, environment: Environment) -> None:
    """It adds a service and a variable; without it the service is gone again."""
    before = identities(client, shop)
    override = shop.root / "docker-compose.override.yml"
    override.write_text(OVERRIDE)
    try:
        assert environment.restart().pending.action is Action.RECREATE
        after = identities(client, shop)
        assert set(after) == {*before, "mail"}
        assert after["postgres"] == before["postgres"]
        assert lines_of(environment, "printenv", "FROM_OVERRIDE") == ["yes"]
        assert "mail" in {component.name for component in environment.status().components}
    finally:
        override.unlink()
    environment.restart()
    assert set(identities(client, shop)) == set(before)
    assert environment.run(["printenv", "FROM_OVERRIDE"]) == 1


def test_what_is_broken_leaves_all_as_it_was(
    client: docker.DockerClient, shop: Project, environment: Environment
) -> None:
    """A requirement, then a Dockerfile, then an Airflow that does not get healthy; a run goes on meanwhile."""
    image = client.images.get(Names.of(shop).image).id
    write_dag(shop, "slow", "time.sleep(15)")
    run = environment.trigger("slow")
    with api_of(environment) as api:
        until(lambda: api.get(f"/dags/slow/dagRuns/{run.run_id}")["state"] == "running")
    before = identities(client, shop)

    with added(shop.root / "requirements.txt", "humanize-of-nobody==1.2.3\n"):
        with pytest.raises(BuildFailedError, match=r"requirements\.txt") as failed:
            environment.restart()
        assert "humanize-of-nobody" in str(failed.value)
        assert environment.pending().action is Action.REBUILD
    with added(shop.root / "Dockerfile", "\nRUN echo almost && exit 3\n"):
        with pytest.raises(BuildFailedError, match=r"Dockerfile line \d") as failed:
            environment.restart()
        assert "almost" in str(failed.value)

    assert environment.pending().reasons == ()
    # A build leaves a machine little time for heartbeats.
    until(lambda: environment.status().state == "running")
    assert identities(client, shop) == before
    assert client.images.get(Names.of(shop).image).id == image
    with api_of(environment) as api:
        ended = until(
            lambda: (now := api.get(f"/dags/slow/dagRuns/{run.run_id}")["state"]) != "running" and now, seconds=60
        )
    assert ended == "success"

    # What does not get healthy is told at its second end, not after a time-out.
    with added(shop.root / "Dockerfile", BROKEN_SCHEDULER), pytest.raises(StartFailedError) as sick:
        environment.restart(StartOptions(timeout=3600))
    assert "scheduler ended" in sick.value.message
    assert sick.value.detail is not None
    assert "a wheel came off" in sick.value.detail
    assert "runs again as it did before" in str(sick.value.hint)
    after = identities(client, shop)
    assert {service: each[0] for service, each in after.items()} == {
        service: each[0] for service, each in before.items()
    }
    assert {one.name for one in containers_of(client, shop)} == {
        Names.of(shop).container(service) for service in before
    }
    assert client.images.get(Names.of(shop).image).id == image
    until(lambda: environment.status().state == "running")
    assert environment.pending().reasons == ()
    run_of(environment, "orders")
