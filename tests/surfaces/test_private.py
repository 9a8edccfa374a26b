"""The notebook about private packages: in JupyterLab with local processes, and headless with Docker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import nbformat
import pytest

from astro_magic.environment import open_environment
from astro_magic.project.project import Project
from tests.docker import images as stand_ins
from tests.docker.living import leftovers, remove_all
from tests.engine.living import processes_of
from tests.servers.processes import free_port
from tests.servers.using import fingerprint_of
from tests.surfaces.notebooks import output_text

pytestmark = pytest.mark.airflow

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "04_private_packages.ipynb"
#: The notebook tells of the variables; a test gives them by a file, so that no login stands in a cell.
GIVEN = "import json, os, pathlib; os.environ.update(json.loads(pathlib.Path('places.json').read_text()))"


def prepare(folder: Path, index: Any, server: Any, authority: Any, *more: str) -> Path:
    """Put the notebook into a folder, with the places of the servers."""
    places = {
        "SHOP_REPOSITORY": server.url("shop-metrics"),
        "SHOP_KEY": str(server.developer.path),
        "SHOP_HOST_KEY": fingerprint_of(server),
        "SHOP_INDEX": index.url,
        "SHOP_AUTHORITY": str(authority.pem),
        "SHOP_INDEX_USER": index.user,
        "SHOP_INDEX_PASSWORD": index.password,
    }
    (folder / "places.json").write_text(json.dumps(places))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.insert(1, nbformat.v4.new_code_cell(GIVEN))
    made = next(place for place, cell in enumerate(notebook.cells) if cell.source.startswith("%astro_init"))
    notebook.cells[made + 1 : made + 1] = [nbformat.v4.new_code_cell(line) for line in more]
    path = folder / "private.ipynb"
    nbformat.write(notebook, path)
    return path


def check(notebook: nbformat.NotebookNode, index: Any, server: Any) -> dict[str, str]:
    """Check what the cells say, and that nothing secret is in what was saved."""
    shown = {cell.source.partition(" ")[0]: output_text(cell) for cell in notebook.cells if cell.cell_type == "code"}
    assert "shop-metrics, at" in shown["%astro_private_git"]
    assert "acme" in shown["%astro_ca_cert"]
    assert "3.3-8-base now" in shown["%astro_private_index"]
    assert "success" in shown["%astro_trigger"]
    assert "shop-metrics" in shown["%installed"]
    assert '--secret id=netrc,src="$logins"' in shown["%astro_build"]
    saved = nbformat.writes(notebook)
    for secret in (index.password, server.developer.path.read_text().splitlines()[2]):
        assert json.dumps(secret)[1:-1] not in saved
    return shown


def test_the_notebook_in_jupyterlab(page, private_index, git_server, authority) -> None:
    folder = page.server.folder / "private"
    folder.mkdir()
    notebook = prepare(folder, private_index, git_server, authority)
    project = Project(folder / "shop")
    try:
        page.open(notebook)
        page.run_all(timeout=300)
        page.screenshot("private")
        saved = page.save()
    finally:
        open_environment(project).stop()

    check(saved, private_index, git_server)
    assert processes_of(project) == []


@pytest.fixture
def ended(tmp_path: Path) -> Iterator[None]:
    """Let the engine have nothing of the project in the end."""
    stand_ins.ensure()
    yield
    client = docker.from_env()
    left = leftovers(client, Project(tmp_path / "shop"))
    remove_all(client, Project(tmp_path / "shop"))
    client.close()
    assert left == []


def test_the_notebook_on_docker(nbclient, tmp_path, bridge_index, bridge_git_server, authority, ended) -> None:
    # The tests that run beside this one take the usual port, too.
    more = f"%astro_config set dev.mode=docker api-server.port={free_port('127.0.0.1')}"
    notebook = prepare(tmp_path, bridge_index, bridge_git_server, authority, more)
    document = nbformat.read(notebook, as_version=4)
    document.cells.append(nbformat.v4.new_code_cell("%astro_kill --yes --images"))
    nbformat.write(document, notebook)

    run = nbclient(notebook, timeout=500)

    assert run.errors == [], run.output
    check(run.notebook, bridge_index, bridge_git_server)
