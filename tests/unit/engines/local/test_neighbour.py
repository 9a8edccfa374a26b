"""Which process is an Airflow that the Astro CLI has started, and which only has its number."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time

import pytest

from astro_magic.engines.local.neighbour import announce, find_neighbour
from astro_magic.engines.local.settings import read_secrets
from astro_magic.project.project import Project

WAIT = "import time; time.sleep(600)"


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "shop", airflow="3.1.8").project


@pytest.fixture
def start():
    """Start a process that leads a group of its own."""
    started = []

    def begin(cwd, **variables):
        environment = {**os.environ, **variables}
        process = subprocess.Popen([sys.executable, "-c", WAIT], cwd=cwd, env=environment, process_group=0)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def note(project, pid, *, age=0.0):
    project.standalone_dir.mkdir(parents=True, exist_ok=True)
    file = project.standalone_dir / "airflow.pid"
    file.write_text(str(pid))
    os.utime(file, (time.time() - age,) * 2)


def test_airflow_in_this_project(project, start):
    process = start("/", AIRFLOW_HOME=str(project.standalone_dir), AIRFLOW__API__PORT="9123")
    note(project, process.pid, age=1000)
    found = find_neighbour(project)
    assert found is not None
    assert (found.pid, found.port, found.airflow_version) == (process.pid, 9123, "3.1.8")
    assert found.stop() == (1, 0)
    assert process.wait(5) != 0
    assert find_neighbour(project) is None


def test_a_process_without_an_environment_is_known_by_place_and_age(project, start):
    process = start(project.root)
    note(project, process.pid)
    assert find_neighbour(project) is not None
    # It got the number of one that had been noted before it was started.
    note(project, process.pid, age=1000)
    assert find_neighbour(project) is None


@pytest.mark.parametrize("home", [{}, {"AIRFLOW_HOME": "/somewhere/else"}], ids=["no home", "another home"])
def test_a_stranger_with_its_number(project, start, tmp_path, home):
    note(project, start(tmp_path, **home).pid)
    assert find_neighbour(project) is None


@pytest.mark.parametrize("text", ["", "x", "0", "1", "-5", "99999999"])
def test_a_damaged_or_old_file(project, text):
    note(project, text)
    assert find_neighbour(project) is None


@pytest.mark.parametrize("before", [None, "made by airflow standalone"], ids=["none", "another"])
def test_both_tools_get_in_with_one_password(project, before):
    """The users of Airflow 2 are in the database that both start."""
    project.standalone_dir.mkdir(parents=True)
    file = project.standalone_dir / "standalone_admin_password.txt"
    if before is not None:
        file.write_text(before)
    announce(project, pid=os.getpid(), port=9123, airflow_version="2.11.2")
    assert file.read_text() == read_secrets(project).password
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_airflow_3_has_no_such_file(project):
    project.standalone_dir.mkdir(parents=True)
    announce(project, pid=os.getpid(), port=9123, airflow_version="3.1.8")
    assert [each.name for each in project.standalone_dir.iterdir()] == ["airflow_version"]
