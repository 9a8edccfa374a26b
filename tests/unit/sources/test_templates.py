from __future__ import annotations

import ast
import os
import sys
from importlib import resources
from pathlib import Path

import pytest

from astro_magic.errors import CommandFailedError, FileAccessError, InvalidContentError, InvalidPathError, NetworkError
from astro_magic.project import Project
from astro_magic.sources import templates
from astro_magic.sources.templates import BUILT_IN, find_template


def contents(template):
    return {file.name: file.content for file in template.files}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "my template"
    (root / "dags").mkdir(parents=True)
    (root / "dags" / "a.py").write_bytes(b"x = '{{name}}'\r\n\xff")
    (root / "requirements.txt").write_text("pandas\n")
    return root


@pytest.mark.parametrize("name", sorted(BUILT_IN))
@pytest.mark.parametrize("airflow", ["3", "2"])
def test_built_in_templates(tmp_path, name, airflow):
    template = find_template(name)
    assert (template.name, template.rendered) == (name, True)
    root = Project.create(tmp_path / "shop", template=template, airflow=airflow).project.root
    dags = list((root / "dags").glob("*.py"))
    assert len(dags) == (0 if name == "empty" else 1)
    for file in root.rglob("*"):
        if file.is_file():
            text = file.read_text()
            assert not [key for key in ("name", "image", "containers", "decorators") if f"{{{{{key}}}}}" in text], file
            assert text.endswith("\n") or not text
            assert max(map(len, text.splitlines()), default=0) <= 120
            if file.suffix == ".py":
                ast.parse(text)


def test_every_built_in_template_that_ships_is_told():
    folder = resources.files("astro_magic.project") / "templates"
    shipped = {entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("airflow_")}
    assert shipped == {name for name in BUILT_IN if name != "empty"}


def test_a_folder_is_copied_byte_for_byte(folder, monkeypatch):
    template = find_template(str(folder))
    assert (template.name, template.rendered) == ("my template", False)
    assert contents(template) == {"dags/a.py": b"x = '{{name}}'\r\n\xff", "requirements.txt": b"pandas\n"}
    monkeypatch.chdir(folder.parent)
    assert find_template("my template").files == template.files
    assert find_template(f"{folder}/../my template").files == template.files


def test_what_belongs_to_a_machine_is_left_out(folder):
    left_out = (
        ".git/config",
        ".venv/bin/python",
        "dags/__pycache__/a.pyc",
        ".astro/standalone/airflow.db",
        ".astro/magic/history/1",
        "include/.git/HEAD",
    )
    taken = (".astro/config.yaml", ".env.example", "include/magic/a.txt", ".dockerignore", "include/.venvs")
    for name in (*left_out, *taken):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    assert set(contents(find_template(str(folder)))) == {*taken, "dags/a.py", "requirements.txt"}


@pytest.mark.skipif(sys.platform == "win32", reason="files have no such modes there")
def test_modes(folder):
    for name, mode in ((".env", 0o644), ("airflow_settings.yaml", 0o666), ("run.sh", 0o777)):
        (folder / name).write_text("x")
        (folder / name).chmod(mode)
    modes = {file.name: file.mode for file in find_template(str(folder)).files}
    private = {".env": 0o600, "airflow_settings.yaml": 0o600}
    assert modes == {**private, "run.sh": 0o755, "dags/a.py": None, "requirements.txt": None}


@pytest.mark.skipif(sys.platform == "win32", reason="making links needs rights there")
def test_links(folder, tmp_path):
    (folder / "dags" / "b.py").symlink_to("a.py")
    assert contents(find_template(str(folder)))["dags/b.py"] == b"x = '{{name}}'\r\n\xff"
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "my template 2").mkdir()
    for target, words in (
        (tmp_path / "secret", "leads out of it"),
        ("/etc/passwd", "leads out of it"),
        (tmp_path / "my template 2", "leads out of it"),
        ("..", "leads to no file"),
        ("missing", "leads to no file"),
        ("c.py", "leads to no file"),
    ):
        (folder / "dags" / "c.py").symlink_to(target)
        with pytest.raises(InvalidContentError, match=rf"a link, dags/c.py, that {words}"):
            find_template(str(folder))
        (folder / "dags" / "c.py").unlink()


@pytest.mark.skipif(sys.platform == "win32", reason="making links needs rights there")
def test_a_link_into_git_is_refused(folder):
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("token")
    (folder / "config").symlink_to(".git/config")
    with pytest.raises(InvalidContentError, match=r"leads into \.git"):
        find_template(str(folder))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_is_passed_over(folder):
    os.mkfifo(folder / "pipe")
    assert "pipe" not in contents(find_template(str(folder)))


def test_limits(folder, monkeypatch):
    monkeypatch.setattr(templates, "_MOST_FILES", 1)
    with pytest.raises(InvalidContentError, match="more than 1 files"):
        find_template(str(folder))
    monkeypatch.undo()
    with (folder / "large").open("wb") as file:
        file.truncate(51_000_000)
    with pytest.raises(InvalidContentError, match="50 MB"):
        find_template(str(folder))


@pytest.mark.parametrize("source", ["unknown", "", "./etl", "/nowhere/at all", "~/nothing"])
def test_no_template_there(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidPathError) as caught:
        find_template(source)
    assert "no " in caught.value.message
    assert caught.value.hint


def test_an_empty_folder_and_a_file_are_no_templates(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InvalidPathError, match="nor a folder"):
        find_template(str(tmp_path / "file"))
    with pytest.raises(InvalidPathError, match="has no files"):
        find_template(str(tmp_path / "folder"))


@pytest.mark.parametrize("source", ["-x", "--upload-pack=touch x", "ext::sh -c x", "ftp://x/y"])
def test_options_and_helpers_are_refused(source):
    with pytest.raises(InvalidPathError):
        find_template(source)


def test_a_git_address(repository, tmp_path):
    template = find_template(f"file://{repository}")
    assert set(contents(template)) == {"dags/one.py", "examples/etl/include/query.sql"}
    assert set(contents(find_template(f"file://{repository}#next"))) >= {"dags/two.py"}
    inner = find_template(f"file://{repository}//examples/etl#v1")
    assert contents(inner) == {"include/query.sql": b"SELECT '\xe9'\r\n"}
    creation = Project.create(tmp_path / "shop", template=template)
    assert (creation.project.root / "dags/one.py").read_text() == "one = '{{ ds }}'\n"
    assert creation.project.runtime.tag == "3.3-8"
    assert not (creation.project.root / ".git").exists()


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("//missing", "no folder 'missing'"),
        ("//dags/one.py", "no folder"),
        ("//../..", "no folder"),
        ("///etc", "no folder"),
        ("//.git", "no folder"),
        ("#missing", "no branch, tag or commit 'missing'"),
        ("//examples#nope", "no branch, tag or commit"),
    ],
)
def test_what_a_repository_has_not(repository, rest, words):
    with pytest.raises(InvalidPathError, match=words):
        find_template(f"file://{repository}{rest}")


def test_a_repository_that_is_not_there(tmp_path, run_git):
    with pytest.raises(NetworkError, match="no git repository"):
        find_template(f"file://{tmp_path}/nothing")


@pytest.mark.skipif(sys.platform == "win32", reason="making links needs rights there")
def test_a_link_in_a_repository_leads_nowhere_else(tmp_path, run_git):
    work = tmp_path / "evil"
    work.mkdir()
    (work / "passwords").symlink_to("/etc/passwd")
    run_git(work, "init", "--quiet")
    run_git(work, "add", ".")
    run_git(work, "commit", "--quiet", "-m", "evil")
    with pytest.raises(InvalidContentError, match="leads out of it"):
        find_template(f"file://{work}")


def test_logins_are_in_no_name_and_no_error(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CommandFailedError) as caught:
        find_template("https://ana:hunter22@example.org/x.git#main")
    assert "hunter22" not in str(caught.value)


def test_a_file_that_cannot_be_read(folder, monkeypatch):
    def read(path):
        raise PermissionError(13, "Permission denied")

    # Permissions alone keep nobody out who is root.
    monkeypatch.setattr(Path, "read_bytes", read)
    with pytest.raises(FileAccessError, match="no permission"):
        find_template(str(folder))
