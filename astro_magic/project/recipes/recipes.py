"""What it takes to have private packages, certificates and commands in an image: each recipe is one change.

A recipe brings several files to what it needs, and leaves alone what else stands in them. Done again, it changes
nothing; it is taken back as one change.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from astro_magic.errors import InvalidContentError
from astro_magic.project.changes import Change
from astro_magic.project.dockerfile.edit import DockerfileEdit
from astro_magic.project.dockerignore import plan_included
from astro_magic.project.recipes import blocks, steps
from astro_magic.project.recipes.files import (
    AUTHORITIES,
    KnownHosts,
    PrivateRequirements,
    key_of,
    plan_authorities,
)
from astro_magic.project.recipes.images import ImageKind, own_users
from astro_magic.project.recipes.private import check_dockerfile, plan_private_steps, put_steps
from astro_magic.project.recipes.repository import Repository
from astro_magic.project.recipes.sources import PackageIndex, PrivateSources, SourcesFile, SshAccess
from astro_magic.system.secrets import mask_credentials

if TYPE_CHECKING:
    from astro_magic.project.project import Project

__all__ = [
    "plan_certificates",
    "plan_commands",
    "plan_git",
    "plan_index",
    "plan_without_certificates",
    "plan_without_commands",
    "plan_without_git",
    "plan_without_index",
]

#: What SSH and pip need in an image to read a repository.
_FOR_GIT = ("openssh-client", "git")


def plan_git(
    project: Project, repositories: Sequence[Repository], access: SshAccess, host_keys: Sequence[str]
) -> Change:
    """Plan that packages of private git repositories are installed, over SSH.

    Parameters
    ----------
    project : Project
        The project.
    repositories : sequence of Repository
        The repositories, all on the host of `access`.
    access : SshAccess
        The key for them.
    host_keys : sequence of str
        The keys by which the host is known, as lines of a ``known_hosts`` file.

    Raises
    ------
    FileAccessError
        When a file cannot be read.
    InvalidContentError
        When a file cannot be edited, or the Dockerfile leaves no place for the steps.
    """
    sources = SourcesFile(project).sources().with_key(access)
    named = [replace(each, host=access.alias) if access.alias else each for each in repositories]
    there = project.os_packages.names()
    missing = [name for name in _FOR_GIT if name not in there]
    return Change(
        "private repositories",
        (
            PrivateRequirements(project).plan_repositories(named, _hosts(sources)),
            KnownHosts(project).plan_keys(host_keys),
            *project.os_packages.plan_merge("\n".join(missing)).files,
            *plan_private_steps(project, sources, git=True),
        ),
    )


def plan_without_git(project: Project, repositories: Collection[Repository]) -> Change:
    """Plan that packages of some private repositories are installed no more; with the last one, the steps go.

    What was added to ``packages.txt`` stays, since others may need it by now.

    Raises
    ------
    FileAccessError
        When a file cannot be read.
    InvalidContentError
        When the repositories are not there, or a file cannot be edited.
    """
    before = SourcesFile(project).sources()
    document = PrivateRequirements(project)
    hosts = _hosts(before)
    gone = {key_of(each, hosts) for each in repositories}
    there = document.repositories()
    left = [each for each in there if key_of(each, hosts) not in gone]
    others = document.has_others()
    # A key that no repository is named with may be there for what repositories need themselves.
    unused = (
        {each.host for each in there} - {each.host for each in left} if left else {key.written for key in before.keys}
    )
    dropped = [key for key in before.keys if key.written in unused and not others]
    keys = tuple(key for key in before.keys if key not in dropped)
    known = {key.known_as for key in dropped} - {key.known_as for key in keys}
    return Change(
        "private repositories",
        (
            document.plan_without(repositories, hosts),
            KnownHosts(project).plan_without(known),
            *plan_private_steps(project, replace(before, keys=keys), git=bool(left) or others),
        ),
    )


def plan_index(project: Project, index: PackageIndex) -> Change:
    """Plan that packages are installed from a private index, too.

    Raises
    ------
    FileAccessError
        When a file cannot be read.
    InvalidContentError
        When a file cannot be edited, or the Dockerfile leaves no place for the steps.
    """
    return Change("private index", plan_private_steps(project, SourcesFile(project).sources().with_index(index)))


def plan_without_index(project: Project, name: str) -> Change:
    """Plan that packages are installed from an index no more.

    Raises
    ------
    FileAccessError
        When a file cannot be read.
    InvalidContentError
        When there is no such index, or a file cannot be edited.
    """
    before = SourcesFile(project).sources()
    if before.index(name) is None:
        known = ", ".join(each.name for each in before.indexes)
        raise InvalidContentError(f"There is no private index {name[:60]!r}.", hint=f"There is: {known or 'none'}.")
    sources = replace(before, indexes=tuple(each for each in before.indexes if each.name != name))
    return Change("private index", plan_private_steps(project, sources))


def plan_certificates(project: Project, company: str, files: Mapping[str, bytes]) -> Change:
    """Plan that the image trusts certificate authorities.

    Parameters
    ----------
    project : Project
        The project.
    company : str
        Whose they are: the name of their folder.
    files : Mapping of str to bytes
        By the name of the file, without an ending: the certificate, in PEM form.

    Raises
    ------
    FileAccessError
        When a file cannot be read.
    InvalidContentError
        When the company's name cannot be the name of a folder, or the Dockerfile cannot be edited.
    """

    def edit(work: DockerfileEdit) -> None:
        kind = ImageKind.of(work.entries())
        # Who runs steps in an image that is not known is not known before a USER line says so.
        users = () if kind.known else own_users(work.entries())
        below = users[0].line if users else kind.base.line
        put_steps(work, blocks.CERTIFICATES, lambda kind: steps.certificate_steps(kind, AUTHORITIES), below=below)

    check_dockerfile(project)
    added = plan_authorities(project, company, files)
    change = project.dockerfile.plan_edit("certificate authority", edit)
    included = plan_included(project, [file.name for file in added], folder=AUTHORITIES)
    return Change("certificate authority", (*added, *included, *change.files))


def plan_without_certificates(project: Project, files: Collection[str]) -> Change:
    """Plan that certificates are trusted no more; with the last one, the steps go.

    Parameters
    ----------
    project : Project
        The project.
    files : collection of str
        Their files, relative to the project.

    Raises
    ------
    FileAccessError
        When a file cannot be read.
    InvalidContentError
        When there is no such file, or the Dockerfile cannot be edited.
    """
    there = {path.relative_to(project.root).as_posix() for path in (project.root / AUTHORITIES).rglob("*.crt")}
    for name in sorted(set(files) - there):
        raise InvalidContentError(
            f"The project has no certificate {name[:100]!r}.", hint=f"There is: {', '.join(sorted(there)) or 'none'}."
        )
    changes = [project.file(name).plan_delete() for name in sorted(files)]
    if there <= set(files):
        change = project.dockerfile.plan_edit(
            "certificate authority", lambda work: work.remove_block(blocks.CERTIFICATES)
        )
        changes += change.files
    return Change("certificate authority", tuple(changes))


def plan_commands(project: Project, commands: Sequence[str], *, root: bool = False) -> Change:
    """Plan that commands are run when the image is built, behind all other steps.

    Parameters
    ----------
    project : Project
        The project.
    commands : sequence of str
        Shell commands, each on one line; those that are there already are not added again.
    root : bool, optional
        Run these as root.

    Raises
    ------
    FileAccessError
        When the Dockerfile cannot be read.
    InvalidContentError
        When a command is empty or has several lines, or the Dockerfile cannot be edited.
    """
    for command in commands:
        if not command.strip() or len(command.strip().splitlines()) > 1:
            raise InvalidContentError(
                "A command that is run on build is one line, and not empty.", hint="Join several commands with &&."
            )
    check_dockerfile(project)
    document = project.dockerfile
    entries = document.entries()
    begin = next((each.line for each in entries if each.block == blocks.COMMANDS), None)
    kind = ImageKind.of(entries, above=begin)
    lines = steps.command_steps(kind, [command.strip() for command in commands], root=root)
    return document.plan_merge("\n".join(lines), block=blocks.COMMANDS)


def plan_without_commands(project: Project, commands: Collection[str]) -> Change:
    """Plan that commands are run on build no more.

    Parameters
    ----------
    project : Project
        The project.
    commands : collection of str
        The commands; all of the block when there is none.

    Raises
    ------
    FileAccessError
        When the Dockerfile cannot be read.
    InvalidContentError
        When the block has no such command, or the Dockerfile cannot be edited.
    """
    document = project.dockerfile
    if not commands:
        return document.plan_remove_block(blocks.COMMANDS)
    gone = {command.strip() for command in commands}
    found = [each for each in document.entries() if each.block == blocks.COMMANDS and each.keyword == "RUN"]
    for name in sorted(gone - {each.arguments.strip() for each in found}):
        known = "; ".join(mask_credentials(each.arguments.strip()) for each in found)
        raise InvalidContentError(
            f"{mask_credentials(name)[:100]!r} is not run on build.",
            hint=f"There is: {known}." if known else "Nothing is.",
        )
    return document.plan_edit("commands on build", lambda work: _take_out(work, gone))


def _take_out(work: DockerfileEdit, commands: Collection[str]) -> None:
    """Take commands out of their block, with the lines that switch to another user for them."""
    inside = [part for part in work.parts if part.entry.block == blocks.COMMANDS]
    gone = [part for part in inside if part.entry.keyword == "RUN" and part.entry.arguments.strip() in commands]
    left = [part for part in inside if part not in gone]
    if not any(part.entry.keyword not in {"", "USER"} for part in left):
        work.remove_block(blocks.COMMANDS)
        return
    user = ImageKind.of(work.entries(), above=inside[0].entry.line).user
    instructions = [part for part in left if part.entry.keyword]
    for part, following in zip(instructions, [*instructions[1:], None], strict=True):
        if part.entry.keyword != "USER":
            continue
        if part.entry.arguments == user or (following is not None and following.entry.keyword == "USER"):
            gone.append(part)
        else:
            user = part.entry.arguments
    work.remove_parts(gone)


def _hosts(sources: PrivateSources) -> dict[str, str]:
    return {key.alias: key.host for key in sources.keys if key.alias}
