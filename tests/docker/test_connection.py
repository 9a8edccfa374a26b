"""A real engine: how it is reached, and what its refusals become."""

import contextlib
import os
import socket
import ssl
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from astro_magic.engines.docker.client.connection import answers, connect, guard
from astro_magic.engines.docker.client.endpoint import endpoints
from astro_magic.errors import EngineError, EngineUnavailableError, PortInUseError
from tests.docker.images import DEBIAN
from tests.docker.small import SLEEP, SmallStack
from tests.unit.engines.docker.test_endpoint import make_context

pytestmark = pytest.mark.docker


@pytest.fixture
def stack():
    with SmallStack() as stack:
        yield stack


class Relay:
    """Passes what comes at a TCP port on to the engine's socket, encrypted or not."""

    def __init__(self, secured=None):
        self.path = endpoints()[0].socket
        self.secured = secured
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.server.accept()
                threading.Thread(target=self.talk, args=(client,), daemon=True).start()

    def talk(self, client):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(client.close)
            if self.secured:
                client = stack.enter_context(self.secured.wrap_socket(client, server_side=True))
            engine = stack.enter_context(socket.socket(socket.AF_UNIX))
            engine.connect(str(self.path))
            back = threading.Thread(target=self.pump, args=(engine, client), daemon=True)
            back.start()
            self.pump(client, engine)
            back.join()

    @staticmethod
    def pump(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


def test_the_engine_of_this_machine():
    assert answers()
    connection = connect()
    assert connection.title in ("Docker", "Podman")
    assert connection.version[0].isdigit()
    assert connection.api.ping()
    assert connect() is connection
    assert connection.host in repr(connection)


def test_the_docker_command_speaks_to_the_same_engine():
    connection = connect()
    environment = {**os.environ, "DOCKER_CONTEXT": "absent", **connection.environment()}
    done = subprocess.run(
        ["docker", "version", "--format", "{{.Server.Version}}"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == connection.version


def test_sixteen_threads_keep_their_connections(stack, caplog):
    container = stack.run("scheduler")
    api = stack.connection.api
    barrier = threading.Barrier(16, timeout=60)

    def ask(_):
        barrier.wait()
        return [api.inspect_container(container)["Id"] for _ in range(10)]

    with ThreadPoolExecutor(16) as pool:
        assert {one for found in pool.map(ask, range(16)) for one in found} == {container}
    assert "Connection pool is full" not in caplog.text


def test_a_remote_engine_is_not_local(monkeypatch):
    with Relay() as relay:
        monkeypatch.setenv("DOCKER_HOST", f"127.0.0.1:{relay.port}")
        assert answers()
        connection = connect()
        assert (connection.local, connection.host) == (False, f"tcp://127.0.0.1:{relay.port}")
        assert connection.api.ping()
        connection.api.close()
    with pytest.raises(EngineUnavailableError):
        connect()


def test_a_context_with_certificates(monkeypatch, tmp_path):
    make_certificates(tmp_path)
    secured = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "ca.pem"))
    secured.verify_mode = ssl.CERT_REQUIRED
    secured.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with Relay(secured) as relay:
        monkeypatch.delenv("DOCKER_HOST", raising=False)
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
        monkeypatch.setenv("DOCKER_CONTEXT", "secured")
        # Authorities of the environment are for other servers.
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
        files = ("ca.pem", "cert.pem", "key.pem")
        make_context(tmp_path / "config", "secured", host=f"tcp://127.0.0.1:{relay.port}", files=files)
        (endpoint,) = endpoints()
        for file in files:
            (endpoint.certificates / file).write_bytes((tmp_path / file).read_bytes())
        connection = connect()
        assert connection.api.ping()
        asked = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            env={**os.environ, **connection.environment()},
            capture_output=True,
            text=True,
            check=True,
        )
        assert asked.stdout.strip() == connection.version
        connection.api.close()
        # Without a certificate of its own nobody is let in.
        (endpoint.certificates / "cert.pem").unlink()
        with pytest.raises(EngineUnavailableError, match=r"cannot be reached with TLS|stopped answering"):
            connect()


def make_certificates(folder):
    """Make a certificate that is its own authority, for the server and for the client."""
    kind = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    command = ["openssl", *kind.split(), "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (folder / "ca.pem").write_bytes((folder / "cert.pem").read_bytes())


def test_a_port_that_a_container_has(stack):
    stack.run("api-server", port=80)
    published = int(stack.connection.api.containers(filters={"name": stack.names.compose})[0]["Ports"][0]["PublicPort"])
    with pytest.raises(PortInUseError) as caught, guard("starting the webserver"):
        stack.run("webserver", port=80, published=published)
    owner = f"{stack.names.compose}-api-server-1"
    assert caught.value.message == (
        f"Port {published} is taken by the container {owner}, so starting the webserver failed."
    )
    assert f"port {published}" in caught.value.hint


def test_a_port_that_a_process_has(stack):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortInUseError) as caught, guard("starting the api server"):
            stack.run("api-server", port=80, published=port)
    assert f"Port {port} is taken by " in caught.value.message
    assert f"(process {os.getpid()})" in caught.value.message


def refused(doing, action):
    with pytest.raises(EngineError) as caught, guard(doing):
        action()
    assert doing in caught.value.message
    assert caught.value.detail
    return caught.value.message


def test_refusals(stack, tmp_path):
    api = stack.connection.api
    container = stack.run("scheduler")
    assert "no such image" in refused("creating it", lambda: stack.run("x", image="no-such-image:1"))
    name = api.inspect_container(container)["Name"].lstrip("/")
    assert "name is there already" in refused("creating it", lambda: api.create_container(DEBIAN, SLEEP, name=name))
    assert "container is gone" in refused("stopping it", lambda: api.stop("no-such-container"))
    idle = stack.run("triggerer", start=False)
    assert "does not run" in refused("running a command", lambda: api.exec_create(idle, ["true"]))
    missing = api.create_container(DEBIAN, ["no-such-command"], name=f"{stack.names.compose}-command")
    stack._made.append(missing["Id"])
    assert "command is not in the image" in refused("starting it", lambda: api.start(missing["Id"]))
    assert "network is gone" in refused(
        "joining", lambda: api.connect_container_to_network(container, "no-such-network")
    )
    mount = {"Type": "bind", "Source": str(tmp_path / "absent"), "Target": "/x"}
    assert "to be mounted is not there" in refused("creating it", lambda: stack.run("y", mounts=[mount]))
    assert "still uses it" in refused("removing the image", lambda: api.remove_image(api.inspect_image(DEBIAN)["Id"]))
