"""Random faults while random work goes on: nothing is left over, and the next start works. 50 of them in a campaign."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable

import docker
import pytest

from astro_magic.environment import Environment, open_environment
from astro_magic.project.project import Project
from tests.docker.kernels import Kernel, builds_of, kernel, strays
from tests.docker.living import containers_of, leftovers
from tests.docker.second_engine import SecondEngine

SAMPLE, ALL = 4, 50
#: Seconds after which a fault may come at the latest.
LATEST = 12.0
#: What a kernel does when the fault comes.
WORK = {
    "start": "environment.start(listener=tell)",
    "restart": "environment.restart(listener=tell)",
    "stop": "environment.stop(listener=tell)",
    "kill": "environment.kill()",
}


class Site:
    """One project on an engine, and what may happen to it.

    Parameters
    ----------
    engine : SecondEngine
        The engine.
    client : docker.DockerClient
        A client of it.
    project : Project
        The project.
    dice : random.Random
        What chooses.
    """

    def __init__(
        self, engine: SecondEngine, client: docker.DockerClient, project: Project, dice: random.Random
    ) -> None:
        self.engine = engine
        self.client = client
        self.project = project
        self.dice = dice
        self.environment: Environment = open_environment(project)
        self.rounds = 0
        #: What happened, for whoever reads that it went wrong.
        self.told: list[str] = []

    def change(self) -> str:
        """Change something that a restart has to apply; gives the name of what was changed."""
        self.rounds += 1
        self.project.apply(self.project.dotenv.plan_set({"AIRFLOW_VAR_GREETING": f"round {self.rounds}"}))
        if self.dice.random() < 0.5:
            return ".env"
        self.project.apply(self.project.dockerfile.plan_set("ENV", {"ROUND": str(self.rounds)}))
        return "Dockerfile"

    def faults(self, other: Kernel) -> dict[str, Callable[[], object]]:
        """Give what may happen while another kernel works."""
        return {
            "the engine ends": self.engine.stop,
            "the engine is killed": lambda: self.engine.stop(signal.SIGKILL),
            "the process of a container is killed": lambda: self._kill_container(by_engine=False),
            "a container is killed": lambda: self._kill_container(by_engine=True),
            "the kernel is killed": other.process.kill,
            "the kernel is interrupted": lambda: other.process.send_signal(signal.SIGINT),
            "the build is killed": self._kill_build,
        }

    def fault(self) -> None:
        """Let something go wrong in the middle of something, and look whether all is well afterwards."""
        work = self.dice.choice(["start", "restart", "restart", "restart", "stop", "kill"])
        if work == "start":
            self.environment.stop()
        changed = self.change()
        with kernel(self.project, WORK[work]) as other:
            what, strike = self.dice.choice(list(self.faults(other).items()))
            delay = self.dice.uniform(0, 1.5 if what == "the build is killed" else LATEST)
            self.told.append(f"{work} with another {changed}, after {delay:.1f} s {what}")
            time.sleep(delay)
            strike()
            other.wait(180)
        if not self.engine.running:
            self.engine.start()
        self._check()

    def _check(self) -> None:
        self.environment.start()
        self.environment.restart()
        assert self.environment.status().state == "running"
        assert self.environment.pending().reasons == ()
        assert strays(self.client, self.project) == []
        services = {str(container.labels["com.docker.compose.service"]) for container in self._containers()}
        assert services == {"postgres", "scheduler", "dag-processor", "api-server", "triggerer"}
        assert self.environment.trigger("orders", wait=True, timeout=120).state == "success"

    def last_words(self) -> list[str]:
        """Give what each container is, and what it wrote last."""
        if not self.engine.running:
            return []
        found = []
        for container in containers_of(self.client, self.project):
            found.append(f"{container.name}, {container.status}, restarted {container.attrs['RestartCount']} times:")
            found.append(container.logs(tail=30).decode(errors="replace"))
        return found

    def _containers(self) -> list[docker.models.containers.Container]:
        return [each for each in containers_of(self.client, self.project) if each.status == "running"]

    def _kill_container(self, *, by_engine: bool) -> None:
        running = self._containers()
        if not running:
            return
        chosen = self.dice.choice(running)
        # It may be gone by now, as may its process.
        with contextlib.suppress(docker.errors.APIError, ProcessLookupError):
            if by_engine:
                chosen.kill()
            else:
                chosen.reload()
                os.kill(chosen.attrs["State"]["Pid"] or 0x3FFFFF, signal.SIGKILL)

    def _kill_build(self) -> None:
        for build in builds_of(self.project):
            build.kill()


@pytest.mark.timeout(7200)
def test_random_faults(
    engine: SecondEngine,
    second_client: docker.DockerClient,
    second_project: Project,
    campaign: bool,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    seed = random.randrange(1_000_000)
    site = Site(engine, second_client, second_project, random.Random(seed))
    begun = time.monotonic()
    try:
        for _ in range(ALL if campaign else SAMPLE):
            site.fault()
    except BaseException as problem:
        problem.add_note("\n".join([f"seed {seed}", *site.told, *site.last_words()]))
        raise
    record_testsuite_property("faults", f"{len(site.told)} from seed {seed} in {time.monotonic() - begun:.0f} s")
    for number, told in enumerate(site.told, start=1):
        record_testsuite_property(f"fault {number}", told)
    site.environment.kill(images=True)
    assert leftovers(second_client, second_project) == []
