"""The live panel: in JupyterLab through a start, a crash, a restart and a stop; and what a later reader sees."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from astro_magic.environment import open_environment
from astro_magic.project.project import Project
from tests.engine.living import processes_of
from tests.surfaces.lab_page import LabPage
from tests.surfaces.notebooks import output_data, read_notebook, write_notebook

pytestmark = pytest.mark.airflow

LONG = 90_000
SECRET = "planted-in-dotenv-7f3a"
WIDGET = "application/vnd.jupyter.widget-view+json"
CELL = 2
CELLS = ("%load_ext astro_magic", "%astro_init harbor", "panel = %astro_panel\npanel")


@pytest.fixture
def ended() -> Iterator[list[Path]]:
    """Folders of projects that must have nothing running in the end."""
    roots: list[Path] = []
    yield roots
    left = {root: processes_of(Project(root)) for root in roots}
    for root in roots:
        open_environment(Project(root)).stop()
    assert left == {root: [] for root in roots}


def live(page: LabPage) -> Locator:
    return page.cell(CELL).locator(".astro-magic-panel:not(.jupyter-widgets-disconnected)")


def kept(page: LabPage) -> Locator:
    return page.cell(CELL).locator("[class$=-kept]")


def button(panel: Locator, name: str) -> Locator:
    return panel.get_by_role("button", name=name, exact=True)


def row(panel: Locator, component: str) -> Locator:
    return panel.locator("tr", has_text=component)


def start_by_button(page: LabPage, panel: Locator) -> None:
    """The progress is seen; meanwhile nothing else can be clicked."""
    expect(panel).to_contain_text("harbor · local")
    expect(panel).to_contain_text("No component runs.")
    expect(button(panel, "Stop")).to_be_disabled()
    expect(button(panel, "Restart")).to_be_disabled()
    expect(kept(page)).to_be_hidden()
    button(panel, "Start").click()
    expect(panel).to_contain_text("Starting harbor on local processes")
    expect(button(panel, "Start")).to_be_disabled()
    expect(panel).to_contain_text("Airflow is up in", timeout=LONG)
    expect(row(panel, "scheduler")).to_contain_text("healthy")
    expect(button(panel, "Stop")).to_be_enabled()


def kill_the_scheduler(panel: Locator, project: Project) -> None:
    """It is seen that the component was started again."""
    [scheduler] = [part for part in open_environment(project).status().components if part.name == "scheduler"]
    os.kill(scheduler.pid, signal.SIGKILL)
    expect(row(panel, "scheduler").locator("td").nth(4)).to_have_text("1", timeout=LONG)
    expect(row(panel, "scheduler").first).to_contain_text("✓ healthy", timeout=LONG)
    expect(panel).to_contain_text("scheduler: killed by SIGKILL")


def look_at_the_log(page: LabPage, panel: Locator) -> None:
    panel.get_by_role("tab", name="Log").click()
    log = panel.get_by_role("log")
    expect(log).to_contain_text("scheduler     │")
    expect(log).to_contain_text("triggerer     │")
    panel.get_by_label("Component", exact=True).select_option("triggerer")
    expect(log).to_have_attribute("aria-label", "Log of triggerer")
    expect(log).not_to_contain_text("│")
    panel.get_by_label("Component", exact=True).select_option("all")
    panel.get_by_label("Filter", exact=True).fill("UVICORN")
    expect(panel).to_contain_text("with this text.")
    expect(log).to_contain_text(re.compile("uvicorn", re.IGNORECASE))
    expect(log).not_to_contain_text("dag processor │")
    page.screenshot("panel-log", cell=CELL)
    panel.get_by_role("tab", name="Components").click()


def restart_by_button(page: LabPage, panel: Locator, project: Project) -> None:
    """What is pending is seen, and goes away."""
    project.file(".env").path.write_text(f"HARBOR_PASSWORD={SECRET}\n", encoding="utf-8")
    expect(panel).to_contain_text("Pending: recreate (.env). Applies with Restart.", timeout=LONG)
    page.screenshot("panel-pending", cell=CELL)
    button(panel, "Restart").click()
    expect(panel).to_contain_text(".env applied in", timeout=LONG)
    expect(panel).to_contain_text("Up to date. Nothing to restart.")


def read_later(page: LabPage, project: Project) -> None:
    """Who opens the notebook without its kernel sees the table, no error, and no secret."""
    saved = page.save().cells[CELL]
    assert [set(bundle) for bundle in output_data(saved)] == [
        {"text/html", "text/plain"},
        {"text/html", "text/plain", WIDGET},
    ]
    text = page.path.read_text(encoding="utf-8")
    for secret in (SECRET, *json.loads((project.state_dir / "secrets.json").read_text()).values()):
        assert secret not in text
    page.reopen()
    # The front end looks for the widget for two seconds before it says that there is none.
    complaint = page.output(CELL).get_by_text("Error displaying widget")
    expect(complaint).to_have_count(1)
    expect(complaint).to_be_hidden()
    expect(kept(page)).to_be_visible()
    expect(kept(page).locator("table")).to_contain_text("scheduler")
    expect(kept(page)).to_contain_text("run the cell again for the live panel")
    page.screenshot("panel-reopened", cell=CELL)


def stop_by_button(panel: Locator) -> None:
    expect(panel).to_contain_text("running")
    button(panel, "Stop").click()
    expect(panel).to_contain_text("Stopped harbor in", timeout=LONG)
    expect(button(panel, "Start")).to_be_enabled()
    expect(panel).to_contain_text("No component runs.")


def test_the_panel_in_jupyterlab(page, ended) -> None:
    folder = page.server.folder / "panel"
    folder.mkdir()
    project = Project(folder / "harbor")
    ended.append(project.root)
    page.open_cells("panel/live", *CELLS)
    page.run_all()
    panel = live(page)

    start_by_button(page, panel)
    kill_the_scheduler(panel, project)
    look_at_the_log(page, panel)
    restart_by_button(page, panel, project)
    read_later(page, project)
    # The new kernel's panel stops what that of the other one started.
    page.run_all()
    stop_by_button(panel)


def test_a_panel_with_nobody_at_the_keyboard_does_not_keep_the_run_from_ending(nbclient, tmp_path) -> None:
    notebook = write_notebook(tmp_path / "panel.ipynb", *CELLS)

    run = nbclient(notebook)

    assert run.exit_code == 0, run.output
    [table, _] = output_data(read_notebook(run.path).cells[CELL])
    assert "harbor · local · stopped" in table["text/plain"]
    assert "run the cell again for the live panel" in table["text/html"]


def test_a_terminal_shows_the_status(terminal) -> None:
    session = terminal("%load_ext astro_magic", "%astro_init harbor", "%astro_panel")

    assert "The live panel needs a notebook; this is the status as it is now." in session.output
    assert "harbor · local · stopped" in session.output
