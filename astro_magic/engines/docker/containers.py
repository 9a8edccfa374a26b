"""Make, start, stop and remove the containers, networks and volumes of one project; several at the same time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from astro_magic.engines.docker.client.connection import Connection, guard
from astro_magic.engines.docker.names import PROJECT_LABEL, Names
from astro_magic.engines.docker.services.translate import (
    container_body,
    further_networks,
    missing_sources,
    network_body,
    volume_body,
)
from astro_magic.errors import EngineError

__all__ = [
    "create_containers",
    "ensure_surroundings",
    "favoured",
    "in_parallel",
    "kill_containers",
    "make_folders",
    "remove_containers",
    "remove_networks",
    "remove_volume",
    "remove_volumes",
    "rename_container",
    "start_containers",
    "stop_containers",
]

_THREADS = 12
#: Shares of a processor: what the engine gives by default, and many times as much.
_USUAL, _MOST = 1024, 16384

T = TypeVar("T")
R = TypeVar("R")


def in_parallel(work: Callable[[T], R], things: Iterable[T]) -> list[R]:
    """Do the same with several things at once; gives the results in their order, raises the first error."""
    todo = list(things)
    if len(todo) <= 1:
        return [work(thing) for thing in todo]
    with ThreadPoolExecutor(min(len(todo), _THREADS)) as pool:
        return list(pool.map(work, todo))


def make_folders(model: dict[str, Any]) -> None:
    """Make the folders that are mounted and not there.

    The engine would make them as well, but as root's, so that their owner could not write to them.
    """
    for folder in missing_sources(model):
        folder.mkdir(parents=True, exist_ok=True)


def ensure_surroundings(connection: Connection, names: Names, model: dict[str, Any]) -> None:
    """Make what containers need and what is not there: networks, volumes, and the folders that are mounted."""
    make_folders(model)
    there = {network["Name"] for network in _networks(connection, names)}
    for key in model["networks"]:
        body = network_body(model, key, names)
        if body is not None and body["Name"] not in there:
            with guard(f"making the network {body['Name']}"):
                _post(connection, "/networks/create", body)
    for key in model["volumes"]:
        body = volume_body(model, key, names)
        if body is not None:
            # To make a volume that is there changes nothing.
            with guard(f"making the volume {body['Name']}"):
                _post(connection, "/volumes/create", body)


def _post(connection: Connection, path: str, body: dict[str, Any]) -> None:
    """Post what the client's own methods have no parameters for."""
    api = connection.api
    with api.post(f"{api.base_url}/v{api.api_version}{path}", json=body, timeout=api.timeout) as answer:
        if not answer.ok:
            from docker.errors import create_api_error_from_http_exception
            from requests.exceptions import HTTPError

            try:
                answer.raise_for_status()
            except HTTPError as problem:
                create_api_error_from_http_exception(problem)


def create_containers(
    connection: Connection, names: Names, model: dict[str, Any], services: Iterable[str], *, suffix: str = ""
) -> dict[str, str]:
    """Create the containers of services; gives their ids by service.

    Parameters
    ----------
    connection : Connection
        The engine.
    names : Names
        The project's names.
    model : dict
        The services.
    services : iterable of str
        Which of them.
    suffix : str
        Appended to the names of the containers, while those of before have them.

    Raises
    ------
    EngineError
        When one cannot be created; then none of them is left.
    """
    created: dict[str, str] = {}

    def create(service: str) -> None:
        name, body = container_body(model, service, names)
        with guard(f"creating the container of {service}"):
            created[service] = connection.api.create_container_from_config(
                body, f"{name}{suffix}", model["services"][service].get("platform")
            )["Id"]
            for network, endpoint in further_networks(model, service):
                _post(
                    connection,
                    f"/networks/{network}/connect",
                    {"Container": created[service], "EndpointConfig": endpoint},
                )

    try:
        in_parallel(create, services)
    except BaseException:
        remove_containers(connection, created.values())
        raise
    return created


def start_containers(connection: Connection, ids: Mapping[str, str]) -> None:
    """Start containers, given by service."""

    def start(item: tuple[str, str]) -> None:
        service, container = item
        with guard(f"starting {service}"):
            connection.api.start(container)

    in_parallel(start, ids.items())


@contextlib.contextmanager
def favoured(connection: Connection, containers: Collection[str]) -> Iterator[None]:
    """Let containers have most of a processor that others want as well, as long as the block runs."""

    def weigh(shares: int) -> None:
        # Not every engine can do it, and nothing but a few seconds depends on it.
        for container in containers:
            with contextlib.suppress(EngineError), guard("giving a container its share"):
                connection.api.update_container(container, cpu_shares=shares)

    weigh(_MOST)
    try:
        yield
    finally:
        weigh(_USUAL)


def stop_containers(connection: Connection, ids: Mapping[str, str], *, grace: float) -> int:
    """Ask containers to end, and kill them after `grace` seconds; gives how many had to be killed."""

    def stop(item: tuple[str, str]) -> bool:
        service, container = item
        code = 0
        with guard(f"stopping {service}"), _gone_is_fine():
            connection.api.stop(container, timeout=round(grace))
            code = int(connection.api.inspect_container(container)["State"]["ExitCode"])
        return code == 137

    return sum(in_parallel(stop, ids.items()))


def kill_containers(connection: Connection, ids: Iterable[str]) -> None:
    """End containers at once; they are kept. One that does not run is left as it is."""

    def kill(container: str) -> None:
        from docker.errors import APIError

        with guard("stopping a container"), _gone_is_fine():
            try:
                connection.api.kill(container)
            except APIError as problem:
                # 409: it does not run.
                if problem.status_code != 409:
                    raise
                connection.api.stop(container, timeout=0)

    in_parallel(kill, ids)


def remove_containers(connection: Connection, ids: Iterable[str]) -> int:
    """End and remove containers; gives how many were there."""
    removed: list[str] = []

    def remove(container: str) -> None:
        with guard("removing a container"), _gone_is_fine():
            connection.api.remove_container(container, force=True, v=True)
            removed.append(container)

    in_parallel(remove, ids)
    return len(removed)


def rename_container(connection: Connection, container: str, name: str) -> None:
    """Give a container another name."""
    with guard(f"renaming a container to {name}"):
        connection.api.rename(container, name)


def remove_networks(connection: Connection, names: Names) -> tuple[str, ...]:
    """Remove the project's networks; gives their names."""
    removed = []
    for network in _networks(connection, names):
        with guard(f"removing the network {network['Name']}"), _gone_is_fine():
            connection.api.remove_network(network["Id"])
            removed.append(str(network["Name"]))
    return tuple(removed)


def remove_volumes(connection: Connection, names: Names) -> tuple[str, ...]:
    """Remove the project's volumes; gives their names."""
    with guard("listing the volumes"):
        found = connection.api.volumes(filters={"label": f"{PROJECT_LABEL}={names.compose}"})["Volumes"] or []
    removed = []
    for volume in found:
        remove_volume(connection, str(volume["Name"]))
        removed.append(str(volume["Name"]))
    return tuple(removed)


def remove_volume(connection: Connection, name: str) -> None:
    """Remove a volume, and what is in it."""
    with guard(f"removing the volume {name}"), _gone_is_fine():
        connection.api.remove_volume(name, force=True)


def _networks(connection: Connection, names: Names) -> list[dict[str, Any]]:
    with guard("listing the networks"):
        found: list[dict[str, Any]] = connection.api.networks(filters={"label": f"{PROJECT_LABEL}={names.compose}"})
    return found


@contextlib.contextmanager
def _gone_is_fine() -> Iterator[None]:
    from docker.errors import NotFound

    with contextlib.suppress(NotFound):
        yield
