"""Packages that are added while Airflow runs: there at once, whole or not at all, and no process is restarted."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from astro_magic.engines.local.added import background_build, read_added
from astro_magic.engines.local.supervision import Supervisor, find_supervisor
from astro_magic.environment import Environment
from astro_magic.errors import ApiError, RestartNeededError
from astro_magic.project.project import Project
from astro_magic.system.events import Event, OutputLine, Step
from tests.servers.backend import write_wheel
from tests.waiting import wait_until

pytestmark = pytest.mark.airflow

DAG = """
from importlib.metadata import version

import pendulum
import planted_first
from airflow.sdk import dag, task


@dag(schedule=None, start_date=pendulum.datetime(2026, 1, 1))
def added():
    @task
    def tell():
        import planted_first.deep

        assert (planted_first.deep.VALUE, version("planted-first")) == (812, "1.0")

    tell()


added()
"""


WAITING = """
import pendulum
import planted_second
from airflow.sdk import dag


@dag(schedule=None, start_date=pendulum.datetime(2026, 1, 1))
def waiting():
    pass


waiting()
"""


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages that no index has."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    for version in ("1.0", "2.0"):
        files = {"planted_first/__init__.py": "", "planted_first/deep.py": "VALUE = 812"}
        write_wheel(folder, "planted-first", version, [], files)
    write_wheel(folder, "planted-second", "1.0", ["planted-third"], {"planted_second.py": "import planted_third"})
    write_wheel(folder, "planted-third", "1.0", [], {"planted_third.py": ""})
    write_wheel(folder, "planted-late", "1.0", [], {"planted_late.py": ""})
    write_wheel(folder, "planted-broken", "1.0", [], {"planted_broken.py": "import no_such_module"})
    entries = {"planted_provider-1.0.dist-info/entry_points.txt": "[apache_airflow_provider]\nx = planted_provider:x\n"}
    write_wheel(folder, "planted-provider", "1.0", [], {"planted_provider.py": "", **entries})
    many = {f"planted_many/module{number}.py": "value = 1\n" * 50 for number in range(300)}
    write_wheel(folder, "planted-many", "1.0", [], {"planted_many/__init__.py": "", **many})
    return folder


def supervisor_of(project: Project) -> Supervisor:
    found = find_supervisor(project.state_dir / "run" / "supervisor.json")
    assert found is not None
    return found


def added_to(project: Project) -> dict[str, str]:
    return read_added(Path(supervisor_of(project).added))


def import_errors(environment: Environment) -> list[str]:
    with environment.engine.api().client() as client:
        return [str(each["filename"]) for each in client.get("/importErrors")["import_errors"]]


def runs(environment: Environment) -> bool:
    """Run the DAG in the running Airflow; the first task may give up waiting for its server on a busy machine."""
    try:
        return environment.trigger("added", wait=True).state == "success"
    except ApiError:
        return False


def until_built(project: Project) -> None:
    """Wait for the environment that is built in the background."""
    deadline = time.monotonic() + 200
    while (build := background_build(project).read()) is not None and build.state == "running":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert build is not None
    assert (build.state, build.message) == ("done", "")


@pytest.mark.timeout(900)
def test_a_package_is_added_while_airflow_runs(
    environment: Environment, project: Project, wheels: Path, other_kernel: Callable[[str], subprocess.Popen[str]]
) -> None:
    """In one start, since each costs seconds."""
    environment.start()
    pids = {component.name: component.pid for component in environment.status().components}
    project.requirements.add("planted-first==1.0")
    assert environment.add_packages()
    assert environment.pending().reasons == ()
    require_usable(environment)

    # What it needs comes with it; the first one stays. A DAG that waits for it is looked at again by itself.
    (project.root / "dags" / "waiting.py").write_text(WAITING)
    assert wait_until(lambda: "waiting.py" in import_errors(environment), 240)
    project.requirements.add("planted-second")
    assert environment.add_packages()
    assert wait_until(lambda: import_errors(environment) == [], 240)
    whole = {"planted-first": "1.0", "planted-second": "1.0", "planted-third": "1.0"}
    assert added_to(project) == whole

    require_refused(environment)
    assert added_to(project) == whole
    project.requirements.add("planted-many")
    require_whole_or_absent(environment, other_kernel)
    # The last one may have been killed when it was done.
    if environment.pending().reasons:
        assert environment.add_packages()
    assert added_to(project) == {**whole, "planted-many": "1.0"}

    # No process was restarted for any of it.
    status = environment.status()
    assert {component.name: component.pid for component in status.components} == pids
    assert [component.restarts for component in status.components] == [0] * len(pids)

    # The environment of the next start is there by then, and what was added is forgotten.
    until_built(project)
    history = environment.generations.read()
    assert (history[0].current, history[0].running, history[-1].running) == (True, False, True)
    assert "planted-many" in history[0].packages
    room = Path(supervisor_of(project).added).parent
    events: list[Event] = []
    environment.stop()
    environment.start(listener=events.append)
    assert not [event for event in events if isinstance(event, Step) and "installing" in event.detail]
    assert added_to(project) == {}
    assert not room.exists()
    assert environment.status().notes == ()
    assert [dag.dag_id for dag in environment.parse("added.py").dags] == ["added"]

    # What was added and is not asked for any more is gone with a restart, though the environment is the one before.
    kept = project.requirements.text()
    project.requirements.add("planted-late==1.0")
    assert environment.add_packages()
    until_built(project)
    (project.root / "requirements.txt").write_text(kept)
    environment.restart()
    assert added_to(project) == {}
    assert "planted-late" not in {each.name for each in environment.packages()}

    # Nor does one that is killed leave anything.
    room = Path(supervisor_of(project).added).parent
    os.kill(supervisor_of(project).pid, signal.SIGKILL)
    environment.stop()
    assert not room.exists()


def require_usable(environment: Environment) -> None:
    """Require that a DAG imports the package at once: where it is parsed, where it runs, and in commands."""
    (environment.project.root / "dags" / "added.py").write_text(DAG)
    assert [dag.dag_id for dag in environment.parse("added.py").dags] == ["added"]
    assert environment.test_dag("added").state == "success"
    assert wait_until(lambda: runs(environment), 240)
    said: list[Event] = []
    environment.run(["python", "-c", "import planted_first.deep as m; print(m.VALUE)"], listener=said.append)
    assert [event.text for event in said if isinstance(event, OutputLine)] == ["812"]
    (package,) = [each for each in environment.packages() if each.name == "planted-first"]
    assert (package.requested, package.origin) == ("planted-first==1.0", "added at run time")
    assert environment.status().notes[0].startswith("In the running Airflow: planted-first 1.0. The environment")


def require_refused(environment: Environment) -> None:
    """Require that what cannot be brought without a restart is told, and waits for one."""
    file = environment.project.root / "requirements.txt"
    kept = file.read_text()
    for name, why in {
        "planted-provider": "planted-provider is a provider, which Airflow looks for when it starts",
        "planted-broken": "While Airflow runs, planted-broken cannot be imported: ModuleNotFoundError",
    }.items():
        file.write_text(f"{kept}{name}\n")
        with pytest.raises(RestartNeededError, match=why):
            environment.add_packages()
    file.write_text(kept.replace("planted-first==1.0", "planted-first==2.0"))
    assert not environment.add_packages()
    file.write_text(kept.replace("planted-second", ""))
    assert not environment.add_packages()
    assert [reason.file for reason in environment.pending().reasons] == ["requirements.txt"] * 1
    file.write_text(kept)


def require_whole_or_absent(environment: Environment, other_kernel: Callable[[str], subprocess.Popen[str]]) -> None:
    """Require that whoever is killed at any moment leaves all of it or nothing."""
    project = environment.project
    before = added_to(project)
    environment.engine.resolve(project.requirements.text())
    moments = random.Random(os.urandom(8))
    for _ in range(3):
        other = other_kernel("tell('begin'); environment.add_packages()")
        assert other.stdout is not None
        assert other.stdout.readline() == "begin\n"
        time.sleep(moments.uniform(0, 2))
        other.send_signal(signal.SIGKILL)
        other.wait()
        found = added_to(project)
        assert found in (before, {**before, "planted-many": "1.0"})
        modules = Path(supervisor_of(project).added) / "planted_many"
        assert len(list(modules.glob("*.py"))) == (301 if "planted-many" in found else 0)
