"""What the environment before has the same is linked from it: no more than its packages, and compared as all is."""

from __future__ import annotations

import subprocess

import pytest

from astro_magic.engines.local import building
from astro_magic.engines.local.damage import Condition
from astro_magic.engines.local.records import site_packages
from astro_magic.engines.local.verification import find_broken
from astro_magic.resolve import uv

LOCKED = {"apache-airflow": "3.3.2", "alpha": "2.0", "beta": "1.0"}


@pytest.fixture
def project(small):
    made = small.project("shop", "alpha==1.0", "beta")
    small.prepare(made)
    return made


def ask_for_another(project):
    (project.root / "requirements.txt").write_text("alpha==2.0\nbeta\n")


def compiled(folder, package):
    (found,) = (site_packages(folder) / package / "__pycache__").glob("__init__.*.pyc")
    return found


def test_what_is_the_same_is_linked_with_its_bytecode(small, project):
    first, _ = small.prepare(project)
    ask_for_another(project)
    second, created = small.prepare(project)
    assert created
    assert find_broken(second.folder, LOCKED) == {}
    assert compiled(first.folder, "beta").samefile(compiled(second.folder, "beta"))
    assert not compiled(first.folder, "alpha").samefile(compiled(second.folder, "alpha"))


def test_what_somebody_put_there_is_not(small, project):
    small.publish("gamma", "1.0", {"gamma.py": ""})
    first, _ = small.prepare(project)
    subprocess.run([uv._binary(), "pip", "install", "-q", "--python", first.python, "gamma"], check=True)
    (site_packages(first.folder) / "stray.py").write_text("")
    (site_packages(first.folder) / "beta" / "stray.py").write_text("")
    ask_for_another(project)
    second, _ = small.prepare(project)
    names = {path.name for path in site_packages(second.folder).rglob("*")}
    assert names & {"stray.py", "gamma.py"} == set()
    assert "data.txt" in names


@pytest.mark.parametrize("harm", ["edited", "gone"])
def test_what_is_damaged_is_not_taken_over(small, project, harm, monkeypatch):
    first, _ = small.prepare(project)
    harmed = site_packages(first.folder) / "beta" / "__init__.py"
    # The environment passes for whole: only its contents tell.
    monkeypatch.setattr("astro_magic.engines.local.environments.inspect_environment", lambda _: Condition())
    if harm == "edited":
        with harmed.open("r+") as file:
            file.write("print('edited')")
    else:
        harmed.unlink()
    ask_for_another(project)
    second, _ = small.prepare(project)
    assert find_broken(second.folder, LOCKED) == {}
    assert (site_packages(second.folder) / "beta" / "__init__.py").read_text() == ""


def test_where_nothing_can_be_linked_all_is_installed(small, project, monkeypatch):
    def refuse(*_, **__):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(building, "link_distributions", refuse)
    ask_for_another(project)
    assert find_broken(small.prepare(project)[0].folder, LOCKED) == {}
