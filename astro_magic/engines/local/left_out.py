"""What a project's image would have, and local processes do not."""

from __future__ import annotations

from astro_magic.engines.inside.distributions import read_os_packages
from astro_magic.errors import InvalidContentError
from astro_magic.project.dockerfile.lines import assignments
from astro_magic.project.dockerfile.stages import Stages
from astro_magic.project.project import Project
from astro_magic.project.recipes import blocks

__all__ = ["left_out"]

#: What of a Dockerfile changes the image that a task runs in.
_KEYWORDS = ("RUN", "COPY", "ADD", "ENV")
#: Blocks of which the local engine does the same in its own way.
_DONE = frozenset(blocks.BLOCKS) - {blocks.COMMANDS}
_MOST_NAMED = 4


def left_out(project: Project) -> tuple[str, ...]:
    """Say what of a project means nothing here, and what to do where a DAG needs it.

    Parameters
    ----------
    project : Project
        The project.

    Returns
    -------
    tuple of str
        A sentence on the OS packages that this machine has not, and one on the steps of the Dockerfile.
    """
    return (*_os_packages(project), *_steps(project))


def _os_packages(project: Project) -> tuple[str, ...]:
    names = project.os_packages.names()
    installed = {name.partition(":")[0] for name in read_os_packages()} if names else set()
    missing = [name for name in names if name not in installed]
    if not missing:
        return ()
    return (f"Not installed, since there is no image: {_listed(missing)} (packages.txt). Have them on this machine.",)


def _steps(project: Project) -> tuple[str, ...]:
    try:
        entries = project.dockerfile.entries()
    except InvalidContentError:
        # What is wrong with it is said by those who need it.
        return ()
    final = Stages(entries).final
    found = []
    for entry in entries:
        if entry.keyword in _KEYWORDS and entry.stage in final and entry.block not in _DONE:
            named = " ".join(each.key for each in assignments(entry)) if entry.keyword == "ENV" else ""
            found.append(f"{entry.keyword} {named}".strip() + f" (line {entry.line})")
    if not found:
        return ()
    return (f"Not done, since there is no image: {_listed(found)} of the Dockerfile.",)


def _listed(words: list[str]) -> str:
    more = len(words) - _MOST_NAMED
    return ", ".join(words[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
