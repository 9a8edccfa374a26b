from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from astro_magic.errors import CommandFailedError, InvalidPathError, NetworkError
from astro_magic.sources.git import changed_files, clone, is_url, show


def names(folder):
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name for name in found if not name.startswith(".git/")}


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


@pytest.fixture
def daemon(repository):
    """Serve the repositories' folder by git's own protocol."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = ["--listen=127.0.0.1", f"--port={port}", f"--base-path={repository.parent}"]
    command = ["git", "daemon", "--reuseaddr", "--export-all", *place]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"git://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)


def test_the_default_branch_is_fetched_without_history(repository, target, run_git):
    clone(f"file://{repository}", target)
    assert names(target) == {"dags/one.py", "examples/etl/include/query.sql"}
    assert run_git(target, "rev-list", "--count", "HEAD") == "1"
    assert (target / "examples/etl/include/query.sql").read_bytes() == b"SELECT '\xe9'\r\n"


@pytest.mark.skipif(sys.platform == "win32", reason="git daemon is not there")
def test_a_server_is_asked(daemon, target):
    clone(f"{daemon}/templates.git", target, reference="next")
    assert "dags/two.py" in names(target)


@pytest.mark.skipif(sys.platform == "win32", reason="git daemon is not there")
def test_a_server_without_the_repository(daemon, target):
    with pytest.raises(NetworkError, match="templates2"):
        clone(f"{daemon}/templates2.git", target)


def test_branches_tags_and_commits(repository, tmp_path, run_git):
    run_git(repository, "config", "uploadpack.allowAnySHA1InWant", "true")
    commit = run_git(repository, "rev-parse", "next")
    for reference, has_two in (("next", True), ("v1", False), (commit, True), ("refs/heads/next", True)):
        folder = tmp_path / reference.replace("/", "-")
        folder.mkdir()
        clone(f"file://{repository}", folder, reference=reference)
        assert ("dags/two.py" in names(folder)) == has_two


@pytest.mark.parametrize("reference", ["missing", "0" * 40])
def test_a_missing_reference_is_named(repository, target, reference):
    with pytest.raises(InvalidPathError, match=f"no branch, tag or commit '{reference}'"):
        clone(f"file://{repository}", target, reference=reference)


@pytest.mark.parametrize("reference", ["-u/bin/sh", "--upload-pack=touch x", "+main", "main:main", ""])
def test_a_reference_is_no_option_and_no_refspec(repository, target, reference):
    with pytest.raises(InvalidPathError, match="no branch, tag or commit"):
        clone(f"file://{repository}", target, reference=reference)


@pytest.mark.parametrize(
    "url",
    [
        "-u",
        "--upload-pack=touch /tmp/x",
        "ext::sh -c 'touch owned'",
        "ext::sh -c touch% owned://x",
        "fd::17",
        "http::https://example.org",
        "ftp://example.org/x.git",
        "javascript://x",
        "-oProxyCommand=x@host:path",
        "",
        "folder",
    ],
)
def test_addresses_that_run_commands_are_refused(url, target, monkeypatch):
    monkeypatch.setattr("astro_magic.sources.git_command.processes.run", lambda *_, **__: pytest.fail("git was called"))
    with pytest.raises(InvalidPathError, match="no address"):
        clone(url, target)


def test_a_repository_cannot_lead_to_another_protocol(repository, target, tmp_path, run_git, monkeypatch):
    """The user's configuration may rewrite addresses; what runs commands is refused even then."""
    configuration = tmp_path / "gitconfig"
    configuration.write_text(f'[url "ext::touch {tmp_path}/owned #"]\n    insteadOf = https://example.org/\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(configuration))
    with pytest.raises(NetworkError):
        clone("https://example.org/x.git", target)
    assert not (tmp_path / "owned").exists()


def test_a_hook_of_the_users_git_is_not_run(repository, target, tmp_path, monkeypatch):
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    hook = hooks / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o755)
    configuration = tmp_path / "gitconfig"
    configuration.write_text(f"[core]\n    hooksPath = {hooks}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(configuration))
    clone(f"file://{repository}", target)
    assert not (tmp_path / "hooked").exists()


def test_no_repository_there(tmp_path, target, run_git):
    with pytest.raises(NetworkError, match="no git repository at file://"):
        clone(f"file://{tmp_path}/nothing.git", target)


def test_an_empty_repository(tmp_path, target, run_git):
    run_git(tmp_path, "init", "--quiet", "--bare", "empty.git")
    with pytest.raises(InvalidPathError, match="empty repository"):
        clone(f"file://{tmp_path}/empty.git", target)


def test_a_server_that_is_not_there_is_named_without_its_login(target, run_git):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(NetworkError) as caught:
        clone(f"http://ana:hunter22@127.0.0.1:{port}/x.git", target)
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "hunter22" not in str(caught.value)
    assert "ana" not in str(caught.value)


def test_without_git_one_sentence_says_so(target, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CommandFailedError, match="git is not installed") as caught:
        clone("https://example.org/x.git", target)
    assert caught.value.hint
    with pytest.raises(CommandFailedError, match="git is not installed"):
        show(target, "HEAD", "a")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://github.com/me/x", True),
        ("git@github.com:me/x.git", True),
        ("file:///x", True),
        ("ext::sh", True),
        ("ssh://me@host/x", True),
        ("etl", False),
        ("./etl", False),
        ("/templates/etl", False),
        ("~/etl", False),
        ("folder with : colon", False),
    ],
)
def test_addresses_are_told_from_folders(text, expected):
    assert is_url(text) == expected


@pytest.fixture
def project(tmp_path, run_git):
    """A project in a folder of a repository, with one commit."""
    root = tmp_path / "all" / "shop"
    (root / "dags").mkdir(parents=True)
    (root / "dags" / "ä b.py").write_bytes(b"\xff\r\nno end")
    (root / "same.txt").write_text("same\n")
    (root / "gone.txt").write_text("gone\n")
    (root.parent / "outside.txt").write_text("1\n")
    (root / ".gitignore").write_text("ignored.txt\n")
    run_git(root.parent, "init", "--quiet", "--initial-branch=main")
    run_git(root.parent, "add", ".")
    run_git(root.parent, "commit", "--quiet", "-m", "one")
    return root


def test_show_gives_the_bytes_of_a_revision(project):
    (project / "dags" / "ä b.py").write_text("changed\n")
    assert show(project, "HEAD", "dags/ä b.py") == b"\xff\r\nno end"
    assert show(project, "main", "same.txt") == b"same\n"
    assert show(project, "HEAD", "missing.txt") is None
    assert show(project, "HEAD", "dags") is None


def test_show_and_changed_files_leave_nothing_behind(project, run_git):
    before = {path for path in project.parent.rglob("*") if ".git" not in path.parts}
    show(project, "HEAD", "same.txt")
    changed_files(project, "HEAD")
    assert {path for path in project.parent.rglob("*") if ".git" not in path.parts} == before
    assert run_git(project, "status", "--porcelain") == ""


def test_changed_files(project):
    assert changed_files(project, "HEAD") == ()
    (project / "dags" / "ä b.py").write_text("changed\n")
    (project / "gone.txt").unlink()
    (project / "new file\n.txt").write_text("")
    (project / "ignored.txt").write_text("")
    (project.parent / "outside.txt").write_text("2\n")
    assert changed_files(project, "HEAD") == ("dags/ä b.py", "gone.txt", "new file\n.txt")


@pytest.mark.parametrize("revision", ["missing", "-p", "--output=x", "", "HEAD:same.txt"])
def test_what_is_no_revision_is_said(project, revision):
    for ask in (lambda: show(project, revision, "same.txt"), lambda: changed_files(project, revision)):
        with pytest.raises(InvalidPathError, match="no revision"):
            ask()
    assert not (project / "x").exists()


def test_a_folder_without_a_repository(tmp_path, run_git, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(InvalidPathError, match="in no git repository"):
        show(tmp_path, "HEAD", "a")


def test_the_repository_of_a_hook_is_not_taken(project, tmp_path, run_git, monkeypatch):
    run_git(tmp_path, "init", "--quiet", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    assert show(project, "main", "same.txt") == b"same\n"
