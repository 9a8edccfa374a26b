"""The steps for private packages: where they stand in a Dockerfile, and what of the project they need."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from astro_magic.errors import InvalidContentError
from astro_magic.project.changes import FileChange
from astro_magic.project.dockerfile.edit import DockerfileEdit
from astro_magic.project.dockerignore import plan_included
from astro_magic.project.recipes import blocks, steps
from astro_magic.project.recipes.documented import DocumentedGit, find_documented
from astro_magic.project.recipes.existing import copies_project, installs_elsewhere
from astro_magic.project.recipes.files import KNOWN_HOSTS, PRIVATE_REQUIREMENTS, SSH_CONFIG
from astro_magic.project.recipes.images import ImageKind
from astro_magic.project.recipes.sources import NAME, PackageIndex, PrivateSources, SourcesFile, SshAccess

if TYPE_CHECKING:
    from astro_magic.project.project import Project

__all__ = ["check_dockerfile", "plan_private_steps", "put_steps"]

_CONFIG_COMMENT = f"# Which key SSH takes for which host while the image is built; made from {NAME}.\n"


def check_dockerfile(project: Project) -> None:
    """Check that a project has a Dockerfile.

    Raises
    ------
    FileAccessError
        When it cannot be read.
    InvalidContentError
        When there is none.
    """
    if project.dockerfile.read() is None:
        raise InvalidContentError(
            "The project has no Dockerfile, from which the image is built.",
            hint="%astro_init . adds what is missing of the project.",
        )


def put_steps(
    work: DockerfileEdit, name: str, steps_of: Callable[[ImageKind], Sequence[str]], *, below: int = 0
) -> None:
    """Put steps into their block, which stands above those that come later in `blocks.BLOCKS`.

    Parameters
    ----------
    work : DockerfileEdit
        The Dockerfile.
    name : str
        The block.
    steps_of : callable
        Gives the steps for the image, as it is at the place of the block.
    below : int, optional
        The line, from 1, below which the block is put when it is not there yet; by default the last one.

    Raises
    ------
    InvalidContentError
        When the steps cannot be put there.
    """
    later = blocks.BLOCKS[blocks.BLOCKS.index(name) + 1 :]
    entries = work.entries()
    begins = {each.block: each.line for each in reversed(entries) if each.block}
    place = begins.get(name) or (
        below + 1 if below else min((begins[each] for each in later if each in begins), default=None)
    )
    lines = steps_of(ImageKind.of(entries, above=place))
    # Steps are written with the usual sign for a line that goes on.
    lines = [f"{line[:-1]}{work.escape}" if line.endswith("\\") else line for line in lines]
    work.put_block(name, lines, above=later, below=below)


def plan_private_steps(project: Project, sources: PrivateSources, *, git: bool | None = None) -> tuple[FileChange, ...]:
    """Plan that the Dockerfile has the steps for these sources, and what else names the sources and the keys.

    Parameters
    ----------
    project : Project
        The project.
    sources : PrivateSources
        The sources.
    git : bool, optional
        Whether there are private repositories; by default there are as long as the steps for them are there.

    Raises
    ------
    FileAccessError
        When a file cannot be read.
    InvalidContentError
        When a file cannot be edited, or the Dockerfile leaves no place for the steps.
    """
    check_dockerfile(project)
    plan = _Steps(project, sources, git=git)
    changes = project.dockerfile.plan_edit("private packages", plan.edit).files
    if "requirements.txt" in plan.needed and project.requirements.read() is None:
        changes = (project.requirements.plan_write(""), *changes)
    return (
        *SourcesFile(project).plan(sources),
        *_plan_config(project, sources.keys),
        *plan_included(project, plan.needed),
        *changes,
    )


class _Steps:
    """The steps for private packages, and the files that they need."""

    def __init__(self, project: Project, sources: PrivateSources, *, git: bool | None) -> None:
        self._sources = sources
        self._git = git
        self._included = [each.name for each in project.requirements.included(constraints=False)]
        known = {project.requirements.name, *self._included}
        self._constraints = [each.name for each in project.requirements.included() if each.name not in known]
        self._has_os_packages = git or (project.root / project.os_packages.name).exists()
        self.needed: list[str] = []

    def edit(self, work: DockerfileEdit) -> None:
        """Bring the steps into a Dockerfile."""
        indexes = self._sources.indexes
        kind = _kind(work)
        below = 0
        documented = find_documented(work.entries())
        if indexes and documented.index is not None:
            # They are given the login as a build argument, as the documentation has it.
            indexes = ()
        if indexes and kind.installs:
            # It installs requirements.txt before any step that could know of another index.
            below = _top_of_stage(work)
            work.set_base(kind.without_steps())
            kind = _kind(work)
        git = self._git if self._git is not None else work.block(blocks.PRIVATE_PACKAGES) is not None
        if git and documented.git is not None:
            _check_documented(documented.git, self._sources.keys)
            git = False
        python = not kind.installs and (bool(indexes) or work.block(blocks.PYTHON_PACKAGES) is not None)
        if python:
            self._put_python(work, below)
        else:
            work.remove_block(blocks.PYTHON_PACKAGES)
        if git:
            self._put_git(work)
        else:
            work.remove_block(blocks.PRIVATE_PACKAGES)
        if kind.installs or not self._has_os_packages:
            work.remove_block(blocks.OS_PACKAGES)
        elif installs_elsewhere(work.entries(), "packages.txt") is None and (
            git or python or work.block(blocks.OS_PACKAGES) is not None
        ):
            put_steps(work, blocks.OS_PACKAGES, steps.os_package_steps)
            self.needed.append("packages.txt")

    def _put_python(self, work: DockerfileEdit, below: int) -> None:
        indexes = self._sources.indexes
        entries = work.entries()
        _check_no_other(installs_elsewhere(entries, "requirements.txt"), indexes)
        copies = not copies_project(entries)
        put_steps(
            work,
            blocks.PYTHON_PACKAGES,
            lambda kind: steps.python_steps(
                kind, indexes, included=self._included, constraints=self._constraints, copies=copies
            ),
            below=below,
        )
        self.needed += ["requirements.txt", *self._included, *self._constraints]

    def _put_git(self, work: DockerfileEdit) -> None:
        _check_no_other(installs_elsewhere(work.entries(), PRIVATE_REQUIREMENTS), ())
        put_steps(
            work,
            blocks.PRIVATE_PACKAGES,
            lambda kind: steps.private_steps(
                kind, self._sources, requirements=PRIVATE_REQUIREMENTS, hosts=KNOWN_HOSTS, config=SSH_CONFIG
            ),
        )
        self.needed += [PRIVATE_REQUIREMENTS, KNOWN_HOSTS]
        if steps.needs_config(self._sources.keys):
            self.needed.append(SSH_CONFIG)


def _check_documented(steps_of_git: DocumentedGit, keys: Sequence[SshAccess]) -> None:
    """Refuse what the documented steps, which somebody wrote by hand, would not do."""
    if posixpath.basename(steps_of_git.requirements) != PRIVATE_REQUIREMENTS:
        raise InvalidContentError(
            f"Dockerfile line {steps_of_git.line} installs private repositories from {steps_of_git.requirements}.",
            hint=f"Call the file {PRIVATE_REQUIREMENTS}, or remove that step and run this again.",
        )
    other = [key.id for key in keys if key.id not in steps_of_git.ids]
    if other:
        known = ", ".join(steps_of_git.ids)
        raise InvalidContentError(
            f"Dockerfile line {steps_of_git.line} mounts the SSH key {known}, and not {other[0]}.",
            hint=f"Write --id {steps_of_git.ids[0]}, or remove that step and run this again.",
        )


def _kind(work: DockerfileEdit) -> ImageKind:
    return ImageKind.of(work.entries())


def _top_of_stage(work: DockerfileEdit) -> int:
    """Find the line below which the last stage begins: where an image that installs by itself has just done so."""
    stage = work.last_stage()
    ends = [part.entry.line for part in stage if part.entry.block == blocks.CERTIFICATES]
    return max([stage[0].entry.line, *ends])


def _plan_config(project: Project, keys: Sequence[SshAccess]) -> tuple[FileChange, ...]:
    """Plan the file that tells SSH, while an image is built, which key is for which host."""
    document = project.file(SSH_CONFIG)
    if steps.needs_config(keys):
        return (document.plan_write(_CONFIG_COMMENT + steps.ssh_config(keys, steps.agent_in_build)),)
    return (document.plan_delete(),) if document.read() is not None else ()


def _check_no_other(line: int | None, indexes: Sequence[PackageIndex]) -> None:
    """Refuse to install a second time what a step of the user's own installs."""
    if line is None:
        return
    if indexes:
        login = next((f"--mount=type=secret,id={steps.LOGINS} " for each in indexes if each.asks), "")
        netrc = f"NETRC=/run/secrets/{steps.LOGINS} " if login else ""
        example = f"RUN {login}{netrc}pip install -r requirements.txt"
        hint = f"Remove that step, or let it use the index: {example} --extra-index-url {indexes[0].url}."
    else:
        hint = "Remove that step, and what it needs; then run this again."
    raise InvalidContentError(f"Dockerfile line {line} installs these packages already.", hint=hint)
