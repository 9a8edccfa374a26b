from __future__ import annotations

import json
import os
import socketserver
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from astro_magic.machine.docker import check_docker, engine_sockets

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for docker is a shell script")

SOCKET = "unix:///var/run/docker.sock"
CLIENT = {"Version": "28.2.2", "ApiVersion": "1.50", "Os": "linux", "Context": "default"}
SERVER = {"Platform": {"Name": ""}, "Version": "28.2.2", "ApiVersion": "1.50", "MinAPIVersion": "1.24", "Os": "linux"}


@pytest.fixture
def docker(tmp_path, monkeypatch):
    """Make a command ``docker`` that answers as the real one does."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def make(server=None, *, error="", client=CLIENT, code=None):
        (tmp_path / "out").write_text(json.dumps({"Client": client, "Server": server}) + "\n" if client else "")
        (tmp_path / "err").write_text(error + "\n" if error else "")
        code = int(bool(error)) if code is None else code
        script = f"#!/bin/sh\n/bin/cat '{tmp_path}/out'\n/bin/cat '{tmp_path}/err' >&2\nexit {code}\n"
        (folder / "docker").write_text(script)
        (folder / "docker").chmod(0o755)

    return make


def test_an_engine_that_answers(docker, monkeypatch):
    docker(SERVER)
    [result] = check_docker()
    assert (result.state, result.detail, result.hint) == ("good", "engine 28.2.2, API 1.50", "")
    docker(SERVER, client={**CLIENT, "Context": "colima"})
    [result] = check_docker()
    assert result.detail.endswith(", context colima")
    monkeypatch.setenv("DOCKER_HOST", "tcp://ana:pl4nted@10.0.0.7:2375")
    [result] = check_docker()
    assert "10.0.0.7:2375 (DOCKER_HOST)" in result.detail
    assert "pl4nted" not in repr(result)
    assert "ana" not in repr(result)


def test_an_engine_that_will_not_do(docker):
    docker({**SERVER, "Version": "19.03.15", "ApiVersion": "1.40"})
    [result] = check_docker()
    assert (result.state, result.hint) == ("warning", "Update Docker to 20.10 or later.")
    docker({**SERVER, "Os": "windows"})
    [result] = check_docker()
    assert (result.state, result.hint) == ("warning", "Switch Docker to Linux containers.")


# What the docker command 28.2.2 writes, and newer and older ones where they write something else.
DENIED = (
    f'the Docker daemon socket at {SOCKET}: Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.50/version": '
    "dial unix /var/run/docker.sock: connect: permission denied"
)
MISSING = "dial unix /var/run/docker.sock: connect: no such file or directory"
CHECK = f"failed to connect to the docker API at {SOCKET}; check if the path is correct and if the daemon is running"
TOO_OLD = "client version 1.24 is too old. Minimum supported API version is 1.44, please upgrade your client"
LOOKUP = 'error during connect: Get "http://ana:pl4nted@garbage:2375/v1.50/version": dial tcp: lookup garbage'
FAILURES = [
    (f"Cannot connect to the Docker daemon at {SOCKET}. Is the docker daemon running?", "unknown", "no engine answers"),
    (f"{CHECK}: {MISSING}", "unknown", "no engine answers"),
    (f"permission denied while trying to connect to {DENIED}", "warning", "this user may not use the engine's socket"),
    (f"Got permission denied while trying to connect to {DENIED}", "warning", "this user may not use"),
    (f"permission denied while trying to connect to the docker API at {SOCKET}", "warning", "this user may not use"),
    (
        "Error response from daemon: client version 1.50 is too new. Maximum supported API version is 1.41",
        "warning",
        "does not speak its API version",
    ),
    (f"Error response from daemon: {TOO_OLD} to a newer version", "warning", "does not speak its API version"),
    (f"{LOOKUP}: no such host", "warning", "no such host"),
]


@pytest.mark.parametrize(("error", "state", "said"), FAILURES)
def test_an_engine_that_does_not_answer(docker, error, state, said):
    docker(error=error)
    [result] = check_docker()
    assert result.state == state
    assert said in result.detail
    assert "28.2.2" in result.detail
    assert result.hint
    assert "pl4nted" not in repr(result)


def test_a_context_that_is_not_there(docker):
    where = "open /home/ana/.docker/contexts/meta/2c26/meta.json: no such file or directory"
    error = f'Failed to initialize: unable to resolve docker endpoint: context "work": context not found: {where}'
    docker(error=error, client=None)
    [result] = check_docker()
    assert result.state == "warning"
    assert "its context work does not exist" in result.detail
    assert "docker context use default" in result.hint


def test_answers_that_are_none(docker):
    docker(client=None, code=0)
    [result] = check_docker()
    assert result.state == "warning"
    assert "it said nothing" in result.detail
    docker("a text where a mapping belongs", client=["odd"], code=0)
    [result] = check_docker()
    assert result.state == "warning"


def test_an_answer_that_is_no_json(docker, tmp_path):
    docker(SERVER)
    (tmp_path / "out").write_text("Emulate Docker CLI using podman\n")
    [result] = check_docker()
    assert result.state == "warning"
    assert result.detail.endswith("but failed: Emulate Docker CLI using podman")


def test_an_engine_that_hangs(docker, tmp_path):
    docker(SERVER)
    (tmp_path / "bin" / "docker").write_text("#!/bin/sh\nexec /bin/sleep 30\n")
    [result] = check_docker(timeout=0.2)
    assert result.state == "warning"
    assert "did not end within" in result.detail


class Engine(BaseHTTPRequestHandler):
    def do_GET(self):
        answer = json.dumps(SERVER).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def address_string(self):
        return "here"

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def socket_folder():
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_without_the_command(monkeypatch, tmp_path, socket_folder):
    monkeypatch.setenv("PATH", str(tmp_path))
    path = socket_folder / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    [result] = check_docker()
    assert (result.state, result.detail) == ("unknown", "not there; local processes are used")
    with socketserver.UnixStreamServer(os.fspath(path), Engine) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        [result] = check_docker()
        server.shutdown()
    assert result.state == "good"
    assert result.detail == f"engine 28.2.2, API 1.50, at unix://{path} (DOCKER_HOST); no docker command"
    [result] = check_docker()
    assert result.state == "unknown"
    assert f"no engine answers at {path}" in result.detail


def test_of_an_engine_elsewhere_no_socket_here_is_asked(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "ssh://ana@build.example.com")
    [result] = check_docker()
    assert result.detail == "not there; local processes are used"


def test_the_usual_sockets(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    system, rootless, *desktops = engine_sockets()
    assert (system, rootless) == (Path("/var/run/docker.sock"), Path("/run/user/1000/docker.sock"))
    assert {path.relative_to(tmp_path).parts[0] for path in desktops} == {".docker", ".colima", ".rd", ".orbstack"}
