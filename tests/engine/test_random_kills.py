"""Kills at random moments of start, restart and stop: nothing is left, and the next start works. 300 in a campaign."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from astro_magic.engines.local.damage import inspect_environment
from astro_magic.engines.local.database.sqlite import is_sound
from astro_magic.engines.local.environments import environments_of
from astro_magic.engines.local.supervision import find_supervisor
from astro_magic.engines.local.verification import find_broken
from astro_magic.environment import open_environment
from astro_magic.project.project import Project
from tests.engine.living import processes_of, strays_of

pytestmark = pytest.mark.airflow

SAMPLE, ALL = 3, 300
#: What a kernel does when the fault comes.
WORK = {
    "start": "environment.start()",
    "restart": "environment.restart()",
    "stop": "environment.stop()",
}
#: Which of the processes are killed at once.
VICTIMS = (
    ("kernel",),
    ("supervisor",),
    ("component",),
    ("guard",),
    ("kernel", "supervisor"),
    ("supervisor", "guard"),
    ("component", "guard"),
    ("kernel", "supervisor", "guard", "component"),
)
#: Seconds that a machine with much else to do may take.
SETTLING, WORKING = 120.0, 180.0

Kernel = Callable[[str], "subprocess.Popen[str]"]


class Site:
    """One project, what may happen to it, and what has to hold afterwards.

    Parameters
    ----------
    project : Project
        The project.
    kernel : callable
        Starts a Python that sees ``environment``.
    dice : random.Random
        What chooses.
    """

    def __init__(self, project: Project, kernel: Kernel, dice: random.Random) -> None:
        self.project = project
        self.kernel = kernel
        self.dice = dice
        self.environment = open_environment(project)
        self.record = project.state_dir / "run" / "supervisor.json"
        self.environment.start()
        self.environments = environments_of(project)
        #: How long each kind of work takes at most; moments are spread over that.
        self.longest = dict.fromkeys(WORK, 2.0)
        #: What happened, for whoever reads that it went wrong; and how long each next start took.
        self.told: list[str] = []
        self.starts: list[float] = []

    def fault(self, number: int) -> None:
        """Kill some processes in the middle of something, and look whether all is well afterwards."""
        work = self.dice.choice(list(WORK))
        victims = VICTIMS[number % len(VICTIMS)]
        if work == "start":
            self.environment.stop()
        self.project.apply(self.project.dotenv.plan_set({"AIRFLOW_VAR_GREETING": f"round {number}"}))
        kernel = self.kernel(f"print('begin', flush=True); {WORK[work]}")
        assert kernel.stdout is not None
        assert kernel.stdout.readline() == "begin\n"
        begun = time.monotonic()
        delay = self.dice.uniform(0, self.longest[work])
        time.sleep(delay)
        self.told.append(f"{number}. {work}, after {delay:.2f} of {self.longest[work]:.2f} s: {', '.join(victims)}")
        done = kernel.poll() is not None
        killed = self._kill(victims, kernel)
        said, _ = kernel.communicate(timeout=WORKING)
        if kernel.returncode == 0 and not done:
            self.longest[work] = max(self.longest[work], time.monotonic() - begun)
        self.told[-1] += f" ({killed} killed; {_last(said) or 'nothing said'})"
        # What the kernel could not do is told by an error of ours.
        assert kernel.returncode <= 0 or "\nastro_magic.errors." in said, said
        if not {"supervisor", "guard"} <= set(victims):
            self._settle()
        self._check()

    def _kill(self, victims: Iterable[str], kernel: subprocess.Popen[str]) -> int:
        """Kill those of the processes that are there; gives how many."""
        there: dict[str, psutil.Process] = {}
        with suppress(psutil.Error):
            there["kernel"] = psutil.Process(kernel.pid)
        with suppress(psutil.Error, ProcessLookupError, StopIteration):
            # Before it has a record, it is known by the session that it leads.
            leaders = (each for each in processes_of(self.project) if os.getsid(each.pid) == each.pid)
            there["supervisor"] = next(leaders)
            # The guard is its first child.
            below = sorted(there["supervisor"].children(), key=lambda each: each.pid)
            others = [each for each in there["supervisor"].children(recursive=True) if each not in below[:1]]
            if below:
                there["guard"] = below[0]
            if others:
                there["component"] = self.dice.choice(others)
        found = [there[name] for name in victims if name in there]
        for each in found:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        return len(found)

    def _settle(self) -> None:
        """Wait until what runs is an instance that is whole, or ended by itself."""
        deadline = time.monotonic() + SETTLING
        while strays_of(self.project) or self.environment.status().state not in ("running", "stopped"):
            assert time.monotonic() < deadline, (strays_of(self.project), self.environment.status())
            time.sleep(0.1)

    def _check(self) -> None:
        begun = time.monotonic()
        status = self.environment.start().status
        self.starts.append(time.monotonic() - begun)
        assert status.state == "running"
        assert self.environment.status().state == "running"
        assert strays_of(self.project) == []
        assert environments_of(self.project) == self.environments
        assert [inspect_environment(each.folder).damage for each in self.environments] == [""]
        assert is_sound(self.project.standalone_dir / "airflow.db")
        following = self.record.with_name("successor.json")
        if following.exists():
            # It was killed with its kernel, and what it has left goes with a stop.
            assert find_supervisor(following) is None
            self.environment.stop()
            self.environment.start()
        supervisor = find_supervisor(self.record)
        assert supervisor is not None
        expected = {self.record, Path(supervisor.added).parent}
        assert set(self.record.parent.iterdir()) == expected


def _last(said: str) -> str:
    return said.strip().rpartition("\n")[2][:150]


@pytest.mark.timeout(5 * 3600)
def test_random_kills(
    project: Project,
    other_kernel: Kernel,
    campaign: bool,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    seed = random.randrange(1_000_000)
    dice = random.Random(seed)
    site = Site(project, other_kernel, dice)
    begun = time.monotonic()
    first = dice.randrange(len(VICTIMS))
    try:
        for number in range(first, first + (ALL if campaign else SAMPLE)):
            site.fault(number)
    except BaseException as problem:
        problem.add_note("\n".join([f"seed {seed}", *site.told]))
        raise
    for made in site.environments:
        assert find_broken(made.folder, {"humanize": "4.9.0"}) == {}
    middle = sorted(site.starts)[len(site.starts) // 2]
    told = f"{len(site.told)} from seed {seed} in {time.monotonic() - begun:.0f} s; next start: {middle:.1f} s"
    record_testsuite_property("kills", told)
    for number, line in enumerate(site.told):
        record_testsuite_property(f"kill {number}", line)
    assert site.environment.trigger("orders", wait=True, timeout=120).state == "success"
    site.environment.stop()
    assert list(site.record.parent.iterdir()) == []
