"""The services of a project, as a Compose model: a database, a migration, and Airflow's components.

Names, labels, networks, volumes and ports are those of the Astro CLI, so that each tool finds what the other started.
What differs is told where it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, TypeAlias
from urllib.parse import quote

from packaging.version import Version

from astro_magic.engines.docker.image.facts import ImageFacts
from astro_magic.engines.docker.names import Names
from astro_magic.engines.docker.services.healthchecks import heartbeat_check, http_check, postgres_check
from astro_magic.engines.docker.services.variables import airflow_variables, engine_variables, overridden_variables
from astro_magic.project.config import Config
from astro_magic.project.project import Project

__all__ = [
    "EXTENSION",
    "MIGRATION",
    "POSTGRES",
    "Model",
    "StackInputs",
    "component_names",
    "compose_model",
    "overridden",
]

#: A Compose model: plain data as the Compose specification has it, in its long syntax throughout.
Model: TypeAlias = dict[str, Any]

#: The model's own key for what the specification has no place for.
EXTENSION = "x-astro-magic"
POSTGRES = "postgres"
MIGRATION = "db-migration"

_JOBS = {"scheduler": "SchedulerJob", "dag-processor": "DagProcessorJob", "triggerer": "TriggererJob"}
_SERVERS = {"api-server": "/api/v2/monitor/health", "webserver": "/health"}
_COMPONENTS = {2: ("scheduler", "webserver", "triggerer"), 3: ("scheduler", "dag-processor", "api-server", "triggerer")}
_FOLDERS = ("dags", "plugins", "include", "tests")
_FIRST_TRIGGERER = Version("2.2")
_FIRST_MIGRATE = Version("2.7")


@dataclass(frozen=True)
class StackInputs:
    """What the services of a project are made from.

    Attributes
    ----------
    project : Project
        The project, whose folders are mounted.
    names : Names
        What its containers, volumes and networks are called.
    facts : ImageFacts
        What is in the image.
    image : str
        What the containers run: a tag or an id.
    api_port, postgres_port : int
        The ports of this machine at which the UI and the database are published.
    variables : Mapping of str to str
        Those of ``.env`` and what is passed beside.
    settings_file : str or None
        The file of connections, pools and variables, relative to the project, where it exists.
    """

    project: Project
    names: Names
    facts: ImageFacts
    image: str
    api_port: int
    postgres_port: int
    variables: Mapping[str, str] = field(repr=False)
    settings_file: str | None = None


def component_names(airflow_major: int) -> tuple[str, ...]:
    """Give the services that run Airflow for as long as the environment does."""
    return _COMPONENTS[2 if airflow_major < 3 else 3]


def overridden(inputs: StackInputs) -> tuple[str, ...]:
    """Name the variables of ``.env`` that have no effect, since the engine depends on values of its own.

    `astro_magic.engines.docker.services.variables` tells which and why.
    """
    facts = inputs.facts
    return overridden_variables(inputs.variables, airflow_version=facts.airflow_version, home=facts.airflow_home)


def compose_model(inputs: StackInputs) -> Model:
    """Give the services of a project.

    Unlike the Astro CLI's, every component has a health check, the migration sees ``.env``, nothing starts before what
    it needs is there, and links lead to the port that is published.

    Raises
    ------
    FileAccessError
        When the project's configuration cannot be read.
    InvalidContentError
        When it is no UTF-8 text.
    """
    config = inputs.project.config
    keep = (config.get("duplicate_volumes") or "true").lower() != "false"
    services = {POSTGRES: _postgres(inputs, config, keep=keep), MIGRATION: _migration(inputs, config)}
    services |= {name: _component(inputs, config, name, keep=keep) for name in _components(inputs.facts)}
    volumes = {
        "postgres_data": {"name": inputs.names.postgres_volume},
        "airflow_logs": {"name": inputs.names.logs_volume},
    }
    root = str(inputs.project.root)
    facts = inputs.facts
    own = engine_variables(inputs.variables, airflow_version=facts.airflow_version, home=facts.airflow_home)
    return {
        "name": inputs.names.compose,
        "services": services,
        "networks": {"airflow": {"name": inputs.names.network, "driver": "bridge"}},
        "volumes": volumes if keep else {},
        EXTENSION: {
            "working_dir": root,
            # The Astro CLI names this file, which never exists.
            "config_files": f"{root}/compose.yaml",
            "airflow": [name for name in services if name != POSTGRES],
            "env_files": [file.name for file in inputs.project.dotenv.files() if file.path.is_file()],
            "variables": sorted(set(inputs.variables) - set(overridden(inputs))),
            "engine_variables": sorted({*own, *services[POSTGRES]["environment"]}),
        },
    }


def _components(facts: ImageFacts) -> tuple[str, ...]:
    without = {"triggerer"} if Version(facts.airflow_version) < _FIRST_TRIGGERER else set()
    return tuple(name for name in component_names(facts.airflow_major) if name not in without)


def _postgres(inputs: StackInputs, config: Config, *, keep: bool) -> dict[str, Any]:
    user, password = _login(config)
    image = f"{config.get('postgres.repository') or 'docker.io/postgres'}:{config.get('postgres.tag') or '12.6'}"
    return {
        "image": image,
        "restart": "unless-stopped",
        "networks": _networks(),
        "labels": {"io.astronomer.docker": "true", "io.astronomer.docker.cli": "true"},
        "ports": [_port(config, 5432, inputs.postgres_port)],
        "volumes": [_volume("postgres_data", "/var/lib/postgresql/data")] if keep else [],
        # Durable as it is by itself: without fsync, the loss of power can cost all of the data.
        "environment": {"POSTGRES_PASSWORD": password, "POSTGRES_USER": user},
        "healthcheck": postgres_check(user),
    }


def _migration(inputs: StackInputs, config: Config) -> dict[str, Any]:
    service = _airflow(inputs, config, MIGRATION)
    service["command"] = ["airflow", "db", "migrate"]
    if inputs.facts.airflow_major < 3:
        verb = "migrate" if Version(inputs.facts.airflow_version) >= _FIRST_MIGRATE else "upgrade"
        create = "airflow users create --role Admin --username admin --email admin --firstname admin --lastname admin"
        refused = "echo 'The user admin could not be created.' >&2"
        service["command"] = ["bash", "-c", f"airflow db {verb} && ({create} --password admin || {refused})"]
    # Docker Compose restarts nothing by itself, but this must hold where another tool reads the model.
    return {**service, "restart": "no", "depends_on": {POSTGRES: {"condition": "service_healthy"}}}


def _component(inputs: StackInputs, config: Config, name: str, *, keep: bool) -> dict[str, Any]:
    home = inputs.facts.airflow_home
    folders = [folder for folder in _FOLDERS if folder != "tests" or name != "triggerer"]
    mounts = [_bind(f"{inputs.project.root}/{folder}", f"{home}/{folder}") for folder in folders]
    if keep:
        mounts.append(_volume("airflow_logs", f"{home}/logs"))
    if name == "scheduler" and inputs.settings_file:
        source = str(inputs.project.root / inputs.settings_file)
        mounts.append(_bind(source, f"{home}/{PurePosixPath(inputs.settings_file).name}"))
    service = _airflow(inputs, config, name)
    service |= {
        "command": ["airflow", name],
        "restart": "unless-stopped",
        "volumes": mounts,
        "depends_on": {
            POSTGRES: {"condition": "service_healthy"},
            MIGRATION: {"condition": "service_completed_successfully"},
        },
        "healthcheck": http_check(_SERVERS[name]) if name in _SERVERS else heartbeat_check(_JOBS[name]),
    }
    if name in _SERVERS:
        service["ports"] = [_port(config, 8080, inputs.api_port)]
    # The image of another maker has another user, which owns what Airflow writes there.
    return service | ({"user": "astro"} if inputs.facts.user == "astro" else {})


def _airflow(inputs: StackInputs, config: Config, name: str) -> dict[str, Any]:
    user, password = _login(config)
    host = config.get("postgres.host") or POSTGRES
    environment = airflow_variables(
        inputs.variables,
        airflow_version=inputs.facts.airflow_version,
        home=inputs.facts.airflow_home,
        dsn=f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@{host}:5432",
        port=inputs.api_port,
        secret=inputs.project.unique_name,
    )
    labels = {"io.astronomer.docker": "true", "io.astronomer.docker.cli": "true"}
    return {
        "image": inputs.image,
        "networks": _networks(),
        "labels": {**labels, "io.astronomer.docker.component": f"airflow-{name}"},
        "environment": environment,
    }


def _login(config: Config) -> tuple[str, str]:
    return config.get("postgres.user") or "postgres", config.get("postgres.password") or "postgres"


def _networks() -> dict[str, dict[str, Any]]:
    return {"airflow": {}}


def _port(config: Config, target: int, published: int) -> dict[str, Any]:
    exposed = (config.get("airflow.expose_port") or "false").lower() == "true"
    return {"target": target, "published": published, "host_ip": "" if exposed else "127.0.0.1", "protocol": "tcp"}


def _volume(source: str, target: str) -> dict[str, Any]:
    return {"type": "volume", "source": source, "target": target}


def _bind(source: str, target: str) -> dict[str, Any]:
    return {"type": "bind", "source": source, "target": target, "bind": {"selinux": "z"}}
