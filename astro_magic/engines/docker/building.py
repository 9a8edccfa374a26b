"""The process that builds a project's image in the background: it goes on when the kernel that started it ends."""

from __future__ import annotations

import sys
from pathlib import Path

from astro_magic.engines.docker.engine import DockerEngine
from astro_magic.engines.docker.image.background import background_build
from astro_magic.errors import AstroMagicError
from astro_magic.project.project import Project
from astro_magic.system.events import run

__all__ = ["main"]


def main(root: str) -> None:
    """Build the image of the project in `root`, and note how it went."""
    project = Project(Path(root))
    failure = ""
    try:
        run(DockerEngine(project).prepare())
    except AstroMagicError as problem:
        failure = problem.message
    background_build(project).note_result(failure)


if __name__ == "__main__":
    main(sys.argv[1])
