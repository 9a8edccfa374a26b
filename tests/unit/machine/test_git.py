from __future__ import annotations

import shutil
import sys

import pytest

from astro_magic.machine.git import check_git


@pytest.mark.skipif(shutil.which("git") is None, reason="no git on this machine")
def test_git():
    [result] = check_git()
    assert result.state == "good"
    assert result.detail[0].isdigit()


def test_no_git(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    [result] = check_git()
    assert result.state == "unknown"
    assert result.detail.startswith("not there; ")


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for git is a shell script")
def test_a_git_that_is_not_installed_yet(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "git").write_text("#!/bin/sh\necho 'xcode-select: note: no developer tools were found' >&2\nexit 1\n")
    (tmp_path / "git").chmod(0o755)
    [result] = check_git()
    assert (result.state, result.hint) == ("warning", "Install git.")
