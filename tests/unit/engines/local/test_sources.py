from __future__ import annotations

import importlib
import os
import sys
import time

import pytest

from astro_magic.engines.local.inside.sources import Sources


@pytest.fixture
def project(tmp_path, monkeypatch):
    root = tmp_path / "shop"
    for folder in ("plugins/web", "include", ".astro/standalone/config"):
        (root / folder).mkdir(parents=True)
    (root / "plugins" / "early.py").write_text("A = 1\n")
    (root / "include" / "shop_names.py").write_text("NAME = 'first'\n")
    monkeypatch.setenv("AIRFLOW_HOME", str(root / ".astro" / "standalone"))
    monkeypatch.setenv("AIRFLOW__CORE__PLUGINS_FOLDER", str(root / "plugins"))
    monkeypatch.syspath_prepend(root / "include")
    yield root
    sys.modules.pop("shop_names", None)


@pytest.fixture
def sources(project):
    """What a process knows that has imported a module of the project, which was written long before."""
    old = time.time() - 60
    os.utime(project / "include" / "shop_names.py", (old, old))
    made = Sources(project)
    importlib.import_module("shop_names")
    made.note()
    return made


def test_nothing_has_changed(sources):
    assert not sources.changed()


@pytest.mark.parametrize(
    "name",
    [
        "include/shop_names.py",
        "plugins/early.py",
        "plugins/web/new.py",
        "plugins/.airflowignore",
        "airflow_local_settings.py",
        ".astro/standalone/config/airflow_local_settings.py",
        ".astro/standalone/airflow.cfg",
    ],
)
def test_what_is_written_counts_where_it_would_be_imported(sources, project, name):
    (project / name).write_text("B = 22\n")
    assert sources.changed()


@pytest.mark.parametrize("name", ["include/shop_names.py", "plugins/early.py"])
def test_what_is_removed_counts(sources, project, name):
    (project / name).unlink()
    assert sources.changed()


@pytest.mark.parametrize("name", ["dags/etl.py", "include/other.py", "plugins/web/page.html", "README.md"])
def test_what_nothing_has_imported_does_not_count(sources, project, name):
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text("C = 333\n")
    assert not sources.changed()


def test_what_airflow_writes_itself_while_it_is_imported_does_not_count(project):
    made = Sources(project)
    (project / ".astro" / "standalone" / "airflow.cfg").write_text("[core]\n")
    made.note()
    assert not made.changed()


def test_a_module_written_while_it_was_imported_counts(project):
    made = Sources(project)
    later = time.time() + 1
    os.utime(project / "include" / "shop_names.py", (later, later))
    importlib.import_module("shop_names")
    made.note()
    assert made.changed()
