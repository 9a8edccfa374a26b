"""The process that builds a project's environment in the background: it goes on when the kernel ends."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from astro_magic.engines.local.added import background_build
from astro_magic.engines.local.environments import prepare_environment
from astro_magic.errors import AstroMagicError
from astro_magic.project.project import Project
from astro_magic.system.events import run

__all__ = ["main"]

_POLITE = 10
#: First comes the DAG that imports what was added, and perhaps another package.
_PAUSE_SECONDS = 3.0


def main(root: str) -> None:
    """Build the environment of the project in `root`, and note how it went."""
    os.nice(_POLITE)
    time.sleep(_PAUSE_SECONDS)
    project = Project(Path(root))
    failure = ""
    try:
        run(prepare_environment(project))
    except AstroMagicError as problem:
        failure = problem.message
    background_build(project).note_result(failure)


if __name__ == "__main__":
    main(sys.argv[1])
