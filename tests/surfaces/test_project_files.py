"""The edits of all files of a project, as people make them: in a terminal, and in JupyterLab."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

from astro_magic.environment import open_environment
from astro_magic.project.project import Project
from tests.engine.living import processes_of
from tests.surfaces.notebooks import output_text

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "05_project_files.ipynb"
TABLE = ROOT / "docs" / "project-files.md"

#: Connections, variables and pools have a notebook of their own, and so have private packages.
OTHERS = (ROOT / "notebooks" / "03_objects.ipynb", ROOT / "notebooks" / "04_private_packages.ipynb")

#: What these magics do is told in another notebook, or needs what this one has no use for.
ELSEWHERE = {"%installed", "%astro", "%astro_build"}


def sources(notebook: Path = NOTEBOOK) -> list[str]:
    return [cell.source for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]


@pytest.fixture
def project(tmp_path) -> Iterator[Project]:
    """The project that the notebook makes; nothing of it runs in the end."""
    found = Project(tmp_path / "shop")
    yield found
    left = processes_of(found)
    if found.root.exists():
        open_environment(found).stop()
    assert left == []


def check_files(project: Project) -> None:
    """What the notebook wrote is there."""
    assert set(project.requirements.names()) == {"apache-airflow-providers-sqlite", "humanize"}
    assert set(project.os_packages.names()) == {"git", "openssh-client", "unixodbc-dev"}
    assert project.variables() == {
        "AIRFLOW__CORE__PARALLELISM": "8",
        "SHOP_REGION": "eu west",
        "SHOP_MODE": "production",
    }
    assert [entry.name for entry in project.settings.entries()] == [
        "my_new_connection",
        "my_new_pool",
        "my_variable",
        "my_other_variable",
    ]
    assert set(project.dockerfile.blocks()) == {"ca-certificate"}
    assert [file.file for file in project.airflowignore.ignored()] == ["my_dag/my_dag_utils.py", "utils/"]
    assert "api-server.port" not in project.config_file.values()
    assert project.file("include/data/orders.csv").text().splitlines()[0] == "article,cents"


def test_each_edit_of_the_guide_is_in_a_notebook():
    table = TABLE.read_text(encoding="utf-8").partition("\n## ")[0]
    rows = [line.replace("\\|", "¦").split("|") for line in table.splitlines() if line.startswith("| ")]
    cells = [row[2] for row in rows]
    named = {magic for cell in cells for magic in re.findall(r"`(%%?\w+)", cell)} - ELSEWHERE
    assert len(named) > 12
    used = "\n".join(source for notebook in (NOTEBOOK, *OTHERS) for source in sources(notebook))
    missing = {magic for magic in named if not re.search(rf"(?m)^{magic}\b", used)}
    assert not missing


@pytest.mark.airflow
def test_the_same_cells_in_a_terminal(terminal, tmp_path, project) -> None:
    cells = sources()

    session = terminal(*cells, timeout=240)

    check_files(project)
    shown = dict(zip([cell.split("\n")[0] for cell in cells], session.cells, strict=True))
    assert "humanize==4.12.3" in shown["%astro_bash pip freeze | grep -i humanize"]
    assert "SHOP_REGION=eu west" in shown["%astro_bash env | grep SHOP_"]
    assert "8" in shown["%astro_bash airflow config get-value core parallelism"]
    assert "changed SHOP_MODE" in shown["%astro_diff"]
    assert "eu west" not in shown["%dotenv list"]
    assert "Took back: set in .astro/config.yaml" in shown["%astro_undo"]
    assert "<table" not in session.output


def test_edits_in_jupyterlab(page) -> None:
    page.open_cells(
        "edits",
        "%load_ext astro_magic",
        "%astro_init edited",
        "%%dockerfile --block tools\nUSER root\nRUN apt-get update && apt-get install -y vim\nUSER astro",
        "%%astro_settings\nconnections:\n  - conn_id: db\n    conn_type: postgres\n    conn_password: planted-secret",
        '%%dotenv\nshop_mode="on $HOME"',
        "%astro_settings list",
        "%astro_undo --list",
        "%astro_doctor",
        "%astro",
    )
    page.run_all(timeout=120)
    pictures = page.screenshot("edits")
    saved = "\n".join(output_text(cell) for cell in page.save().cells)

    assert len(pictures) == 2
    expect(page.output(2)).to_contain_text("# >>> tools")
    expect(page.output(5)).to_contain_text("conn_type=postgres")
    expect(page.output(6).locator("table")).to_contain_text("set block tools in Dockerfile")
    expect(page.output(7)).to_contain_text("shop_mode is not in capitals")
    expect(page.output(8)).to_contain_text("%astro_doctor")
    assert saved.count("planted-secret") == 0
