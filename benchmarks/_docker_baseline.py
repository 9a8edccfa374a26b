"""The Docker environment of a project as the Astro CLI runs it: stop everything, build, start everything, wait.

Containers, variables, mounts, order and waits are the CLI's. There are no health checks, the components race with the
migration of the database, which runs at each start, and what ends has ten seconds for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import docker
from docker.errors import NotFound
from docker.models.containers import Container

from astro_magic.airflow.client import AirflowClient
from astro_magic.airflow.health import Health, HealthReader, read_health
from astro_magic.engines.docker.client.connection import connect
from astro_magic.engines.docker.image.builder import find_builder
from astro_magic.engines.docker.names import Names
from astro_magic.engines.docker.services.stack import component_names
from astro_magic.engines.ports import choose_port
from astro_magic.project.project import Project

__all__ = ["Baseline", "all_healthy"]

_POSTGRES = "docker.io/postgres:12.6"
_DSN = "postgresql://postgres:postgres@postgres:5432"
_AUTH = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
_TICK = 1.0
_GRACE = 10
_COMPONENTS = component_names(3)
_BEATS = ("scheduler", "triggerer", "dag_processor")
_PATIENCE = 300.0


def all_healthy(health: Health | None, since: datetime) -> bool:
    """Whether each component has a heartbeat that is not older than `since`."""
    return health is not None and all(
        name in health.components and health.components[name].healthy_since(since) for name in _BEATS
    )


class Baseline:
    """The containers of one project.

    Parameters
    ----------
    project : Project
        The project; no other tool may run it.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.names = Names.of(project)
        self._client = docker.from_env()
        self._port = choose_port(None)
        self._postgres_port = choose_port(None)
        self._labels = {
            "com.docker.compose.project": self.names.compose,
            "io.astronomer.docker": "true",
            "io.astronomer.docker.cli": "true",
        }
        #: Seconds of the last start or restart: its parts, and `answered`, at which the CLI says that it is done.
        self.parts: dict[str, float] = {}

    @property
    def url(self) -> str:
        """Address of the UI."""
        return f"http://127.0.0.1:{self._port}"

    # -- the commands --------------------------------------------------------------------------------------------

    def build(self) -> None:
        """Build the image, as the docker command does it."""
        builder = find_builder(connect())
        subprocess.run(
            [*builder.argv, "-t", self.names.image, "-f", "Dockerfile", "."],
            cwd=self.project.root,
            env={**os.environ, **builder.environment},
            check=True,
            capture_output=True,
        )

    def start(self) -> float:
        """Build, start, wait; gives the seconds until every component is healthy."""
        return self._start(time.perf_counter())

    def restart(self, *, variable: tuple[str, str] | None = None) -> float:
        """Stop everything and start it again, which applies any change; gives the seconds until all are healthy.

        Parameters
        ----------
        variable : (str, str), optional
            Name and value of a variable in ``airflow_settings.yaml``, which the CLI writes when the UI answers.
        """
        begun = time.perf_counter()
        self._stop()
        self.parts = {"stop": time.perf_counter() - begun}
        return self._start(begun, variable=variable)

    def kill(self) -> None:
        """Remove containers, volumes and the network; the image is kept."""
        in_parallel((each.remove for each in self._containers()), force=True, v=True)
        for volume in (self.names.postgres_volume, self.names.logs_volume):
            try:
                self._client.volumes.get(volume).remove(force=True)
            except NotFound:
                continue
        for network in self._client.networks.list(names=[self.names.network]):
            network.remove()

    # -- their parts ---------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        """End the components side by side, then the database; look once a second whether it has ended."""
        present = {each.labels["com.docker.compose.service"]: each for each in self._containers()}
        in_parallel((each.stop for name, each in present.items() if name != "postgres"), timeout=_GRACE)
        present["postgres"].stop(timeout=_GRACE)
        while True:
            time.sleep(_TICK)
            present["postgres"].reload()
            if present["postgres"].status == "exited":
                return

    def _start(self, begun: float, *, variable: tuple[str, str] | None = None) -> float:
        building = time.perf_counter()
        self.build()
        self.parts["build"] = time.perf_counter() - building
        starting, since = time.perf_counter(), datetime.now(UTC)
        self._up()
        self.parts["containers"] = time.perf_counter() - starting
        self._await_answer()
        if variable is not None:
            self._set(*variable)
        self.parts["answered"] = time.perf_counter() - begun
        self._await_health(since)
        seconds = time.perf_counter() - begun
        self.parts["healthy"] = seconds
        return seconds

    def _up(self) -> None:
        """Start what fits, and make anew what does not; all that waits for is that Postgres is started."""
        if not self._client.networks.list(names=[self.names.network]):
            self._client.networks.create(self.names.network, driver="bridge", labels=self._labels)
        self._put("postgres")
        with ThreadPoolExecutor(len(_COMPONENTS) + 1) as pool:
            list(pool.map(self._put, ("db-migration", *_COMPONENTS)))

    def _put(self, service: str) -> None:
        name = self.names.container(service)
        image = _POSTGRES if service == "postgres" else self.names.image
        made_of = json.dumps([self._client.images.get(image).id, self._environment(service)], sort_keys=True)
        specification = hashlib.sha256(made_of.encode()).hexdigest()
        try:
            present = self._client.containers.get(name)
        except NotFound:
            pass
        else:
            if present.labels["specification"] == specification:
                present.start()
                return
            present.remove(force=True)
        self._create(name, service, image, specification).start()

    def _create(self, name: str, service: str, image: str, specification: str) -> Container:
        home, root = "/usr/local/airflow", self.project.root
        more: dict[str, Any] = {}
        if service == "postgres":
            more["ports"] = {"5432/tcp": ("127.0.0.1", self._postgres_port)}
            more["volumes"] = [f"{self.names.postgres_volume}:/var/lib/postgresql/data"]
        else:
            more["command"] = ["airflow", "db", "migrate"] if service == "db-migration" else ["airflow", service]
        if service in _COMPONENTS:
            folders = ("dags", "plugins", "include", *(() if service == "triggerer" else ("tests",)))
            more["user"] = "astro"
            more["volumes"] = [f"{root}/{folder}:{home}/{folder}:z" for folder in folders]
            more["volumes"].append(f"{self.names.logs_volume}:{home}/logs")
            if service == "scheduler":
                more["volumes"].append(f"{root}/airflow_settings.yaml:{home}/airflow_settings.yaml:z")
        if service == "api-server":
            more["ports"] = {"8080/tcp": ("127.0.0.1", self._port)}
        if service != "db-migration":
            more["restart_policy"] = {"Name": "unless-stopped"}
        endpoint = self._client.api.create_endpoint_config(aliases=[service])
        labels = {"com.docker.compose.service": service, "specification": specification}
        if service != "postgres":
            labels["io.astronomer.docker.component"] = f"airflow-{service}"
        return self._client.containers.create(
            image,
            name=name,
            environment=self._environment(service),
            labels={**self._labels, **labels},
            network=self.names.network,
            networking_config={self.names.network: endpoint},
            **more,
        )

    def _environment(self, service: str) -> dict[str, str]:
        if service == "postgres":
            return {"POSTGRES_USER": "postgres", "POSTGRES_PASSWORD": "postgres"}
        secret = self.project.unique_name
        fixed = {
            "AIRFLOW__API__BASE_URL": "http://localhost:8080",
            "AIRFLOW__API__PORT": "8080",
            "AIRFLOW__API__SECRET_KEY": secret,
            "AIRFLOW__API_AUTH__JWT_SECRET": secret,
            "AIRFLOW__CORE__AUTH_MANAGER": _AUTH,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "http://api-server:8080/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__FERNET_KEY": "d6Vefz3G9U_ynXB3cr7y_Ak35tAHkEGAVxuz_B-jzWw=",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__SQL_ALCHEMY_CONN": _DSN,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": _DSN,
            "AIRFLOW__SCHEDULER__STANDALONE_DAG_PROCESSOR": "True",
            "ASTRONOMER_ENVIRONMENT": "local",
        }
        return fixed if service == "db-migration" else {**self.project.variables(), **fixed}

    # -- waits ---------------------------------------------------------------------------------------------------

    def _await_answer(self) -> None:
        """Ask once a second until the health page answers with 200, whatever it says."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            time.sleep(_TICK)
            if read_health(self.url, timeout=5) is not None:
                return
        raise RuntimeError("the environment of the baseline does not answer")

    def _await_health(self, since: datetime) -> None:
        deadline = time.monotonic() + _PATIENCE
        with HealthReader(self.url) as reader:
            while not all_healthy(reader.read(), since):
                if time.monotonic() > deadline:
                    raise RuntimeError("the environment of the baseline does not get healthy")
                time.sleep(0.1)

    def _set(self, key: str, value: str) -> None:
        with AirflowClient(self.url, "admin", "admin", airflow_major=3) as client:
            known = client.get(f"/variables/{key}") is not None
            path = f"/variables/{key}" if known else "/variables"
            client.send("PATCH" if known else "POST", path, {"key": key, "value": value})

    def _containers(self) -> list[Container]:
        label = f"com.docker.compose.project={self.names.compose}"
        found: list[Container] = self._client.containers.list(all=True, filters={"label": label})
        return found


def in_parallel(calls: Iterable[Any], **options: Any) -> None:
    """Make calls side by side, each with the same options."""
    todo = list(calls)
    with ThreadPoolExecutor(max(len(todo), 1)) as pool:
        for done in [pool.submit(call, **options) for call in todo]:
            done.result()
