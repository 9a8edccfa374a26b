"""Checks of the Dockerfile's users: as whom its steps run, and as whom Airflow will."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from astro_magic.errors import InvalidContentError
from astro_magic.project.checks.finding import Finding
from astro_magic.project.dockerfile.commands import Install, commands, installs
from astro_magic.project.dockerfile.images import BaseImage, stage_images
from astro_magic.project.dockerfile.lines import DockerfileEntry
from astro_magic.project.dockerfile.stages import Stages
from astro_magic.project.dockerfile.words import plain

__all__ = ["check_user"]

_FILE = "Dockerfile"
_ROOT = {"root", "0", "root:root", "0:0", "root:0"}
#: Options by which packages get a place of their own, whoever that belongs to.
_ELSEWHERE = {"--target", "-t", "--prefix", "--root", "--python", "-p"}


def check_user(entries: Sequence[DockerfileEntry], stages: Stages) -> Iterator[Finding]:
    """Check as whom the steps of a Dockerfile run, and as whom Airflow will.

    Parameters
    ----------
    entries : sequence of DockerfileEntry
        The Dockerfile.
    stages : Stages
        How its stages build on each other.
    """
    images: list[BaseImage] = []
    # What is wrong with a FROM is told by another check.
    with contextlib.suppress(InvalidContentError):
        images = stage_images(entries)
    yield from _at_the_end(stages, images)
    for entry in entries:
        if entry.stage is None or entry.stage >= len(images) or not _is_apaches(images[entry.stage]):
            continue
        found = [install for install in installs(entry) if not _is_elsewhere(entry, install)]
        user = stages.user(entry) if found else None
        if user is not None and _is_root(user):
            yield _as_root(entry, found, user)


def _at_the_end(stages: Stages, images: Sequence[BaseImage]) -> Iterator[Finding]:
    user = stages.last_user()
    if user is None or not _is_root(user):
        return
    inherited = user.stage != stages.final[0]
    yield Finding(
        "user-root",
        "warning",
        "The last stage builds on one that ends as user root, and Airflow would run as root."
        if inherited
        else "The image ends as user root, and Airflow would run as root.",
        f"Write USER {'airflow' if images and _is_apaches(images[-1]) else 'astro'} behind what needs root.",
        _FILE,
        user.line,
    )


def _as_root(entry: DockerfileEntry, found: Sequence[Install], user: DockerfileEntry) -> Finding:
    # It is the command pip that stands in for pip there; the others only put packages where Airflow's user cannot.
    if any(install.program == "pip" for install in found):
        message = f"pip runs as root here (USER in line {user.line}), which that of apache/airflow images refuses."
    else:
        message = (
            f"{found[0].program} installs as root here (USER in line {user.line}), and the packages of apache/airflow"
            " images belong to user airflow."
        )
    return Finding("pip-as-root", "warning", message, "Write USER airflow before it.", _FILE, entry.line)


def _is_elsewhere(entry: DockerfileEntry, install: Install) -> bool:
    """Tell whether packages come into an environment of their own."""
    if "/" in install.program or any(word.partition("=")[0] in _ELSEWHERE for word in install.arguments):
        return True
    return any(word.endswith("bin/activate") for command in commands(entry) for word in command)


def _is_root(user: DockerfileEntry) -> bool:
    return plain(user.arguments, user.escape).lower() in _ROOT


def _is_apaches(base: BaseImage) -> bool:
    return "apache/airflow" in base.image
