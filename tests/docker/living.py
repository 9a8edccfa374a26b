"""What a Docker Engine has of a project: containers, networks, volumes and images."""

from __future__ import annotations

import docker
import docker.errors
from docker.models.containers import Container
from docker.models.images import Image
from docker.models.networks import Network
from docker.models.volumes import Volume

from astro_magic.engines.docker.names import PROJECT_LABEL, Names
from astro_magic.project.project import Project

__all__ = ["containers_of", "leftovers", "remove_all"]


def containers_of(client: docker.DockerClient, project: Project) -> list[Container]:
    """Give the containers that carry a project's label or a name made of the project's, running or not."""
    names = Names.of(project)
    labelled = client.containers.list(all=True, filters={"label": _label(names)}, ignore_removed=True)
    named = client.containers.list(all=True, filters={"name": f"^/?{names.compose}[-_]"}, ignore_removed=True)
    return list({container.id: container for container in (*labelled, *named)}.values())


def leftovers(client: docker.DockerClient, project: Project) -> list[str]:
    """Give what is there of a project, such as ``container shop_1a2b3c-postgres-1``."""
    return [
        *(f"container {container.name}" for container in containers_of(client, project)),
        *(f"network {network.name}" for network in _networks(client, project)),
        *(f"volume {volume.name}" for volume in _volumes(client, project)),
        *(f"image {tag}" for image in _images(client, project) for tag in image.tags),
    ]


def remove_all(client: docker.DockerClient, project: Project) -> None:
    """Remove all that is there of a project, whether it runs or not."""
    for container in containers_of(client, project):
        _unless_gone(container.remove, force=True, v=True)
    for network in _networks(client, project):
        _unless_gone(network.remove)
    for volume in _volumes(client, project):
        _unless_gone(volume.remove, force=True)
    repository = _repository(project)
    for image in _images(client, project):
        for tag in image.tags:
            if tag.rpartition(":")[0] == repository:
                _unless_gone(client.images.remove, tag, force=True)


def _unless_gone(remove, *arguments, **options) -> None:
    try:
        remove(*arguments, **options)
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as error:
        # Somebody else, such as a watcher that a test has just ended, asked for the same.
        if "already in progress" not in str(error):
            raise


def _networks(client: docker.DockerClient, project: Project) -> list[Network]:
    names = Names.of(project)
    found = [*client.networks.list(filters={"label": _label(names)}), *client.networks.list(names=[names.network])]
    return list({network.id: network for network in found}.values())


def _volumes(client: docker.DockerClient, project: Project) -> list[Volume]:
    names = Names.of(project)
    named = [
        volume
        for volume in client.volumes.list(filters={"name": names.compose})
        if volume.name in (names.postgres_volume, names.logs_volume)
    ]
    labelled = client.volumes.list(filters={"label": _label(names)})
    return list({volume.id: volume for volume in (*labelled, *named)}.values())


def _images(client: docker.DockerClient, project: Project) -> list[Image]:
    found: list[Image] = client.images.list(name=_repository(project))
    return found


def _repository(project: Project) -> str:
    return Names.of(project).image.rpartition(":")[0]


def _label(names: Names) -> str:
    return f"{PROJECT_LABEL}={names.compose}"
