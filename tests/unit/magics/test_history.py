"""The magics that look back: %astro_diff and %astro_undo."""

from __future__ import annotations

import subprocess

import pytest
from IPython.core.error import UsageError

from astro_magic import errors
from astro_magic.project.fingerprint import Action, Pending, Reason


@pytest.fixture
def repository(project, monkeypatch):
    """Put the project under git, below the repository's root."""
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Ana")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "ana@example.com")

    def git(*arguments):
        subprocess.run(["git", *arguments], cwd=project.root.parent, check=True, capture_output=True)

    (project.root / ".env").write_text("TOKEN=planted1\nPLAIN=planted2\n")
    git("init", "--quiet", "--initial-branch=main")
    git("add", "--force", "shop")
    git("commit", "--quiet", "--message", "one")
    return git


def test_diff_when_nothing_runs(shell, project, environment):
    assert repr(shell.cell("%astro_diff")).splitlines() == [
        "Airflow does not run, so there is nothing to compare with.",
        "%astro_diff --git compares with the last commit.",
    ]


def test_diff_with_what_runs(shell, project, running):
    assert repr(shell.cell("%astro_diff")).startswith("What runs is what the files say: no change since ")
    running.waiting = Pending(
        (
            Reason("requirements.txt", "+ duckdb==1.4.0", Action.REBUILD),
            Reason(".env/prod.env", "REGION changed", Action.RECREATE),
        )
    )
    text = repr(shell.cell("%astro_diff -o kept"))
    assert text.splitlines()[0].endswith(": requirements.txt, .env/prod.env")
    assert "  + duckdb==1.4.0" in text
    assert "  REGION changed" in text
    assert text.endswith("Pending: rebuild (requirements.txt, .env/prod.env). Applies with %astro_restart.")
    assert shell.user_ns["kept"].pending is running.waiting
    for path in (".env", "./.env/", ".env/prod.env"):
        text = repr(shell.cell(f"%astro_diff {path}"))
        assert text.splitlines()[0].endswith(": .env/prod.env")
        assert "duckdb" not in text.rpartition("Pending")[0]
    assert "no change of packages.txt since" in repr(shell.cell("%astro_diff packages.txt"))
    assert "duckdb" in repr(shell.cell("%astro_diff ."))


def test_diff_with_git(shell, project, environment, repository):
    # No engine is asked.
    environment.results["status"] = environment.results["pending"] = AssertionError()
    assert repr(shell.cell("%astro_diff --git")) == "No difference from HEAD."
    (project.root / ".env").write_text("TOKEN=planted3\nPLAIN=planted2\nMORE=planted4\n")
    (project.root / "include/new.txt").write_text("new\n")
    (project.root / "dags/exampledag.py").unlink()
    view = shell.cell("%astro_diff --git")
    text = repr(view)
    assert text.splitlines()[:5] == [
        "Changed since HEAD: 3 files",
        ".env  +2 −1",
        "  - TOKEN=••••••",
        "  + TOKEN=••••••",
        "  ⋮",
    ]
    assert "dags/exampledag.py  removed" in text
    assert "include/new.txt  created (+1)" in text
    assert "Dry run" not in text
    assert "planted" not in "".join(view._repr_mimebundle_().values())
    assert [file.name for file in shell.cell("%astro_diff --git main include").change.files] == ["include/new.txt"]
    assert [file.name for file in shell.cell("%astro_diff ./dags/ --git").change.files] == ["dags/exampledag.py"]
    assert len(shell.cell("%astro_diff --git HEAD .").change.files) == 3
    assert "\n" not in repr(shell.cell("%astro_diff -q --git"))
    # As for git, what is no revision may be a file.
    assert [file.name for file in shell.cell("%astro_diff --git .env").change.files] == [".env"]


def test_diff_with_what_there_is_not(shell, project, environment, repository):
    text = repr(shell.cell("%astro_diff --git HEAD dags/typo.py"))
    assert text == "No difference from HEAD.\nThere is no dags/typo.py, now or in HEAD."
    with pytest.raises(errors.InvalidPathError, match="has no revision 'typo'"):
        shell.cell("%astro_diff --git typo")
    for path in ("..", "../other", "/etc", "include/../../x"):
        with pytest.raises(errors.InvalidPathError, match="is not in the project"):
            shell.cell(f"%astro_diff --git HEAD {path}")
    for revision in ("--output=x", "HEAD:shop"):
        with pytest.raises((errors.InvalidPathError, UsageError)):
            shell.cell(f"%astro_diff --git '{revision}'")


def test_diff_without_git(shell, project, environment):
    with pytest.raises(errors.InvalidPathError, match="is in no git repository"):
        shell.cell("%astro_diff --git")


def test_undo(shell, project, environment):
    path = project.root / "packages.txt"
    for number in (1, 2, 3):
        shell.cell(f"%packages add git{number}")
    history = shell.cell("%astro_undo --list")
    assert [entry.title for entry in history.entries] == ["merge into packages.txt"] * 3
    assert repr(history).splitlines()[:2] == ["3 changes can be taken back", repr(history).splitlines()[1]]
    assert repr(shell.cell("%astro_undo 2 --dry-run")).splitlines() == [
        "Would take back: merge into packages.txt; merge into packages.txt",
        "packages.txt  −2",
        "  - git2",
        "  - git3",
        "Dry run: nothing was written.",
    ]
    assert path.read_text() == "git1\ngit2\ngit3\n"
    assert "Applies with %astro_start." in repr(shell.cell("%astro_undo 2"))
    assert path.read_text() == "git1\n"
    assert "\n" not in repr(shell.cell("%astro_undo -q"))
    assert path.read_text() == ""
    with pytest.raises(errors.NothingToUndoError):
        shell.cell("%astro_undo")
    assert repr(shell.cell("%astro_undo --list")) == "There is no change that can be taken back."


def test_undo_of_changes_that_cancel_out(shell, project, environment):
    shell.cell("%packages add git")
    shell.cell("%packages remove git")
    assert repr(shell.cell("%astro_undo 2")).splitlines() == [
        "Took back: remove from packages.txt; merge into packages.txt",
        "Together they had changed nothing.",
    ]


def test_undo_of_what_was_edited_since(shell, project, environment):
    path = project.root / "packages.txt"
    path.write_text("curl\nvim\n# the end\n")
    shell.cell("%%packages\ngit\n")
    path.write_text("elsewhere\n" + path.read_text())
    with pytest.raises(errors.FileConflictError, match="--merge"):
        shell.cell("%astro_undo")
    assert "git" in path.read_text()
    shell.cell("%astro_undo --merge --dry-run")
    assert "git" in path.read_text()
    shell.cell("%astro_undo --merge")
    assert path.read_text() == "elsewhere\ncurl\nvim\n# the end\n"


@pytest.mark.parametrize("line", ["0", "-1", "x", "1 2", "1.5"])
def test_undo_lines_that_are_wrong(shell, project, environment, line):
    shell.cell("%packages add git")
    with pytest.raises(UsageError):
        shell.cell(f"%astro_undo {line}")
    assert (project.root / "packages.txt").read_text() == "git\n"
