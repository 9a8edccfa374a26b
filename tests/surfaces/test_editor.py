"""The editors of connections, variables and pools: in the panel and in a cell, with a running Airflow."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, WebSocket, expect

from astro_magic.environment import Environment, open_environment
from astro_magic.project.project import Project
from tests.engine.living import processes_of
from tests.surfaces.lab_page import LabPage
from tests.surfaces.notebooks import output_data, read_notebook, write_notebook

pytestmark = pytest.mark.airflow

LONG = 60_000
LIVE = ".astro-magic-panel:not(.jupyter-widgets-disconnected)"
PANEL, EDITOR = 1, 2
STORED = ("planted-password-7f3a", "planted-extra-7f3a", "planted-key-7f3a", "planted-dotenv-7f3a")
TYPED = ("typed-password-9c1d", "typed-extra-9c1d", "typed-key-9c1d")
EXTRA = '{"region_name": "eu-west-1", "aws_secret_access_key": "••••••", "token": "%s"'
SETTINGS = """\
airflow:
  connections:
    - conn_id: lake
      conn_type: aws
      conn_host: lake.example.com
      conn_login: ana
      conn_password: planted-password-7f3a
      conn_port: 5432
      conn_extra:
        region_name: eu-central-1
        aws_secret_access_key: planted-extra-7f3a
    - conn_id: warehouse
      conn_type: postgres
      conn_host: db.example.com
      conn_schema: sales
    - conn_id: billing
      conn_type: http
      conn_host: billing.example.com
  pools:
    - pool_name: heavy
      pool_slot: 3
      pool_description: tasks that need much memory
  variables:
    - variable_name: region
      variable_value: eu-central-1
    - variable_name: api_key
      variable_value: planted-key-7f3a
"""
#: Opens a form without a front end, which would ask for it to be shown.
OPENED = """\
import time
editor = get_ipython().run_line_magic("connections", "edit lake")
editor.show()
while editor.tab._form is None:
    time.sleep(0.01)
"""
#: Does what a message of the front end does.
TYPING = """\
password, extra = [field for field in editor.tab._form._fields if field._name in ("password", "extra")]
password.input.set_state({"value": "typed-" + "password-9c1d"})
extra.widget.set_state({"value": '{"token": "typed-' + 'extra-9c1d"}'})
password.input.typed[-4:]
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """A running Airflow that all tests here share."""
    project = Project.create(tmp_path_factory.mktemp("editor") / "harbor").project
    project.file("airflow_settings.yaml").path.write_text(SETTINGS, encoding="utf-8")
    project.file(".env").path.write_text("AIRFLOW_CONN_QUEUE=redis://:planted-dotenv-7f3a@queue:6379/0\n")
    environment = open_environment(project, engine="local")
    environment.start()
    yield environment
    environment.stop()
    assert processes_of(project) == []


class Received:
    """All that the kernel has sent to the page."""

    def __init__(self, page: LabPage) -> None:
        self.frames: list[bytes] = []
        page.page.on("websocket", self._listen)

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._take)

    def _take(self, frame: bytes | str) -> None:
        self.frames.append(frame if isinstance(frame, bytes) else frame.encode())

    def holding(self, text: str) -> int:
        return sum(text.encode() in frame for frame in self.frames)


def live(page: LabPage, cell: int) -> Locator:
    return page.cell(cell).locator(LIVE)


def button(part: Locator, name: str) -> Locator:
    return part.get_by_role("button", name=name, exact=True)


def field(part: Locator, label: str) -> Locator:
    # The tabs that are not seen are in the page, too.
    return part.get_by_label(label, exact=True).locator("visible=true")


def type_into(part: Locator, label: str, text: str) -> None:
    """Type as a person does, and go on to the next field."""
    field(part, label).fill(text)
    field(part, label).press("Tab")


def rows(part: Locator) -> Locator:
    return part.locator("tbody tr:visible")


def names(part: Locator) -> list[str]:
    return rows(part).locator("td:first-child").all_inner_texts()


def search_and_sort(page: LabPage, panel: Locator) -> None:
    panel.get_by_role("tab", name="Connections").click()
    expect(rows(panel)).to_have_count(4, timeout=LONG)
    assert names(panel) == ["billing", "lake", "queue", "warehouse"]
    page.screenshot("editor-connections", cell=PANEL)
    field(panel, "Search").fill("EXAMPLE.COM")
    expect(rows(panel)).to_have_count(3)
    expect(panel).to_contain_text("3 of 4 connections")
    field(panel, "Sort by").select_option("host")
    field(panel, "Order").select_option("descending")
    expect(rows(panel).first).to_contain_text("lake.example.com")
    assert names(panel) == ["lake", "warehouse", "billing"]
    field(panel, "Search").fill("planted")
    expect(rows(panel)).to_have_count(0)
    field(panel, "Search").fill("")
    expect(rows(panel)).to_have_count(4)


def edit_a_connection(page: LabPage, panel: Locator, environment: Environment) -> None:
    """A refused value loses nothing that was typed, and what was typed stands nowhere but in the kernel."""
    field(panel, "Connection").select_option("lake")
    button(panel, "Edit").click()
    expect(field(panel, "Password")).to_have_attribute("placeholder", "unchanged")
    expect(field(panel, "Password")).to_have_value("")
    expect(field(panel, "Extra")).to_have_value(
        '{\n  "region_name": "eu-central-1",\n  "aws_secret_access_key": "••••••"\n}'
    )
    page.screenshot("editor-form", cell=PANEL)
    type_into(panel, "Host", "other.example.com")
    type_into(panel, "Password", TYPED[0])
    expect(field(panel, "Password")).to_have_attribute("placeholder", "typed, not saved yet")
    expect(field(panel, "Password")).to_have_value("")
    type_into(panel, "Port", "ninety")
    type_into(panel, "Extra", EXTRA % TYPED[1] + ",}")
    expect(field(panel, "Extra")).to_have_value(EXTRA % "••••••" + ",}")
    button(panel, "Save").click()
    expect(panel.get_by_role("alert")).to_contain_text("Not saved: The port is no whole number from 1 to 65535.")
    type_into(panel, "Port", "5439")
    button(panel, "Save").click()
    expect(panel.get_by_role("alert")).to_contain_text("Not saved: The extra is no JSON")
    page.screenshot("editor-refused", cell=PANEL)
    # The file as it is while the form is open, too.
    assert "PasswordModel" in no_secret_in_the_file(page)
    type_into(panel, "Extra", EXTRA % "••••••" + "}")
    button(panel, "Save").click()
    expect(panel).to_contain_text("lake · airflow_settings.yaml +", timeout=LONG)
    expect(panel).to_contain_text("in the running Airflow updated")
    expect(button(panel, "Save")).to_have_count(0)
    expect(rows(panel).filter(has_text="lake")).to_contain_text("other.example.com")
    seen = environment.objects.table("connection", secrets=True)["lake"].definition("database").values
    assert {name: seen[name] for name in ("host", "login", "password", "port")} == {
        "host": "other.example.com",
        "login": "ana",
        "password": TYPED[0],
        "port": 5439,
    }
    assert json.loads(seen["extra"]) == {
        "region_name": "eu-west-1",
        "aws_secret_access_key": STORED[1],
        "token": TYPED[1],
    }


def make_a_variable(page: LabPage, panel: Locator, environment: Environment) -> None:
    panel.get_by_role("tab", name="Variables").click()
    expect(rows(panel)).to_have_count(2)
    button(panel, "New").click()
    type_into(panel, "Name", "mail_token")
    expect(panel.locator("input[type=password]:visible")).to_be_visible()
    type_into(panel.locator(".astro-magic-panel-form"), "Value", TYPED[2])
    button(panel, "Save").click()
    expect(panel).to_contain_text("mail_token · airflow_settings.yaml +", timeout=LONG)
    expect(rows(panel)).to_have_count(3)
    page.screenshot("editor-variables", cell=PANEL)
    table = environment.objects.table("variable", secrets=True)
    assert table["mail_token"].definition("database").values["value"] == TYPED[2]


def look_at_the_others(page: LabPage, panel: Locator) -> None:
    panel.get_by_role("tab", name="Pools").click()
    expect(rows(panel)).to_have_count(2)
    expect(panel).to_contain_text("occupied")
    page.screenshot("editor-pools", cell=PANEL)
    panel.get_by_role("tab", name="Packages").click()
    expect(panel).to_contain_text(re.compile(r"1\d\d packages"), timeout=LONG)
    field(panel, "Search").fill("sqlalchemy")
    expect(rows(panel).first).to_contain_text("sqlalchemy", ignore_case=True)
    page.screenshot("editor-packages", cell=PANEL)


def edit_in_a_cell(page: LabPage, editor: Locator, environment: Environment) -> None:
    """What nobody typed over stays as it is, though Airflow's API hides it."""
    expect(rows(editor)).to_have_count(4)
    field(editor, "Connection").select_option("lake")
    button(editor, "Edit").click()
    type_into(editor, "Description", "all that was ever sold")
    page.screenshot("editor-cell", cell=EDITOR)
    button(editor, "Save").click()
    expect(editor).to_contain_text("lake · airflow_settings.yaml +", timeout=LONG)
    seen = environment.objects.table("connection", secrets=True)["lake"].definition("database").values
    assert (seen["description"], seen["password"]) == ("all that was ever sold", TYPED[0])
    button(editor, "New").click()
    type_into(editor, "Id", "scratch")
    type_into(editor, "Type", "http")
    field(editor, "Where").select_option("the running Airflow alone")
    button(editor, "Save").click()
    expect(editor).to_contain_text("scratch · in the running Airflow created", timeout=LONG)
    expect(rows(editor).filter(has_text="scratch")).to_contain_text("only in Airflow")
    field(editor, "Connection").select_option("scratch")
    button(editor, "Remove").click()
    button(editor, "Remove scratch").click()
    expect(editor).to_contain_text("scratch · in the running Airflow removed", timeout=LONG)
    expect(rows(editor)).to_have_count(4)


def no_secret_in_the_file(page: LabPage) -> set[str]:
    """The notebook is saved with the state of all widgets, whose models are given; none of it is a secret."""
    state = page.save().metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    text = page.path.read_text(encoding="utf-8")
    assert [secret for secret in (*STORED, *TYPED) if secret in text] == []
    return {model["model_name"] for model in state.values()}


def test_the_editors_in_jupyterlab(page, environment) -> None:
    received = Received(page)
    use = f"%load_ext astro_magic\n%astro_use {environment.project.root}"
    page.open_cells("editor", use, "%astro_panel", "%connections edit")
    page.execute("@jupyter-widgets/jupyterlab-manager:saveWidgetState")
    try:
        page.run_all()
        search_and_sort(page, live(page, PANEL))
        edit_a_connection(page, live(page, PANEL), environment)
        make_a_variable(page, live(page, PANEL), environment)
        look_at_the_others(page, live(page, PANEL))
        edit_in_a_cell(page, live(page, EDITOR), environment)
        models = no_secret_in_the_file(page)
        assert "DropdownModel" in models
        assert "PasswordModel" not in models
        assert {secret: received.holding(secret) for secret in (*STORED, *TYPED)} == dict.fromkeys((*STORED, *TYPED), 0)
        assert received.holding("other.example.com")
        page.reopen()
        expect(page.output(EDITOR).locator("[class$=-kept] table")).to_contain_text("warehouse")
        page.screenshot("editor-reopened")
    finally:
        page.execute("@jupyter-widgets/jupyterlab-manager:saveWidgetState")


def test_with_nobody_at_the_keyboard_the_table_is_kept_and_no_secret(nbclient, tmp_path) -> None:
    project = Project.create(tmp_path / "harbor").project
    project.file("airflow_settings.yaml").path.write_text(SETTINGS, encoding="utf-8")
    notebook = write_notebook(tmp_path / "editor.ipynb", "%load_ext astro_magic\n%astro_use harbor", OPENED, TYPING)

    run = nbclient(notebook)

    assert run.exit_code == 0, run.output
    saved = read_notebook(run.path)
    assert "lake" in output_data(saved.cells[1])[0]["text/html"]
    assert output_data(saved.cells[2])[0]["text/plain"] == "'9c1d'"
    state = saved.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    assert "typed, not saved yet" in [model["state"].get("placeholder") for model in state.values()]
    text = run.path.read_text(encoding="utf-8")
    assert [secret for secret in (*STORED, *TYPED) if secret in text] == []


def test_a_terminal_names_the_commands_that_do_the_same(terminal) -> None:
    session = terminal("%load_ext astro_magic", "%astro_init harbor", "%pools edit")

    said = "The editor of pools needs a notebook; %pools add, %pools set and %pools remove do the same here."
    assert said in session.output
