"""A writer of project files in a process of its own, whose system calls strace watches, kills at, or makes fail."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from astro_magic.project import Project

__all__ = ["FILES", "LINES", "Run", "files_of", "is_one_version", "make_project", "run_writer", "version"]

FILES = ("requirements.txt", "include/query.sql")
LINES = 300

_WRITER = """
import os, sys
import astro_magic.project.journal, difflib
from astro_magic.project import Change, Project

lines, project = int(sys.argv[1]), Project.find(sys.argv[2])
text = "value-2==1\\n" * lines
documents = [project.file(name) for name in sys.argv[3:]]
# The edit begins behind a system call that nothing else makes.
try:
    os.getpriority(os.PRIO_USER, 4242)
except OSError:
    pass
try:
    project.apply(Change("new version", tuple(document.plan_write(text) for document in documents)))
except Exception as error:
    # By another call than write, which may be the one that fails.
    notes = getattr(error, "__notes__", ())
    os.writev(2, [f"{type(error).__name__}: {error} {notes}".encode()])
    os._exit(1)
"""


@dataclass(frozen=True)
class Run:
    """What became of the writer: its exit code (minus the signal), what it said, and the calls its edit made."""

    code: int
    said: str
    calls: Sequence[tuple[str, int]]
    """Each with its number among the calls of the same name, counted from 1 and from the start of the process."""


def version(number: int) -> str:
    """Give a text of which every line says which version it is."""
    return f"value-{number}==1\n" * LINES


def is_one_version(text: str) -> bool:
    """Tell whether a text is a whole version, and not a mix."""
    lines = text.splitlines()
    return len(lines) == LINES and len(set(lines)) == 1


def make_project(folder: os.PathLike[str]) -> Project:
    """Make a project with the first version of the files."""
    project = Project.create(str(folder)).project
    for name in FILES:
        project.file(name).write(version(1))
    return project


def files_of(project: Project) -> list[str]:
    """Give the files of a project, without what we know about it."""
    return sorted(
        path.relative_to(project.root).as_posix()
        for path in project.root.rglob("*")
        if project.state_dir not in path.parents
    )


def run_writer(project: Project, *inject: str) -> Run:
    """Let a process write the second version.

    Parameters
    ----------
    project : Project
        The project.
    *inject : str
        What strace is to do to its system calls, such as ``write:error=ENOSPC:when=40``.
    """
    trace = project.root.parent / "trace"
    options = [word for injection in inject for word in ("-e", f"inject={injection}")]
    result = subprocess.run(
        [
            *("strace", "-qq", "-o", str(trace), *options),
            *(sys.executable, "-c", _WRITER, str(LINES), str(project.root), *FILES),
        ],
        # Each run is to make the same calls.
        env={
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    names = [match[0] for line in trace.read_text().splitlines() if (match := re.match(r"\w+", line))]
    start = names.index("getpriority") if "getpriority" in names else len(names)
    counted = Counter(names[:start])
    calls = []
    for name in names[start + 1 :]:
        counted[name] += 1
        calls.append((name, counted[name]))
    return Run(result.returncode, result.stderr, calls)
