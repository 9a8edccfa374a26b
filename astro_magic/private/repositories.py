"""Whether a private repository can be read by SSH, with nothing but a key and the server's host key."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import tempfile
from pathlib import Path

from astro_magic.errors import AstroMagicError, CommandFailedError, InvalidContentError, NetworkError
from astro_magic.private.hosts import HostKey, read_known_hosts, scan
from astro_magic.private.ssh_tools import INSTALL
from astro_magic.project.recipes.repository import Repository
from astro_magic.sources.git_command import LOOK_SECONDS, NO_REPOSITORY, run_git, words
from astro_magic.system import files
from astro_magic.system.secrets import mask_credentials

__all__ = ["check_access", "ssh_command"]

_CONNECT_SECONDS = 15
_COMMIT = re.compile(r"[0-9a-f]{7,64}")

_NO_SSH = re.compile(r"\bssh: (?:command )?not found|cannot run ssh|unable to fork", re.IGNORECASE)
_SINGLE_SIGN_ON = re.compile(r"SAML", re.IGNORECASE)
_HOST_KEY = re.compile(r"Host key verification failed|HOST IDENTIFICATION HAS CHANGED|host key is known for")
_SENT = re.compile(r"key sent by the remote host is\s+(SHA256:[A-Za-z0-9+/]{43})")
#: What ssh, git and the hosting services say, and what it means; the first that fits counts.
_REFUSALS = (
    (
        re.compile(r"Could not resolve hostname", re.IGNORECASE),
        "No server is known by the name {host}.",
        "Check the name and the network; an alias of ~/.ssh/config is not known elsewhere.",
    ),
    (
        re.compile(r"Connection refused", re.IGNORECASE),
        "{server} refuses connections.",
        "Check the port, and that an SSH server runs there.",
    ),
    (
        re.compile(r"timed out|No route to host|unreachable", re.IGNORECASE),
        "{server} cannot be reached.",
        "Check the address, the port, the network and its firewall.",
    ),
    (
        re.compile(r"Permission denied|Public key authentication failed|Too many authentication", re.IGNORECASE),
        "{server} refuses {who} as a login of {user}.",
        "Add its public half to the account or, as a deploy key, to the repository; or give another key.",
    ),
    (
        re.compile(
            r"Repository not found|could not be found|access denied|forbidden|permission|TF401019|not authori[sz]ed",
            re.IGNORECASE,
        ),
        "{shown} does not exist, or {who} may not read it.",
        "Check the address; then let the key's account read the repository, or add the key to it as a deploy key.",
    ),
    (
        NO_REPOSITORY,
        "There is no git repository at {shown}.",
        "Check the path; on a server of your own it begins at the root, and below the home folder with /~/.",
    ),
    (
        re.compile(r"Connection (?:closed|reset)|kex_exchange|banner exchange", re.IGNORECASE),
        "{server} answers, but not as an SSH server does.",
        "Check the port; a firewall or a proxy may stand in between.",
    ),
)


def ssh_command(known_hosts: Path, *, key: Path | None, config: Path | None = None) -> str:
    """Give the value of ``GIT_SSH_COMMAND`` with which git uses one key, asks nobody and trusts only known servers.

    The user's own configuration of SSH and the keys in its folder are left out, unless they are given: what works
    here works as well where only these files are.

    Parameters
    ----------
    known_hosts : Path
        The file with the host keys of all servers that may be talked to.
    key : Path or None
        The private key; None for the keys of the agent.
    config : Path, optional
        A configuration of SSH to use; none by default.
    """
    options = [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={_value(known_hosts)}",
        "GlobalKnownHostsFile=/dev/null",
        "UpdateHostKeys=no",
        f"ConnectTimeout={_CONNECT_SECONDS}",
    ]
    if key is None:
        options.append("IdentityFile=none")
    else:
        # Not by `-i`, with which ssh takes the keys of the user's folder when the file is missing.
        options += [f"IdentityFile={_value(key)}", "IdentitiesOnly=yes", "IdentityAgent=none"]
    command = ["ssh", "-F", "none" if config is None else os.fspath(config.absolute())]
    return shlex.join(command + [part for option in options for part in ("-o", option)])


def check_access(repository: Repository, *, known_hosts: Path, key: Path | None, timeout: float = LOOK_SECONDS) -> str:
    """Ask a repository for the commit of its reference, by ``git ls-remote``.

    Git is given neither the user's configuration nor the one of a project, since neither is there in a build.

    Parameters
    ----------
    repository : Repository
        The repository.
    known_hosts : Path
        The file with the host keys by which its server is to be known.
    key : Path or None
        The private key; None for the keys of the agent.
    timeout : float
        Seconds until the server has to have answered.

    Returns
    -------
    str
        The commit of the branch or tag, or of the default branch. A reference that is a commit is given as it is where
        no branch or tag ends with it: servers tell only of these.

    Raises
    ------
    InvalidContentError
        When the repository has no such branch or tag, or nothing in it.
    NetworkError
        When the server cannot be reached, has another host key, or refuses the key; or there is no such repository.
    CommandFailedError
        When git or ssh is not installed.
    """
    command = ["ls-remote", "--quiet", "--", repository.url]
    reference = repository.reference
    command += [reference, f"{reference}^{{}}"] if reference else ["HEAD"]
    extra = {
        "GIT_SSH_COMMAND": ssh_command(known_hosts, key=key),
        "GIT_SSH_VARIANT": "ssh",
        "GIT_ALLOW_PROTOCOL": "ssh",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    try:
        with tempfile.TemporaryDirectory() as folder:
            done = run_git(command, cwd=Path(folder), timeout=timeout, extra=extra)
    except CommandFailedError as problem:
        if not isinstance(problem.__cause__, subprocess.TimeoutExpired):
            raise
        hint = "Check the network and its firewall, then run it again."
        raise NetworkError(f"{_server(repository)} did not answer within {timeout:.0f} s.", hint=hint) from problem
    if done.code != 0:
        raise _failure(repository, known_hosts, key, done.errors)
    lines = (line.partition("\t") for line in done.output.splitlines())
    return _commit(repository, {name: commit for commit, _, name in lines})


def _commit(repository: Repository, commits: dict[str, str]) -> str:
    """Choose among the references that a server told; a branch counts before a tag of the same name, as for pip."""
    reference = repository.reference
    if not reference:
        if "HEAD" in commits:
            return commits["HEAD"]
        message = f"{repository.shown} is empty, or has no default branch."
        raise InvalidContentError(message, hint="Write a branch, a tag or a commit behind an @.")
    for name in (f"refs/heads/{reference}", f"refs/tags/{reference}", reference):
        found = commits.get(f"{name}^{{}}", commits.get(name))
        if found:
            return found
    if _COMMIT.fullmatch(reference):
        return reference
    hint = "Check its spelling, and that it was pushed; without a reference, the default branch is used."
    raise InvalidContentError(f"{_place(repository)} has no branch and no tag {reference!r}.", hint=hint)


def _failure(repository: Repository, known_hosts: Path, key: Path | None, errors: str) -> AstroMagicError:
    said = words(errors)
    if _NO_SSH.search(errors):
        return CommandFailedError("ssh is not installed, or not on the PATH.", hint=INSTALL, detail=said)
    if _HOST_KEY.search(errors):
        return _other_host_key(repository, known_hosts, errors)
    who = "the agent's keys" if key is None else f"the key {key}"
    if _SINGLE_SIGN_ON.search(errors):
        page = re.search(r"https://[^\s'\"<>]+", mask_credentials(errors))
        hint = "Authorise the key for single sign-on" + (f": {page[0].rstrip('.,')}" if page else ".")
        message = f"{_place(repository)} may be read only by keys that are authorised for single sign-on (SAML)."
        return NetworkError(message, hint=hint, detail=said)
    names = {
        "host": repository.host,
        "server": _server(repository),
        "shown": _place(repository),
        "user": repository.user,
        "who": who,
    }
    for pattern, message, hint in _REFUSALS:
        if pattern.search(errors):
            return NetworkError(message.format_map(names), hint=hint, detail=said)
    return NetworkError(f"{_place(repository)} could not be read.", hint="Check the address.", detail=said)


def _other_host_key(repository: Repository, known_hosts: Path, errors: str) -> NetworkError:
    """Say which key a server was to have, and which one it has."""
    text = (files.read_optional(known_hosts) or b"").decode(errors="replace")
    place = (repository.host, repository.port or 22)
    expected = [key for key in read_known_hosts(text) if (key.host, key.port) == place]
    has = ", ".join(_SENT.findall(errors))
    if not has:
        with contextlib.suppress(AstroMagicError):
            has = _told(scan(*place))
    has = has or "none that it tells"
    server = _server(repository)
    # Without ssh's own words: they tell to remove the key that was expected.
    if not expected:
        hint = "Compare it with what the server's owner says, then give it with --host-key."
        return NetworkError(f"The host key of {server} is not known; the server has {has}.", hint=hint)
    message = f"{server} is to be known by the host key {_told(expected)}, but the server has {has}."
    hint = "Ask the server's owner whether its key was changed; as long as that is open, it may be another server."
    return NetworkError(message, hint=hint)


def _told(keys: tuple[HostKey, ...] | list[HostKey]) -> str:
    return ", ".join(f"{key.fingerprint} ({key.kind})" for key in keys)


def _server(repository: Repository) -> str:
    return repository.host if repository.port is None else f"{repository.host}, port {repository.port},"


def _place(repository: Repository) -> str:
    """Give the repository as a person is told of it, without its reference."""
    reference = f"@{repository.reference}" if repository.reference else ""
    return repository.shown.removesuffix(reference)


def _value(path: Path) -> str:
    """Give a path as a value in a configuration of SSH, in which blanks part values and a percent sign is expanded."""
    escaped = os.fspath(path.absolute()).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
