"""Environments whose making is killed at random moments: the next one is whole all the same, built or linked."""

from __future__ import annotations

import os
import random
import shutil
import time
from contextlib import suppress

import psutil
import pytest

from astro_magic.engines.local.environments import environments_home
from astro_magic.engines.local.generations import environment_folders
from astro_magic.engines.local.verification import find_broken
from tests.unit.engines.local.small import AIRFLOW, child, make_small

KILLS = 5
KILLS_IN_A_CAMPAIGN = 300
#: Many distributions of many files, so that most of the time is spent among them.
DISTRIBUTIONS = 30
FILES = 20
BUILD = "print('begin', flush=True); run(environments.prepare_environment(project))"


@pytest.fixture
def many(tmp_path, monkeypatch):
    small = make_small(tmp_path, monkeypatch)
    for number in range(DISTRIBUTIONS):
        files = {f"part{number}/module{file}.py": f"value = {file}\n" * 20 for file in range(FILES)}
        small.publish(f"part{number}", "1.0", {f"part{number}/__init__.py": "", **files})
    return small


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("way", ["built", "linked"])
def test_killed_at_a_random_moment(many, campaign, way):
    lines = [f"part{number}==1.0" for number in range(DISTRIBUTIONS)]
    locked = {"apache-airflow": AIRFLOW, **dict(line.split("==") for line in lines)}
    if way == "linked":
        many.prepare(many.project("built", *lines))
    begun = time.perf_counter()
    many.prepare(many.project("first", *lines))
    longest = time.perf_counter() - begun
    moments = random.Random(os.urandom(8))
    unfinished = 0
    for number in range(KILLS_IN_A_CAMPAIGN if campaign else KILLS):
        if way == "built":
            many.forget_environments()
            (many.known / "imported.txt").unlink()
            if moments.random() < 0.3:
                # With nothing in it, what is killed is unpacking as well.
                shutil.rmtree(many.cache)
        project = many.project(f"shop{number}", *lines)
        # Spread over the build, so that a sample has early ones and late ones as well.
        moment = (number % KILLS + moments.random()) / KILLS * longest
        kill(child(project, BUILD), moment, also_uv=moments.random() < 0.5)
        home = environments_home(project)
        found = environment_folders(home)
        unfinished += not found
        for folder in found:
            assert find_broken(folder, locked) == {}
        made, _ = many.prepare(project)
        assert find_broken(made.folder, locked) == {}
        assert environment_folders(home) == [made.folder]
        assert many.prepare(project) == (made, False)
        shutil.rmtree(project.root, ignore_errors=True)
    assert unfinished


def kill(process, delay, *, also_uv):
    """End a build without a warning; where uv is not killed with it, it goes on in a folder that nobody wants."""
    assert process.stdout.readline() == "begin\n"
    time.sleep(delay)
    try:
        started = psutil.Process(process.pid).children(recursive=True) if also_uv else []
    except psutil.NoSuchProcess:
        started = []
    process.kill()
    for each in started:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.communicate()
