"""What a Dockerfile wants to be given for a build: secrets, SSH keys and build arguments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from astro_magic.project.dockerfile.lines import DockerfileEntry, assignments
from astro_magic.project.dockerfile.mounts import mounts
from astro_magic.project.dockerfile.stages import needed_stages

__all__ = ["MountedInput", "declared_arguments", "mounted_inputs"]


@dataclass(frozen=True)
class MountedInput:
    """A build secret or an SSH key that a step mounts.

    Attributes
    ----------
    line : int
        Where the step begins, counted from 1.
    kind : str
        ``secret`` or ``ssh``.
    name : str
        Its id.
    required : bool
        Whether the step fails without it.
    """

    line: int
    kind: str
    name: str
    required: bool


def mounted_inputs(entries: Sequence[DockerfileEntry]) -> Iterator[MountedInput]:
    """Give the secrets and keys that are mounted in the stages that are built, as far as they are named."""
    stages = needed_stages(entries)
    for entry in entries:
        if entry.keyword != "RUN" or entry.stage not in stages:
            continue
        for mount in mounts(entry.arguments):
            kind = mount.get("type", "")
            target = mount.get("target") or mount.get("dst") or ""
            name = mount.get("id") or (PurePosixPath(target).name if kind == "secret" else "default")
            if kind in {"secret", "ssh"} and "$" not in name:
                # Said in so many words, it may be missing.
                yield MountedInput(entry.line, kind, name, mount.get("required", "") not in {"false", "0"})


def declared_arguments(entries: Sequence[DockerfileEntry]) -> set[str]:
    """Give the names of the build arguments that are declared."""
    return {found.key for entry in entries if entry.keyword == "ARG" for found in assignments(entry)}
