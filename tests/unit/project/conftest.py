from __future__ import annotations

import pytest

from astro_magic.project import Project
from astro_magic.project.settings.settings import Settings
from tests.unit.project.settings_files import FILE


@pytest.fixture(autouse=True)
def _no_home_of_the_user(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.delenv("ASTRO_HOME", raising=False)


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "shop").project


@pytest.fixture
def settings(tmp_path):
    """The settings file of a project that has nothing else."""
    settings = Settings(Project(tmp_path), "airflow_settings.yaml")
    settings.path.write_bytes(FILE.encode())
    return settings
