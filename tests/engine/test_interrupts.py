"""An interrupt in every phase of what takes long: nothing is half started, and the next start works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from astro_magic.engines.local.damage import inspect_environment
from astro_magic.engines.local.environments import current_environment, environments_home
from astro_magic.engines.local.supervision import find_supervisor
from astro_magic.environment import Environment, open_environment
from astro_magic.project.project import Project
from tests.engine.living import processes_of, strays_of
from tests.waiting import wait_until

pytestmark = pytest.mark.airflow

Kernel = Callable[[str], "subprocess.Popen[str]"]


def interrupt(kernel: subprocess.Popen[str], mark: str, *, after: float = 0.0) -> None:
    """Press Ctrl-C when an event has `mark` in it, or so many seconds after that."""
    assert kernel.stdout is not None
    said = []
    for line in kernel.stdout:
        said.append(line)
        if mark in line:
            break
    time.sleep(after)
    kernel.send_signal(signal.SIGINT)
    rest, _ = kernel.communicate(timeout=60)
    assert "KeyboardInterrupt" in rest, "".join(said) + rest


@pytest.mark.parametrize(
    ("mark", "after"),
    [("resolving", 0.0), ("resolving", 0.1), ("installing", 0.0), ("installing", 0.3)],
    ids=["resolving", "in uv", "installing", "in the installation"],
)
def test_while_packages_are_installed(
    environment: Environment,
    project: Project,
    other_kernel: Kernel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mark: str,
    after: float,
) -> None:
    """The environment from before is the one that counts, and nothing half installed is taken for one."""
    # One that was built before would be linked from the cache.
    monkeypatch.setenv("ASTRO_MAGIC_CACHE", str(tmp_path / "cache"))
    before = current_environment(project)
    assert before is not None
    project.requirements.add("tinydb==4.8.0")
    interrupt(other_kernel("environment.prepare(listener=tell)"), mark, after=after)
    assert processes_of(project) == []
    found = current_environment(project)
    assert found is not None
    assert inspect_environment(found.folder).damage == ""
    left = [each for each in environments_home(project).iterdir() if each.is_dir()]
    assert {each.name for each in left} <= {before.folder.name, found.folder.name}


def test_while_airflow_is_launched(environment: Environment, project: Project, other_kernel: Kernel) -> None:
    """Between the environment and the first component nothing is told; a process that was just begun is ended."""
    stale = project.make_state_dir() / "run" / "launch-0.json"
    stale.parent.mkdir(exist_ok=True)
    stale.write_text("of a kernel that was killed; it has secrets")
    for after in (0.0, 0.05, 0.2, 0.5):
        interrupt(other_kernel("environment.start(listener=tell)"), "state='done'", after=after)
        assert wait_until(lambda: processes_of(project) == [], 5)
    environment.start()
    assert list((project.state_dir / "run").glob("launch-*.json")) == []


def test_while_the_schema_is_made(
    project: Project, other_kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No template, so that Airflow's own migration runs: there is no database, rather than half of one."""
    monkeypatch.setenv("ASTRO_MAGIC_CACHE", str(tmp_path / "cache"))
    for after in (0.0, 1.0):
        interrupt(other_kernel("environment.start(listener=tell)"), "key='database'", after=after)
        assert processes_of(project) == []
        assert not list(project.standalone_dir.glob("*airflow.db*"))


def test_while_airflow_is_restarted_and_stopped(
    environment: Environment, project: Project, other_kernel: Kernel
) -> None:
    """Each leaves Airflow whole or ended; the change stays to be applied, and the next start applies it."""
    environment.start()
    moments = (
        ("environment.restart(listener=tell)", "key='stop'"),
        ("environment.restart(listener=tell)", "key='scheduler'"),
        ("environment.stop(listener=tell)", "key='stop'"),
    )
    for number, (work, mark) in enumerate(moments):
        project.apply(project.dotenv.plan_set({"AIRFLOW_VAR_GREETING": f"moment {number}"}))
        environment.start()
        interrupt(other_kernel(work), mark)
        assert wait_until(lambda: environment.status().state in ("running", "stopped"), 20)
        assert strays_of(project) == []
    environment.restart()
    assert environment.test_dag("orders")["load"].value == "moment 2 406"
    environment.stop()
    assert processes_of(project) == []


def test_a_start_while_another_kernel_stops(environment: Environment, project: Project, other_kernel: Kernel) -> None:
    """They take turns: the one that is asked for last counts."""
    environment.start()
    stopping = other_kernel("environment.stop(listener=tell)")
    assert stopping.stdout is not None
    assert "key='stop'" in stopping.stdout.readline()
    # The status is still that of what is being ended, or of nothing.
    environment.restart(force=True)
    assert stopping.wait(60) == 0
    assert environment.status().state == "running"
    assert strays_of(project) == []


def test_a_process_that_hangs_and_a_machine_that_was_switched_off(
    environment: Environment, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not answer is not told to have stopped. What the disk has of another life of the machine is no use."""
    environment.start()
    supervisor = find_supervisor(project.state_dir / "run" / "supervisor.json")
    assert supervisor is not None
    with monkeypatch.context() as impatient:
        impatient.setattr("astro_magic.engines.local.health._PATIENCE", 0.5)
        os.kill(supervisor.pid, signal.SIGSTOP)
        hanging = environment.status()
        os.kill(supervisor.pid, signal.SIGCONT)
    assert hanging.state == "starting"
    (note,) = hanging.notes
    assert note == f"The process that runs Airflow (process {supervisor.pid}) does not answer; %astro_stop ends it."
    assert environment.status().state == "running"

    record, pid_file = project.state_dir / "run" / "supervisor.json", project.standalone_dir / "airflow.pid"
    kept = {file: file.read_text() for file in (record, pid_file)}
    for each in supervisor.members():
        each.kill()
    assert wait_until(lambda: processes_of(project) == [], 20)
    # Its process id is somebody else's now, who has the lock's card and the socket's place as well.
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        for file, text in kept.items():
            file.write_text(text.replace(str(supervisor.pid), str(stranger.pid)))
        Path(supervisor.socket).touch()
        lock = project.state_dir / "engine.lock"
        lock.touch()
        lock.with_name("engine.lock.json").write_text(f'{{"pid": {stranger.pid}, "purpose": "starting", "since": "?"}}')
        assert environment.status().state == "stopped"
        assert open_environment(project).start().status.state == "running"
        assert int(pid_file.read_text()) != stranger.pid
        assert stranger.poll() is None

        # One that is on record no more would be found by nobody; it ends by itself.
        other = record.with_name("other")
        now = find_supervisor(record)
        assert now is not None
        other.write_text(record.read_text().replace(now.instance, "another"))
        other.replace(record)
        assert wait_until(lambda: processes_of(project) == [], 60)
    finally:
        stranger.kill()
        stranger.wait()
