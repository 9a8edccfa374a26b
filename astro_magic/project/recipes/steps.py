"""The steps that recipes put into a Dockerfile, each in a managed block of its own.

They follow the Astro documentation ("Install Python packages from private sources", "Add a CA certificate to an Astro
Runtime image"), but for one thing: a login is mounted while a step runs, where the documentation hands it over as a
build argument, which stays in the image's history.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence

from astro_magic.project.recipes.images import ImageKind
from astro_magic.project.recipes.sources import PackageIndex, PrivateSources, SshAccess

__all__ = [
    "LOGINS",
    "agent_in_build",
    "certificate_steps",
    "command_steps",
    "needs_config",
    "os_package_steps",
    "private_steps",
    "python_steps",
    "ssh_config",
]

#: The id of the build secret that holds the logins of all indexes, as a netrc file.
LOGINS = "netrc"
_LOGINS_AT = f"/run/secrets/{LOGINS}"
_KEYS_AT = "/run/ssh"
_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_AUTHORITIES = "/usr/local/share/ca-certificates"


def certificate_steps(kind: ImageKind, folder: str) -> list[str]:
    """Give the steps that make an image trust the certificate authorities of a folder.

    Parameters
    ----------
    kind : ImageKind
        The image.
    folder : str
        Their folder in the project.
    """
    variables = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")
    trusted = [f"{'ENV' if not place else '   '} {name}={_BUNDLE}" for place, name in enumerate(variables)]
    return [
        f"# Trusts the certificate authorities in {folder}/, in Python too, which has a list of its own.",
        *kind.as_root([f"COPY {folder}/ {_AUTHORITIES}/", "RUN update-ca-certificates"]),
        *(f"{line} \\" for line in trusted[:-1]),
        trusted[-1],
    ]


def os_package_steps(kind: ImageKind) -> list[str]:
    """Give the steps that install ``packages.txt``."""
    steps = [
        "COPY packages.txt ./",
        "RUN apt-get update \\",
        "    && tr -d '\\r' < packages.txt | sed 's/#.*//' | xargs -r apt-get install --yes --no-install-recommends \\",
        "    && rm -rf /var/lib/apt/lists/*",
    ]
    return ["# Installs packages.txt, which this image does not do by itself.", *kind.as_root(steps)]


def python_steps(
    kind: ImageKind,
    indexes: Sequence[PackageIndex],
    *,
    included: Sequence[str] = (),
    constraints: Sequence[str] = (),
    copies: bool = True,
) -> list[str]:
    """Give the steps that install ``requirements.txt``, with the private indexes.

    Parameters
    ----------
    kind : ImageKind
        The image.
    indexes : sequence of PackageIndex
        The indexes.
    included : sequence of str
        Files of requirements that ``requirements.txt`` includes.
    constraints : sequence of str
        Files of constraints that it includes.
    copies : bool
        Whether the project's files are copied into the image, too.
    """
    about = ["# Installs requirements.txt, which this image does not do by itself."]
    if indexes:
        word = "index" if len(indexes) == 1 else "indexes"
        about = [f"# Installs requirements.txt, with the private {word} {', '.join(each.name for each in indexes)}."]
    if _asking(indexes):
        about.append("# Logins are mounted while that runs, and stay out of the image.")
    files = ["requirements.txt", *included]
    commands = [command for index in indexes if index.only for command in _pinned(index, files)]
    commands.append(_install("requirements.txt", indexes))
    steps = [*_copies_of([*files, *constraints]), *_run([*_login_mounts(kind, indexes)], commands)]
    lines = [*about, *kind.as_installer(steps)]
    return [*lines, f"COPY --chown={kind.owner}:0 . ." if kind.owner else "COPY . ."] if copies else lines


def private_steps(kind: ImageKind, sources: PrivateSources, *, requirements: str, hosts: str, config: str) -> list[str]:
    """Give the steps that install packages from private git repositories.

    Parameters
    ----------
    kind : ImageKind
        The image.
    sources : PrivateSources
        Keys and indexes.
    requirements : str
        The file that names the repositories.
    hosts : str
        The file with the keys of their hosts.
    config : str
        The file that tells SSH which key is for which host; only several keys need it.
    """
    several = needs_config(sources.keys)
    mounts = [*_key_mounts(kind, sources.keys, several=several)]
    mounts.append(f"--mount=type=bind,source={hosts},target=/etc/ssh/ssh_known_hosts")
    if several:
        mounts.append(f"--mount=type=bind,source={config},target=/etc/ssh/ssh_config.d/private.conf")
    mounts += _login_mounts(kind, sources.indexes)
    return [
        f"# Installs {requirements} over SSH.",
        "# Keys are mounted while that runs, and stay out of the image.",
        *kind.as_installer([f"COPY {requirements} ./", *_run(mounts, [_install(requirements, sources.indexes)])]),
    ]


def needs_config(keys: Sequence[SshAccess]) -> bool:
    """Tell whether SSH has to be told which key is for which host."""
    return len(keys) > 1 or any(key.alias for key in keys)


def ssh_config(keys: Sequence[SshAccess], identity: Callable[[SshAccess], Sequence[str]]) -> str:
    """Set a configuration of SSH that names the key for each host.

    Parameters
    ----------
    keys : sequence of SshAccess
        The keys.
    identity : callable
        Gives the lines that name a key, such as ``IdentityFile ~/.ssh/shop``.
    """
    lines = []
    for key in keys:
        lines.append(f"Host {key.alias or key.host}")
        lines += [f"    HostName {key.host}", f"    HostKeyAlias {key.known_as}"] if key.alias else []
        lines += [f"    Port {key.port}"] if key.alias and key.port else []
        lines += [f"    {line}" for line in identity(key)]
    return "".join(f"{line}\n" for line in lines)


def agent_in_build(key: SshAccess) -> tuple[str, ...]:
    """Name the place where a build has a key."""
    return (f"IdentityAgent {_KEYS_AT}/{key.id}",)


def command_steps(kind: ImageKind, commands: Sequence[str], *, root: bool) -> list[str]:
    """Give the steps that run commands when the image is built."""
    steps = [f"RUN {command}" for command in commands]
    return kind.as_root(steps) if root else steps


def _asking(indexes: Iterable[PackageIndex]) -> bool:
    return any(index.asks for index in indexes)


def _copies_of(files: Iterable[str]) -> Iterator[str]:
    for name in files:
        yield f"COPY {name} ./{posixpath.dirname(name)}".rstrip("/") + "/"


def _login_mounts(kind: ImageKind, indexes: Sequence[PackageIndex]) -> Iterator[str]:
    if _asking(indexes):
        mode = "" if kind.installer == "root" else ",mode=0444"
        yield f"--mount=type=secret,id={LOGINS},target={_LOGINS_AT}{mode},required=true"


def _key_mounts(kind: ImageKind, keys: Sequence[SshAccess], *, several: bool) -> Iterator[str]:
    mode = "" if kind.installer == "root" else ",mode=0666"
    for key in keys:
        target = f",target={_KEYS_AT}/{key.id}" if several else ""
        yield f"--mount=type=ssh,id={key.id}{target}{mode},required=true"


def _install(file: str, indexes: Sequence[PackageIndex], *, only: PackageIndex | None = None) -> list[str]:
    """Give the lines of a command that installs a file: with these indexes as well, or with one alone."""
    login = f"NETRC={_LOGINS_AT} " if _asking([only] if only is not None else indexes) else ""
    alone = "--no-deps " if only is not None else ""
    places = [f"--extra-index-url {shlex.quote(index.url)}" for index in indexes]
    if only is not None:
        places = [f"--index-url {shlex.quote(only.url)}"]
    return [f"{login}pip install --no-cache-dir {alone}--requirement {file}", *(f"    {place}" for place in places)]


def _pinned(index: PackageIndex, files: Sequence[str]) -> Iterator[list[str]]:
    """Give the commands that take some packages from one index alone, before the others are looked for everywhere."""
    names = "|".join(name.replace("-", "[-_.]+") for name in index.only)
    listed = f"/tmp/{index.name}.txt"  # noqa: S108 - in the image, while it is built
    # Without a match, grep tells that as a failure.
    yield [f"{{ grep -hiE '^ *({names})([^a-z0-9._-]|$)' {' '.join(files)} || true; }} > {listed}"]
    yield _install(listed, (), only=index)
    yield [f"rm {listed}"]


def _run(mounts: Sequence[str], commands: Sequence[Sequence[str]]) -> list[str]:
    """Set a RUN: each mount, command and index on a line of its own."""
    lines = list(mounts)
    for place, (first, *rest) in enumerate(commands):
        lines += [f"&& {first}" if place else first, *rest]
    first, *rest = (f"{line} \\" if place + 1 < len(lines) else line for place, line in enumerate(lines))
    return [f"RUN {first}", *(f"    {line}" for line in rest)]
