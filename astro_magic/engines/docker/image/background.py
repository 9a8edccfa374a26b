"""The image's build in the background, and commands that a killed kernel left building."""

from __future__ import annotations

from contextlib import suppress

import psutil

from astro_magic.engines.background import Background, end_processes
from astro_magic.project.project import Project

__all__ = ["background_build", "end_abandoned_builds"]


def background_build(project: Project) -> Background:
    """Give the build of a project's image in the background."""
    return Background(project, "docker", "astro_magic.engines.docker.building")


def end_abandoned_builds(tag: str) -> None:
    """End the commands that still build an image though the kernel that started them was killed.

    They would go on to their end, and then give the tag to what they made of files that have changed since. Only who
    holds the project's turn to build may call this: nobody else builds then.

    Parameters
    ----------
    tag : str
        The image's name with its tag.
    """
    abandoned = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            argv = process.cmdline()
            if "build" in argv and argv[argv.index("build") :].count(tag):
                abandoned.append(process)
    end_processes(abandoned)
