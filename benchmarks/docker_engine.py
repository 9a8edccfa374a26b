"""What a change costs in Docker, beside stopping, building, starting and waiting as the Astro CLI does it."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import docker

from astro_magic.airflow.health import read_health
from astro_magic.engines.answers import EngineStatus
from astro_magic.engines.docker.image.background import background_build
from astro_magic.engines.docker.names import PROJECT_LABEL, SERVICE_LABEL, Names
from astro_magic.environment import Environment, open_environment
from astro_magic.project.project import Project
from astro_magic.system.events import Event, Step
from benchmarks._docker_baseline import Baseline, all_healthy
from benchmarks._measure import Row, show, timed
from tests.docker import images
from tests.docker.ui_probe import UiProbe

_ADDED = ("toolz==1.0.0", "xmltodict==0.15.1", "parse==1.20.2", "boltons==25.0.0", "schema==0.7.7")
_CHANGED = ("cowsay==6.1", "cowsay==6.0", "cowsay==5.0")
_QUICK_ROUNDS = 15
_NEIGHBOURS, _CONTAINERS_EACH = 10, 6
_DAG = """
import datetime

from airflow.sdk import dag, task


@dag(schedule=None, start_date=datetime.datetime(2026, 1, 1))
def orders():
    @task
    def extract():
        return list(range(812))

    extract()


orders()
"""

Change: TypeAlias = Callable[[Project, int], object]


class Timeline:
    """When the steps of an operation began and ended."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self._steps: dict[str, tuple[float, float, str, str]] = {}
        self._end = self._begun

    def __call__(self, event: Event) -> None:
        """Take an event."""
        if isinstance(event, Step):
            self._end = now = time.perf_counter()
            first = self._steps.get(event.key, (now - self._begun,))[0]
            self._steps[event.key] = (first, now - self._begun, event.title, event.detail)

    def show(self, title: str, seconds: float) -> None:
        """Print them."""
        print(f"\n{title}, {seconds:.2f} s:")
        for begun, end, name, detail in sorted(self._steps.values()):
            print(f"  {begun:6.2f} to {end:5.2f} s  {name:16} {detail[:60]}")


class Sides:
    """The same project twice: ours, and the baseline. Only one of them runs at a time; the other one is paused."""

    def __init__(self, folder: Path) -> None:
        self.client = docker.from_env()
        self.ours = open_environment(_project(folder / "ours"), engine="docker")
        self.baseline = Baseline(_project(folder / "otherwise"))

    @property
    def url(self) -> str:
        """Address of our UI."""
        return self.ours.engine.api().base_url

    @contextmanager
    def awake(self, project: Project) -> Iterator[None]:
        """Let one side run during the block."""
        paused = self.of(project, status="paused")
        _side_by_side([each.unpause for each in paused])
        if paused:
            self._settle(self.url if project is self.ours.project else self.baseline.url)
        try:
            yield
        finally:
            self._pause(project)

    def _pause(self, project: Project) -> None:
        """Pause one side; a container whose processes fork at that moment may have to be asked again."""
        for _ in range(5):
            with suppress(docker.errors.APIError):
                _side_by_side([each.pause for each in self.of(project, status="running")])
                return
            time.sleep(1)
        raise RuntimeError("the containers of one side cannot be paused")

    def of(self, project: Project, *, status: str | None = None) -> list[docker.models.containers.Container]:
        """Give the containers of one side."""
        filters = {"label": f"{PROJECT_LABEL}={Names.of(project).compose}", **({"status": status} if status else {})}
        found: list[docker.models.containers.Container] = self.client.containers.list(all=True, filters=filters)
        return found

    def remove(self) -> None:
        """Remove both with all that is theirs."""
        _side_by_side([each.unpause for each in self.of(self.ours.project, status="paused")])
        self.ours.kill(images=True)
        self.baseline.kill()
        with suppress(docker.errors.ImageNotFound):
            self.client.images.remove(self.baseline.names.image, force=True)

    def _settle(self, url: str) -> None:
        since, deadline = datetime.now(UTC), time.monotonic() + 60
        while not all_healthy(read_health(url), since):
            if time.monotonic() > deadline:
                raise RuntimeError("an environment that was paused does not get healthy again")
            time.sleep(0.2)


def _project(root: Path) -> Project:
    made = Project.create(root).project
    (root / "dags" / "exampledag.py").unlink()
    (root / "dags" / "orders.py").write_text(_DAG)
    # The Astro CLI's own package has no part in it.
    made.apply(made.requirements.plan_merge(_CHANGED[0]))
    return made


def _side_by_side(calls: Sequence[Callable[[], object]]) -> None:
    with ThreadPoolExecutor(12) as pool:
        for done in [pool.submit(call) for call in calls]:
            done.result()


class Measurement:
    """The values of both sides."""

    def __init__(self, sides: Sides) -> None:
        self._sides = sides
        self.rows: dict[str, tuple[list[float], list[float]]] = {}
        self.failed: dict[str, list[int]] = {}
        self.answered: list[float] = []

    def _add(self, name: str, ours: float | None = None, baseline: float | None = None) -> None:
        row = self.rows.setdefault(name, ([], []))
        for values, value in zip(row, (ours, baseline), strict=True):
            if value is not None:
                values.append(value)

    def first_start(self) -> None:
        """Start both on empty volumes, with an image that is there."""
        sides = self._sides
        sides.ours.kill()
        with sides.awake(sides.ours.project):
            self._add("first start, empty volumes", timed(sides.ours.start))
        sides.baseline.kill()
        with sides.awake(sides.baseline.project):
            self._add("first start, empty volumes", None, sides.baseline.start())

    def ours(self, name: str, change: Change, number: int) -> Timeline:
        """Apply a change with ours."""
        sides = self._sides
        with sides.awake(sides.ours.project):
            change(sides.ours.project, number)
            timeline = Timeline()
            with UiProbe(sides.url, patience=1) as probe:
                seconds = timed(lambda: sides.ours.restart(listener=timeline))
            self._add(name, seconds)
            self._add(f"{name}: UI down", probe.down)
            self.failed.setdefault(name, []).append(probe.failed)
            self._await_build()
        return timeline

    def baseline(self, names: Sequence[str], changes: Sequence[Change], number: int) -> None:
        """Apply changes the other way; it counts for each of them, since any of them costs the same."""
        sides = self._sides
        with sides.awake(sides.baseline.project):
            for change in changes:
                change(sides.baseline.project, number)
            variable = ("region", str(number)) if _settings in changes else None
            with UiProbe(sides.baseline.url, patience=1) as probe:
                seconds = sides.baseline.restart(variable=variable)
            self.answered.append(seconds - sides.baseline.parts["answered"])
            for name in names:
                self._add(name, None, seconds)
                self._add(f"{name}: UI down", None, probe.down)

    def importable(self, requirement: str) -> None:
        """Check that a fresh process in a worker's container imports a package."""
        sides = self._sides
        with sides.awake(sides.ours.project):
            worker = next(each for each in sides.of(sides.ours.project) if each.labels[SERVICE_LABEL] == "scheduler")
            done = worker.exec_run(["python", "-c", f"import {requirement.partition('=')[0]}"])
        if done.exit_code:
            raise RuntimeError(f"{requirement} cannot be imported: {done.output.decode()[-300:]}")

    def _await_build(self) -> None:
        """Wait for the image that is built in the background: it is not to fall on the other side."""
        while (build := background_build(self._sides.ours.project).read()) is not None and build.state == "running":
            time.sleep(0.1)


def _added(project: Project, number: int) -> None:
    project.apply(project.requirements.plan_merge(_ADDED[number % len(_ADDED)]))


def _changed(project: Project, number: int) -> None:
    project.apply(project.requirements.plan_merge(_CHANGED[(number + 1) % len(_CHANGED)]))


def _dockerfile(project: Project, number: int) -> None:
    project.apply(project.dockerfile.plan_set("ENV", {"MEASURED": str(number)}))


def _variable(project: Project, number: int) -> None:
    project.apply(project.dotenv.plan_set({"MEASURED_TOO": str(number)}))


def _settings(project: Project, number: int) -> None:
    project.apply(project.settings.plan_set("variable", "region", {"variable_value": f"number {number}"}))


def _measure(sides: Sides, rounds: int, *, rebuild_only: bool) -> tuple[Measurement, dict[str, tuple[Timeline, float]]]:
    values, profiles = Measurement(sides), {}
    sides.ours.prepare()
    sides.baseline.build()
    with sides.awake(sides.ours.project):
        # The first start of an Airflow version on this machine makes what later ones use.
        sides.ours.start()
    for _ in range(1 if rebuild_only else rounds):
        values.first_start()
    for number in range(0 if rebuild_only else rounds):
        values.ours("settings", _settings, number)
        timeline = values.ours(".env", _variable, number)
        profiles[".env"] = (timeline, values.rows[".env"][0][-1])
        values.baseline(("settings", ".env"), (_settings, _variable), number)
    for number in range(0 if rebuild_only else rounds):
        values.ours("package added", _added, number)
        values.importable(_ADDED[number % len(_ADDED)])
        values.baseline(("package added",), (_added,), number)
    for number in range(0 if rebuild_only else rounds):
        values.ours("package changed", _changed, number)
        values.baseline(("package changed",), (_changed,), number)
    for number in range(rounds):
        timeline = values.ours("full rebuild", _dockerfile, number)
        profiles["full rebuild"] = (timeline, values.rows["full rebuild"][0][-1])
        values.baseline(("full rebuild",), (_dockerfile,), number)
    return values, profiles


# -- what is measured in milliseconds --------------------------------------------------------------------------------


@contextmanager
def _neighbours(client: docker.DockerClient) -> Iterator[None]:
    """Have small containers of ten other projects on the engine."""
    made: list[docker.models.containers.Container] = []

    def make(number: int) -> None:
        labels = {
            PROJECT_LABEL: f"bench-neighbour-{number // _CONTAINERS_EACH}",
            SERVICE_LABEL: ("postgres", "db-migration", "scheduler", "dag-processor", "api-server", "triggerer")[
                number % _CONTAINERS_EACH
            ],
            "io.astronomer.docker": "true",
        }
        container = client.containers.create(images.DEBIAN, ["sleep", "3600"], labels=labels, network_mode="none")
        made.append(container)
        container.start()

    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(make, range(_NEIGHBOURS * _CONTAINERS_EACH)))
        yield
    finally:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda each: each.remove(force=True), made))


def _quick(environment: Environment, call: Callable[[Environment], object]) -> list[float]:
    call(environment)
    return [1000 * timed(lambda: call(environment)) for _ in range(_QUICK_ROUNDS)]


def _deaths(sides: Sides) -> list[float]:
    """Kill one worker after the other, until a status tells of it; gives the milliseconds."""
    seen: list[tuple[float, EngineStatus]] = []

    def follow() -> None:
        seen.extend((time.perf_counter(), status) for status in sides.ours.watch())

    threading.Thread(target=follow, daemon=True).start()
    values = []
    for service in ("triggerer", "dag-processor", "scheduler"):
        time.sleep(2)
        container = next(each for each in sides.of(sides.ours.project) if each.labels[SERVICE_LABEL] == service)
        killed = time.perf_counter()
        container.kill()
        while (told := _told(seen, service.replace("-", " "), killed)) is None:
            time.sleep(0.005)
        values.append(1000 * (told - killed))
    return values


def _told(seen: Sequence[tuple[float, EngineStatus]], name: str, since: float) -> float | None:
    for moment, status in tuple(seen):
        states = {component.name: component.state for component in status.components}
        if moment > since and states.get(name) in ("stopped", "failed"):
            return moment
    return None


def _show_quick(name: str, values: Sequence[float], target: str) -> None:
    middle = statistics.median(values)
    print(f"{name:50}{middle:8.0f} ms ({min(values):.0f}-{max(values):.0f})   {target}")


_TARGETS = {
    "first start, empty volumes": "at most 0.7",
    "settings": "at most 0.1",
    ".env": "at most 0.45",
    "package added": "at most 0.06",
    "package changed": "at most 0.4",
    "full rebuild": "at most 0.5",
    "full rebuild: UI down": "at most 0.4",
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the Docker engine.")
    parser.add_argument("--rounds", type=int, default=3, help="of the long ones")
    parser.add_argument("--rebuild-only", action="store_true", help="measure the full rebuild alone")
    asked = parser.parse_args()
    if asked.rounds < 1 or (asked.rounds > len(_ADDED) and not asked.rebuild_only):
        parser.error(f"--rounds is from 1 to {len(_ADDED)}, or any number with --rebuild-only")
    images.ensure()
    folder = Path(tempfile.mkdtemp(prefix="astro-magic-bench-"))
    # What the user's other tools are told of environments stays as it is.
    os.environ["ASTRO_HOME"] = str(folder)
    sides = Sides(folder)
    try:
        values, profiles = _measure(sides, asked.rounds, rebuild_only=asked.rebuild_only)
        measured = {name: target for name, target in _TARGETS.items() if name in values.rows}
        show([Row(name, *values.rows[name], "s", target) for name, target in measured.items()])
        print()
        with sides.awake(sides.ours.project):
            with _neighbours(sides.client):
                _show_quick("restart with nothing to do", _quick(sides.ours, Environment.restart), "under 300 ms")
                _show_quick("status beside 60 other containers", _quick(sides.ours, Environment.status), "under 150 ms")
            _show_quick("a container's death until it is told", _deaths(sides), "under 500 ms")
        print()
        for changed in [each for each in ("package added", "package changed") if each in values.failed]:
            failed = ", ".join(map(str, values.failed[changed]))
            print(f"{changed}: failed probes of the UI, ten a second: {failed}   none")
        for name, (timeline, seconds) in profiles.items():
            timeline.show(f"{name}, the last of ours", seconds)
        earlier = statistics.median(values.answered)
        print("\notherwise: stop everything, docker build, start everything, wait.")
        print("Both sides are measured until each component has given a sign of life that is younger than its start;")
        print(f"the Astro CLI itself waits for an answer of the UI, which comes {earlier:.1f} s earlier.")
    finally:
        sides.remove()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
