from __future__ import annotations

import pytest
from IPython.core.error import UsageError

from astro_magic import errors
from astro_magic.project.fingerprint import Action, Pending, Reason
from astro_magic.resolve.resolver import Resolution


def text_of(project, name="requirements.txt"):
    return (project.root / name).read_text()


def test_requirements_are_merged_and_checked(shell, project, environment):
    view = shell.cell("%%requirements\npolars>=1.9\n")
    assert "polars>=1.9" in text_of(project)
    text = repr(view)
    assert text.startswith("requirements.txt  +1")
    assert "+ polars>=1.9" in text
    assert "adds polars 1.35.2" in text
    assert text.endswith("Applies with %astro_start.")
    assert "polars>=1.9" in dict(environment.asked)["check"]["text"]
    assert repr(shell.cell("%%requirements\npolars>=1.9\n")) == "requirements.txt  unchanged"


def test_pending_is_said(shell, project, running):
    running.waiting = Pending((Reason("requirements.txt", "+ polars>=1.9", Action.REBUILD),))
    text = repr(shell.cell("%%requirements\npolars>=1.9\n"))
    assert "Pending: rebuild (requirements.txt). Applies with %astro_restart." in text


def test_what_cannot_be_installed_is_not_written(shell, project, environment):
    before = text_of(project)
    environment.results["check"] = errors.ResolutionError(
        "these requirements cannot be installed together", hint="Try X."
    )
    with pytest.raises(errors.ResolutionError) as raised:
        shell.cell("%%requirements\nsqlalchemy<2\n")
    assert text_of(project) == before
    assert str(raised.value) == (
        "requirements.txt not changed: these requirements cannot be installed together\n"
        "Try X.\nWrite it anyway with --no-check."
    )
    shell.cell("%%requirements --no-check\nsqlalchemy<2\n")
    assert "sqlalchemy<2" in text_of(project)


def test_without_a_network_it_is_written_with_a_note(shell, project, environment):
    environment.results["check"] = errors.NetworkError("the package index could not be reached")
    text = repr(shell.cell("%%requirements\npolars\n"))
    assert "polars" in text_of(project)
    assert "Not checked: the package index could not be reached" in text
    environment.results["check"] = Resolution("", {}, "3.3.2", 0.1, note="the index could not be reached")
    assert "the index could not be reached" in repr(shell.cell("%%requirements\nduckdb\n"))


def test_line_forms_of_requirements(shell, project, environment):
    shell.cell('%requirements add "polars>=1.9" duckdb')
    assert "polars>=1.9\nduckdb" in text_of(project)
    view = shell.cell("%requirements list")
    assert "polars" in repr(view)
    shell.cell("%requirements remove polars")
    assert "polars" not in text_of(project)
    for wrong in ("remove", "list x", "add --replace x", "frobnicate x"):
        with pytest.raises(UsageError):
            shell.cell(f"%requirements {wrong}")
    with pytest.raises(UsageError):
        shell.cell("%%requirements add\npolars\n")


def test_dry_run_and_replace(shell, project, environment):
    before = text_of(project)
    text = repr(shell.cell("%%requirements --dry-run --replace\npolars\n"))
    assert text_of(project) == before
    assert "Dry run: nothing was written." in text
    shell.cell("%%requirements --replace\npolars\n")
    assert text_of(project) == "polars\n"
    assert "Would take back" in repr(shell.cell("%astro_undo --dry-run"))
    assert text_of(project) == "polars\n"
    assert repr(shell.cell("%astro_undo")).startswith("Took back: ")
    assert text_of(project) == before


def test_values_of_variables_never_show(shell, project, environment):
    view = shell.cell("%%dotenv -o kept\nAPI_TOKEN=planted-secret\nPLAIN=planted-too\n")
    listed = shell.cell("%dotenv list")
    set_ = shell.cell("%dotenv set OTHER='planted three'")
    assert "planted three" in text_of(project, ".env")
    for shown in (view, listed, set_):
        bundle = shown._repr_mimebundle_()
        assert "planted" not in bundle["text/plain"] + bundle["text/html"]
    assert shell.user_ns["kept"] is view
    assert "API_TOKEN" in repr(listed)
    shell.cell("%dotenv remove OTHER")
    assert "OTHER" not in text_of(project, ".env")


def test_a_secret_is_asked_for(shell, project, environment, monkeypatch):
    monkeypatch.setattr("getpass.getpass", lambda _: "planted")
    shell.cell("%dotenv set TOKEN")
    assert "TOKEN=planted" in text_of(project, ".env").replace('"', "").replace("'", "")

    def nobody(_):
        raise EOFError

    monkeypatch.setattr("getpass.getpass", nobody)
    with pytest.raises(UsageError, match="Nobody can be asked"):
        shell.cell("%dotenv set TOKEN")


def test_the_line_is_not_expanded(shell, project, environment):
    shell.user_ns["x"] = "expanded"
    shell.cell("%dotenv set A=$x B={x}")
    assert "expanded" not in text_of(project, ".env")


def test_file(shell, project, running):
    view = shell.cell("%%astro_file include/query.sql\nselect {{ ds }}\n")
    assert text_of(project, "include/query.sql") == "select {{ ds }}\n"
    assert repr(view).startswith("include/query.sql  created (+1)")
    assert repr(view).endswith("No restart needed.")
    with pytest.raises(errors.InvalidPathError):
        shell.cell("%%astro_file ../outside.txt\nx\n")


def test_a_change_is_shown_also_where_no_engine_can_be_asked(shell, project, environment):
    environment.results["pending"] = errors.EngineUnavailableError("none")
    assert repr(shell.cell("%%astro_file include/a.txt\nx\n")).startswith("include/a.txt")


def test_other_project(shell, project, environment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shell.cell("%%astro_file include/a.txt --project shop\nx\n")
    assert (project.root / "include/a.txt").exists()
