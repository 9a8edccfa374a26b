"""Servers with private packages and with databases, each for all tests of a process, from the first one on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers.authority import Authority
    from tests.servers.git_ssh import GitServer
    from tests.servers.index import PrivateIndex
    from tests.servers.postgres import PostgresServer

__all__ = ["authority", "bridge_git_server", "bridge_index", "git_server", "postgres_server", "private_index"]

LOOPBACK = "127.0.0.1"
#: Where the engine's own network has this machine, unless it was told otherwise.
USUAL_GATEWAY = "172.17.0.1"


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """Give the certificate authority that signed what the servers show."""
    from tests.servers.authority import Authority

    with _folder(tmp_path_factory) as folder:
        yield Authority(folder)


@pytest.fixture(scope="session")
def private_index(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateIndex]:
    """Give a package index with a login, on this machine alone."""
    with _folder(tmp_path_factory) as folder, _index(folder, LOOPBACK, authority) as index:
        yield index


@pytest.fixture(scope="session")
def git_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    """Give a server of private git repositories, on this machine alone."""
    with _folder(tmp_path_factory) as folder, _git_server(folder, LOOPBACK) as server:
        yield server


@pytest.fixture(scope="session")
def bridge_index(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateIndex]:
    """Give a package index with a login that builds on the engine's own network reach."""
    with _folder(tmp_path_factory) as folder, _index(folder, _bridge_gateway(), authority) as index:
        yield index


@pytest.fixture(scope="session")
def bridge_git_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    """Give a server of private git repositories that builds on the engine's own network reach."""
    with _folder(tmp_path_factory) as folder, _git_server(folder, _bridge_gateway()) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Give a PostgreSQL server, on this machine alone."""
    from tests.servers.postgres import PostgresServer

    # Not among the files of tests: the server is another user, who cannot get there.
    with (
        tempfile.TemporaryDirectory(prefix="astro-magic-postgres-", ignore_cleanup_errors=True) as name,
        PostgresServer(Path(name), LOOPBACK) as server,
    ):
        yield server


@contextmanager
def _folder(factory: pytest.TempPathFactory) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=factory.getbasetemp(), prefix="server-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextmanager
def _index(folder: Path, host: str, authority: Authority) -> Iterator[PrivateIndex]:
    from tests.servers.index import PrivateIndex, stock

    certificate = authority.certificate(*({host, "localhost"} if host == LOOPBACK else {host}))
    with PrivateIndex(folder, host, certificate=certificate) as index:
        stock(index)
        yield index


@contextmanager
def _git_server(folder: Path, host: str) -> Iterator[GitServer]:
    from tests.servers.git_ssh import GitServer, stock

    with GitServer(folder, host) as server:
        stock(server)
        yield server


def _bridge_gateway() -> str:
    import docker
    import docker.errors

    try:
        client = docker.from_env(timeout=10)
        try:
            return str(client.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"])
        finally:
            client.close()
    except (docker.errors.DockerException, LookupError):
        return USUAL_GATEWAY
