"""What engines say when they refuse, and what becomes of it."""

import docker.errors
import pytest
import requests

from astro_magic.engines.docker.client.failures import translate
from astro_magic.errors import EngineError, EngineUnavailableError, PortInUseError


def refusal(words, status=500):
    response = requests.Response()
    response.status_code = status
    return docker.errors.APIError("refused", response=response, explanation=words)


def nobody(_):
    return ""


@pytest.mark.parametrize(
    ("words", "port"),
    [
        ("external connectivity on endpoint x (1f): Bind for 127.0.0.1:18080 failed: port is already allocated", 18080),
        ("Error starting userland proxy: listen tcp4 127.0.0.1:18099: bind: address already in use", 18099),
        ("container networking: failed to bind host port 127.0.0.1:8081/tcp: address already in use", 8081),
        ("failed to bind host port for 0.0.0.0:5432:172.18.0.2:5432/tcp: address already in use", 5432),
        ("Ports are not available: listen tcp 127.0.0.1:8080: bind: address already in use", 8080),
        ("rootlessport listen tcp 127.0.0.1:8082: bind: address already in use", 8082),
        ("cannot listen on the TCP port: listen tcp4 :8083: bind: address already in use", 8083),
        ("Bind for [::]:8084 failed: port is already allocated", 8084),
    ],
)
def test_a_port_that_is_taken(words, port):
    error = translate(refusal(words), "starting it", publisher=lambda asked: f"the container of {asked}")
    assert isinstance(error, PortInUseError)
    assert error.message == f"Port {port} is taken by the container of {port}, so starting it failed."
    assert error.detail == words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("mkdir /var/lib/docker/overlay2/1: no space left on device", "disk is full"),
        (
            "Get https://registry/v2/: dial tcp: lookup registry on 10.0.0.2:53: no such host",
            "registry cannot be reached",
        ),
        ("pull access denied for x, repository does not exist or may require 'docker login'", "does not let this user"),
        ("toomanyrequests: You have reached your pull rate limit", "refuses more downloads"),
        ("manifest for x:1 not found: manifest unknown: manifest unknown", "no such image for this machine"),
        ("exec /entrypoint: exec format error", "another kind of processor"),
        ("could not find an available, non-overlapping IPv4 address pool among the defaults", "no address range left"),
        ("all predefined address pools have been fully subnetted", "no address range left"),
        ("removal of container 1f is already in progress", "being removed"),
        ("client version 1.53 is too new. Maximum supported API version is 1.41", "another version"),
        ("error setting rlimit type 6: operation not permitted", "may not do that here"),
        ("something nobody has thought of", "failed while pulling it."),
    ],
)
def test_refusals(words, said):
    error = translate(refusal(words), "pulling it", publisher=nobody)
    assert type(error) is EngineError
    assert said in error.message
    assert error.hint
    assert error.detail == words


@pytest.mark.parametrize(
    "words", ["server is shutting down", "rpc error: code = Unavailable desc = transport is closing"]
)
def test_an_engine_that_goes_down(words):
    error = translate(refusal(words), "starting it", publisher=nobody)
    assert isinstance(error, EngineUnavailableError)
    assert error.message == "The container engine went down while starting it."


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (requests.ConnectionError("aborted", ConnectionResetError(104)), "stopped answering while starting it"),
        (requests.ReadTimeout("60"), "hangs while starting it"),
        (requests.exceptions.ChunkedEncodingError("broken"), "cannot be used while starting it"),
        (BrokenPipeError(), "stopped answering"),
        (docker.errors.DockerException("Install paramiko"), "needs a package"),
    ],
)
def test_an_engine_that_is_gone(problem, said):
    error = translate(problem, "starting it", publisher=nobody)
    assert isinstance(error, EngineUnavailableError)
    assert said in error.message


def test_a_container_and_a_build_that_failed():
    ended = docker.errors.ContainerError("x", 3, "cmd", "image", b"last words")
    assert translate(ended, "running it", publisher=nobody).detail == "last words"
    built = docker.errors.BuildError("RUN failed", [])
    assert translate(built, "building it", publisher=nobody).detail == "RUN failed"


def test_what_is_not_the_engines_is_left_alone():
    assert translate(ValueError("x"), "starting it", publisher=nobody) is None
