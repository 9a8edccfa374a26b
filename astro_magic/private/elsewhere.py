"""The commands that build a project's image where Astro Magic is not, such as in CI."""

from __future__ import annotations

import shlex

from astro_magic.project.dockerfile.needs import declared_arguments, mounted_inputs
from astro_magic.project.project import Project
from astro_magic.project.recipes.documented import INDEX_VARIABLES
from astro_magic.project.recipes.sources import AGENT, PackageIndex, SourcesFile
from astro_magic.project.recipes.steps import LOGINS
from astro_magic.system import keyrings

__all__ = ["build_commands"]

_ENVIRONMENT = "env:"


def build_commands(project: Project) -> str:
    """Give the shell commands that build the image with its private packages; no secret is among them.

    Logins are taken from environment variables. Where the project has one in the keyring, the variable has a name after
    its index.

    Parameters
    ----------
    project : Project
        The project.

    Raises
    ------
    FileAccessError
        When a file cannot be read.
    InvalidContentError
        When the file that names the sources cannot be read.
    """
    sources = SourcesFile(project).sources()
    entries = project.dockerfile.entries()
    mounted = {(mount.kind, mount.name) for mount in mounted_inputs(entries)}
    lines = []
    options = []
    if ("secret", LOGINS) in mounted and any(index.asks for index in sources.indexes):
        # Not in the project's folder, all of which a step may copy into the image.
        lines += ["logins=$(mktemp)", "trap 'rm -f \"$logins\"' EXIT"]
        for index in (index for index in sources.indexes if index.asks):
            user, password = _shell(index, "user", index.user), _shell(index, "password", index.password)
            words = f"'machine %s login %s password %s\\n' {shlex.quote(index.host)} {user} {password}"
            lines.append(f'printf {words} >> "$logins"')
        options.append(f'--secret id={LOGINS},src="$logins"')
    for key in sources.keys:
        if ("ssh", key.id) in mounted:
            source = "$SSH_AUTH_SOCK" if key.key == AGENT else key.key.replace("~/", "$HOME/", 1)
            options.append(f'--ssh {key.id}="{source}"')
    arguments = INDEX_VARIABLES & declared_arguments(entries)
    for argument in sorted(arguments)[:1] if ("secret", LOGINS) not in mounted and sources.indexes else ():
        options.append(f"--build-arg {argument}")
        lines.append(f"# {argument} has the address of the index with its login: it stays in the image's history.")
    command = " ".join(["DOCKER_BUILDKIT=1 docker build", *options, f"--tag {shlex.quote(project.name)} ."])
    return "".join(f"{line}\n" for line in [*lines, command])


def _shell(index: PackageIndex, what: str, reference: str) -> str:
    """Give a word of the shell that stands for a part of a login."""
    if reference.startswith(_ENVIRONMENT):
        return f'"${reference.removeprefix(_ENVIRONMENT)}"'
    if keyrings.is_kept(reference):
        return f'"${index.name.upper().replace("-", "_")}_{what.upper()}"'
    return shlex.quote(reference)
