"""Several projects on one engine, two kernels on one project, taken ports, and names that are no plain words."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import docker
import pytest

from astro_magic.engines.options import StartOptions
from astro_magic.engines.routes import read_routes
from astro_magic.environment import Environment, open_environment
from astro_magic.errors import PortInUseError, ProjectBusyError
from astro_magic.machine.ports import is_free
from astro_magic.project.project import Project
from astro_magic.results import RestartResult
from tests.docker.conftest import _create, _emptied
from tests.docker.living import containers_of
from tests.docker.observing import api_of, identities, lines_of, run_of, variable_of, write_dag

pytestmark = pytest.mark.docker

#: Of such folders templates, shells and labels have made something else before.
STRANGE = 'it\'s a "real" c++ & ünï <dir>'


@pytest.fixture(scope="module")
def shops(
    client: docker.DockerClient, astro_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Project, Project]]:
    """Give two projects in folders of the same name, with capital letters in their own names."""
    above = tmp_path_factory.mktemp("side")
    with ExitStack() as stack:
        made = [
            stack.enter_context(_emptied(client, _create(above / each / "Shop", "3"))) for each in ("plain", STRANGE)
        ]
        yield made[0], made[1]


@pytest.fixture(scope="module")
def both(shops: tuple[Project, Project]) -> tuple[Environment, Environment]:
    """Give the environments of both, started at the same time."""
    one, other = (open_environment(shop) for shop in shops)
    with ThreadPoolExecutor(2) as pool:
        for started in pool.map(Environment.start, (one, other)):
            assert started.status.state == "running"
    return one, other


def test_two_projects_at_once(
    client: docker.DockerClient, shops: tuple[Project, Project], both: tuple[Environment, Environment]
) -> None:
    """They have ports, data and names of their own."""
    one, other = both
    assert [shop.name[:5] for shop in shops] == ["Shop-", "Shop-"]
    assert one.status().url != other.status().url
    with api_of(one) as api:
        api.send("POST", "/variables", {"key": "mine", "value": "alone"})
    assert (variable_of(one, "mine"), variable_of(other, "mine")) == ("alone", None)
    routes = {route.project_dir: route for route in read_routes()}
    mine = [routes[str(shop.root)] for shop in shops]
    assert {route.hostname for route in mine} == {"shop.localhost", "shop-2.localhost"}
    assert [f"http://localhost:{route.port}" for route in mine] == [one.status().url, other.status().url]
    assert len({route.services["postgres"] for route in mine}) == 2

    # The folder with the strange name is mounted as it is.
    write_dag(shops[1], "here", "pass")
    assert "here.py" in lines_of(other, "ls", "dags")
    assert "here.py" not in lines_of(one, "ls", "dags")
    run_of(other, "here")

    # What is done with one is nothing to the other.
    before = identities(client, shops[0])
    other.stop()
    assert one.status().state == "running"
    url = other.start().status.url
    other.kill()
    assert identities(client, shops[0]) == before
    assert variable_of(one, "mine") == "alone"
    assert other.start().status.state == "running"
    assert url is not None
    assert variable_of(other, "mine") is None


def test_two_kernels_restart_one_project(
    client: docker.DockerClient, shops: tuple[Project, Project], both: tuple[Environment, Environment]
) -> None:
    """One waits for the other, or is told of it; what runs afterwards is whole and has the change."""
    shop = shops[0]
    shop.apply(shop.dotenv.plan_set({"SHOP_SIZE": "large"}))

    def restart(environment: Environment) -> RestartResult | ProjectBusyError:
        try:
            return environment.restart()
        except ProjectBusyError as busy:
            return busy

    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(restart, [open_environment(Project.find(shop.root)) for _ in range(2)]))
    assert any(isinstance(each, RestartResult) for each in ended)
    for each in ended:
        if isinstance(each, ProjectBusyError):
            assert str(os.getpid()) in each.message
        else:
            assert each.status.state == "running"
    assert len(containers_of(client, shop)) == len(identities(client, shop)) == 5
    environment = both[0]
    assert environment.status().state == "running"
    assert environment.pending().reasons == ()
    assert lines_of(environment, "printenv", "SHOP_SIZE") == ["large"]


def test_a_port_that_a_stranger_has(
    client: docker.DockerClient, shops: tuple[Project, Project], both: tuple[Environment, Environment]
) -> None:
    """Another one is taken; where that very port was asked for, who has it is told, and nothing is started."""
    shop, environment = shops[0], both[0]
    port = int(str(environment.status().url).rpartition(":")[2])
    environment.stop()
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(PortInUseError, match=rf"Port {port} is taken by .*process {os.getpid()}\)"):
            environment.start(StartOptions(port=port))
        assert identities(client, shop) == {}
        started = environment.start()
        assert started.status.state == "running"
        assert started.status.url != f"http://localhost:{port}"
    assert environment.status().url == started.status.url


def test_a_port_taken_between_choice_and_start(
    shops: tuple[Project, Project], both: tuple[Environment, Environment], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start goes on with another one."""
    environment = both[0]
    port = int(str(environment.status().url).rpartition(":")[2])
    environment.stop()
    seen: list[int] = []

    def look(asked: int) -> bool:
        seen.extend([asked] if asked == port else [])
        return seen == [port] if asked == port else is_free(asked)

    monkeypatch.setattr("astro_magic.engines.ports.is_free", look)
    with socket.create_server(("127.0.0.1", port)):
        started = environment.start()
    assert started.status.state == "running"
    assert started.status.url != f"http://localhost:{port}"
    assert len(seen) > 1
