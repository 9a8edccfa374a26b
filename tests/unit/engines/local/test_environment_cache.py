"""What is built once is linked into other projects: the same files, compared, and nothing of another project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from astro_magic.engines.generations import Cached
from astro_magic.engines.local.disk import read_sizes
from astro_magic.engines.local.environment_cache import CacheKey, cached_environments
from astro_magic.engines.local.environments import environments_home, prepare_environment
from astro_magic.engines.local.records import site_packages
from astro_magic.engines.local.verification import find_broken
from astro_magic.environment import open_environment
from astro_magic.resolve import uv
from astro_magic.resolve.shared_locks import holds_everywhere
from astro_magic.system.events import Event, Step, run

LINES = ("alpha==1.0", "beta")
LOCKED = {"apache-airflow": "3.3.2", "alpha": "1.0", "beta": "1.0"}


@pytest.fixture
def first(small):
    made, _ = small.prepare(small.project("first", *LINES))
    return made


def last_step(project) -> Step:
    events: list[Event] = []
    run(prepare_environment(project), events.append)
    assert isinstance(events[-1], Step)
    return events[-1]


def in_cache(path: str) -> Path:
    (entry,) = cached_environments()
    (found,) = entry.glob(f"tree/{path}")
    return found


def test_a_second_project_asks_nobody(small, served, monkeypatch):
    first, _ = small.prepare(small.project("first", *LINES))
    served()
    shutil.rmtree(small.cache)
    monkeypatch.setattr(uv, "call", None)
    project = small.project("second", *LINES)
    assert last_step(project).detail == "4 packages, 2 from requirements.txt, from the cache"
    second, created = small.prepare(project)
    assert not created
    assert second.folder.name == first.folder.name
    assert find_broken(second.folder, LOCKED) == {}
    assert (second.packages, second.requested, second.notes) == (first.packages, first.requested, first.notes)
    places = [site_packages(each.folder) / "beta" / "__init__.py" for each in (first, second)]
    assert places[0].samefile(places[1])
    # What was compiled is there, too.
    assert list((places[1].parent / "__pycache__").iterdir())
    assert not (first.folder / "pyvenv.cfg").samefile(second.folder / "pyvenv.cfg")


def test_its_python_runs_in_it(small, first):
    second, _ = small.prepare(small.project("second", *LINES))
    code = "import beta, sys; print(beta.__file__, sys.prefix)"
    where = subprocess.check_output([second.python, "-c", code], text=True)
    assert where.split() == [os.fspath(site_packages(second.folder) / "beta/__init__.py"), os.fspath(second.folder)]
    assert os.fspath(first.folder) not in where


def test_nothing_of_a_project_is_kept(small):
    project = small.project("first", "# planted-in-a-comment", *LINES)
    (project.root / ".env").write_text("TOKEN=planted-in-the-variables\n")
    small.prepare(project)
    found = [file for file in (small.known / "environments").rglob("*") if file.is_file()]
    assert found
    assert [file for file in found if b"planted" in file.read_bytes() or file.name.startswith("astro-magic")] == []


HARM = {
    "other": lambda: in_cache("lib/python*/site-packages/alpha/data.txt").write_text("x" * 6000),
    "emptied": lambda: os.truncate(in_cache("lib/python*/site-packages/alpha/data.txt"), 0),
    "gone": lambda: in_cache("lib/python*/site-packages/alpha/data.txt").unlink(),
    "folder": lambda: shutil.rmtree(in_cache("lib/python*/site-packages/alpha")),
    "bytecode": lambda: in_cache("lib/python*/site-packages/alpha/__pycache__/*.pyc").write_bytes(b"\0" * 100),
    "settings": lambda: in_cache("pyvenv.cfg").write_text("home = /nowhere\n"),
    "list": lambda: in_cache("../files.json").write_text("{"),
    "other-list": lambda: in_cache("../files.json").write_text(json.dumps({"folders": []})),
    "no-list": lambda: in_cache("../files.json").write_text("[]"),
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_what_is_damaged_is_built_anew(small, first, harm):
    harm()
    project = small.project("second", *LINES)
    assert last_step(project).detail == "4 packages, 2 from requirements.txt"
    made, created = small.prepare(project)
    assert not created
    assert find_broken(made.folder, LOCKED) == {}
    assert made.folder.name == first.folder.name
    # What has been built is kept in its place.
    assert last_step(small.project("third", *LINES)).detail.endswith(", from the cache")
    assert len(list((small.known / "environments").iterdir())) == 1


def test_an_edit_in_one_project_does_not_reach_the_next(small, first):
    edited = site_packages(first.folder) / "beta" / "__init__.py"
    with edited.open("r+") as file:
        file.write("print('edited')")
    made, _ = small.prepare(small.project("second", *LINES))
    assert find_broken(made.folder, LOCKED) == {}
    assert (site_packages(made.folder) / "beta" / "__init__.py").read_text() == ""
    assert edited.read_text() == "print('edited')"


def test_what_does_not_import_is_told_in_each_project(small):
    small.publish("gamma", "1.0", {"gamma/__init__.py": "raise ImportError('libGL.so.1: cannot open')"})
    for name in ("first", "second"):
        made, _ = small.prepare(small.project(name, "gamma", "alpha"))
        assert made.notes == ("gamma cannot be imported: ImportError: libGL.so.1: cannot open",)


def test_a_package_that_has_come_to_be_asked_for_is_imported(small):
    small.publish("gamma", "1.0", {"gamma/__init__.py": "raise ImportError('no screen')"})
    small.publish("delta", "1.0", {"delta/__init__.py": ""}, requires=["gamma"])
    assert small.prepare(small.project("first", "delta"))[0].notes == ()
    made, _ = small.prepare(small.project("second", "gamma", "delta"))
    assert made.notes == ("gamma cannot be imported: ImportError: no screen",)


@pytest.mark.parametrize("obstacle", ["a file", "another disk"], ids=["a-file", "another-disk"])
def test_without_a_cache_it_is_built_as_ever(small, monkeypatch, obstacle):
    if obstacle == "a file":
        (small.known / "environments").write_text("")
    else:
        other = Path(tempfile.mkdtemp(dir="/dev/shm"))
        assert other.stat().st_dev != small.folder.stat().st_dev
        shutil.copytree(small.known, other, dirs_exist_ok=True)
        monkeypatch.setenv("ASTRO_MAGIC_CACHE", str(other))
    for name in ("first", "second"):
        made, created = small.prepare(small.project(name, *LINES))
        assert created
        assert find_broken(made.folder, LOCKED) == {}
    assert cached_environments() == ()


def test_a_disk_without_room_for_links(small, first, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("astro_magic.engines.local.environment_cache.os.link", full)
        project = small.project("second", *LINES)
        assert last_step(project).detail == "4 packages, 2 from requirements.txt"
    assert [entry.name for entry in environments_home(project).glob("*.partial")] == []
    # The entry was not to blame.
    assert last_step(small.project("third", *LINES)).detail.endswith(", from the cache")


def test_those_that_are_not_used_are_removed(small, first, monkeypatch):
    monkeypatch.setattr("astro_magic.engines.local.environment_cache._KEPT", 2)
    (entry,) = cached_environments()
    left = entry.with_name("0123.partial")
    left.mkdir()
    small.prepare(small.project("second", "alpha==2.0"))
    assert len(cached_environments()) == 2
    assert left.exists()
    os.utime(left, (0, 0))
    # It was used again, so that the other one goes.
    small.prepare(small.project("third", *LINES))
    small.prepare(small.project("fourth", "beta"))
    assert len(cached_environments()) == 2
    assert cached_environments()[1] == entry
    assert not left.exists()
    os.utime(entry, (time.time() - 40 * 86400,) * 2)
    small.prepare(small.project("fifth"))
    assert not entry.exists()


def test_what_no_project_has_goes_when_room_is_asked_for(small, first):
    project = small.project("second", "alpha==2.0")
    small.prepare(project)
    generations = open_environment(project, engine="local").generations
    assert generations.cached().count == 2
    generations.prune()
    assert generations.cached().count == 2
    shutil.rmtree(first.folder)
    assert generations.cached().size > 0
    assert generations.prune().freed > 0
    (left,) = cached_environments()
    assert generations.cached() == Cached(1, read_sizes(left)[2])
    assert last_step(small.project("third", "alpha==2.0")).detail.endswith(", from the cache")


@pytest.mark.parametrize(
    ("line", "everywhere"),
    [
        ("alpha==1.0", True),
        ("alpha[more]==1.0 ; python_version < '4'", True),
        ("--index-url https://packages.example.org/simple", True),
        ("--find-links /opt/wheels", True),
        ("--find-links https://example.org/wheels", True),
        ("--find-links wheels", False),
        ("-e ./alpha", False),
        ("./alpha", False),
        ("alpha @ file:///home/ana/alpha", False),
        ("alpha @ git+https://example.org/alpha@0123", False),
    ],
    ids=lambda value: value.replace(" ", "-").replace("/", "-") if isinstance(value, str) else "",
)
def test_which_versions_mean_the_same_everywhere(line, everywhere):
    lock = f"# a comment\nbeta==2.0\n{line}\n"
    assert holds_everywhere(lock) == everywhere
    assert bool(CacheKey(lock, Path("python3.12"), "3.12.1", ()).name) == everywhere


def test_another_wheel_of_the_same_name_is_another_environment(tmp_path):
    key = CacheKey(f"--find-links {tmp_path}\nalpha==1.0\n", Path("python3.12"), "3.12.1", ())
    before = key.name
    (tmp_path / "alpha-1.0-py3-none-any.whl").write_text("one")
    assert key.name != before


def test_a_login_is_not_shared(small, served, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", os.environ["UV_DEFAULT_INDEX"].replace("//", "//ana:planted@"))
    small.prepare(small.project("first", *LINES))
    found = [file for file in small.known.rglob("*") if file.is_file()]
    assert [file for file in found if b"planted" in file.read_bytes()] == []
    # The environment itself holds none.
    assert last_step(small.project("second", *LINES)).detail.endswith(", from the cache")


def test_what_was_resolved_long_ago_is_resolved_again(small, first):
    small.publish("beta", "1.1", {"beta/__init__.py": ""})
    assert small.prepare(small.project("second", *LINES))[0].folder.name == first.folder.name
    for file in (small.known / "resolutions").iterdir():
        os.utime(file, (time.time() - 2 * 86400,) * 2)
    assert small.prepare(small.project("third", *LINES))[0].folder.name != first.folder.name
    # A project stays with what it has found out.
    assert "beta==1.0" in (first.folder / "astro-magic.lock").read_text()
