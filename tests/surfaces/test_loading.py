"""Loading the extension, as a person does it."""

from __future__ import annotations

from tests.surfaces.notebooks import output_text, write_notebook


def test_loading_says_nothing(terminal):
    session = terminal("%load_ext astro_magic", "%load_ext astro_magic", "%reload_ext astro_magic")
    assert session.cells[0] == ""
    assert "already loaded" in session.cells[1]
    assert session.cells[2] == ""


def test_loading_imports_nothing_heavy(terminal):
    heavy = ("docker", "httpx", "ipywidgets", "numpy", "pandas", "yaml")
    session = terminal(
        "%load_ext astro_magic", f"import sys; print([name for name in {heavy!r} if name in sys.modules])"
    )
    assert session.cells[1] == "[]"


def test_headless_runs_load_it(papermill, tmp_path):
    run = papermill(write_notebook(tmp_path / "load.ipynb", "%load_ext astro_magic"))
    assert run.exit_code == 0, run.output
    assert output_text(run.notebook.cells[0]) == ""
