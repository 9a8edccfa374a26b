from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import psutil
import pytest

from astro_magic.machine import ports
from astro_magic.machine.ports import check_port, is_free, listener_on
from astro_magic.project import Project

LISTEN = (
    "import socket, sys, time; s = socket.socket(); s.bind((sys.argv[1], 0)); s.listen(); "
    "print(s.getsockname()[1], flush=True); time.sleep(60)"
)
FORK = (
    "import os, subprocess, sys\n"
    "child = subprocess.Popen([sys.executable, '-c', sys.argv[1], '127.0.0.1'], cwd='/')\n"
    "sys.stdin.read(); child.kill(); child.wait()"
)
INSTANCE = "5f3a"


@pytest.fixture
def listening():
    """Start children that listen on a port; gives each and its port."""
    children = []

    def start(*, cwd=None, address="127.0.0.1"):
        given = {**os.environ, "ASTRO_MAGIC_INSTANCE": INSTANCE}
        child = subprocess.Popen([sys.executable, "-c", LISTEN, address], cwd=cwd, stdout=subprocess.PIPE, env=given)
        children.append(child)
        return child, int(child.stdout.readline())

    yield start
    for child in children:
        child.kill()
        child.wait()
        child.stdout.close()


def use_port(project, port, section="api-server"):
    (project.root / ".astro/config.yaml").write_text(f"project:\n  name: shop\n{section}:\n  port: {port}\n")


def record(project, pid, port, *, instance=INSTANCE):
    file = project.root / ".astro/magic/run/supervisor.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"pid": pid, "port": port, "instance": instance}))


def unused():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_free_port(project):
    port = unused()
    use_port(project, port)
    assert is_free(port)
    [result] = check_port(project)
    assert (result.name, result.state, result.detail) == (f"port {port}", "good", "free")


def test_without_a_project_it_is_the_usual_one():
    [result] = check_port()
    assert result.name == "port 8080"


def test_the_airflow_2_port_is_the_webservers(project):
    port = unused()
    (project.root / "Dockerfile").write_text("FROM quay.io/astronomer/astro-runtime:12.1.0\n")
    use_port(project, port, "webserver")
    [result] = check_port(project)
    assert result.name == f"port {port}"
    (project.root / "Dockerfile").write_text("FROM nothing known\n")
    [result] = check_port(project)
    assert result.name == "port 8080"


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_who_holds_a_port_is_named(project, listening, address):
    child, port = listening(address=address)
    use_port(project, port)
    assert not is_free(port)
    assert listener_on(port).pid == child.pid
    [result] = check_port(project)
    assert result.state == "warning"
    assert f"(process {child.pid}); %astro_start takes another that is free" in result.detail
    assert psutil.Process(child.pid).name() in result.detail
    assert ".astro/config.yaml" in result.hint


def test_who_cannot_be_seen_is_said_to_be_someone_elses(project, listening, monkeypatch):
    _, port = listening()
    use_port(project, port)

    def refuse(kind):
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", refuse)
    [result] = check_port(project)
    assert result.state == "warning"
    assert "held by a process of another user" in result.detail
    assert "lsof" in result.hint


def test_a_process_that_may_not_be_looked_at_has_its_number(project, listening, monkeypatch):
    child, port = listening()
    use_port(project, port)

    def refuse(pid):
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "Process", refuse)
    [result] = check_port(project)
    assert f"held by process {child.pid};" in result.detail


def test_this_projects_own_airflow_is_as_it_should_be(project, listening):
    child, port = listening(cwd=project.root)
    use_port(project, port)
    record(project, child.pid, port)
    [result] = check_port(project)
    assert (result.state, result.detail) == ("good", f"held by this project's Airflow (process {child.pid})")


@pytest.mark.skipif(sys.platform == "win32", reason="works in the root folder")
def test_a_component_belongs_to_the_supervisor_that_it_descends_from(project):
    parent = subprocess.Popen(
        [sys.executable, "-c", FORK, LISTEN],
        cwd=project.root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "ASTRO_MAGIC_INSTANCE": INSTANCE},
    )
    try:
        port = int(parent.stdout.readline())
        use_port(project, port)
        record(project, parent.pid, port)
        assert listener_on(port).pid != parent.pid
        assert listener_on(port).project == project.root
        [result] = check_port(project)
        assert result.state == "good"
    finally:
        parent.communicate()


def test_another_projects_airflow_is_named(project, listening, tmp_path):
    other = Project.create(tmp_path / "other shop").project
    child, port = listening(cwd=other.root)
    record(other, child.pid, port)
    use_port(project, port)
    [result] = check_port(project)
    assert result.state == "warning"
    assert f"the Airflow of {other.root} (process {child.pid})" in result.detail
    assert result.hint == f'%astro_stop --project "{other.root}" stops it.'


def test_a_process_id_that_is_used_again_is_not_taken_for_airflow(project, listening):
    child, port = listening(cwd=project.root)
    use_port(project, port)
    record(project, child.pid, port, instance="another")
    [result] = check_port(project)
    assert result.state == "warning"
    assert "this project" not in result.detail


def test_this_projects_airflow_at_another_port(project, listening):
    stranger, port = listening()
    airflow, other = listening(cwd=project.root)
    use_port(project, port)
    record(project, airflow.pid, other)
    [result] = check_port(project)
    assert f"(process {stranger.pid}); this project's Airflow runs at port {other}" in result.detail
    use_port(project, unused())
    [result] = check_port(project)
    assert (result.state, result.detail) == ("good", f"free; this project's Airflow runs at port {other}")


def test_a_supervisor_that_has_started_no_server_yet_runs_at_no_port(project):
    use_port(project, unused())
    record(project, os.getpid(), unused())
    [result] = check_port(project)
    assert result.detail == "free"


@pytest.mark.skipif(sys.platform == "win32", reason="makes a symbolic link")
def test_a_project_that_is_opened_by_a_link(project, listening, tmp_path):
    child, port = listening(cwd=project.root)
    use_port(project, port)
    record(project, child.pid, port)
    (tmp_path / "link").symlink_to(project.root)
    [result] = check_port(Project(tmp_path / "link"))
    assert (result.state, result.detail) == ("good", f"held by this project's Airflow (process {child.pid})")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"pid": 1}', '{"pid": "x", "port": 1, "instance": 1}'])
def test_a_record_that_is_broken_is_none(project, listening, text):
    child, port = listening(cwd=project.root)
    use_port(project, port)
    record(project, child.pid, port)
    (project.root / ".astro/magic/run/supervisor.json").write_text(text)
    [result] = check_port(project)
    assert result.state == "warning"


def test_a_port_that_is_none(project):
    use_port(project, 99999)
    [result] = check_port(project)
    assert result.state == "bad"
    assert "which is no port" in result.detail


def test_a_port_for_administrators(project, monkeypatch):
    import errno

    use_port(project, 80)
    monkeypatch.setattr(ports, "_refusal", lambda port: errno.EACCES)
    [result] = check_port(project)
    assert (result.state, result.hint) == ("warning", "Set a port from 1024 in .astro/config.yaml.")
