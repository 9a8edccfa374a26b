"""What a project's containers, networks, volumes and images are called: what the Astro CLI calls them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from astro_magic.project.project import Project

__all__ = ["ANY_ADDRESS", "PROJECT_LABEL", "SERVERS", "SERVICE_LABEL", "Names"]

#: The label by which Docker Compose, and so the Astro CLI, finds what belongs to a project.
PROJECT_LABEL = "com.docker.compose.project"
#: The label that tells which service a container is.
SERVICE_LABEL = "com.docker.compose.service"
#: What stands for every interface.
ANY_ADDRESS = "0.0.0.0"  # noqa: S104
#: The services that have the UI: of Airflow 3, and of Airflow 2.
SERVERS = ("api-server", "webserver")

_FOREIGN = re.compile(r"[^a-z0-9_-]")
_FOREIGN_TO_IMAGES = re.compile(r"[^a-z0-9_.-]|[_.-]{2,}")


@dataclass(frozen=True)
class Names:
    """Names of one project.

    Attributes
    ----------
    compose : str
        The name of the Docker Compose project: the unique project name in lower case, with nothing but ``a-z0-9_-``.
    image : str
        The image that the project's Dockerfile makes.
    """

    compose: str
    image: str

    @classmethod
    def of(cls, project: Project) -> Names:
        """Give the names of a project.

        An image's name has no capital letters. The Astro CLI takes the project's name as it is, which a build then
        refuses; so lower case is no departure from anything that works.
        """
        unique = project.unique_name.lower()
        compose = _FOREIGN.sub("", unique).lstrip("_-")
        repository = _FOREIGN_TO_IMAGES.sub("-", unique).strip("_.-")
        return cls(compose, f"{repository}/airflow:latest")

    @property
    def previous_image(self) -> str:
        """The tag that keeps the image which ran before the present one."""
        return f"{self.image.rpartition(':')[0]}:previous"

    @property
    def network(self) -> str:
        """The network of the services."""
        return f"{self.compose}_airflow"

    @property
    def postgres_volume(self) -> str:
        """The volume of the metadata database."""
        return f"{self.compose}_postgres_data"

    @property
    def logs_volume(self) -> str:
        """The volume of the task logs."""
        return f"{self.compose}_airflow_logs"

    def container(self, service: str) -> str:
        """Give the name of a service's one container."""
        return f"{self.compose}-{service}-1"
