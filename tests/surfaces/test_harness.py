"""The harness itself, on notebooks that need nothing of Astro Magic."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.surfaces.notebooks import code_cell, output_data, output_text, write_notebook

TABLE = """
from IPython.display import HTML
HTML("<table class='proof'><tr><td>scheduler</td><td>healthy</td></tr></table>")
"""


def test_lab_runs_cells_and_saves_what_they_showed(page):
    page.open_cells("table", TABLE, "import time; time.sleep(1); 6 * 7")
    page.run_all()
    expect(page.output(0).locator("table.proof td").first).to_have_text("scheduler")
    expect(page.output(1)).to_contain_text("42")

    saved = page.save()
    assert "scheduler" in output_data(saved.cells[0])[0]["text/html"]
    assert output_text(saved.cells[1]) == "42"

    page.reopen()
    expect(page.output(0).locator("table.proof td").first).to_have_text("scheduler")


def test_lab_pictures_show_the_whole_notebook_in_both_themes(page):
    page.open_cells("tall", TABLE, "print('\\n'.join(map(str, range(80))))")
    page.run_all()
    pictures = page.screenshot("harness")
    assert [path.name for path in pictures] == ["harness-light.png", "harness-dark.png"]
    light, dark = (path.read_bytes() for path in pictures)
    assert light != dark
    assert int.from_bytes(light[20:24], "big") > 1000  # the picture's height


def test_lab_shows_an_error(page):
    page.open_cells("error", "1 / 0")
    page.run_all()
    expect(page.output(0)).to_contain_text("ZeroDivisionError")


def test_terminal_gives_the_text_of_each_cell(terminal):
    session = terminal(
        "6 * 7",
        "%%writefile some.txt\nfirst\n\nthird",
        "print(repr(open('some.txt').read()))",
        "import sys; print('on standard error', file=sys.stderr)",
        "1 / 0",
    )
    assert session.exit_code == 0
    assert session.cells[0] == "Out[1]: 42"
    assert session.cells[1] == "Writing some.txt"
    assert session.cells[2] == r"'first\n\nthird\n'"
    assert session.cells[3] == "on standard error"
    assert "ZeroDivisionError" in session.cells[4]
    assert "\x1b" not in session.output


def test_terminal_is_apart_from_the_user(terminal, jupyter_environment):
    session = terminal("import os; os.environ['IPYTHONDIR']", "get_ipython().ipython_dir")
    assert jupyter_environment["IPYTHONDIR"] in session.cells[0]
    assert jupyter_environment["IPYTHONDIR"] in session.cells[1]


def test_papermill_passes_parameters_and_keeps_outputs(papermill, tmp_path):
    notebook = write_notebook(tmp_path / "run.ipynb", code_cell("rows = 1", tags=["parameters"]), "rows * 2")
    run = papermill(notebook, rows=21)
    assert run.exit_code == 0, run.output
    assert output_text(run.notebook.cells[-1]) == "42"
    assert run.errors == []


def test_papermill_fails_when_a_cell_does(papermill, tmp_path):
    run = papermill(write_notebook(tmp_path / "run.ipynb", "1 / 0", "'not reached'"))
    assert run.exit_code != 0
    assert run.errors == [("ZeroDivisionError", "division by zero")]


def test_nbclient_keeps_what_was_shown_before_a_failure(nbclient, tmp_path):
    run = nbclient(write_notebook(tmp_path / "run.ipynb", TABLE, "1 / 0"))
    assert run.exit_code != 0
    assert "scheduler" in output_data(run.notebook.cells[0])[0]["text/html"]
    assert run.errors == [("ZeroDivisionError", "division by zero")]
