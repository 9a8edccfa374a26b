"""The process that a project's Airflow is forked from, as benchmarks look at it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Literal

import psutil

from astro_magic.engines.local.instance import Instance
from astro_magic.engines.local.supervision import Supervisor
from astro_magic.environment import Environment

__all__ = ["await_warm", "memory_of", "supervisor_of"]

_STAGES = {"core", "api", "execution", "tasks"}


def supervisor_of(environment: Environment) -> Supervisor:
    """Give the process; there has to be one."""
    found = Instance(environment.project).find()
    assert found is not None
    return found


def await_warm(environment: Environment) -> None:
    """Wait until it has imported all that it imports in quiet moments; asking is no quiet, so that is done seldom."""
    deadline = time.monotonic() + 180
    while not set(supervisor_of(environment).ask({"do": "status"})["loaded"]) >= _STAGES:
        if time.monotonic() > deadline:
            raise RuntimeError("the process did not import everything")
        time.sleep(3)


def memory_of(processes: Iterable[psutil.Process], kind: Literal["rss", "pss"]) -> float:
    """Give the memory of processes in MB: with all that they share (``rss``), or with their part of it (``pss``)."""
    total = 0
    for process in processes:
        try:
            total += getattr(process.memory_full_info(), kind)
        except psutil.Error:
            continue
    return total / 1e6
