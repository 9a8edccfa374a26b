"""The exported file, run by Docker Compose itself."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import docker
import pytest

from astro_magic.engines.docker.names import SERVICE_LABEL, Names
from astro_magic.environment import open_environment
from astro_magic.project.project import Project
from tests.docker.conftest import IN_CI
from tests.docker.living import containers_of, leftovers
from tests.docker.observing import identities, lines_of, run_of, variable_of, write_dag
from tests.docker.small import until

pytestmark = pytest.mark.docker

SECRET = "planted-in-the-environment"
OVERRIDE = """\
services:
  scheduler:
    environment:
      FROM_OVERRIDE: "yes, $$5"
"""


@pytest.fixture
def compose(project: Project) -> Callable[..., str]:
    """Give a function that runs Docker Compose on the exported file."""
    command = shutil.which("docker-compose")
    if command is None and not IN_CI:
        pytest.skip("no docker-compose on this machine (on Debian: apt-get install docker-compose)")

    def run(*arguments: str) -> str:
        argv = [command or "docker-compose", "-p", Names.of(project).compose, "-f", "compose.yaml", *arguments]
        done = subprocess.run(argv, cwd=project.root, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_exported_file_runs_the_same_containers(
    client: docker.DockerClient, project: Project, compose: Callable[..., str]
) -> None:
    """Compose accepts it and starts what we would start, which we then take for ours; it removes it again."""
    (project.root / "docker-compose.override.yml").write_text(OVERRIDE)
    project.apply(project.dotenv.plan_set({"SHOP_TOKEN": SECRET, "SHOP_PRICE": "5$ and a \\ 'quote'"}))
    write_dag(
        project, "priced", "assert os.environ['SHOP_PRICE'] == \"5$ and a \\\\ 'quote'\"", more=f"TOKEN = {SECRET!r}"
    )
    environment = open_environment(project)
    environment.start()
    ours = described(client, project)
    exported = environment.compose_file()
    environment.kill()
    assert SECRET not in exported
    (project.root / "compose.yaml").write_text(exported)

    compose("config", "--quiet")
    compose("up", "--detach")
    assert until(lambda: environment.status().state == "running", seconds=90)
    assert environment.start().already_running
    assert described(client, project) == ours
    assert lines_of(environment, "printenv", "FROM_OVERRIDE") == ["yes, $5"]
    assert variable_of(environment, "greeting") is None
    run_of(environment, "priced")

    compose("down", "--volumes")
    assert identities(client, project) == {}
    assert {each.partition(" ")[0] for each in leftovers(client, project)} == {"image"}


def described(client: docker.DockerClient, project: Project) -> dict[str, dict[str, object]]:
    """Give what makes each running container of a project what it is."""
    return {
        each.labels[SERVICE_LABEL]: {
            "image": each.image.id,
            "command": each.attrs["Config"]["Cmd"],
            "variables": sorted(each.attrs["Config"]["Env"]),
            "ports": each.attrs["HostConfig"]["PortBindings"],
            "mounts": sorted((one["Type"], one["Source"], one["Destination"]) for one in each.attrs["Mounts"]),
            "networks": sorted(each.attrs["NetworkSettings"]["Networks"]),
            "health": each.attrs["Config"].get("Healthcheck", {}).get("Test"),
            "restart": each.attrs["HostConfig"]["RestartPolicy"]["Name"],
        }
        for each in containers_of(client, project)
        if each.status == "running"
    }
