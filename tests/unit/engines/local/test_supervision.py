"""Which process a record means: clocks are set, process ids are used again, machines are started anew."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

from astro_magic.engines.inside.processes import MARKER, await_end, machine_start, start_of
from astro_magic.engines.local.supervision import end_leftovers, find_supervisor

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the local engine does not run on Windows")

#: Leads a session, and leaves a process in it that says nothing of its own.
LEADER = """
import os, sys, time
if not os.fork():
    os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)"], {})
print(flush=True)
time.sleep(60)
"""


@pytest.fixture
def leader():
    given = {**os.environ, MARKER: "before"}
    process = subprocess.Popen(
        [sys.executable, "-c", LEADER], env=given, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    process.stdout.readline()
    below = psutil.Process(process.pid).children()
    yield process
    process.kill()
    for each in below:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.communicate()


def end(process):
    process.kill()
    process.wait()


def left_by(process):
    return [child for child in psutil.Process(process.pid).children() if child.is_running()]


@pytest.fixture
def record(tmp_path, leader):
    """Write the record of an instance that the leader leads; what is given differs from that."""
    file = tmp_path / "supervisor.json"

    def write(**other):
        known = {"pid": leader.pid, "started": start_of(leader.pid), "machine": machine_start(), "instance": "before"}
        words = dict.fromkeys(("environment", "variables", "airflow_version", "python_version"), "")
        file.write_text(json.dumps({**known, "socket": str(tmp_path / "s"), "port": 1, **words, **other}))
        return file

    return write


@pytest.mark.parametrize("seconds", [-3600, -2, 2, 3600], ids=lambda seconds: f"set by {seconds} s")
def test_a_clock_that_is_set_changes_nothing(leader, record, monkeypatch, seconds):
    file = record()
    boot, now = psutil.boot_time(), time.time
    # What the system says of its start is the time of day less the time that it has been up.
    monkeypatch.setattr("psutil._psplatform.boot_time", lambda: boot + seconds)
    monkeypatch.setattr(time, "time", lambda: now() + seconds)
    found = find_supervisor(file)
    assert found is not None
    assert [process.pid for process in found.members()] == [leader.pid, *(child.pid for child in left_by(leader))]
    assert end_leftovers(file) == (0, 0)
    assert leader.poll() is None


def test_what_is_left_of_an_instance_is_ended(leader, record):
    file = record()
    left = left_by(leader)
    end(leader)
    assert find_supervisor(file) is None
    assert end_leftovers(file) == (1, 1)
    assert await_end(left, timeout=2) == []
    assert not file.exists()


def test_a_process_id_that_is_used_again(leader, record):
    file = record(started=start_of(leader.pid) - 0.5, instance="of somebody else")
    left = left_by(leader)
    assert find_supervisor(file) is None
    assert end_leftovers(file) == (0, 0)
    assert leader.poll() is None
    assert all(process.is_running() for process in left)
    assert not file.exists()


def test_a_machine_that_was_started_anew(leader, record):
    """The session of the same number is somebody else's, also when its first process has ended."""
    file = record(machine="another start", started=0.0)
    left = left_by(leader)
    assert find_supervisor(file) is None
    end(leader)
    assert end_leftovers(file) == (0, 0)
    assert all(process.is_running() for process in left)
    assert not file.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": "x"}', "\0\0\0"])
def test_a_record_that_cannot_be_read_is_none(record, text):
    file = record()
    file.write_text(text)
    assert find_supervisor(file) is None
    assert end_leftovers(file) == (0, 0)


def test_a_start_is_what_the_system_noted(monkeypatch):
    """Elsewhere than on Linux, psutil corrects it when the clock has been set."""

    class Noted:
        def create_time(self, *, monotonic=False):
            return 100.0 if monotonic else 103.0

    class Corrected:
        def __init__(self, _pid):
            self._proc = Noted()

    monkeypatch.setattr("astro_magic.engines.inside.processes.sys.platform", "darwin")
    monkeypatch.setattr(psutil, "Process", Corrected)
    assert start_of(1) == 100.0


def test_a_start_by_an_older_psutil(monkeypatch):
    class Noted:
        def create_time(self):
            raise AssertionError

    class Plain:
        def __init__(self, _pid):
            self._proc = Noted()

        def create_time(self):
            return 103.0

    monkeypatch.setattr("astro_magic.engines.inside.processes.sys.platform", "darwin")
    monkeypatch.setattr(psutil, "Process", Plain)
    assert start_of(1) == 103.0
