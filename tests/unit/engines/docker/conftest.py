from __future__ import annotations

import pytest

from astro_magic.engines.docker.image.facts import ImageFacts
from astro_magic.engines.docker.names import Names
from astro_magic.engines.docker.services.stack import StackInputs
from astro_magic.project import Project


@pytest.fixture
def make_inputs(tmp_path, monkeypatch):
    """Give what a stack is made from, for a project of its own with the given ``.env`` and configuration."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.delenv("ASTRO_HOME", raising=False)

    def make(
        *,
        airflow="3.3.2",
        home="/usr/local/airflow",
        user="astro",
        env="",
        config="",
        settings=None,
        folder="shop",
    ):
        project = Project.create(tmp_path / folder, name="Shop").project
        (project.root / ".env").write_text(env, encoding="utf-8")
        if config:
            text = (project.root / ".astro/config.yaml").read_text(encoding="utf-8")
            (project.root / ".astro/config.yaml").write_text(text + config, encoding="utf-8")
        facts = ImageFacts(
            id="sha256:1",
            airflow_version=airflow,
            python_version="3.12",
            airflow_home=home,
            user=user,
            python="/usr/local/bin/python",
            uv="",
            installer=0,
            packages={},
        )
        names = Names.of(project)
        return StackInputs(project, names, facts, names.image, 18080, 15432, project.variables(), settings)

    return make
