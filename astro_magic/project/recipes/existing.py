"""What steps of the user's own do already in a Dockerfile."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence

from astro_magic.project.dockerfile.dockerfile import DockerfileEntry
from astro_magic.project.dockerfile.mounts import split_options
from astro_magic.project.dockerfile.stages import Stages
from astro_magic.project.recipes.blocks import BLOCKS

__all__ = ["copies_project", "installs_elsewhere"]

_INSTALLS = re.compile(r"\b(?:install|sync)\b")


def installs_elsewhere(entries: Sequence[DockerfileEntry], file: str) -> int | None:
    """Find a step of the user's own that installs from a file of packages, in any stage.

    Parameters
    ----------
    entries : sequence of DockerfileEntry
        The Dockerfile.
    file : str
        The file, such as ``packages.txt``. Files of that name in other folders of the project do not count.

    Returns
    -------
    int or None
        Its line, counted from 1.
    """
    named = re.compile(rf"(?:(?<![\w./-])|(?<=\s-r))(?:\./|/\S*/)?{re.escape(file)}(?![\w.-])")
    # Scripts of the runtime images, which name no file.
    script = {"packages.txt": "install-system-packages", "requirements.txt": "install-python-dependencies"}.get(file)
    for entry in entries:
        if entry.keyword != "RUN" or entry.block in BLOCKS:
            continue
        by_name = named.search(entry.arguments) and _INSTALLS.search(entry.arguments)
        if by_name or (script is not None and script in entry.arguments):
            return entry.line
    return None


def copies_project(entries: Sequence[DockerfileEntry]) -> bool:
    """Tell whether a step of the user's own copies the whole project into the image."""
    final = Stages(entries).final
    return any(
        entry.keyword in {"COPY", "ADD"}
        and entry.block not in BLOCKS
        and entry.stage in final
        and _copies_all(entry.arguments)
        for entry in entries
    )


def _copies_all(arguments: str) -> bool:
    options, rest = split_options(arguments.partition("\n")[0])
    if any(name == "from" for name, _ in options):
        return False
    words = rest.split()
    if rest.startswith("["):
        with contextlib.suppress(ValueError):
            words = [str(word) for word in json.loads(rest)]
    return any(word in {".", "./", "/"} for word in words[:-1])
