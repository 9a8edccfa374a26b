"""Installs that are killed at random moments and run again: what is left of the environment, beside ``uv pip install``.

The same small packages for both, from an index in a folder; uv's cache has them, but for some rounds.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

import pytest
from uv import find_uv_bin

from astro_magic.engines.local.verification import find_broken
from astro_magic.errors import AstroMagicError
from astro_magic.resolve import uv
from astro_magic.system import processes
from tests.unit.engines.local.small import AIRFLOW, Small, child, here, make_small

_ROUNDS = 40
_DISTRIBUTIONS = 60
_FILES = 40
_SEED = 20261122
_BUILD = "print('begin', flush=True); run(environments.prepare_environment(project))"
_LINES = [f"part{number}==1.0" for number in range(_DISTRIBUTIONS)]
_LOCKED = {"apache-airflow": AIRFLOW, **dict(line.split("==") for line in _LINES)}

Outcome: TypeAlias = Literal["whole", "failed", "silently broken"]


def main() -> None:
    """Kill, run again, and print what came of it."""
    moments = random.Random(_SEED)  # noqa: S311
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        small = make_small(Path(folder), patch)
        for number in range(_DISTRIBUTIONS):
            files = {f"part{number}/module{file}.py": f"value = {file}\n" * 20 for file in range(_FILES)}
            small.publish(f"part{number}", "1.0", {f"part{number}/__init__.py": "", **files})
        ways: dict[str, Callable[[int, float], Outcome]] = {
            "ours": lambda number, moment: _ours(small, number, moment),
            "uv pip install": lambda number, moment: _bare(small, number, moment),
        }
        longest = {name: _duration(way) for name, way in ways.items()}
        results: dict[str, Counter[Outcome]] = {name: Counter() for name in ways}
        for number in range(_ROUNDS):
            if number % 4 == 0:
                shutil.rmtree(small.cache)
            if number % 2 == 0:
                # Else it is linked from the last one.
                small.forget_environments()
            for name, way in ways.items():
                results[name][way(number, moments.uniform(0, longest[name]))] += 1
    print(f"{_ROUNDS} kills each, {_DISTRIBUTIONS} packages of {_FILES} files")
    print(f"{'':20}{'whole':>10}{'failed':>10}{'silently broken':>18}")
    for name, counts in results.items():
        print(f"{name:20}{counts['whole']:>10}{counts['failed']:>10}{counts['silently broken']:>18}")


def _duration(way: Callable[[int, float], Outcome]) -> float:
    """Give about how long one takes that is not killed."""
    started = time.perf_counter()
    way(-1, 60.0)
    return (time.perf_counter() - started) / 2


def _ours(small: Small, number: int, moment: float) -> Outcome:
    project = small.project(f"shop{number}", *_LINES)
    process = child(project, _BUILD)
    assert process.stdout is not None
    process.stdout.readline()
    _kill(process, moment)
    try:
        made, _ = small.prepare(project)
    except AstroMagicError:
        return "failed"
    outcome: Outcome = "silently broken" if find_broken(made.folder, _LOCKED) else "whole"
    shutil.rmtree(project.root, ignore_errors=True)
    return outcome


def _bare(small: Small, number: int, moment: float) -> Outcome:
    folder = small.folder / f"bare{number}"
    uv.call(["venv", "--quiet", "--no-project", "--python", here().path, folder])
    names = ["pip", f"apache-airflow=={AIRFLOW}", *_LINES]
    command = [find_uv_bin(), "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), *names]
    environment = uv.uv_environment()
    _kill(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL), moment)
    again = processes.run(command, env=environment)
    broken = find_broken(folder, _LOCKED)
    shutil.rmtree(folder)
    if again.code:
        return "failed"
    return "silently broken" if broken else "whole"


def _kill(process: subprocess.Popen[str] | subprocess.Popen[bytes], moment: float) -> None:
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate()


if __name__ == "__main__":
    main()
