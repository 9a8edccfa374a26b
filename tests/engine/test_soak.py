"""One warm process through restarts, parses, runs and triggers: 200 of them in a campaign."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from astro_magic.environment import Environment
from astro_magic.project.project import Project
from benchmarks._instance import supervisor_of
from benchmarks.soak import Sample, leaks, soak
from tests.engine.living import processes_of

pytestmark = pytest.mark.airflow

ROUNDS = 3
ROUNDS_IN_A_CAMPAIGN = 200


@pytest.mark.timeout(7200)
def test_restarts_leave_nothing_behind(
    environment: Environment, project: Project, campaign: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that all of them are forked from keeps its size, and a stop ends what is there."""
    monkeypatch.delenv("ASTRO_MAGIC_WARM")
    samples = soak(environment, ROUNDS_IN_A_CAMPAIGN if campaign else ROUNDS)
    assert leaks(samples) == []
    assert supervisor_of(environment).alive()
    environment.stop()
    assert processes_of(project) == []


@pytest.mark.parametrize(("name", "grown"), [("rss", 120), ("pss", 70), ("files", 30), ("threads", 2), ("children", 7)])
def test_what_grows_is_told(name: str, grown: int) -> None:
    """The measure would see it."""
    samples = [Sample(number, 100, 60, 12, 1, 5, 0, 1) for number in range(1, 41)]
    assert leaks(samples) == []
    changed: dict[str, Any] = {"number": 41, name: grown}
    assert leaks([*samples, replace(samples[-1], **changed)])
