"""What still runs for a project, and waiting for what is to come."""

from __future__ import annotations

import os

import psutil

from astro_magic.engines.inside.processes import MARKER
from astro_magic.project.project import Project


def processes_of(project: Project) -> list[psutil.Process]:
    """Give every living process that works in a project or comes from its environment."""
    own = {os.getpid()}
    found = []
    for process in psutil.process_iter():
        if process.pid in own:
            continue
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            words = " ".join(process.cmdline())
            place = process.cwd()
            marked = MARKER in process.environ()
        except psutil.Error:
            continue
        if str(project.root) in words or (place.startswith(str(project.root)) and (marked or "airflow" in words)):
            found.append(process)
    return found
