"""A writer that is killed: at random moments, and at each of its system calls."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections import Counter

import pytest

from astro_magic.project import Project
from tests.faults.tracing import FILES, files_of, is_one_version, make_project, run_writer, version

KILLS = 1000


def check(project, before):
    """Look at what a killed writer left: whole files, a lock that is free, a history that works, nothing stray."""
    for name in FILES:
        assert is_one_version(project.file(name).text())
    contents = [project.file(name).read() for name in FILES]
    if len(set(contents)) > 1:
        # Killed between the two files: the change was recorded first, so it can be taken back.
        project.undo()
        contents = [project.file(name).read() for name in FILES]
        assert len(set(contents)) == 1
    for name in FILES:
        project.file(name).write(version(3))
        project.undo()
    assert [project.file(name).read() for name in FILES] == contents
    assert files_of(project) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_writer_killed_at_a_random_moment(tmp_path):
    project = make_project(tmp_path / "shop")
    before = files_of(project)
    seen: Counter[str] = Counter()
    moments = random.Random(os.urandom(8))
    begin = time.perf_counter()
    project.file(FILES[0]).write(version(2))
    longest = 4 * (time.perf_counter() - begin)
    for _ in range(KILLS):
        child = os.fork()
        if child == 0:
            try:
                for number in range(10, 10_000):
                    for name in FILES:
                        project.file(name).write(version(number))
            finally:
                os._exit(1)
        time.sleep(moments.uniform(0, longest))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for name in FILES:
            text = project.file(name).text()
            assert is_one_version(text)
            seen[text.partition("\n")[0]] += 1
    for name in FILES:
        project.file(name).write(version(1))
    check(project, before)
    # Many of them were killed in the middle of their work.
    assert len(seen) > 2


@pytest.mark.strace
@pytest.mark.timeout(1800)
def test_a_writer_killed_at_each_of_its_system_calls(tmp_path, campaign):
    pristine = make_project(tmp_path / "pristine").root
    root = tmp_path / "shop"
    # The same state before each run, so that each makes the same system calls.
    shutil.copytree(pristine, root, symlinks=True)
    project = Project(root)
    before = files_of(project)
    usual = run_writer(project)
    assert usual.code == 0, usual.said
    assert {"rename", "fsync", "write", "openat", "unlink"} <= {name for name, _ in usual.calls}
    killed = 0
    places = usual.calls[:: 1 if campaign else 7]
    for name, number in places:
        shutil.rmtree(root)
        shutil.copytree(pristine, root, symlinks=True)
        killed += run_writer(project, f"{name}:signal=KILL:when={number}").code == -signal.SIGKILL
        check(project, before)
    # A run whose calls come in another number may get to its end.
    assert killed > 0.9 * len(places)
