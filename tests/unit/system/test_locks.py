from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from astro_magic.errors import FileAccessError, ProjectBusyError
from astro_magic.system import locks

HOLDER = """
import sys
from pathlib import Path
from astro_magic.system import locks
with locks.hold(Path(sys.argv[1]), purpose="start", timeout=5):
    print("held", flush=True)
    sys.stdin.readline()
"""


def hold_elsewhere(path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == b"held"
    return process


def test_names_the_holder_and_is_free_when_the_holder_was_killed(tmp_path):
    path = tmp_path / "lock"
    with hold_elsewhere(path) as process:
        with (
            pytest.raises(ProjectBusyError, match=rf"pid {process.pid}\) .* since \d\d:\d\d:\d\d: start"),
            locks.hold(path, purpose="stop", timeout=0.1),
        ):
            pass
        process.kill()
        process.wait()
        # The card of the killed process is still there, and must not keep anybody out.
        assert (tmp_path / "lock.json").exists()
        with locks.hold(path, purpose="stop", timeout=5):
            pass
    assert not (tmp_path / "lock.json").exists()


def test_the_same_thread_may_enter_again_but_no_other(tmp_path):
    path = tmp_path / "lock"
    caught = []

    def enter():
        try:
            with locks.hold(path, purpose="inner", timeout=0):
                pass
        except ProjectBusyError as error:
            caught.append(error)

    with locks.hold(path, purpose="outer", timeout=0):
        with locks.hold(path, purpose="inner", timeout=0):
            pass
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    assert "Another thread of this process" in caught[0].message
    enter()
    assert len(caught) == 1


def test_a_broken_card_is_no_hindrance(tmp_path):
    path = tmp_path / "lock"
    with hold_elsewhere(path) as process:
        (tmp_path / "lock.json").write_text("{")
        with (
            pytest.raises(ProjectBusyError, match="Another process is working"),
            locks.hold(path, purpose="stop", timeout=0),
        ):
            pass
        process.communicate(b"\n")


def test_a_lock_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(FileAccessError, match=r"Cannot lock .*file"),
        locks.hold(tmp_path / "file" / "lock", purpose="x", timeout=0),
    ):
        pass
