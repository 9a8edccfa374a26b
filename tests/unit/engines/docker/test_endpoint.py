"""Where the engine is looked for."""

import hashlib
import json
import socket

import pytest

from astro_magic.engines.docker.client.endpoint import Endpoint, endpoints
from astro_magic.errors import EngineUnavailableError


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    for name in (
        "DOCKER_HOST",
        "DOCKER_CONTEXT",
        "DOCKER_CONFIG",
        "DOCKER_TLS",
        "DOCKER_TLS_VERIFY",
        "DOCKER_CERT_PATH",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    return tmp_path


def make_context(folder, name, *, host, skip=False, files=()):
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts" / "meta" / key
    meta.mkdir(parents=True)
    described = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": skip}}}
    (meta / "meta.json").write_text(json.dumps(described))
    if files:
        certificates = folder / "contexts" / "tls" / key / "docker"
        certificates.mkdir(parents=True)
        for file in files:
            (certificates / file).write_text("x")
    return meta / "meta.json"


@pytest.mark.parametrize(
    ("given", "host", "place"),
    [
        ("unix:///tmp/a b.sock", "unix:///tmp/a b.sock", "/tmp/a b.sock"),
        ("/tmp/a.sock", "unix:///tmp/a.sock", "/tmp/a.sock"),
        ("10.0.0.7:2375", "tcp://10.0.0.7:2375", "tcp://10.0.0.7:2375"),
        ("ssh://me:secret@box", "ssh://me:secret@box", "ssh://***@box"),
    ],
)
def test_docker_host_comes_first(monkeypatch, given, host, place):
    monkeypatch.setenv("DOCKER_HOST", given)
    monkeypatch.setenv("DOCKER_CONTEXT", "absent")
    (found,) = endpoints()
    assert (found.host, found.origin, found.tls) == (host, "DOCKER_HOST", False)
    assert "secret" not in found.place
    assert found.place.endswith(place[-4:])


@pytest.mark.parametrize(("variable", "verified"), [("DOCKER_TLS_VERIFY", True), ("DOCKER_TLS", False)])
def test_tls_by_variables(monkeypatch, home, variable, verified):
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.7:2376")
    monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(home))
    (home / "ca.pem").write_text("x")
    (found,) = endpoints()
    assert (found.tls, found.verified, found.certificate("ca.pem")) == (True, verified, str(home / "ca.pem"))
    assert found.certificate("key.pem") is None
    assert found.environment()[variable] == "1"


def test_the_current_context_of_the_configuration(monkeypatch, home):
    folder = home / "elsewhere"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    (folder / "config.json").write_text('{"currentContext": "far"}')
    make_context(folder, "far", host="tcp://far:2376", files=("ca.pem", "cert.pem", "key.pem"))
    (found,) = endpoints()
    assert (found.host, found.origin, found.tls, found.verified) == ("tcp://far:2376", "context far", True, True)
    assert found.environment() == {
        "DOCKER_HOST": "tcp://far:2376",
        "DOCKER_CONTEXT": "",
        "DOCKER_TLS": "",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": str(found.certificates),
    }


def test_the_context_of_the_variable_wins_over_the_configuration(monkeypatch, home):
    (home / ".docker").mkdir()
    (home / ".docker/config.json").write_text('{"currentContext": "far"}')
    make_context(home / ".docker", "near", host="unix:///tmp/near.sock")
    monkeypatch.setenv("DOCKER_CONTEXT", "near")
    assert [found.host for found in endpoints()] == ["unix:///tmp/near.sock"]


def test_a_context_that_does_not_exist(monkeypatch):
    monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    with pytest.raises(EngineUnavailableError, match="docker context gone does not exist") as caught:
        endpoints()
    assert "docker context ls" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", '{"Endpoints": {"kubernetes": {}}}', '{"Endpoints": {"docker": {}}}'])
def test_a_context_that_cannot_be_read(monkeypatch, home, text):
    make_context(home / ".docker", "odd", host="tcp://x").write_text(text)
    monkeypatch.setenv("DOCKER_CONTEXT", "odd")
    with pytest.raises(EngineUnavailableError, match="docker context odd cannot be read"):
        endpoints()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"currentContext": "default"}', '{"currentContext": null}'])
def test_a_configuration_without_a_context_leaves_the_usual_sockets(monkeypatch, home, text):
    (home / ".docker").mkdir()
    (home / ".docker/config.json").write_text(text)
    (home / "runtime").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(home / "runtime/docker.sock"))
        assert Endpoint(f"unix://{home}/runtime/docker.sock") in endpoints()


def test_podman_is_found_where_it_listens(home):
    (home / "runtime/podman").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(home / "runtime/podman/podman.sock"))
        assert endpoints()[-1].host == f"unix://{home}/runtime/podman/podman.sock"


def test_without_any_socket_it_is_said_where_one_was_looked_for(monkeypatch):
    monkeypatch.setattr("astro_magic.engines.docker.client.endpoint.is_socket", lambda path: False)
    with pytest.raises(EngineUnavailableError, match=r"no socket at /var/run/docker\.sock") as caught:
        endpoints()
    assert "runtime/podman/podman.sock" in caught.value.message
    assert "--engine local" in caught.value.hint
