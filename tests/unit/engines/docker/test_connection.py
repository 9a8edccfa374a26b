"""Connecting to engines that are not there, do not answer, or may not be used; each is a real socket."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from astro_magic.engines.docker.client.connection import answers, connect, guard
from astro_magic.errors import EngineUnavailableError

PIECE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"


class Daemon:
    """A server on a Unix socket that gives the same answer to everyone; None says nothing at all."""

    def __init__(self, path, answer):
        self.answer = answer
        self.clients = []
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen(16)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            self.clients.append(client)
            if self.answer is not None:
                # Who only looks whether somebody listens says nothing.
                if client.recv(4000):
                    client.sendall(self.answer)
                client.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.thread.join()
        for client in self.clients:
            client.close()


def said(body):
    return PIECE + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.fixture(autouse=True)
def path(monkeypatch):
    for name in ("DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY"):
        monkeypatch.delenv(name, raising=False)
    # The path of a socket may not be long.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "engine.sock")
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        yield path


def refused(**options):
    with pytest.raises(EngineUnavailableError) as caught:
        connect(**options)
    return caught.value


def test_no_socket(path):
    problem = refused()
    assert problem.message == f"The container engine is not there: there is no socket at {path}."
    assert problem.hint.startswith("DOCKER_HOST names it. Start it")
    assert not answers()


def test_a_daemon_that_was_stopped(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
    problem = refused()
    assert problem.message == f"The container engine is not running: nothing answers at {path}."
    assert not answers()


def test_a_daemon_that_hangs(path):
    with Daemon(path, None):
        started = time.monotonic()
        problem = refused(timeout=0.5)
        assert not answers(timeout=0.2)
        # Long before the client's own minute is over.
        assert time.monotonic() - started < 20
    assert problem.message == f"The container engine hangs: {path} was silent for 0.5 s."
    assert "Restart the engine" in problem.hint


def test_a_daemon_that_hangs_is_not_passed_over(monkeypatch, path):
    monkeypatch.delenv("DOCKER_HOST")
    runtime = path.parent
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setattr("astro_magic.machine.docker.Path.home", lambda: runtime)
    monkeypatch.setattr(
        "astro_magic.engines.docker.client.endpoint.engine_sockets", lambda: iter([path, runtime / "second.sock"])
    )
    with Daemon(path, None), Daemon(runtime / "second.sock", None) as second:
        assert "hangs" in refused(timeout=0.3).message
        assert not second.clients


def test_no_permission():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "engine.sock")
        with Daemon(path, said(b"OK")):
            path.chmod(0)
            script = (
                "import docker, requests, os, sys\n"
                "from astro_magic.engines.docker.client.connection import answers, connect\n"
                "from astro_magic.errors import EngineUnavailableError\n"
                # The administrator may use any socket.
                "os.geteuid() or (os.setgroups([]), os.setgid(65534), os.setuid(65534))\n"
                "assert not answers()\n"
                "try: connect()\n"
                "except EngineUnavailableError as problem: print(problem)\n"
            )
            environment = {**os.environ, "DOCKER_HOST": f"unix://{path}"}
            done = subprocess.run(
                [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=60
            )
    assert done.stdout.startswith(f"This user may not use the container engine at {path}."), done.stderr
    assert "Add your user to the group docker" in done.stdout


@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0-OpenSSH\r\n", said(b"{}"), said(b"nonsense"), b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"],
)
def test_a_server_that_is_no_engine(path, answer):
    with Daemon(path, answer):
        assert "ngine" in refused().message


def test_an_engine_of_windows_containers(path):
    with Daemon(path, said(b'{"ApiVersion": "1.41", "Version": "20", "Os": "windows"}')):
        problem = refused()
    assert "runs windows containers" in problem.message
    assert problem.hint == "Switch Docker to Linux containers."


def test_podman_has_its_title_and_is_asked_again_at_every_call(path):
    answer = said(b'{"ApiVersion": "1.41", "Version": "4.3.1", "Components": [{"Name": "Podman Engine"}]}')
    with Daemon(path, answer):
        connection = connect()
        assert (connection.title, connection.version, connection.local) == ("Podman", "4.3.1", False)
        assert connect() is connection
        assert answers()
    path.unlink()
    assert "no socket" in refused().message
    connection.api.close()


def test_tcp_where_nobody_listens(monkeypatch):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv("DOCKER_HOST", address)
    assert refused().message == f"The container engine is not running: nothing answers at {address}."
    assert not answers()


def test_tls_with_a_server_that_has_none(monkeypatch, path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(path.parent))

        def answer():
            client, _ = server.accept()
            with client:
                client.recv(4000)
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        problem = refused()
        thread.join()
    assert "cannot be reached with TLS" in problem.message
    assert "DOCKER_CERT_PATH" in problem.hint


def test_certificates_that_are_none(monkeypatch, path):
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(path.parent))
    (path.parent / "ca.pem").write_text("not a certificate")
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.getsockname()[1]}")
        assert "cannot be reached with TLS" in refused().message


def test_ssh_needs_a_package(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "ssh://me@127.0.0.1:1")
    monkeypatch.delattr("docker.api.client.SSHHTTPAdapter", raising=False)
    problem = refused()
    assert "reached by SSH, which needs a package" in problem.message
    assert "paramiko" in problem.hint


def test_a_password_in_an_address_is_not_shown(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "ssh://me:secret@127.0.0.1:1")
    assert "secret" not in str(refused())


def test_an_interrupt_and_a_fault_of_the_program_pass_the_guard():
    for problem in (KeyboardInterrupt, ZeroDivisionError, FileNotFoundError):
        with pytest.raises(problem), guard("trying"):
            raise problem
