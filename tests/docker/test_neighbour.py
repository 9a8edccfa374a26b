"""Beside the Astro CLI: what it starts is seen, stopped and taken over; what we start, it finds."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import docker
import pytest

from astro_magic.engines.routes import read_routes, routes_file
from astro_magic.environment import open_environment
from astro_magic.machine.ports import is_free
from astro_magic.project.project import Project
from tests.docker.living import containers_of, leftovers
from tests.docker.observing import api_of, identities, run_of, variable_of
from tests.docker.small import until

pytestmark = pytest.mark.docker

#: What the Astro CLI tells Airflow 3; its template, with the service's names filled in.
VARIABLES = {
    "AIRFLOW__API__PORT": "8080",
    "AIRFLOW__CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "http://api-server:8080/execution/",
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "AIRFLOW__CORE__FERNET_KEY": "d6Vefz3G9U_ynXB3cr7y_Ak35tAHkEGAVxuz_B-jzWw=",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__SQL_ALCHEMY_CONN": "postgresql://postgres:postgres@postgres:5432",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://postgres:postgres@postgres:5432",
    "AIRFLOW__SCHEDULER__STANDALONE_DAG_PROCESSOR": "True",
    "ASTRONOMER_ENVIRONMENT": "local",
}
COMPONENTS = ("scheduler", "dag-processor", "api-server", "triggerer")


class AstroCli:
    """Starts a project's containers with the names, labels, volumes and variables that the Astro CLI gives them."""

    def __init__(self, client: docker.DockerClient, project: Project) -> None:
        root = str(project.root)
        self.client, self.project = client, project
        self.unique = f"{project.name}_{hashlib.md5(root.encode(), usedforsecurity=False).hexdigest()[:6]}"
        self.compose = "".join(sign for sign in self.unique.lower() if sign.isalnum() or sign in "_-").lstrip("_-")
        self.image = f"{self.unique}/airflow:latest"

    def labels(self, service: str, *, airflow: bool = True) -> dict[str, str]:
        """Give a container's labels: those of Compose, those that find it again, and those of the template."""
        root = self.project.root
        return {
            "com.docker.compose.config-hash": hashlib.sha256(service.encode()).hexdigest(),
            "com.docker.compose.container-number": "1",
            "com.docker.compose.depends_on": "" if service == "postgres" else "postgres:service_started:false",
            "com.docker.compose.oneoff": "False",
            "com.docker.compose.project": self.compose,
            "com.docker.compose.project.config_files": f"{root}/compose.yaml",
            "com.docker.compose.project.working_dir": str(root),
            "com.docker.compose.service": service,
            "com.docker.compose.version": "2.40.3",
            "io.astronomer.docker": "true",
            "io.astronomer.docker.cli": "true",
            **({"io.astronomer.docker.component": f"airflow-{service}"} if airflow else {}),
        }

    def start(self, *, port: int, postgres_port: int) -> None:
        """Start them, in the order of the CLI, which does not wait for the migration."""
        of_project = {"com.docker.compose.project": self.compose}
        network = f"{self.compose}_airflow"
        self.client.networks.create(
            network, driver="bridge", labels={**of_project, "com.docker.compose.network": "airflow"}
        )
        for volume in ("postgres_data", "airflow_logs"):
            name = f"{self.compose}_{volume}"
            self.client.volumes.create(name, labels={**of_project, "com.docker.compose.volume": volume})
        self._run(
            "postgres",
            "docker.io/postgres:12.6",
            None,
            labels=self.labels("postgres", airflow=False),
            environment={"POSTGRES_USER": "postgres", "POSTGRES_PASSWORD": "postgres"},
            ports={"5432/tcp": ("127.0.0.1", postgres_port)},
            volumes=[f"{self.compose}_postgres_data:/var/lib/postgresql/data"],
        )
        variables = {
            **VARIABLES,
            "AIRFLOW__API__BASE_URL": f"http://localhost:{port}",
            "AIRFLOW__API__SECRET_KEY": self.unique,
            "AIRFLOW__API_AUTH__JWT_SECRET": self.unique,
            **self.project.variables(),
        }
        for service in ("db-migration", *COMPONENTS):
            command = ["airflow", "db", "migrate"] if service == "db-migration" else ["airflow", service]
            folders = ("dags", "plugins", "include", "tests") if service != "db-migration" else ()
            logs = [f"{self.compose}_airflow_logs:/usr/local/airflow/logs"] if folders else []
            self._run(
                service,
                self.image,
                command,
                labels=self.labels(service),
                environment=variables,
                user="astro" if folders else None,
                ports={"8080/tcp": ("127.0.0.1", port)} if service == "api-server" else {},
                volumes=[*(f"{self.project.root}/{name}:/usr/local/airflow/{name}:z" for name in folders), *logs],
                restart=bool(folders),
            )

    def _run(self, service: str, image: str, command: list[str] | None, *, restart: bool = True, **options) -> None:
        network = f"{self.compose}_airflow"
        endpoint = self.client.api.create_endpoint_config(aliases=[service])
        self.client.containers.create(
            image,
            command,
            name=f"{self.compose}-{service}-1",
            network=network,
            networking_config={network: endpoint},
            restart_policy={"Name": "unless-stopped"} if restart else None,
            **options,
        ).start()

    def finds(self) -> set[str]:
        """Give the names of the running containers that the CLI's ps, stop and kill take for the project's."""
        wanted = [
            f"com.docker.compose.project={self.compose}",
            "com.docker.compose.config-hash",
            "com.docker.compose.oneoff=False",
        ]
        return {each.name for each in self.client.containers.list(filters={"label": wanted})}


def free_ports() -> tuple[int, int]:
    """Give two ports that nobody has and that are no defaults."""
    free = [port for port in range(18100, 18900) if is_free(port)]
    return free[os.getpid() % 300], free[os.getpid() % 300 + 1]


def test_what_the_astro_cli_started(client: docker.DockerClient, project: Project) -> None:
    """It is seen with its address, used, stopped, and taken over with its data; then the CLI finds what is ours."""
    environment = open_environment(project)
    environment.prepare()
    cli = AstroCli(client, project)
    port, postgres_port = free_ports()
    cli.start(port=port, postgres_port=postgres_port)
    status = until(lambda: (now := environment.status()).state == "running" and now, seconds=180)
    assert status.url == f"http://localhost:{port}"
    assert (status.engine, status.airflow_version) == ("docker", "3.3.2")
    assert {component.name for component in status.components} == {
        "postgres",
        "scheduler",
        "dag processor",
        "api server",
        "triggerer",
    }
    assert environment.start().already_running
    run_of(environment, "orders")
    with api_of(environment) as api:
        api.send("POST", "/variables", {"key": "kept", "value": "by the CLI"})
    theirs = identities(client, project)

    # Its containers are replaced by ours, and the volume with the data is the same.
    environment.stop()
    assert identities(client, project) == {}
    taken = environment.start()
    assert taken.status.state == "running"
    ours = identities(client, project)
    assert set(ours) == {"postgres", *COMPONENTS}
    assert not {each[0] for each in ours.values()} & {each[0] for each in theirs.values()}
    assert variable_of(environment, "kept") == "by the CLI"
    run_of(environment, "orders")

    # The other way round.
    assert cli.finds() == {f"{cli.compose}-{service}-1" for service in ours}
    for container in containers_of(client, project):
        service = container.labels["com.docker.compose.service"]
        expected = cli.labels(service, airflow=service != "postgres")
        told = {name: value for name, value in container.labels.items() if name in expected}
        free = dict.fromkeys(("com.docker.compose.config-hash", "com.docker.compose.depends_on"), "")
        assert {**told, **free} == {**expected, **free}, service
        assert (container.image.tags == [cli.image]) is (service != "postgres")
        assert container.attrs["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    things = leftovers(client, project)
    assert f"network {cli.compose}_airflow" in things
    assert {each for each in things if each.startswith("volume ")} == {
        f"volume {cli.compose}_postgres_data",
        f"volume {cli.compose}_airflow_logs",
    }
    assert f"image {cli.image}" in things
    scheduler = next(one for one in containers_of(client, project) if one.name == f"{cli.compose}-scheduler-1")
    mounted = {mount["Destination"] for mount in scheduler.attrs["Mounts"]}
    assert {f"/usr/local/airflow/{name}" for name in ("dags", "plugins", "include", "tests", "logs")} <= mounted
    check_routes(project, str(taken.status.url))

    # Docker Compose, where it is here, stops them all by those labels.
    if compose := shutil.which("docker-compose"):
        stop_with(compose, cli, project.root)
    else:
        environment.stop()
    assert identities(client, project) == {}
    assert environment.status().state == "stopped"
    environment.kill(images=True)
    assert leftovers(client, project) == []
    assert str(project.root) not in {route.project_dir for route in read_routes()}


def check_routes(project: Project, url: str) -> None:
    """Check the CLI's registry as its own code reads it."""
    path = routes_file()
    assert path is not None
    text = path.read_text()
    (entry,) = [entry for entry in json.loads(text) if entry["projectDir"] == str(project.root)]
    assert entry["hostname"] == "shop.localhost"
    assert (entry["port"], entry["pid"], entry["mode"]) == (url.rpartition(":")[2], 0, "docker")
    assert set(entry["services"]) == {"postgres"}
    assert entry["services"]["postgres"].isdecimal()
    assert text.startswith('[\n  {\n    "')
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def stop_with(compose: str, cli: AstroCli, root: Path) -> None:
    """Stop the containers by Docker Compose, which knows of the project no more than its services' names."""
    file = root.parent / "only-names.yaml"
    services = "".join(f"  {service}:\n    image: none\n" for service in ("postgres", *COMPONENTS))
    file.write_text(f"version: '3.8'\nservices:\n{services}")
    command = [compose, "-p", cli.compose, "-f", str(file)]
    found = subprocess.run([*command, "ps", "-q"], check=True, capture_output=True, text=True).stdout.split()
    assert len(found) == 5
    subprocess.run([*command, "stop", "-t", "3"], check=True, capture_output=True, text=True)
