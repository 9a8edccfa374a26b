"""The environments that a project has had: which there are, going back, removing old ones."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Event

import pytest

from astro_magic.engines.engine import Engine
from astro_magic.engines.inside.processes import machine_start, start_of
from astro_magic.engines.local.engine import LocalEngine
from astro_magic.engines.local.environments import current_environment, environments_home
from astro_magic.engines.local.generations import forget_old
from astro_magic.environment import open_environment
from astro_magic.errors import EngineError, NothingToUndoError, ProjectBusyError
from astro_magic.system.locks import hold
from tests.unit.engines.local.small import IMAGE


@pytest.fixture
def project(small):
    return small.project("shop", "alpha==1.0  # the first")


@pytest.fixture
def three(small, project):
    """A project with three environments; the last one has another Airflow."""
    small.prepare(project)
    (project.root / "requirements.txt").write_text("alpha==2.0\nbeta\n")
    small.prepare(project)
    small.publish("apache-airflow", "3.3.3", {"airflow/__init__.py": ""})
    (project.root / "Dockerfile").write_text("# ours\nFROM apache/airflow:3.3.3\nENV MODE=a\n")
    (project.root / "requirements.txt").write_text("beta\n")
    small.prepare(project)
    return project


@pytest.fixture
def generations(three):
    return open_environment(three, engine="local").generations


def run_from(project, name):
    """Let it look as if Airflow ran from an environment."""
    record = project.state_dir / "run" / "supervisor.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    about = {"pid": os.getpid(), "started": start_of(os.getpid()), "machine": machine_start()}
    about |= {"environment": name, "port": 1}
    rest = dict.fromkeys(("instance", "socket", "variables", "airflow_version", "python_version"), "")
    record.write_text(json.dumps({**about, **rest}))


def test_which_there_are(generations, three):
    found = generations.read()
    assert [(each.number, each.airflow_version, each.current, each.running) for each in found] == [
        (3, "3.3.3", True, False),
        (2, "3.3.2", False, False),
        (1, "3.3.2", False, False),
    ]
    assert [each.changes for each in found] == [
        ("removes alpha 2.0", "changes apache-airflow 3.3.2 → 3.3.3"),
        ("changes alpha 1.0 → 2.0", "adds beta 1.0"),
        (),
    ]
    assert found[1].requested == {"alpha", "beta"}
    assert found[1].packages == {"alpha": "2.0", "beta": "1.0", "apache-airflow": "3.3.2", "pip": "25.0"}
    assert (datetime.now(UTC) - found[0].made).total_seconds() < 600
    for each in found:
        assert 0 < each.shared < each.size
    run_from(three, found[1].name)
    assert [each.number for each in generations.read() if each.running] == [2]


def test_a_project_without_any(small, project):
    generations = open_environment(project, engine="local").generations
    assert generations.read() == ()
    with pytest.raises(NothingToUndoError, match="no environment from before"):
        generations.roll_back()
    assert generations.prune().removed == ()


def test_going_back_restores_what_it_was_made_from(generations, three, small):
    done = generations.roll_back("1")
    assert (done.generation.number, done.ready, done.change.title) == (1, True, "go back to environment 1")
    assert done.change.applied
    assert (three.root / "requirements.txt").read_text() == "alpha==1.0  # the first\n"
    # The rest of the Dockerfile means nothing to local processes, and stays.
    assert (three.root / "Dockerfile").read_text() == f"# ours\nFROM {IMAGE}\nENV MODE=a\n"
    assert [each.number for each in generations.read() if each.current] == [1]
    shutil.rmtree(small.index)
    shutil.rmtree(three.state_dir / "locks")
    # Neither resolved nor built.
    assert small.prepare(three) == (current_environment(three), False)
    three.undo()
    assert (three.root / "requirements.txt").read_text() == "beta\n"
    assert "airflow:3.3.3" in (three.root / "Dockerfile").read_text()


def test_back_to_the_one_before_and_forth(generations, three, small):
    assert generations.roll_back().generation.number == 2
    assert generations.roll_back().generation.number == 1
    with pytest.raises(NothingToUndoError):
        generations.roll_back()
    name = generations.read()[0].name
    assert generations.roll_back(name[:5]).generation.number == 3
    assert not small.prepare(three)[1]
    assert (three.root / "requirements.txt").read_text() == "beta\n"


def test_a_dry_run_changes_nothing(generations, three):
    done = generations.roll_back("2", dry_run=True)
    assert not done.change.applied
    assert "+alpha==2.0" in done.change.diff()
    assert (three.root / "requirements.txt").read_text() == "beta\n"
    assert [each.number for each in generations.read() if each.current] == [3]


def test_files_that_came_later_or_are_gone(small, project):
    (project.root / "more.txt").write_text("beta\n")
    (project.root / "requirements.txt").write_text("-r more.txt\n")
    small.prepare(project)
    (project.root / "more.txt").unlink()
    (project.root / "requirements.txt").write_text("alpha\n")
    small.prepare(project)
    (project.root / "private-requirements.txt").write_text("alpha\n")
    done = open_environment(project, engine="local").generations.roll_back()
    assert {file.name: file.kind for file in done.change.files} == {
        "requirements.txt": "changed",
        "private-requirements.txt": "removed",
        "more.txt": "created",
    }
    assert not small.prepare(project)[1]


def test_one_that_was_damaged_is_built_again(generations, three, small):
    found = generations.read()[1]
    shutil.rmtree(environments_home(three) / found.name / "lib")
    done = generations.roll_back("2")
    assert not done.ready
    made, created = small.prepare(three)
    assert created
    assert made.folder.name == f"{found.name}-2"


@pytest.mark.parametrize("wanted", ["7", "zzz"])
def test_one_that_there_is_not(generations, wanted):
    with pytest.raises(NothingToUndoError, match="No environment has that number or name"):
        generations.roll_back(wanted)


def test_one_whose_files_are_not_known(generations, three):
    folder = environments_home(three) / generations.read()[2].name
    (folder / "astro-magic-generation.json").unlink()
    with pytest.raises(NothingToUndoError, match="not known what environment 0 was made from"):
        generations.roll_back("0")


def test_removing_by_number(generations, three):
    found = generations.read()
    run_from(three, found[2].name)
    done = generations.prune(keep=1)
    assert [each.number for each in done.removed] == [2]
    # The current one and the running one stay, however few are to be kept.
    assert [each.number for each in done.kept] == [3, 1]
    assert done.freed > 0
    assert generations.read()[1].name == found[2].name
    assert not (environments_home(three) / found[1].name).exists()


def test_removing_by_size(generations):
    everything = sum(each.size for each in generations.read())
    assert generations.prune(max_size=everything).removed == ()
    assert [each.number for each in generations.prune(max_size=1).kept] == [3]


def test_removing_leaves_the_number_that_is_kept_by_itself(generations, three, small):
    assert generations.prune().removed == ()
    (three.root / "requirements.txt").write_text("alpha\n")
    small.prepare(three)
    assert [each.number for each in generations.read()] == [4, 3, 2]


def test_the_running_one_is_not_removed_by_itself(generations, three):
    oldest = generations.read()[2].name
    home = environments_home(three)
    for _ in range(3):
        shutil.copytree(home / oldest, home / f"copy{_}", symlinks=True)
    forget_old(home, {oldest})
    assert (home / oldest).exists()


def test_half_removed_ones_are_removed(generations, three):
    left = environments_home(three) / "0123.4567.partial"
    left.mkdir()
    generations.prune()
    assert not left.exists()


@pytest.mark.parametrize("lock", ["engine.lock", "environments.lock"])
def test_while_somebody_builds(generations, three, monkeypatch, lock):
    monkeypatch.setattr("astro_magic.engines.local.engine._LOCK_TIMEOUT", 0)

    held, done = Event(), Event()

    def builder():
        with hold(three.state_dir / lock, purpose="starting Airflow", timeout=0):
            held.set()
            done.wait(60)

    with ThreadPoolExecutor(1) as threads:
        work = threads.submit(builder)
        held.wait(60)
        assert _refused(generations.prune)
        assert _refused(generations.roll_back)
        done.set()
        work.result()


def _refused(work):
    with pytest.raises(ProjectBusyError, match="starting Airflow"):
        work()
    return True


def test_an_engine_with_images_has_none(project):
    class Other(LocalEngine):
        title = "Docker"
        generations = Engine.generations

    with pytest.raises(EngineError, match="Airflow runs on Docker, which keeps images"):
        Other(project).generations()


def test_the_files_are_closed_to_others(three):
    for file in environments_home(three).glob("*/astro-magic-generation.json"):
        assert file.stat().st_mode & 0o077 == 0
