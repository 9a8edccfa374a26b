"""A project's containers as the engine lists them: one quick question, no matter how many others there are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from astro_magic.engines.docker.client.connection import Connection, guard
from astro_magic.engines.docker.names import ANY_ADDRESS, PROJECT_LABEL, SERVICE_LABEL, Names

__all__ = ["ContainerInfo", "find_containers"]

_ONE_OFF = "com.docker.compose.oneoff"
_NUMBER = "com.docker.compose.container-number"
_EXITED = re.compile(r"(?:Exited|Restarting) \((-?\d+)\)")
_HEALTH = re.compile(r"\((?:health: )?(healthy|unhealthy|starting)\)")


@dataclass(frozen=True)
class ContainerInfo:
    """A container, as the engine lists it.

    Attributes
    ----------
    id : str
        Its id, in full.
    name : str
        Its name, without a slash.
    service : str
        The service it is of: ``api-server``.
    state : str
        The engine's word: ``created``, ``running``, ``paused``, ``restarting``, ``exited``, ``dead``, ``removing``.
    health : str
        What its health check says: ``healthy``, ``unhealthy``, ``starting``; empty without a check.
    exit_code : int or None
        With what it ended; None while it runs, or when it never did.
    created : datetime
        When it was made, in UTC.
    image : str
        The image's tag as the container was made with it, or its id when the tag names another one now.
    image_id : str
        ``sha256:...``
    labels : mapping
        All its labels.
    ports : tuple of str
        Where it is published on this machine: ``127.0.0.1:8080``.
    published : mapping of int to int
        Ports of the machine by the container's.
    one_off : bool
        Whether it is a single command, such as that of ``compose run``, and no part of what is to run.
    """

    id: str
    name: str
    service: str
    state: str
    health: str
    exit_code: int | None
    created: datetime
    image: str
    image_id: str
    labels: Mapping[str, str] = field(repr=False)
    ports: tuple[str, ...] = ()
    published: Mapping[int, int] = field(default_factory=dict)
    one_off: bool = False

    @property
    def component(self) -> str:
        """What a person calls it: ``api server``; a service's second container has its number behind it."""
        number = self.labels.get(_NUMBER, "1")
        return self.service.replace("-", " ") + (f" {number}" if number != "1" else "")


def find_containers(connection: Connection, names: Names, *, stopped: bool = True) -> tuple[ContainerInfo, ...]:
    """Give a project's containers by service; whoever started them, Docker Compose and the Astro CLI included.

    Parameters
    ----------
    connection : Connection
        The engine.
    names : Names
        The project's names.
    stopped : bool, optional
        Also those that do not run.

    Raises
    ------
    EngineUnavailableError
        When the engine is gone.
    """
    with guard("listing the containers"):
        listed = connection.api.containers(all=stopped, filters={"label": f"{PROJECT_LABEL}={names.compose}"})
    found = [_described(entry) for entry in listed]
    return tuple(sorted(found, key=lambda container: (container.service, container.one_off, container.name)))


def _described(entry: Mapping[str, Any]) -> ContainerInfo:
    labels = entry.get("Labels") or {}
    status = str(entry.get("Status") or "")
    exited, health = _EXITED.match(status), _HEALTH.search(status)
    published = [port for port in entry.get("Ports") or () if port.get("PublicPort")]
    addresses = {f"{_host(port.get('IP'))}:{port['PublicPort']}": None for port in published}
    return ContainerInfo(
        id=entry["Id"],
        name=(entry.get("Names") or [entry["Id"][:12]])[0].lstrip("/"),
        service=labels.get(SERVICE_LABEL, ""),
        state=entry.get("State") or "",
        health=health[1] if health else "",
        exit_code=int(exited[1]) if exited else None,
        created=datetime.fromtimestamp(entry.get("Created") or 0, UTC),
        image=entry.get("Image") or "",
        image_id=entry.get("ImageID") or "",
        labels=labels,
        ports=tuple(addresses),
        published={port["PrivatePort"]: port["PublicPort"] for port in published},
        one_off=labels.get(_ONE_OFF, "").lower() == "true",
    )


def _host(address: str | None) -> str:
    """Give an address as it stands before a port; every interface is written the short way, for IPv6 too."""
    if address in (None, "", "::", ANY_ADDRESS):
        return ANY_ADDRESS
    return f"[{address}]" if ":" in str(address) else str(address)
