"""Work in an environment: in a container that runs, or else in one that is made for it and removed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astro_magic.engines.docker.calls.calls import call_script
from astro_magic.engines.docker.calls.scratch import empty_database, scratch_database
from astro_magic.engines.docker.client.connection import Connection, guard
from astro_magic.engines.docker.containers import make_folders, remove_containers
from astro_magic.engines.docker.lifecycle import Plan
from astro_magic.engines.docker.names import Names
from astro_magic.engines.docker.services.translate import container_body
from astro_magic.engines.options import Stage
from astro_magic.system.events import Event, Operation

__all__ = ["WORKERS", "Workplace", "one_off_container"]

#: Where work is done, the best place first: what parses DAGs anyway, then what runs them.
WORKERS = ("dag-processor", "scheduler", "triggerer")
_ONE_OFF = "com.docker.compose.oneoff"


@contextmanager
def one_off_container(connection: Connection, names: Names, plan: Plan) -> Iterator[str]:
    """Give a container that has what the scheduler's has, but runs nothing; it is removed at the end.

    Raises
    ------
    EngineError
        When it cannot be made.
    """
    _, body = container_body(plan.model, "scheduler", names)
    body |= {"Entrypoint": ["sleep"], "Cmd": ["infinity"], "Healthcheck": {"Test": ["NONE"]}}
    body["Labels"] = {**body["Labels"], _ONE_OFF: "True"}
    body.pop("NetworkingConfig", None)
    make_folders(plan.model)
    with guard("making a container for this command"):
        body["HostConfig"] = _alone(connection, body["HostConfig"])
        container = connection.api.create_container_from_config(body)["Id"]
    try:
        with guard("starting a container for this command"):
            connection.api.start(container)
        yield container
    finally:
        remove_containers(connection, [container])


def _alone(connection: Connection, host: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is not there before the first start: volumes, and the network, on which nobody is yet.

    The engine would make the volumes, and nobody would take them away again.
    """
    volumes = {each["Name"] for each in connection.api.volumes()["Volumes"] or ()}
    networks = {each["Name"] for each in connection.api.networks()}
    mode = host.get("NetworkMode", "")
    return {
        **host,
        "RestartPolicy": {"Name": "no"},
        "PortBindings": {},
        "Init": True,
        "Mounts": [each for each in host["Mounts"] if each["Type"] != "volume" or each["Source"] in volumes],
        "NetworkMode": mode if mode in networks else "default",
    }


@dataclass(frozen=True)
class Workplace:
    """A running container in which work is done.

    Attributes
    ----------
    connection : Connection
        The engine.
    container : str
        The container.
    plan : Plan
        What it was made from.
    database : str or None
        The running Postgres container that it can reach, if there is one.
    """

    connection: Connection
    container: str
    plan: Plan
    database: str | None = None

    def script(
        self, script: Path, request: Mapping[str, Any], *, stage: Stage, event: Callable[[dict[str, Any]], Event]
    ) -> Operation[dict[str, Any]]:
        """Run a script where Airflow is imported, as `Engine.call` does; tasks get a database of their own."""

        def call(environment: Mapping[str, str]) -> Operation[dict[str, Any]]:
            place = self.connection, self.container, script, request
            workdir = self.plan.facts.airflow_home
            return call_script(*place, stage=stage, event=event, workdir=workdir, environment=environment)

        if stage == "core":
            # To parse takes no database, unless a DAG file reads a variable while it is imported.
            return (yield from call({}))
        if self.database is not None:
            url = self.plan.model["services"]["scheduler"]["environment"]["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
            with scratch_database(self.connection, self.database, user=self.plan.user, url=url) as variables:
                return (yield from call(variables))
        facts = self.plan.facts
        empty = yield from empty_database(
            self.connection, self.container, facts.airflow_version, workdir=facts.airflow_home
        )
        return (yield from call(empty))
