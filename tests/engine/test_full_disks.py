"""Disks that are full and folders that cannot be written to, on real mounts: what is told, and what becomes of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from astro_magic.engines.local.database.sqlite import is_sound
from astro_magic.engines.local.supervision import find_supervisor
from astro_magic.environment import Environment
from astro_magic.errors import DatabaseError, FileAccessError, InstallationError
from astro_magic.project.project import Project
from tests.engine.living import processes_of
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount a disk"),
]


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    subprocess.run(["mount", *options, str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def small_disk(environment: Environment) -> Iterator[Path]:
    """Have what Airflow writes, but not the packages, on a disk of its own; gives its folder."""
    folder = environment.project.root / ".astro"
    aside = folder.rename(folder.with_name("aside"))
    folder.mkdir()
    with mounted(folder, "-t", "tmpfs", "-o", "size=60m", "tmpfs"):
        shutil.copytree(aside, folder, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("environments"))
        (folder / "magic" / "environments").mkdir()
        with mounted(folder / "magic" / "environments", "--bind", str(aside / "magic" / "environments")):
            try:
                yield folder
            finally:
                environment.stop()


def fill(folder: Path) -> Path:
    """Leave no byte free on the disk that a folder is on."""
    file = folder / "filler"
    with file.open("wb", buffering=0) as stream:
        for size in (1 << 20, 1):
            try:
                while stream.write(bytes(size)) == size:
                    pass
            except OSError:
                pass
    return file


def test_a_disk_that_is_full_while_packages_are_installed(environment: Environment, project: Project) -> None:
    """The installation is told to have failed for that, and nothing half installed is left."""
    home = project.state_dir / "environments"
    aside = home.rename(home.with_name("aside"))
    home.mkdir()
    with mounted(home, "-t", "tmpfs", "-o", "size=30m", "tmpfs"):
        shutil.copy2(aside / "current", home)
        for each in aside.iterdir():
            if each.is_dir():
                (home / each.name).symlink_to(each)
        before = sorted(each.name for each in home.iterdir())
        project.requirements.add("tinydb==4.8.0")
        with pytest.raises(InstallationError, match="the disk is full") as failed:
            environment.prepare()
        assert "Make room" in (failed.value.hint or "")
        assert sorted(each.name for each in home.iterdir()) == before
    home.rmdir()
    aside.rename(home)
    assert environment.prepare().created


def test_a_disk_that_is_full_when_airflow_starts_and_while_it_runs(environment: Environment, project: Project) -> None:
    """It is told by name; what runs is started again until there is room, and then goes on by itself."""
    with small_disk(environment) as disk:
        filler = fill(disk)
        with pytest.raises(FileAccessError, match="the disk is full") as failed:
            environment.start()
        assert "Make room" in (failed.value.hint or "")
        assert processes_of(project) == []
        filler.unlink()

        environment.start()
        supervisor = find_supervisor(project.state_dir / "run" / "supervisor.json")
        filler = fill(disk)
        assert wait_until(lambda: "the disk is full" in str(environment.status()), 60)
        with pytest.raises(FileAccessError, match="the disk is full"):
            environment.restart()
        filler.unlink()
        assert wait_until(lambda: environment.status().state == "running", 120)
        assert find_supervisor(project.state_dir / "run" / "supervisor.json") == supervisor
        assert environment.trigger("orders", wait=True, timeout=120).state == "success"
        environment.stop()
        assert processes_of(project) == []
        assert is_sound(project.standalone_dir / "airflow.db")


def test_no_room_for_a_new_database(environment: Environment, project: Project) -> None:
    """It is told before any component is started, and there is no database by half."""
    project.standalone_dir.mkdir(mode=0o700, exist_ok=True)
    with mounted(project.standalone_dir, "-t", "tmpfs", "-o", "size=300k", "tmpfs"):
        with pytest.raises(DatabaseError, match="the disk is full") as failed:
            environment.start()
        assert "Make room" in (failed.value.hint or "")
        assert not list(project.standalone_dir.glob("*airflow.db*"))
        assert processes_of(project) == []


def test_a_home_that_cannot_be_written_to(
    environment: Environment, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An environment that is there starts; what needs a cache says which folder, and how to have another."""
    asked = [sys.executable, "-m", "uv", "cache", "dir"]
    usual_cache = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CACHE_HOME", "UV_CACHE_DIR", "ASTRO_MAGIC_CACHE"):
        monkeypatch.delenv(name, raising=False)
    with mounted(home, "-t", "tmpfs", "-o", "ro", "tmpfs"):
        environment.start()
        assert environment.test_dag("orders").state == "success"
        environment.stop()
        project.requirements.add("tinydb==4.8.0")
        with pytest.raises(FileAccessError, match="Read-only file system") as failed:
            environment.prepare()
        assert "ASTRO_MAGIC_CACHE" in (failed.value.hint or "")
        monkeypatch.setenv("ASTRO_MAGIC_CACHE", str(tmp_path / "cache"))
        with pytest.raises(InstallationError, match=r"/\.cache/uv cannot be made: Read-only file") as of_uv:
            environment.prepare()
        assert "UV_CACHE_DIR" in (of_uv.value.hint or "")
        # With other folders, nothing of the home is needed.
        monkeypatch.setenv("UV_CACHE_DIR", usual_cache)
        assert environment.prepare().created
