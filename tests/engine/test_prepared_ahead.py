"""A warm process that is prepared before anybody asks for a start."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from IPython.core.interactiveshell import InteractiveShell

import astro_magic
from astro_magic.engines.local.instance import Instance
from astro_magic.engines.local.supervision import Supervisor
from astro_magic.environment import Environment
from astro_magic.project.project import Project
from astro_magic.views import StatusView
from tests.engine.living import processes_of

pytestmark = pytest.mark.airflow

#: Asks the API server's own application, in a fork, as a task does. One more thread waits for the client to hang up.
ASK = """
import asyncio
import threading

import httpx
from airflow.api_fastapi.main import app
from cadwyn import applications


def main(request, emit):
    threads, generated = threading.active_count(), []
    generate = applications.generate_versioned_routers
    applications.generate_versioned_routers = lambda *given, **named: generated.append(1) or generate(*given, **named)
    (tasks,) = [mount.app for mount in app.routes if mount.path == "/execution"]

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(tasks), base_url="http://tasks.invalid") as client:
            return await client.get("/health")

    return {"status": asyncio.run(ask()).status_code, "generated": len(generated), "threads": threads}
"""


@pytest.fixture(autouse=True)
def _switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASTRO_MAGIC_WARM")


@pytest.fixture
def shell(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A shell of its own, in the project."""
    monkeypatch.chdir(project.root)
    made = InteractiveShell()
    astro_magic.load_ipython_extension(made)
    yield made
    astro_magic.unload_ipython_extension(made)


def awaited(look: Callable[[], Supervisor | None]) -> Supervisor:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.1)
    raise AssertionError("no warm process was launched")


def test_what_is_prepared_is_no_airflow_that_runs_and_the_next_start_uses_it(
    environment: Environment, project: Project, tmp_path: Path
) -> None:
    """The status names it and what it costs; a start forks from it; a stop ends it."""
    instance = Instance(project)
    environment.warm_up()
    warm = awaited(instance.find)

    status = environment.status()
    assert status.state == "stopped"
    assert not status.running
    assert (status.warm_memory or 0) > 10_000_000
    assert environment.pending(status).reasons == ()
    assert not (project.standalone_dir / "airflow.pid").exists()
    text = repr(StatusView(project.name, status))
    assert "A warm process is kept for the next start" in text
    assert "ASTRO_MAGIC_WARM=off switches it off." in text

    # What keeps an API server's first task waiting has been done, and left no thread that a fork would be without.
    script = tmp_path / "ask.py"
    script.write_text(ASK)
    (told,) = warm.talk({"do": "call", "script": str(script), "request": {}, "stage": "tasks"})
    assert told == {"result": {"status": 200, "generated": 0, "threads": 2}}

    # A second look leaves it as it is, and so does a look while Airflow runs.
    environment.warm_up()
    assert instance.find() == warm
    environment.start()
    environment.warm_up()
    assert instance.find() == warm
    running = environment.status()
    assert running.state == "running"
    assert running.warm_memory is None

    environment.stop()
    assert not psutil.pid_exists(warm.pid)
    assert environment.status().warm_memory is None


def test_it_is_renewed_for_other_variables_and_ended_when_it_is_switched_off(
    environment: Environment, project: Project
) -> None:
    """What it has imported is never older than what decides it."""
    instance = Instance(project)
    environment.warm_up()
    first = awaited(instance.find)

    project.apply(project.dotenv.plan_set({"AIRFLOW_VAR_GREETING": "changed"}))
    environment.warm_up()
    second = awaited(instance.find)
    assert not first.alive()
    assert second.variables != first.variables

    project.apply(project.dotenv.plan_set({"ASTRO_MAGIC_WARM": "off"}))
    environment.warm_up()
    assert instance.find() is None
    assert processes_of(project) == []


def test_nothing_is_prepared_where_memory_is_short(
    environment: Environment, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that nobody has asked for yet takes nothing from what runs."""
    monkeypatch.setattr("astro_magic.engines.local.instance._ROOM", 1 << 60)
    environment.warm_up()
    assert processes_of(project) == []


def test_the_first_magic_of_a_session_has_it_prepared_and_a_stop_is_the_end_of_it(
    shell: InteractiveShell, project: Project
) -> None:
    """Nobody asked for it, nobody waits for it; after a stop it does not come back by itself."""
    instance = Instance(project)
    shell.run_cell("%astro_diff")
    launched = awaited(instance.find)
    assert os.getsid(launched.pid) == launched.pid

    stopped = shell.run_cell("%astro_stop").result
    assert stopped.stop.stopped >= 1
    assert not psutil.pid_exists(launched.pid)
    shell.run_cell("%astro_status")
    time.sleep(1)
    assert processes_of(project) == []

    # A change of what it depends on is another beginning.
    shell.run_cell("%dotenv set A_NAME=value")
    assert awaited(instance.find).instance != launched.instance
