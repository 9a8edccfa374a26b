"""The magics of live widgets: one of each for each project, and none without a notebook or ipywidgets."""

from __future__ import annotations

import sys
from typing import Any
from unittest.mock import Mock

import pytest
from IPython.core.error import UsageError

import astro_magic
from astro_magic.errors import AstroMagicError, NotRunningError
from astro_magic.objects.access import ProjectObjects
from astro_magic.project.project import Project
from astro_magic.system.events import run
from astro_magic.views import StatusView
from astro_magic.widgets.object_editor import ObjectEditor
from astro_magic.widgets.panel import Panel


@pytest.fixture
def notebook(shell):
    shell.kernel = object()
    yield shell
    astro_magic.unload_ipython_extension(shell)


def test_a_terminal_shows_the_status(shell, running, capsys):
    assert isinstance(shell.cell("%astro_panel"), StatusView)
    assert capsys.readouterr().out.startswith("The live panel needs a notebook; this is the status as it is now.\n")


def test_one_for_each_project(notebook, running, tmp_path):
    Project.create(tmp_path / "other")
    notebook.cell("panel = %astro_panel")
    first = notebook.user_ns["panel"]
    notebook.cell(f"panel = %astro_panel --project {tmp_path / 'other'}")
    other = notebook.user_ns["panel"]
    assert isinstance(first, Panel)
    assert not first.closed
    notebook.cell("panel = %astro_panel")
    second = notebook.user_ns["panel"]
    assert [panel.closed for panel in (first, other, second)] == [True, False, False]
    astro_magic.unload_ipython_extension(notebook)
    assert [panel.closed for panel in (first, other, second)] == [True, True, True]


@pytest.fixture
def files(running):
    """The objects of the project's files; its Airflow cannot be asked."""

    engine: Any = Mock()
    engine.api.side_effect = NotRunningError("Airflow does not run.")
    running.objects = ProjectObjects(running.project, engine, run)
    return running


@pytest.mark.parametrize("kind", ["connection", "variable", "pool"])
def test_one_editor_for_each_kind(notebook, files, kind):
    files.project.apply(files.project.settings.plan_set("pool", "heavy", {"pool_slot": 3}))
    notebook.cell("panel = %astro_panel")
    notebook.cell("other = %connections edit" if kind != "connection" else "other = %pools edit heavy")
    notebook.cell(f"first = %{kind}s edit")
    notebook.cell(f"second = %{kind}s edit")
    names = notebook.user_ns
    closed = [names[name].closed for name in ("panel", "other", "first", "second")]
    assert closed == [False, False, True, False]
    assert isinstance(names["second"], ObjectEditor)
    astro_magic.unload_ipython_extension(notebook)
    assert names["second"].closed


@pytest.mark.parametrize("kind", ["connection", "variable", "pool"])
def test_a_terminal_names_the_commands_that_do_the_same(shell, running, capsys, kind):
    assert shell.cell(f"%{kind}s edit") is None
    verbs = f"%{kind}s add, %{kind}s set and %{kind}s remove"
    assert capsys.readouterr().out == f"The editor of {kind}s needs a notebook; {verbs} do the same here.\n"


@pytest.mark.parametrize("line", ["edit one two", "edit --to env", "edit one --host db", "edit --dry-run"])
def test_an_editor_takes_no_values(notebook, running, line):
    with pytest.raises(UsageError):
        notebook.cell(f"%connections {line}")


def test_an_engine_that_cannot_be_asked_is_an_error(notebook, environment):
    environment.results["status"] = AstroMagicError("The engine is gone.")
    with pytest.raises(AstroMagicError, match=r"The engine is gone\."):
        notebook.cell("%astro_panel")


def test_without_ipywidgets_it_says_how_to_get_it(notebook, running, monkeypatch):
    # The package is imported anew, and would stay an attribute of the one above it.
    monkeypatch.setattr(astro_magic, "widgets", sys.modules["astro_magic.widgets"])
    for name in [name for name in sys.modules if name.startswith(("ipywidgets", "astro_magic.widgets"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(AstroMagicError, match="needs the package ipywidgets") as raised:
        notebook.cell("%astro_panel")
    assert "%pip install ipywidgets" in raised.value.hint
