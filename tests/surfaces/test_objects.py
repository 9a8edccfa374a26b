"""The notebook about connections, variables and pools, in JupyterLab."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

from astro_magic.environment import open_environment
from astro_magic.project.project import Project
from tests.engine.living import processes_of
from tests.surfaces.notebooks import output_text

pytestmark = pytest.mark.airflow

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "03_objects.ipynb"


def test_the_notebook_in_jupyterlab(page) -> None:
    folder = page.server.folder / "objects"
    folder.mkdir()
    notebook = folder / "objects.ipynb"
    shutil.copy(NOTEBOOK, notebook)
    project = Project(folder / "market")
    try:
        page.open(notebook)
        page.run_all(timeout=240)
        page.screenshot("objects")
        cells = page.save().cells
    finally:
        open_environment(project).stop()
    shown = {cell.source: output_text(cell) for cell in cells if cell.cell_type == "code"}

    assert "2 connections" in shown["%connections"]
    assert "landing · reachable" in shown["%connections test landing"]
    assert "In the running Airflow: variable region updated" in shown["%variables set region eu-north"]
    assert "'region': 'eu-north', 'limits': {'Rows': 1000, 'Strict': True}" in shown['run["where"].value']
    assert "connection warehouse removed" in shown["%connections remove warehouse"]
    assert "AIRFLOW_CONN_LANDING" in (project.root / ".env").read_text()
    assert "pool_slot: 8" in project.settings.text()
    assert processes_of(project) == []

    # A reader who comes later, with no kernel, still sees the tables.
    page.reopen()
    sources = [cell.source for cell in nbformat.read(notebook, as_version=4).cells]
    expect(page.output(sources.index("%variables")).locator("table")).to_contain_text("region")
