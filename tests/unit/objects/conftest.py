from __future__ import annotations

from typing import Any

import pytest

from astro_magic.airflow import client
from astro_magic.objects.access import ProjectObjects
from astro_magic.project import Project
from astro_magic.system.events import run
from tests.unit.objects.small_airflow import SmallEngine, running


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """A server that is gone stays so."""
    monkeypatch.setattr(client, "_PAUSES", (0, 0))


@pytest.fixture
def project(tmp_path):
    made = Project.create(tmp_path / "shop").project
    made.settings.path.write_text("airflow:\n")
    return made


@pytest.fixture
def server():
    with running() as serving:
        yield serving


@pytest.fixture
def engine(server) -> Any:
    return SmallEngine(server)


@pytest.fixture
def objects(project, engine):
    return ProjectObjects(project, engine, lambda operation, listener: run(operation, listener or (lambda _: None)))
