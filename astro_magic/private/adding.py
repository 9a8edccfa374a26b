"""Find out what a private repository or index needs, before anything is written for it."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from astro_magic.errors import CommandFailedError, DependencyError, InvalidContentError, ResolutionError
from astro_magic.private import hosts, keys
from astro_magic.private.access import settings_for_uv, trusted_bundle
from astro_magic.private.hosts import HostKey, HostKeyChoice
from astro_magic.private.indexes import check_index, find_projects
from astro_magic.private.logins import login_of
from astro_magic.private.repositories import check_access, ssh_command
from astro_magic.project.project import Project
from astro_magic.project.recipes.documented import find_documented
from astro_magic.project.recipes.files import KnownHosts
from astro_magic.project.recipes.repository import Repository
from astro_magic.project.recipes.sources import AGENT, PackageIndex, SourcesFile, SshAccess
from astro_magic.resolve import uv
from astro_magic.system import files
from astro_magic.system.events import Operation, Step

__all__ = [
    "CheckedIndex",
    "CheckedRepository",
    "check_private_index",
    "check_repositories",
    "choose_access",
    "choose_host_keys",
]

_SHORT_NAMES = {"github.com": "github", "gitlab.com": "gitlab", "bitbucket.org": "bitbucket"}
_BUILD_SECONDS = 120.0
_LOOK_SECONDS = 30.0


@dataclass(frozen=True)
class CheckedRepository:
    """A repository that can be read, and the package in it.

    Attributes
    ----------
    repository : Repository
        The repository.
    package : str
        The package's name.
    commit : str
        What its reference stands for now.
    """

    repository: Repository
    package: str
    commit: str


@dataclass(frozen=True)
class CheckedIndex:
    """An index that can be read with its login.

    Attributes
    ----------
    on_both : tuple of str
        Packages that the project requests and that are on this index as well as on the usual one: pip takes the newest
        version of either.
    """

    on_both: tuple[str, ...] = ()


def choose_access(
    project: Project, repositories: Sequence[Repository], *, key: str | None = None, agent: bool = False, name: str = ""
) -> SshAccess:
    """Choose the key for some repositories of one host; it is looked at, and nothing is asked of the host.

    Parameters
    ----------
    project : Project
        The project.
    repositories : sequence of Repository
        The repositories.
    key : str, optional
        The file of a key.
    agent : bool, optional
        Take what the SSH agent has.
    name : str, optional
        The id of the key in builds. By default the one that the project has for this host, else one after the host.

    Returns
    -------
    SshAccess
        With neither `key` nor `agent`, the key that the project has for this host; else the agent, when it has one;
        else the first of the usual files in ``~/.ssh``.

    Raises
    ------
    FileAccessError, InvalidContentError
        When the repositories are on several hosts, there is no key, or it cannot be used.
    CommandFailedError
        When the agent is to have it, and does not answer or has none.
    """
    servers = {(each.host, each.port) for each in repositories}
    if len(servers) != 1:
        named = ", ".join(sorted(host for host, _ in servers))
        raise InvalidContentError(
            f"These repositories are on several hosts: {named}.", hint="Name those of one host at a time."
        )
    ((host, port),) = servers
    known = SourcesFile(project).sources().keys
    of_host = [each for each in known if (each.host, each.port) == (host, port)]
    present = next((each for each in of_host if each.id == name or not (name or each.alias)), None)
    if agent:
        keys.agent_keys()
        source = AGENT
    elif key is not None:
        keys.read_key(project.root / Path(key).expanduser())
        source = key
    elif present is not None:
        return present
    else:
        source = _usual_key()
    taken = {each.id for each in known if (each.host, each.port) != (host, port)}
    chosen = name or (present.id if present is not None else _documented_id(project) or _id_for(host, taken))
    taken_host = any(each.host == host for each in known)
    alias = present.alias if present is not None else f"{host}--{chosen}" if taken_host else ""
    return SshAccess(chosen, host, port, source, alias)


def _documented_id(project: Project) -> str:
    """Give the id of the key that steps of the Dockerfile mount which somebody wrote by hand; empty without them."""
    documented = find_documented(project.dockerfile.entries()).git
    return documented.ids[0] if documented is not None else ""


def _usual_key() -> str:
    """Give the agent when it has a key, else the first of the usual files."""
    if os.environ.get("SSH_AUTH_SOCK"):
        try:
            keys.agent_keys()
        except CommandFailedError:
            pass
        else:
            return AGENT
    path = keys.default_key()
    if path is None:
        raise InvalidContentError(
            "There is no SSH key: the agent has none, and ~/.ssh has none of the usual names.",
            hint="Name one with --key FILE, or make one: ssh-keygen -t ed25519.",
        )
    keys.read_key(path)
    return f"~/{path.relative_to(Path.home()).as_posix()}" if path.is_relative_to(Path.home()) else os.fspath(path)


def _id_for(host: str, taken: Iterable[str]) -> str:
    name = _SHORT_NAMES.get(host) or re.sub(r"[^a-z0-9]+", "-", host).strip("-") or "git"
    return next(found for found in (name, *(f"{name}-{number}" for number in range(2, 99))) if found not in set(taken))


def choose_host_keys(project: Project, access: SshAccess, *, wanted: str = "auto") -> HostKeyChoice:
    """Choose the keys by which a host is to be known.

    Parameters
    ----------
    project : Project
        The project; what it knows already of the host stays, unless a fingerprint is given.
    access : SshAccess
        The host.
    wanted : str, optional
        ``auto``, or the fingerprint of its key.

    Raises
    ------
    NetworkError
        When the host has to be asked, and does not answer.
    InvalidContentError
        When its key has another fingerprint.
    """
    if wanted == "auto":
        known = hosts.read_known_hosts(KnownHosts(project).text())
        of_host = tuple(each for each in known if (each.host, each.port or 22) == (access.host, access.port or 22))
        if of_host:
            return HostKeyChoice(of_host, "known")
    return hosts.choose(access.host, access.port, wanted=wanted)


def check_repositories(
    project: Project, repositories: Sequence[Repository], access: SshAccess, host_keys: Sequence[HostKey]
) -> Operation[tuple[CheckedRepository, ...]]:
    """Read each repository with its key, and find out which package is in it; nothing is installed.

    Raises
    ------
    NetworkError
        When a host refuses the key, or cannot be reached, or is not the one that was meant.
    InvalidContentError
        When a repository has no package, or not what its address says.
    """
    found = []
    key = None if access.key == AGENT else project.root / Path(access.key).expanduser()
    with tempfile.TemporaryDirectory(prefix="astro-magic-") as folder:
        known = Path(folder) / "known_hosts"
        files.write_atomic(known, "".join(f"{each.line}\n" for each in host_keys).encode())
        command = ssh_command(known, key=key)
        for repository in repositories:
            begun = time.monotonic()
            step = f"repository:{repository.key}"
            yield Step(step, repository.shown, detail="reading")
            commit = check_access(repository, known_hosts=known, key=key)
            package = _package_of(project, repository, command)
            yield Step(step, repository.shown, "done", f"{package} at {commit[:7]}", time.monotonic() - begun)
            found.append(CheckedRepository(repository, package, commit))
    return tuple(found)


def _package_of(project: Project, repository: Repository, command: str) -> str:
    """Ask uv for the name of the package in a repository."""
    asked = ["pip", "compile", "-", "--no-deps", "--no-header", "--no-annotate", "--quiet"]
    settings = {**settings_for_uv(project), "GIT_SSH_COMMAND": command}
    try:
        told = uv.call(asked, text=repository.requirement, timeout=_BUILD_SECONDS, extra=settings).output
    except ResolutionError:
        raise
    except DependencyError as problem:
        where = f" in its folder {repository.subdirectory}" if repository.subdirectory else ""
        raise InvalidContentError(
            f"{repository.shown} has no package{where} that pip can install.",
            hint="It needs a pyproject.toml or setup.py; for one in a folder, add #subdirectory=FOLDER.",
            detail=problem.detail,
        ) from problem
    return str(canonicalize_name(told.strip().partition(" @ ")[0].partition("[")[0]))


def check_private_index(project: Project, index: PackageIndex) -> Operation[CheckedIndex]:
    """Read an index with its login, and find out which of the project's packages are elsewhere, too.

    Raises
    ------
    NetworkError
        When it refuses the login, or cannot be reached or trusted.
    InvalidContentError
        When the login is not at hand.
    """
    begun = time.monotonic()
    yield Step("index", index.name, detail=f"reading {index.url}")
    login = login_of(index)
    bundle = trusted_bundle(project)
    check_index(index.url, login, cafile=bundle)
    there = find_projects(index.url, login, sorted(project.requested()), cafile=bundle)
    both = tuple(name for name in sorted(there - set(index.only)) if _is_elsewhere(name))
    yield Step("index", index.name, "done", "it can be read", time.monotonic() - begun)
    return CheckedIndex(both)


def _is_elsewhere(name: str) -> bool:
    """Ask uv whether a package is on the usual index, which it knows."""
    try:
        uv.call(["pip", "compile", "-", "--no-deps", "--quiet"], text=name, timeout=_LOOK_SECONDS)
    except DependencyError:
        return False
    return True
