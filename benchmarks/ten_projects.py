"""Ten projects whose Airflows run at once on one machine: how long each start takes, and what they take together."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path

import psutil

from astro_magic.environment import Environment, open_environment
from astro_magic.project.project import Project
from benchmarks._instance import memory_of, supervisor_of
from benchmarks._measure import timed
from benchmarks._project import measured_project

_PROJECTS = 10


def _copy(first: Environment, root: Path) -> Environment:
    """Make a project like another, whose environment shares its files on disk with that one's."""

    def share(source: str, target: str) -> None:
        if f"{os.sep}environments{os.sep}" in source:
            os.link(source, target)
        else:
            shutil.copy2(source, target)

    shutil.copytree(first.project.root, root, symlinks=True, copy_function=share)
    return open_environment(Project(root), engine="local")


def main() -> int:
    """Start them one after the other, look at all, stop all; give the exit code."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else _PROJECTS
    with measured_project() as first, ExitStack() as ends:
        folder = first.project.root.parent
        environments = [first, *(_copy(first, folder / f"shop{number}") for number in range(2, count + 1))]
        for environment in environments:
            ends.callback(environment.stop)
        starts = [timed(environment.start) for environment in environments]
        healthy = [environment.status().state == "running" for environment in environments]
        instances = [supervisor_of(environment) for environment in environments]
        processes = [process for instance in instances for process in instance.members()]
        memory = memory_of(processes, "pss")
        load, free = psutil.getloadavg()[0], psutil.virtual_memory().available / 1e9
        stops = [timed(environment.stop) for environment in environments]
        left = [process.pid for instance in instances for process in instance.members()]
    print(f"{sum(healthy)} of {count} projects healthy at once, {len(processes)} processes, load {load:.1f}")
    print(
        f"start: {starts[0]:.1f} s the first, {starts[-1]:.1f} s the last, {statistics.median(starts):.1f} s the median"
    )
    print(f"memory (PSS): {memory:.0f} MB in all, {memory / count:.0f} MB each; {free:.1f} GB were free beside them")
    print(f"stop: {statistics.median(stops):.2f} s the median; {len(left)} processes left")
    return 0 if all(healthy) and not left else 1


if __name__ == "__main__":
    sys.exit(main())
