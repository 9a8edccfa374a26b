from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from astro_magic.errors import (
    FileAccessError,
    FileConflictError,
    InvalidContentError,
    InvalidPathError,
    NothingToUndoError,
    ProjectBusyError,
    ProjectNotFoundError,
)
from astro_magic.project import Change, FileChange, Project
from astro_magic.project.location import unique_project_name
from astro_magic.system import locks


def tree(root):
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_is_found_from_below(project, tmp_path):
    below = project.root / "dags" / "deep"
    below.mkdir()
    assert Project.find(below) == project
    assert Project.find(project.root / "dags" / "exampledag.py") == project
    with pytest.raises(ProjectNotFoundError, match="a folder above it has") as caught:
        Project.find(tmp_path)
    assert "%astro_init" in caught.value.hint
    with pytest.raises(ProjectNotFoundError, match="does not exist"):
        Project.find(tmp_path / "missing")


def test_the_home_folder_is_no_project(tmp_path, monkeypatch):
    home = Path.home()
    (home / ".astro").mkdir()
    (home / ".astro" / "config.yaml").write_text("project:\n    name: mine\n")
    (home / "work").mkdir()
    with pytest.raises(ProjectNotFoundError):
        Project.find(home / "work")
    with pytest.raises(InvalidPathError, match="home folder"):
        Project.create("~")
    monkeypatch.setenv("ASTRO_HOME", str(tmp_path))
    with pytest.raises(InvalidPathError, match="home folder"):
        Project.create(tmp_path)


def test_unique_name_is_that_of_the_astro_cli(project):
    assert unique_project_name("my-project", "/home/alice/my-project") == "my-project_fca137"
    assert project.unique_name == unique_project_name("shop", str(project.root))


def test_a_working_directory_behind_a_link_keeps_its_name(project, tmp_path, monkeypatch):
    link = tmp_path / "link"
    link.symlink_to(project.root)
    monkeypatch.chdir(link)
    monkeypatch.setenv("PWD", str(link))
    assert Project.find().root == link
    assert Project.find("dags/..").root == link
    monkeypatch.setenv("PWD", "/somewhere/else")
    assert Project.find().root == project.root


def test_names_come_from_the_configuration(project):
    config = project.root / ".astro" / "config.yaml"
    config.write_text("# mine\napi-server:\n    port: 8081 # busy\nproject:\n    deployment: x\n    name: 'other'\n")
    assert project.name == "other"
    assert project.config.api_server_port == 8081
    assert project.config.webserver_port == 8080
    assert Project.create(project.root, name="third").project.name == "third"
    assert config.read_text() == (
        "# mine\napi-server:\n    port: 8081 # busy\nproject:\n    deployment: x\n    name: third\n"
    )
    config.write_text("webserver:\n  port: many\n")
    assert project.name == "shop"
    assert project.unique_name.startswith("_")
    with pytest.raises(InvalidContentError, match=r"webserver\.port"):
        _ = project.config.webserver_port


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "../x",
        "dags/../../x",
        "/etc/passwd",
        "~/x",
        "C:/x",
        "a\\b",
        "a\nb",
        "a\x00b",
        "include/",
        ".astro/config.yaml",
        ".ASTRO/x",
        ".git/config",
        "include/.git/hooks/x",
        "dags",
    ],
)
def test_paths_that_are_no_project_files_are_refused(project, path):
    with pytest.raises(InvalidPathError):
        project.file(path)


def test_links_that_lead_out_are_refused(project, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (project.root / "include" / "out").symlink_to(outside)
    (project.root / "include" / "state").symlink_to(project.root / ".astro")
    (project.root / "include" / "in").symlink_to(project.root / "plugins")
    for path in ("include/out/x.txt", "include/state/config.yaml"):
        with pytest.raises(InvalidPathError, match="leads out"):
            project.file(path)
    assert project.file("include/in/x.txt").name == "include/in/x.txt"


def test_dag_files(project):
    assert project.dag("orders.py").name == "dags/orders.py"
    assert project.dag("dags/team/orders.py").name == "dags/team/orders.py"
    for path in ("orders.txt", "../plugins/x.py", "/x.py", ""):
        with pytest.raises(InvalidPathError):
            project.dag(path)


def test_apply_writes_and_is_idempotent(project):
    document = project.file("include/sql/orders.sql")
    change = document.write("select 1")
    assert change.applied
    assert change.files[0].kind == "created"
    assert (project.root / "include/sql/orders.sql").read_bytes() == b"select 1\n"
    again = document.write("select 1\n")
    assert not again.changed
    assert not again.applied
    assert document.write("select 2", dry_run=True).changed
    assert document.text() == "select 1\n"


@pytest.mark.parametrize("made_by_the_way", [False, True])
def test_state_folder_is_closed_and_ignored(project, made_by_the_way):
    assert not project.state_dir.exists()
    if made_by_the_way:
        (project.state_dir / "logs").mkdir(parents=True)
    project.file("include/a.txt").write("a")
    assert (project.state_dir / ".gitignore").read_text() == "*\n"
    if os.name != "nt":
        assert stat.S_IMODE(project.state_dir.stat().st_mode) == 0o700


def test_apply_refuses_a_file_that_changed_since(project):
    document = project.file("include/a.txt")
    document.write("one")
    plan = document.plan_write("two")
    document.path.write_text("theirs\n")
    with pytest.raises(FileConflictError, match=r"include/a\.txt"):
        project.apply(Change("two", (plan,)))
    assert document.text() == "theirs\n"


def test_all_files_of_a_change_or_none(project, monkeypatch):
    project.file("include/a.txt").write("a")
    plans = tuple(project.file(f"include/{name}.txt").plan_write("new") for name in "abc")
    before = tree(project.root / "include")
    replace, calls = os.replace, []

    def fail_late(source, target):
        if Path(target).name == "c.txt":
            raise OSError(28, "No space left on device")
        calls.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_late)
    with pytest.raises(FileAccessError, match=r"c\.txt: the disk is full"):
        project.apply(Change("three", plans))
    assert [Path(path).name for path in calls].count("b.txt") == 1
    assert tree(project.root / "include") == before
    assert project.file("include/a.txt").text() == "a\n"
    # Nothing of the failed change is left to undo: this takes the first one back.
    assert project.undo().files[0].name == "include/a.txt"
    assert tree(project.root / "include") == set()


def test_undo_takes_changes_back_one_by_one(project):
    document = project.file("include/a.txt")
    for text in ("one", "two"):
        document.write(text)
    preview = project.undo(dry_run=True)
    assert not preview.applied
    assert preview.changed
    assert document.text() == "two\n"
    assert project.undo().applied
    assert document.text() == "one\n"
    assert project.undo().files[0].kind == "removed"
    assert not document.path.exists()
    with pytest.raises(NothingToUndoError):
        project.undo()


def test_undo_refuses_a_file_that_changed_since(project):
    document = project.file("include/a.txt")
    document.write("one")
    document.path.write_text("theirs\n")
    with pytest.raises(FileConflictError):
        project.undo()
    assert document.text() == "theirs\n"


def test_undo_after_a_crash_between_recording_and_writing(project, monkeypatch):
    document = project.file("include/a.txt")
    document.write("one")
    monkeypatch.setattr("astro_magic.project.journal._write_all", lambda *_, **__: None)
    document.write("two")
    monkeypatch.undo()
    assert project.undo().files[0].kind == "removed"


def test_undo_does_not_follow_a_planted_journal_out_of_the_project(project, tmp_path):
    project.file("include/a.txt").write("one")
    planted = project.state_dir / "history" / "00000009.entry"
    file = {"name": "../stolen", "before": 1, "after": None}
    header = json.dumps({"title": "x", "at": "2026-11-20T10:00:00+00:00", "files": [file]})
    planted.write_text(f"{header}\neJwDAAAAAAE=\n")
    with pytest.raises(InvalidPathError):
        project.undo()
    assert not (tmp_path / "stolen").exists()


def test_undo_takes_several_steps_back_at_once(project):
    document = project.file("include/a.txt")
    other = project.file("include/b.txt")
    for number in range(4):
        document.write(f"version {number}\n")
    other.write("other")
    planned = project.undo(3, dry_run=True)
    assert {file.name: file.after for file in planned.files} == {
        "include/a.txt": b"version 1\n",
        "include/b.txt": None,
    }
    assert document.text() == "version 3\n"
    assert project.undo(3).applied
    assert document.text() == "version 1\n"
    assert not other.path.exists()
    assert [entry.title for entry in project.history()] == ["write include/a.txt"] * 2


def test_undo_of_more_steps_than_there_are_takes_none(project):
    document = project.file("include/a.txt")
    document.write("one")
    with pytest.raises(NothingToUndoError, match="Only 1 change"):
        project.undo(2)
    assert document.text() == "one\n"


def test_undo_names_the_lines_that_were_edited_since_and_can_keep_them(project):
    document = project.file("include/a.txt")
    document.write("".join(f"{number}\n" for number in range(9)))
    document.write("".join(f"{number}\n" for number in (0, "one", *range(2, 9))))
    document.path.write_text(document.path.read_text().replace("7", "seven"))
    with pytest.raises(FileConflictError, match=r"\(line 8\)") as caught:
        project.undo()
    assert "--merge" in caught.value.hint
    project.undo(merge=True)
    assert document.text().split() == ["0", "1", "2", "3", "4", "5", "6", "seven", "8"]


def test_a_folder_can_take_the_place_of_a_file_and_give_it_back(project):
    project.dotenv.path.write_text("A=1\n")
    inner = project.root / ".env" / "dev.env"
    change = Change(
        "make .env a folder",
        (
            FileChange(inner, ".env/dev.env", None, b"A=1\n"),
            FileChange(project.dotenv.path, ".env", b"A=1\n", None),
        ),
    )
    project.apply(change)
    assert project.variables() == {"A": "1"}
    assert inner.read_text() == "A=1\n"
    (inner.parent / "prod.env").write_text("B=2\n")
    with pytest.raises(FileAccessError, match="not empty"):
        project.undo()
    assert project.variables() == {"A": "1", "B": "2"}
    (inner.parent / "prod.env").unlink()
    project.undo()
    assert project.dotenv.path.read_text() == "A=1\n"


def test_undo_does_not_merge_edits_that_touch(project):
    document = project.file("include/a.txt")
    document.write("1\n2\n3\n")
    document.write("1\ntwo\n3\n")
    document.path.write_text("1\nzwei\n3\n")
    with pytest.raises(FileConflictError, match="touch") as caught:
        project.undo(merge=True)
    assert "--merge" not in caught.value.hint
    assert document.text() == "1\nzwei\n3\n"


def test_a_change_cleans_up_after_a_writer_that_was_killed(project):
    document = project.file("include/a.txt")
    document.write("one")
    leftovers = [document.path.with_name(name) for name in (".a.txt.0123456789ab.tmp", ".b.txt.0123456789ab.tmp")]
    for leftover in leftovers:
        leftover.write_text("half")
    document.write("two")
    assert [leftover.exists() for leftover in leftovers] == [False, True]


def test_an_edit_is_planned_with_the_lock_held(project):
    def plan():
        with pytest.raises(ProjectBusyError), ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: locks.hold(lock, purpose="other", timeout=0).__enter__()).result()
        return Change("edit", (project.file("include/a.txt").plan_write("one"),))

    lock = project.make_state_dir() / "files.lock"
    assert project.edit(plan).applied
    assert not project.edit(plan, dry_run=False).changed


def test_nothing_to_undo_makes_no_state(project):
    with pytest.raises(NothingToUndoError):
        project.undo()
    assert not project.state_dir.exists()


def test_another_writer_is_named(project, monkeypatch):
    holder = (
        "import sys; from pathlib import Path; from astro_magic.system import locks\n"
        "with locks.hold(Path(sys.argv[1]), purpose='their write', timeout=5):\n"
        "    print(flush=True); sys.stdin.readline()"
    )
    monkeypatch.setattr("astro_magic.project.journal._LOCK_SECONDS", 0.1)
    command = [sys.executable, "-c", holder, str(project.make_state_dir() / "files.lock")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(ProjectBusyError, match="their write"):
            project.file("include/a.txt").write("mine")
        process.communicate(b"\n")
    with locks.hold(project.state_dir / "files.lock", purpose="ours", timeout=0):
        assert project.file("include/a.txt").write("mine").applied


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_environment_files_are_private(project):
    (project.root / ".env").unlink()
    project.file(".env").write("A=1")
    assert stat.S_IMODE((project.root / ".env").stat().st_mode) == 0o600
