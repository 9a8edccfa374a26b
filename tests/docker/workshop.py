"""A project of which images are built, and what is seen of the builds."""

import uuid

import pytest

from astro_magic.engines.docker.image.build import build_image
from astro_magic.engines.options import BuildOptions
from astro_magic.errors import BuildFailedError
from astro_magic.project.project import Project
from astro_magic.system.events import OutputLine, Step, run
from tests.docker.images import AIRFLOW_3, DEBIAN

__all__ = ["RUNTIME", "SMALL", "Workshop"]

RUNTIME = f"FROM {AIRFLOW_3}\n"
SMALL = f"FROM {DEBIAN}\n"


class Workshop:
    """A project, and what is built of it."""

    def __init__(self, root, connection):
        self.project = Project.create(root).project
        self.root = self.project.root
        self.connection = connection
        self.tag = f"ha-build-{uuid.uuid4().hex[:8]}/airflow:latest"
        self.log = self.project.state_dir / "logs" / "build-1051.log"
        self.events = []

    def write(self, **files):
        for name, content in files.items():
            path = self.root / {"requirements": "requirements.txt", "packages": "packages.txt"}.get(name, name)
            path.write_bytes(content.encode())
        return self

    def start(self, *, connection=None, labels=None, **options):
        self.events.clear()
        return build_image(
            connection or self.connection,
            self.project,
            tag=self.tag,
            options=BuildOptions(**options),
            labels=labels,
            log=self.log,
        )

    def build(self, **options):
        return run(self.start(**options), self.events.append)

    def failure(self, **options):
        with pytest.raises(BuildFailedError) as caught:
            self.build(**options)
        assert caught.value.detail.splitlines()[-1] == "Full log: .astro/magic/logs/build-1051.log"
        assert self.connection.api.images(name=self.tag) == []
        return caught.value

    def output(self):
        return [event.text for event in self.events if isinstance(event, OutputLine)]

    def steps(self):
        return {event.key: event for event in self.events if isinstance(event, Step)}

    def shell(self, script):
        """Run a script in the image and give its lines."""
        api = self.connection.api
        container = api.create_container(self.tag, entrypoint=["/bin/sh", "-c"], command=[script])["Id"]
        try:
            api.start(container)
            assert api.wait(container)["StatusCode"] == 0
            return api.logs(container).decode().splitlines()
        finally:
            api.remove_container(container, force=True)
