"""The Docker notebook, as people run it: in JupyterLab, and with nobody at the keyboard."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import docker
import nbformat
import pytest
from playwright.sync_api import expect

from astro_magic.project.project import Project
from tests.docker import images as stand_ins
from tests.docker.living import leftovers, remove_all
from tests.surfaces.notebooks import output_text

pytestmark = [pytest.mark.airflow, pytest.mark.docker]

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "02_docker.ipynb"
ON_DOCKER = "%astro_config set dev.mode=docker"


@pytest.fixture
def ended() -> Iterator[list[Path]]:
    """Folders of projects of which the engine must have nothing in the end."""
    stand_ins.ensure()
    roots: list[Path] = []
    yield roots
    client = docker.from_env()
    left = {root: leftovers(client, Project(root)) for root in roots}
    for root in roots:
        remove_all(client, Project(root))
    client.close()
    assert left == {root: [] for root in roots}


def cells_of(notebook: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]


def shown(cells: list[nbformat.NotebookNode], beginning: str) -> list[str]:
    return [output_text(cell) for cell in cells if cell.source.startswith(beginning)]


def test_the_notebook_in_jupyterlab(page, ended) -> None:
    folder = page.server.folder / "docker"
    folder.mkdir()
    notebook = folder / "docker.ipynb"
    shutil.copy(NOTEBOOK, notebook)
    ended.append(folder / "harbor")

    page.open(notebook)
    page.run_all(timeout=500)
    page.screenshot("docker")
    sources = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells]
    page.screenshot("docker-healthy-status", cell=sources.index("%astro_status"))
    page.screenshot("docker-restart", cell=sources.index("%astro_restart"))
    saved = [cell for cell in page.save().cells if cell.cell_type == "code"]

    assert "Airflow is up in" in shown(saved, "%astro_start")[0]
    assert "127.0.0.1:" in shown(saved, "%astro_status")[0]
    assert "16,812" in shown(saved, "%astro_trigger")[0] or "success" in shown(saved, "%astro_trigger")[0]
    assert "humanize==4.9.0" in shown(saved, "%%astro_bash")[0]
    assert "Added to the running environment in" in shown(saved, "%%requirements\ntinydb")[0]
    changed, recreated, imported, nothing = shown(saved, "%astro_restart")
    assert "humanize 4.12.0" in changed
    assert ".env applied" in recreated
    assert "airflow_settings.yaml applied" in imported
    assert "nothing was restarted" in nothing
    assert "LocalExecutor" in shown(saved, "%astro_config airflow")[0]
    assert "d6Vefz3G9U_ynXB3cr7y" not in notebook.read_text(encoding="utf-8")
    assert "Stopped harbor" in shown(saved, "%astro_stop")[0]
    assert notebook.stat().st_size < 300_000


def test_a_start_on_the_way_and_a_failed_build_in_jupyterlab(page, ended) -> None:
    ended.append(page.server.folder / "pier")
    page.open_cells(
        "docker-build",
        "%load_ext astro_magic",
        "%astro_init pier",
        ON_DOCKER,
        "%astro_start",
        "%%requirements --no-check\nno-such-package-anywhere==1",
        "%astro_restart",
    )
    page.run_all(wait=False)
    expect(page.output(3)).to_contain_text("Starting pier on Docker", timeout=60_000)
    expect(page.output(3)).to_contain_text("database", timeout=120_000)
    page.screenshot("docker-start-on-the-way", cell=3)
    page.wait_until_idle(timeout=300)
    page.screenshot("docker-failed-build")

    expect(page.output(5)).to_contain_text("BuildFailedError")
    expect(page.output(5)).to_contain_text("no-such-package-anywhere")
    expect(page.output(5)).not_to_contain_text("astro_magic/engines")

    # What ran before goes on.
    page.open_cells("docker-after", "%load_ext astro_magic", "%cd pier", "%astro_status", "%astro_kill --yes --images")
    page.run_all(timeout=120)
    expect(page.output(2)).to_contain_text("running")


def test_the_notebook_under_papermill(papermill, tmp_path, ended) -> None:
    notebook = tmp_path / "docker.ipynb"
    shutil.copy(NOTEBOOK, notebook)
    ended.append(tmp_path / "harbor")

    run = papermill(notebook, timeout=500)

    assert run.exit_code == 0, run.output
    assert run.errors == []
