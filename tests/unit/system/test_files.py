from __future__ import annotations

import errno
import os
import stat

import pytest

from astro_magic.errors import FileAccessError
from astro_magic.system import files


def test_writes_and_reads(tmp_path):
    path = tmp_path / "a.txt"
    files.write_atomic(path, b"one")
    files.write_atomic(path, b"two")
    assert files.read_bytes(path) == b"two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_keeps_the_mode_of_an_existing_file_and_sets_that_of_a_new_one(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"")
    old.chmod(0o640)
    files.write_atomic(old, b"x", mode=0o600)
    files.write_atomic(new, b"x", mode=0o600)
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert stat.S_IMODE(new.stat().st_mode) == 0o600


def test_writes_through_a_link(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    files.write_atomic(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "no permission"),
        (errno.EIO, "error"),
    ],
)
def test_a_failure_leaves_the_old_content_and_no_temporary_file(tmp_path, monkeypatch, number, words):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(FileAccessError, match=words) as caught:
        files.write_atomic(path, b"new")
    assert caught.value.hint
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_atomic(tmp_path / "a.txt", b"new")
    assert list(tmp_path.iterdir()) == []


def test_says_what_is_in_the_way(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for action in (files.read_bytes, files.remove):
        with pytest.raises(FileAccessError, match="it is a folder"):
            action(tmp_path)
    with pytest.raises(FileAccessError, match="it is a folder"):
        files.write_atomic(tmp_path, b"")
    with pytest.raises(FileAccessError, match="does not exist"):
        files.read_bytes(tmp_path / "missing")
    with pytest.raises(FileAccessError, match="not a folder"):
        files.make_folder(tmp_path / "file")


def test_removing_what_is_not_there_is_no_error(tmp_path):
    files.remove(tmp_path / "missing")
