"""What still runs for a project, and what of it should not."""

from __future__ import annotations

import os

import psutil

from astro_magic.engines.inside.processes import MARKER
from astro_magic.engines.local.supervision import find_supervisor, record_of
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


def strays_of(project: Project) -> list[psutil.Process]:
    """Give the processes of a project that belong to no instance which is on record."""
    first = _not_on_record(project)
    # What was forked between the two readings of a look is known at the next.
    return [each for pid, each in _not_on_record(project).items() if pid in first] if first else []


def _not_on_record(project: Project) -> dict[int, psutil.Process]:
    supervisor = find_supervisor(record_of(project))
    ours = {each.pid for each in supervisor.members()} if supervisor else set()
    return {each.pid: each for each in processes_of(project) if each.pid not in ours}
