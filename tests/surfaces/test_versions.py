"""The shortest notebook on each line of Airflow but the latest, which the other notebooks run on."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import httpx
import nbformat
import pytest

from astro_magic.airflow.task_logs import TaskChoice
from astro_magic.engines.local.inside.components import components_of
from astro_magic.engines.options import LogQuery
from astro_magic.environment import Environment, open_environment
from astro_magic.project.project import Project
from tests.engine.living import processes_of
from tests.servers.backend import write_wheel
from tests.surfaces.notebooks import assert_no_secret, output_text, read_notebook

pytestmark = pytest.mark.airflow

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "06_airflow_versions.ipynb"
ADDED = """
import pendulum
import planted_first
from airflow.decorators import dag, task


@dag(schedule=None, start_date=pendulum.datetime(2026, 1, 1))
def added():
    @task
    def tell():
        assert planted_first.VALUE == 812

    tell()


added()
"""
#: The latest of each line.
VERSIONS = ("2.11.2", "3.0.6", "3.1.8", "3.2.2")


@pytest.fixture(autouse=True)
def _tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow 3.0 now and then runs a task a moment before it has noted that it may, and calls that a failure."""
    monkeypatch.setenv("AIRFLOW__CORE__DEFAULT_TASK_RETRIES", "3")
    monkeypatch.setenv("AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY", "1")


@pytest.fixture
def wheel(tmp_path, monkeypatch) -> str:
    """A package that no index has; gives its name."""
    write_wheel(tmp_path, "planted-first", "1.0", [], {"planted_first.py": "VALUE = 812"})
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    return "planted-first"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version(papermill, tmp_path, version, wheel) -> None:
    """Airflow is stopped from here, and not by the last cell, so that more can be asked of it."""
    notebook = read_notebook(NOTEBOOK)
    assert notebook.cells.pop().source == "%astro_stop"
    nbformat.write(notebook, tmp_path / "versions.ipynb")
    environment = open_environment(Project(tmp_path / "shop"), engine="local")

    try:
        run = papermill(tmp_path / "versions.ipynb", airflow=version, timeout=280)
        check_notebook(run.notebook, version)
        assert run.exit_code == 0, run.output
        assert_no_secret(environment.project, run.path)
        logged = environment.task_logs(TaskChoice("orders.report"), LogQuery())
        assert any("reporting on north" in line.text for line in logged)
        assert enters(environment)
        if version.startswith("2."):
            # The other ones have the same components as the latest.
            assert runs_with(wheel, environment)
    finally:
        environment.stop()
    assert processes_of(environment.project) == []


def check_notebook(notebook: nbformat.NotebookNode, version: str) -> None:
    """Each cell shows what it was run for."""
    shown = {cell.source.split("\n")[0]: output_text(cell) for cell in notebook.cells if cell.cell_type == "code"}
    assert f"Airflow {version}" in shown["%astro_init shop --airflow {airflow}"]
    assert "extract ─→ report" in shown["%%dag orders.py"]
    assert "'north: 3267'" in shown["%astro_run orders"]
    assert "success in" in shown["%astro_trigger orders --wait"]
    assert "same" in shown["%variables"]
    status = shown["%astro_status"]
    assert f"Airflow {version} · running" in status
    assert all(f"{component}  " in status for component in components_of(version))


def runs_with(package: str, environment: Environment) -> bool:
    """Whether a package that is added to the running Airflow is there for a DAG, and nothing was restarted."""
    before = [component.pid for component in environment.status().components]
    environment.project.requirements.add(package)
    assert environment.add_packages()
    (environment.project.root / "dags" / "added.py").write_text(ADDED)
    run = environment.trigger("added", wait=True, timeout=240)
    return run.state == "success" and [component.pid for component in environment.status().components] == before


def enters(environment: Environment) -> bool:
    """Whether the ticket of a page that opens the UI lets in, and is then used up."""
    page = Path(unquote(urlsplit(environment.engine.entrance()).path)).read_text(encoding="utf-8")
    found = re.search(r'action="(.+?)".+value="(.+?)"', page)
    assert found is not None
    form = {"ticket": found[2]}
    with httpx.Client(timeout=30) as browser:
        assert browser.post(found[1], data=form, headers={"Origin": "null"}).status_code == 303
        assert browser.post(found[1], data=form).status_code == 403
        token = browser.cookies.get("_token")
        if token is None:
            return browser.get(urljoin(found[1], "/home")).status_code == 200
        headers = {"Authorization": f"Bearer {token}"}
        return browser.get(urljoin(found[1], "/api/v2/variables"), headers=headers).status_code == 200
