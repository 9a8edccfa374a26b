from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from astro_magic.machine import storage
from astro_magic.machine.storage import check_folder, check_runtime_folder, file_system, synced_by
from astro_magic.project import Project

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="paths are of a POSIX system")

MOUNTS = [("/", "ext4"), ("/home", "xfs"), ("/home/ana/nfs", "nfs4"), ("/mnt/c", "9P"), ("/home", "btrfs")]


def mounted(monkeypatch, kind):
    monkeypatch.setattr(storage, "file_system", lambda root: kind)


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/work", "ext4"),
        ("/home/ana", "btrfs"),
        ("/home/ana/nfs/shop", "nfs4"),
        ("/home/ana/nfs2", "btrfs"),
        ("/mnt/c/Users", "9p"),
    ],
)
def test_file_system(folder, kind):
    assert file_system(Path(folder), MOUNTS) == kind
    assert file_system(Path(folder), []) == ""


def test_a_folder_that_is_fit(project):
    before = sorted(project.root.rglob("*"))
    [result] = check_folder(project.root)
    assert (result.state, result.hint) == ("good", "")
    assert sorted(project.root.rglob("*")) == before


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "drvfs", "fuse.sshfs", "vboxsf"])
def test_a_file_system_of_another_machine(project, monkeypatch, kind):
    mounted(monkeypatch, kind)
    [result] = check_folder(project.root)
    assert result.state == "warning"
    assert f"is on {kind}, which is slow" in result.detail


@pytest.mark.parametrize("kind", ["", "ext4", "apfs", "overlay", "tmpfs", "zfs", "fuseblk", "virtiofs"])
def test_a_file_system_of_this_machine(project, monkeypatch, kind):
    mounted(monkeypatch, kind)
    [result] = check_folder(project.root)
    assert (result.state, result.detail) == ("good", kind or "a local disk")


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/home/ana/Dropbox/shop", "Dropbox"),
        ("/mnt/c/Users/ana/OneDrive - Example Corp/shop", "OneDrive"),
        ("/Users/ana/Library/CloudStorage/Some-Drive/shop", "a cloud service"),
        ("/Users/ana/Library/Mobile Documents/shop", "iCloud Drive"),
        ("/Users/ana/Google Drive/shop", "Google Drive"),
        ("/home/ana/dropbox-clone/shop", ""),
        ("/home/ana/Dropboxes/shop", ""),
    ],
)
def test_synchronised_folders(path, service):
    assert synced_by(Path(path)) == service


def test_a_synchronised_folder_and_a_colon(tmp_path):
    project = Project.create(tmp_path / "Dropbox" / "sh:op").project
    synced, colon = check_folder(project.root)
    assert "synchronised by Dropbox" in synced.detail
    assert "has a colon in it" in colon.detail
    assert {synced.state, colon.state} == {"warning"}


def test_a_folder_where_no_file_can_be_made(tmp_path):
    [result] = check_folder(tmp_path / "gone")
    assert (result.state, result.detail) == ("warning", f"no file can be made in {tmp_path / 'gone'}")


@pytest.mark.parametrize(("shift", "said"), [(100, "100 s behind"), (-100, "100 s ahead of")])
def test_a_clock_that_is_off(project, monkeypatch, shift, said):
    monkeypatch.setattr(storage, "time", SimpleNamespace(time=lambda: time.time() + shift))
    [result] = check_folder(project.root)
    assert result.state == "warning"
    assert f"the clock of its file system is {said} this machine's" in result.detail


def test_names_that_are_not_told_apart_by_case(project):
    (project.root / ".ASTRO").symlink_to(".astro")
    (project.root / ".astro/CONFIG.YAML").symlink_to("config.yaml")
    [result] = check_folder(project.root)
    assert result.detail.endswith(", file names are not told apart by case")


@pytest.fixture
def temporary(monkeypatch):
    """Make a short temporary folder the one that is used."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def test_the_temporary_folder(temporary):
    [result] = check_runtime_folder()
    assert (result.state, result.detail) == ("good", f"{temporary}/astro-magic-{os.getuid()}")


def test_a_temporary_folder_that_is_open_to_others(temporary):
    (temporary / f"astro-magic-{os.getuid()}").mkdir(mode=0o755)
    [result] = check_runtime_folder()
    assert result.state == "bad"
    assert "is not this user's alone" in result.detail
    assert "TMPDIR" in result.hint


def test_a_temporary_folder_that_is_not_there(temporary, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "gone"))
    [result] = check_runtime_folder()
    assert result.state == "bad"
    assert result.detail.endswith("No such file or directory")


def test_a_temporary_folder_with_a_long_path(temporary, monkeypatch):
    long = temporary / ("x" * 80)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    [result] = check_runtime_folder()
    assert result.state == "bad"
    assert "104 are allowed" in result.detail
