from __future__ import annotations

import os

import pytest

from astro_magic.project import Project

_MEANT = ("PROXY", "INDEX", "FIND_LINKS", "CERT", "CA_BUNDLE", "CAINFO", "UV_", "DOCKER", "PIP_", "XDG_RUNTIME_DIR")


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if any(part in name.upper() for part in _MEANT):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("ASTRO_MAGIC_CACHE", str(home / "cache"))
    monkeypatch.delenv("ASTRO_HOME", raising=False)


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "shop").project
