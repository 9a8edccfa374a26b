"""The metadata database with a real Airflow: upgrades, downgrades, and what a killed migration leaves."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from astro_magic.engines.options import DatabaseOptions, StartOptions
from astro_magic.environment import open_environment
from astro_magic.errors import DatabaseError, StartFailedError
from astro_magic.project.project import Project
from astro_magic.system.events import Event, Step
from tests.engine.conftest import copy_of
from tests.engine.living import processes_of

pytestmark = pytest.mark.airflow

DAG = """
import pendulum
from airflow.sdk import dag, task


@dag(schedule=None, start_date=pendulum.datetime(2026, 1, 1))
def notes():
    @task
    def note():
        return 1

    note()


notes()
"""
OLD, NEW = "3.2.2", "3.3.2"


def use_airflow(project: Project, version: str) -> None:
    """Let the project's image be the one of another Airflow."""
    other = Project.create(project.root.parent / f"of-{version}", airflow=version).project
    (project.root / "Dockerfile").write_text((other.root / "Dockerfile").read_text())


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of the older Airflow that has an environment of each; only ever copied."""
    made = Project.create(tmp_path_factory.mktemp("both") / "shop", airflow=OLD).project
    (made.root / "dags" / "notes.py").write_text(DAG)
    for version in (NEW, OLD):
        use_airflow(made, version)
        open_environment(made).prepare()
    return made


@pytest.fixture
def project(both: Project, tmp_path: Path) -> Iterator[Project]:
    """A project with both environments; whatever runs for it is ended, and must be."""
    made = copy_of(both, tmp_path / "shop")
    yield made
    open_environment(made).stop()
    assert processes_of(made) == []


def test_an_upgrade_migrates_and_a_downgrade_is_refused(project: Project) -> None:
    """Runs of before are there after an upgrade; back goes it with the backup, and to nothing without being asked."""
    environment = open_environment(project)
    environment.start()
    assert environment.trigger("notes", wait=True, timeout=60).state == "success"

    def runs() -> int:
        with environment.engine.api().client() as client:
            return int(client.get("/dags/notes/dagRuns")["total_entries"])

    assert runs() == 1
    use_airflow(project, NEW)
    events: list[Event] = []
    status = environment.restart(listener=events.append).status
    assert (status.state, status.airflow_version) == ("running", NEW)
    told = [event.detail for event in events if isinstance(event, Step) and event.key == "database"]
    assert f"migrated from Airflow {OLD} to {NEW}; backup: .astro/magic/backups/" in told[-1]
    assert runs() == 1
    assert environment.trigger("notes", wait=True, timeout=60).state == "success"

    # What runs goes on: the refusal comes before it is stopped.
    use_airflow(project, OLD)
    with pytest.raises(DatabaseError, match=f"made by Airflow {NEW}; this project now has {OLD}"):
        environment.restart()
    assert environment.status().state == "running"
    environment.stop()
    with pytest.raises(DatabaseError, match="--restore-database"):
        environment.start()
    assert processes_of(project) == []

    environment.start(StartOptions(database=DatabaseOptions(file="restore")))
    assert environment.status().airflow_version == OLD
    assert runs() == 1
    environment.stop()
    use_airflow(project, NEW)
    environment.start(StartOptions(database=DatabaseOptions(file="restore")))
    assert runs() == 2


def test_an_environment_that_does_not_get_healthy_leaves_the_old_schema(project: Project) -> None:
    """The restart migrates, fails, and goes back to the environment and to the database from before."""
    environment = open_environment(project)
    environment.start()
    assert environment.trigger("notes", wait=True, timeout=60).state == "success"
    use_airflow(project, NEW)
    # Python reads this file first; the module that is missing then is imported after the migration.
    (project.root / "sitecustomize.py").write_text(
        "import importlib.metadata, sys\n"
        f"if importlib.metadata.version('apache-airflow') == '{NEW}':\n"
        "    sys.modules['airflow.cli.commands.api_server_command'] = None\n"
    )

    with pytest.raises(StartFailedError, match="api server ended while it was starting") as failed:
        environment.restart()
    assert "runs again with the environment from before" in str(failed.value)
    status = environment.status()
    assert (status.state, status.airflow_version) == ("running", OLD)
    with environment.engine.api().client() as client:
        assert client.get("/dags/notes/dagRuns")["total_entries"] == 1


Kernel = Callable[[str], "subprocess.Popen[str]"]


def test_a_killed_migration_is_done_again(project: Project, other_kernel: Kernel) -> None:
    """The kernel is killed in the middle: the database is the old one, and the next start migrates it."""
    environment = open_environment(project)
    environment.start()
    assert environment.trigger("notes", wait=True, timeout=60).state == "success"
    environment.stop()
    use_airflow(project, NEW)
    environment.prepare()
    database = project.standalone_dir / "airflow.db"
    content = database.read_bytes()
    half = project.standalone_dir / ".airflow.db.new"

    kernel = other_kernel("environment.start(listener=tell)")
    assert kernel.stdout is not None
    while not half.exists():
        assert kernel.poll() is None
    os.kill(kernel.pid, signal.SIGKILL)
    kernel.wait()
    assert database.read_bytes() == content

    environment.start()
    assert not half.exists()
    assert environment.status().airflow_version == NEW
    with environment.engine.api().client() as client:
        assert client.get("/dags/notes/dagRuns")["total_entries"] == 1
