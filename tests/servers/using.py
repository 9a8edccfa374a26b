"""What tests do with the servers: bring their packages and their authority into a project."""

from __future__ import annotations

from astro_magic.private.adding import check_repositories, choose_access, choose_host_keys
from astro_magic.private.certificates import read_authorities
from astro_magic.private.hosts import read_known_hosts
from astro_magic.project.project import Project
from astro_magic.project.recipes.recipes import plan_certificates, plan_git, plan_index
from astro_magic.project.recipes.repository import parse_repository
from astro_magic.project.recipes.sources import PackageIndex
from astro_magic.system.events import run
from tests.servers.authority import Authority
from tests.servers.git_ssh import GitServer
from tests.servers.index import PrivateIndex
from tests.servers.keys import Key

__all__ = ["PASSWORD_VARIABLE", "USER_VARIABLE", "add_index", "add_repository", "fingerprint_of", "index_of", "trust"]

USER_VARIABLE = "SHOP_INDEX_USER"
PASSWORD_VARIABLE = "SHOP_INDEX_PASSWORD"


def trust(project: Project, authority: Authority) -> None:
    """Let a project trust the authority of the servers."""
    (certificate,) = read_authorities(authority.pem)
    project.edit(lambda: plan_certificates(project, "acme", {"acme": certificate.pem}))


def add_repository(project: Project, server: GitServer, name: str, *, reference: str, key: Key | None = None) -> None:
    """Let a project install the package of a repository; without a key, with what the agent has."""
    repository = parse_repository(f"{server.url(name)}@{reference}")
    path = str(key.path) if key is not None else None
    access = choose_access(project, [repository], key=path, agent=key is None)
    host_keys = choose_host_keys(project, access, wanted=fingerprint_of(server))
    (found,) = run(check_repositories(project, [repository], access, host_keys.keys), lambda _: None)
    assert found.package == name
    project.edit(lambda: plan_git(project, [repository], access, [each.line for each in host_keys.keys]))


def fingerprint_of(server: GitServer) -> str:
    """Give the fingerprint by which the server is to be known."""
    return read_known_hosts(server.known_hosts.read_text())[0].fingerprint


def index_of(server: PrivateIndex, *, only: tuple[str, ...] = ()) -> PackageIndex:
    """Give the index, whose login is in two variables."""
    return PackageIndex("shop", server.url.rstrip("/"), f"env:{USER_VARIABLE}", f"env:{PASSWORD_VARIABLE}", only)


def add_index(project: Project, server: PrivateIndex, *, only: tuple[str, ...] = ()) -> None:
    """Let a project install packages from the index."""
    project.edit(lambda: plan_index(project, index_of(server, only=only)))
