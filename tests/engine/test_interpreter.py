"""Which Python an environment gets."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from astro_magic.engines.local.interpreter import find_interpreter


def test_the_python_that_is_asked_for() -> None:
    wanted = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = find_interpreter(wanted, airflow="3.3.2")
    assert found.line == wanted
    assert found.note == ""
    assert found.path.exists()


def test_another_python_is_told_and_a_download_is_not_tried_again_and_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No Python 3.99 exists anywhere, so one that Airflow supports is taken, and said."""
    monkeypatch.setenv("ASTRO_MAGIC_CACHE", str(tmp_path))
    found = find_interpreter("3.99", airflow="3.3.2")
    assert found.line in {"3.10", "3.11", "3.12", "3.13", "3.14"}
    assert "3.99" in found.note
    (mark,) = tmp_path.iterdir()
    before = mark.stat().st_mtime_ns

    assert find_interpreter("3.99", airflow="3.3.2") == found
    assert mark.stat().st_mtime_ns == before
