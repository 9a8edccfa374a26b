"""The quickstart, as people run it: in JupyterLab, in a terminal, and with nobody at the keyboard."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

from astro_magic.environment import open_environment
from astro_magic.project.project import Project
from tests.engine.living import processes_of
from tests.surfaces.notebooks import assert_no_secret, output_text, write_notebook

pytestmark = pytest.mark.airflow

QUICKSTART = Path(__file__).resolve().parents[2] / "notebooks" / "01_quickstart.ipynb"
BROKEN = """%%dag broken.py
from airflow.sdk import dag, task

@dag()
def broken():
    @task
    def divide():
        return 1 / 0

    divide()

broken()
"""


def cells_of(notebook: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]


def number_of(cells: list[nbformat.NotebookNode], beginning: str) -> int:
    return next(number for number, cell in enumerate(cells) if cell.source.startswith(beginning))


@pytest.fixture
def ended() -> Iterator[list[Path]]:
    """Folders of projects that must have nothing running in the end."""
    roots: list[Path] = []
    yield roots
    left = {root: processes_of(Project(root)) for root in roots}
    for root in roots:
        open_environment(Project(root)).stop()
    assert left == {root: [] for root in roots}


def test_the_quickstart_in_jupyterlab(page, ended) -> None:
    folder = page.server.folder / "quickstart"
    folder.mkdir()
    notebook = folder / "quickstart.ipynb"
    shutil.copy(QUICKSTART, notebook)
    project = Project(folder / "shop")
    ended.append(project.root)

    page.open(notebook)
    page.run_all(timeout=240)
    pictures = page.screenshot("quickstart")
    saved = [cell for cell in page.save().cells if cell.cell_type == "code"]

    assert len(pictures) == 2
    assert "extract ─→ clean ─→ load" in output_text(saved[number_of(saved, "%%dag")])
    assert "'orders': " in output_text(saved[number_of(saved, "run[")])
    assert "success" in output_text(saved[number_of(saved, "%astro_trigger")])
    assert "Stopped shop" in output_text(saved[number_of(saved, "%astro_stop")])
    assert_no_secret(project, notebook)
    assert notebook.stat().st_size < 200_000

    # A reader who comes later, with no kernel, still sees the tables.
    page.reopen()
    status = number_of(saved, "%astro_status")
    all_cells = nbformat.read(notebook, as_version=4).cells
    index = [number for number, cell in enumerate(all_cells) if cell.cell_type == "code"][status]
    expect(page.output(index).locator("table")).to_contain_text("scheduler")


def test_a_mistake_in_jupyterlab(page, ended) -> None:
    ended.append(page.server.folder / "mistaken")
    mistake = BROKEN.replace("    divide()", "    divid()")

    page.open_cells("mistake", "%load_ext astro_magic", "%astro_init mistaken", mistake)
    page.run_all(timeout=120)
    page.screenshot("mistake")

    # The line of the cell is shown, and no traceback of ours.
    expect(page.output(2)).to_contain_text("DagImportError: dags/broken.py created · import failed")
    expect(page.output(2)).to_contain_text("line 10   divid()")
    expect(page.output(2)).not_to_contain_text("astro_magic/")
    open_environment(Project(page.server.folder / "mistaken")).stop()


def test_the_quickstart_in_a_terminal(terminal, tmp_path, ended) -> None:
    cells = cells_of(QUICKSTART)
    ended.append(tmp_path / "shop")

    session = terminal(*[cell.source for cell in cells], timeout=240)

    shown = dict(zip([cell.source.split("\n")[0] for cell in cells], session.cells, strict=True))
    assert 'Created Astro project "shop"' in shown["%astro_init shop"]
    assert "success" in shown["%astro_trigger orders --wait"]
    assert "scheduler" in shown["%astro_status"]
    assert "14,732" in shown[cells[number_of(cells, "%astro_bash")].source]
    assert "Stopped shop" in shown["%astro_stop"]
    assert "<table" not in session.output


def test_the_quickstart_under_papermill(papermill, tmp_path, ended) -> None:
    notebook = tmp_path / "quickstart.ipynb"
    shutil.copy(QUICKSTART, notebook)
    ended.append(tmp_path / "shop")

    run = papermill(notebook, timeout=240)

    assert run.exit_code == 0, run.output
    assert run.errors == []
    assert_no_secret(Project(tmp_path / "shop"), run.path)


@pytest.mark.parametrize(
    ("cells", "error"),
    [
        (["%astro_status"], "ProjectNotFoundError"),
        (["%astro_init shop", "%%requirements\nno-such-package-anywhere-1x"], "ResolutionError"),
        (["%astro_init shop", "%%dag bad.py\nfrom airflow.sdk import dag\nx = (\n"], "DagImportError"),
        (["%astro_init shop", BROKEN, "%astro_run broken"], "DagRunFailedError"),
    ],
)
def test_a_failing_cell_fails_the_run(papermill, tmp_path, cells, error) -> None:
    notebook = write_notebook(tmp_path / "fails.ipynb", "%load_ext astro_magic", *cells, "'not reached'")

    run = papermill(notebook, timeout=120)

    assert run.exit_code != 0
    assert [name for name, _ in run.errors] == [error]
    assert error in run.output
    if (tmp_path / "shop").exists():
        open_environment(Project(tmp_path / "shop")).stop()
