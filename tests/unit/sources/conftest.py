from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("ASTRO_MAGIC_CACHE", str(home / "cache"))
    monkeypatch.delenv("ASTRO_HOME", raising=False)


@pytest.fixture
def run_git(monkeypatch):
    """Call git as a person of whom it knows nothing but the name."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ana")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ana@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")

    def run(folder: Path, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    return run


@pytest.fixture
def repository(tmp_path, run_git):
    """A bare repository: `main` with a template and one in a folder, a tag `v1`, a branch `next`."""
    work = tmp_path / "work"
    (work / "dags").mkdir(parents=True)
    (work / "dags" / "one.py").write_text("one = '{{ ds }}'\n")
    (work / "examples" / "etl" / "include").mkdir(parents=True)
    (work / "examples" / "etl" / "include" / "query.sql").write_bytes(b"SELECT '\xe9'\r\n")
    run_git(work, "init", "--quiet", "--initial-branch=main")
    run_git(work, "add", ".")
    run_git(work, "commit", "--quiet", "-m", "one")
    run_git(work, "tag", "-a", "-m", "one", "v1")
    run_git(work, "checkout", "--quiet", "-b", "next")
    (work / "dags" / "two.py").write_text("two = 2\n")
    run_git(work, "add", ".")
    run_git(work, "commit", "--quiet", "-m", "two")
    run_git(work, "checkout", "--quiet", "main")
    bare = tmp_path / "repositories" / "templates.git"
    bare.parent.mkdir()
    run_git(tmp_path, "clone", "--quiet", "--bare", str(work), str(bare))
    return bare
