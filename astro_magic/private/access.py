"""What uv, builds and Airflow are given so that they reach a project's private packages.

Secrets are read when they are needed, and given in the environment of a process or through BuildKit: they are in no
command line, in no file of the project and in no image.
"""

from __future__ import annotations

import os
import re
import shlex
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from astro_magic.errors import InvalidContentError
from astro_magic.private.logins import login_of, netrc_of, url_with_login
from astro_magic.private.repositories import ssh_command
from astro_magic.project.project import Project
from astro_magic.project.recipes.documented import INDEX_VARIABLES
from astro_magic.project.recipes.files import AUTHORITIES, KnownHosts
from astro_magic.project.recipes.sources import AGENT, PrivateSources, SourcesFile, SshAccess
from astro_magic.project.recipes.steps import LOGINS, needs_config, ssh_config
from astro_magic.system import files

__all__ = ["BuildAccess", "access_for_build", "settings_for_uv", "trust_settings", "trusted_bundle"]

_TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO")


@dataclass(frozen=True)
class BuildAccess:
    """What a build is given to reach private packages.

    Attributes
    ----------
    secrets : Mapping of str to str
        By the id of the build secret: its value.
    ssh : Mapping of str to Path
        By the id of the key: its file, or the socket of an agent.
    arguments : Mapping of str to str
        By the name of the build argument: its value, which is secret.
    hidden : tuple of str
        The passwords among these.
    """

    secrets: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    ssh: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))
    arguments: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)


def access_for_build(
    project: Project, *, secrets: Collection[str], keys: Collection[str], arguments: Collection[str]
) -> BuildAccess:
    """Give a build what its Dockerfile asks for, as far as the project says where it is.

    Parameters
    ----------
    project : Project
        The project.
    secrets, keys : collection of str
        The ids of the secrets and SSH keys that the Dockerfile mounts.
    arguments : collection of str
        The build arguments that it declares.

    Raises
    ------
    FileAccessError
        When a file cannot be read.
    InvalidContentError
        When a login is not at hand, or no SSH agent is there that should have a key.
    """
    sources = SourcesFile(project).sources()
    asking = [index for index in sources.indexes if index.asks]
    wanted = sorted(INDEX_VARIABLES.intersection(arguments)) if LOGINS not in secrets else []
    given = bool(asking) and (LOGINS in secrets or bool(wanted))
    return BuildAccess(
        {LOGINS: netrc_of(asking)} if asking and LOGINS in secrets else {},
        {key.id: _identity(project, key) for key in sources.keys if key.id in keys},
        {name: " ".join(map(url_with_login, sources.indexes)) for name in wanted[:1] if sources.indexes},
        tuple(login.password for index in asking if (login := login_of(index)) is not None) if given else (),
    )


def settings_for_uv(project: Project) -> dict[str, str]:
    """Give the variables that let uv reach the project's private packages.

    Parameters
    ----------
    project : Project
        The project.

    Raises
    ------
    FileAccessError
        When a file cannot be read or written.
    InvalidContentError
        When a login is not at hand, or no SSH agent is there that should have a key.
    """
    sources = SourcesFile(project).sources()
    found = trust_settings(project)
    if sources.indexes:
        present = os.environ.get("UV_INDEX") or os.environ.get("PIP_EXTRA_INDEX_URL") or ""
        named = [f"{index.name}={index.url}" for index in sources.indexes]
        found["UV_INDEX"] = " ".join([*named, *present.split()])
    for index in sources.indexes:
        login = login_of(index)
        if login is not None:
            variable = f"UV_INDEX_{re.sub('[^A-Z0-9]', '_', index.name.upper())}"
            found |= {f"{variable}_USERNAME": login.user, f"{variable}_PASSWORD": login.password}
    if sources.keys:
        found["GIT_SSH_COMMAND"] = _ssh_command(project, sources)
    return found


def trust_settings(project: Project) -> dict[str, str]:
    """Give the variables that let programs trust the project's certificate authorities beside the usual ones.

    Raises
    ------
    FileAccessError
        When a certificate cannot be read, or the file of all of them cannot be written.
    """
    bundle = trusted_bundle(project)
    return {} if bundle is None else dict.fromkeys(_TRUST, os.fspath(bundle))


def trusted_bundle(project: Project) -> Path | None:
    """Give a file with the usual certificate authorities and the project's; None when the project has none.

    Raises
    ------
    FileAccessError
        When a certificate cannot be read, or the file cannot be written.
    """
    own = sorted((project.root / AUTHORITIES).rglob("*.crt"))
    if not own:
        return None
    usual = _usual_authorities()
    parts = [files.read_bytes(path) for path in ([usual] if usual is not None else []) + own]
    content = b"\n".join(part.rstrip() for part in parts) + b"\n"
    bundle = project.make_state_dir() / "certificates.pem"
    if files.read_optional(bundle) != content:
        files.write_atomic(bundle, content, mode=0o644)
    return bundle


def _usual_authorities() -> Path | None:
    """Give the file of certificate authorities that programs of this machine use."""
    paths = ssl.get_default_verify_paths()
    named = [os.environ.get("SSL_CERT_FILE"), paths.cafile, paths.openssl_cafile, "/etc/ssl/certs/ca-certificates.crt"]
    return next((Path(name) for name in named if name and Path(name).is_file()), None)


def _identity(project: Project, key: SshAccess) -> Path:
    """Give the file of a key, or the socket of the agent that has it."""
    if key.key != AGENT:
        return project.root / Path(key.key).expanduser()
    socket = os.environ.get("SSH_AUTH_SOCK")
    if not socket:
        raise InvalidContentError(
            f"The SSH agent is to have the key for {key.host}, but none is there: SSH_AUTH_SOCK is empty.",
            hint="Start one (ssh-agent, ssh-add) before the notebook, or name a key with --key FILE.",
        )
    return Path(socket)


def _ssh_command(project: Project, sources: PrivateSources) -> str:
    """Give the command by which git calls SSH, with the keys and the known hosts of the project."""
    hosts = KnownHosts(project).path
    if not needs_config(sources.keys):
        (key,) = sources.keys
        return ssh_command(hosts, key=None if key.key == AGENT else _identity(project, key))

    def identity(key: SshAccess) -> tuple[str, ...]:
        if key.key == AGENT:
            return (f"IdentityAgent {shlex.quote(os.fspath(_identity(project, key)))}",)
        return (f'IdentityFile "{_identity(project, key)}"', "IdentitiesOnly yes")

    config = project.make_state_dir() / "ssh-config"
    files.write_atomic(config, ssh_config(sources.keys, identity).encode(), mode=0o600)
    return ssh_command(hosts, key=None, config=config)
