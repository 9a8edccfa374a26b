"""What is to run for a project as its files are now: services, ports and variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from astro_magic.engines.docker.client.connection import Connection
from astro_magic.engines.docker.image.facts import ImageFacts
from astro_magic.engines.docker.lifecycle import Plan
from astro_magic.engines.docker.names import Names
from astro_magic.engines.docker.record import Record
from astro_magic.engines.docker.services.override import OVERRIDE_NAME, merge_override, override_notes
from astro_magic.engines.docker.services.stack import StackInputs, compose_model, overridden
from astro_magic.engines.docker.watching.listing import ContainerInfo
from astro_magic.engines.options import StartOptions
from astro_magic.engines.ports import PortChooser
from astro_magic.project.config import Config
from astro_magic.project.project import Project

__all__ = ["Planned", "make_plan"]

_SETTINGS = "airflow_settings.yaml"
_OTHER_SERVER = {"api-server": "webserver", "webserver": "api-server"}


@dataclass(frozen=True)
class Planned:
    """A plan, and what belongs to it.

    Attributes
    ----------
    plan : Plan
        What is to run.
    api_port, postgres_port : int
        The ports that were chosen.
    notes : tuple of str
        What the user should know.
    """

    plan: Plan
    api_port: int
    postgres_port: int
    notes: tuple[str, ...]


def make_plan(
    connection: Connection,
    project: Project,
    facts: ImageFacts,
    options: StartOptions,
    record: Record,
    present: Mapping[str, ContainerInfo],
    choose_port: PortChooser,
) -> Planned:
    """Plan what is to run.

    Parameters
    ----------
    connection : Connection
        The engine.
    project : Project
        The project.
    facts : ImageFacts
        What is in its image.
    options : StartOptions
        What was asked for.
    record : Record
        The ports of the last time.
    present : mapping of str to ContainerInfo
        The project's containers, whose ports are its own.
    choose_port : callable
        Gives the ports of those that have none.

    Raises
    ------
    PortInUseError
        When the port that was asked for is taken.
    InvalidContentError
        When a file cannot be what it has to be.
    """
    config, names = project.config, Names.of(project)
    server = "api-server" if facts.airflow_major >= 3 else "webserver"
    configured = config.api_server_port if facts.airflow_major >= 3 else config.webserver_port
    # Where Airflow 2 becomes 3, the one has the port that the other will have.
    own = _own(present, server, 8080) or _own(present, _OTHER_SERVER[server], 8080)

    def port_of(asked: int | None, own: int | None, remembered: int | None, configured: int) -> int:
        if own is not None and asked in (None, own):
            return own
        if not connection.local:
            # Which ports are free is known to the machine of the engine alone.
            return asked or remembered or configured
        return choose_port(asked, remembered, configured)

    api = port_of(options.port, own, record.api_port, configured)
    postgres = port_of(None, _own(present, "postgres", 5432), record.postgres_port, _postgres_port(config))
    settings = _SETTINGS if (project.root / _SETTINGS).is_file() else None
    inputs = StackInputs(project, names, facts, names.image, api, postgres, project.variables(), settings)
    model = compose_model(inputs)
    override = project.root / OVERRIDE_NAME
    if override.is_file():
        text = project.file(OVERRIDE_NAME).text()
        model = merge_override(model, text, file=OVERRIDE_NAME, environment=os.environ)
    for service in model["services"].values():
        if "io.astronomer.docker.component" in service.get("labels", {}):
            service["labels"]["astro-magic.airflow-version"] = facts.airflow_version
            service["labels"]["astro-magic.python-version"] = facts.python_version
    ignored = overridden(inputs)
    notes = [f"Without effect in .env, since the engine sets them itself: {', '.join(ignored)}."] if ignored else []
    notes += override_notes(model)
    user = config.get("postgres.user") or "postgres"
    plan = Plan(model, facts, f"http://127.0.0.1:{api}", user, options.timeout)
    return Planned(plan, api, postgres, tuple(notes))


def _own(present: Mapping[str, ContainerInfo], service: str, inside: int) -> int | None:
    """Give the port that the project's own running container has."""
    container = present.get(service)
    return container.published.get(inside) if container is not None and container.state == "running" else None


def _postgres_port(config: Config) -> int:
    text = config.get("postgres.port") or ""
    return int(text) if text.isdecimal() else 5432
