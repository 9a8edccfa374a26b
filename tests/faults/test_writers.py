"""Several writers of the same file."""

from __future__ import annotations

import os
import subprocess
import sys

from astro_magic.project import Project

EDITS = 200

WRITER = """
import sys
from astro_magic.project import Project

project = Project.find(sys.argv[1])
for number in range(int(sys.argv[3])):
    project.requirements.add(f"package-{sys.argv[2]}-{number}==1")
"""


def test_two_processes_that_edit_one_file_lose_no_edit(tmp_path):
    project = Project.create(tmp_path / "shop").project
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(project.root), name, str(EDITS)], env=environment)
        for name in ("a", "b")
    ]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    expected = {f"package-{name}-{number}" for name in ("a", "b") for number in range(EDITS)}
    assert set(project.requirements.names()) == expected
    assert len(project.requirements.lines()) == len(expected) + 1
