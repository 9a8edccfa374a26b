"""Environments: built whole or not at all, found damaged where they are, shared with uv's cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from astro_magic.engines.local import environments
from astro_magic.engines.local.building import Plan
from astro_magic.engines.local.environments import current_environment, environments_home, prepare_environment
from astro_magic.engines.local.generations import environment_folders, read_facts
from astro_magic.engines.local.records import site_packages
from astro_magic.engines.local.verification import find_broken, try_imports
from astro_magic.environment import open_environment
from astro_magic.errors import InstallationError, NetworkError
from astro_magic.resolve import uv
from astro_magic.system.events import Event, Step, run
from tests.unit.engines.local.small import child


@pytest.fixture
def project(small):
    return small.project("shop", "alpha==1.0", "beta")


def names_in(home: Path) -> list[str]:
    return sorted(entry.name for entry in home.iterdir() if entry.name != "current")


def test_it_is_built_once(small, project):
    made, created = small.prepare(project)
    assert created
    assert (made.airflow_version, made.packages, made.requested, made.notes) == ("3.3.2", 4, 2, ())
    assert small.prepare(project) == (made, False)
    assert current_environment(project) == made
    assert names_in(environments_home(project)) == [made.folder.name]


def test_what_is_built_again_is_not_downloaded_again(small, project, served):
    first, _ = small.prepare(project)
    assert [path for path in served() if path.endswith(".whl")]
    small.forget_environments()
    second, created = small.prepare(small.project("other", "alpha==1.0", "beta"))
    assert created
    assert second.folder.name == first.folder.name
    same = [(site_packages(each.folder) / "beta" / "data.txt").stat().st_ino for each in (first, second)]
    assert same[0] == same[1]


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (Path.unlink, "missing"),
        (lambda path: path.write_text(""), "empty"),
        (lambda path: path.write_text("x" * len(path.read_text())), "another content"),
        (lambda path: shutil.rmtree(path.parent), "missing folder"),
        (lambda path: (path.parents[1] / "alpha-1.0.dist-info" / "RECORD").unlink(), "no record"),
        (lambda path: (path.parents[1] / "alpha-1.0.dist-info" / "METADATA").unlink(), "no metadata"),
        (lambda path: shutil.rmtree(path.parents[1]), "missing archive"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_what_is_broken_in_the_cache_of_uv_is_fetched_again(small, project, harm, told):
    small.prepare(small.project("before", "alpha==1.0"))
    harm(small.cached("alpha"))
    made, _ = small.prepare(project)
    assert find_broken(made.folder, {"alpha": "1.0"}) == {}
    assert (site_packages(made.folder) / "alpha" / "data.txt").read_text() == "1.0" * 2000
    assert names_in(environments_home(project)) == [made.folder.name]


def test_what_stays_broken_is_told_in_a_sentence(small, project, monkeypatch):
    present, _ = small.prepare(project)
    call = uv.call

    def harmful(arguments, **options):
        done = call(arguments, **options)
        if "sync" in arguments:
            (site_packages(Path(arguments[-1]).parent) / "beta" / "data.txt").unlink()
        return done

    monkeypatch.setattr(uv, "call", harmful)
    (project.root / "requirements.txt").write_text("alpha==2.0\nbeta\n")
    with pytest.raises(InstallationError) as caught:
        small.prepare(project)
    assert caught.value.message == "The environment is not whole after two attempts: beta lacks beta/data.txt."
    assert names_in(environments_home(project)) == [present.folder.name]
    assert current_environment(project) == present


def test_a_package_that_was_published_with_a_wrong_list_of_files(small, project):
    (wheel,) = (small.index / "beta").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["beta/data.txt"] = b"corrected by hand"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    made, _ = small.prepare(project)
    assert made.notes == ("beta has another beta/data.txt than its own list of files says.",)


def test_a_marker_that_cannot_be_read(small, project):
    made, _ = small.prepare(project)
    (made.folder / "astro-magic.json").write_text("{")
    again, created = small.prepare(project)
    assert created
    assert again.folder.name == f"{made.folder.name}-2"
    assert [each.name for each in open_environment(project, engine="local").generations.read()] == [again.folder.name]


def test_without_the_network_what_is_broken_cannot_be_fetched(small, project, served):
    small.prepare(small.project("before", "alpha==1.0", "beta"))
    small.cached("alpha").unlink()
    small.forget_environments()
    served()
    with pytest.raises(NetworkError, match="not in uv's cache"):
        small.prepare(project)
    assert names_in(environments_home(project)) == []


def test_a_file_of_two_packages_is_one_of_theirs(small):
    """Scripts, above all: whichever is installed last has its own there."""
    for name in ("first", "second"):
        files = {f"{name}/__init__.py": "", "shared_data/words.txt": f"{name} has said so"}
        small.publish(name, "1.0", files)
    made, _ = small.prepare(small.project("shop", "first", "second"))
    assert made.notes == ()


def test_a_package_that_does_not_import_is_told(small):
    small.publish("gamma", "1.0", {"gamma/__init__.py": "raise ImportError('libGL.so.1: cannot open shared object')"})
    small.publish("delta", "1.0", {"delta/__init__.py": "import os; print('hello'); os.kill(os.getpid(), 9)"})
    small.publish("empty", "1.0", {"empty-data/list.txt": "x"})
    small.publish(
        "quits", "1.0", {"quits.py": "import sys; sys.stdout.close(); sys.exit(3)", "tests/__init__.py": "1/0"}
    )
    made, _ = small.prepare(small.project("shop", "gamma", "delta", "empty", "quits", "alpha"))
    # What is tried after the one that ended Python is not known.
    assert made.notes == (
        "delta cannot be imported: its import ended Python (exit code -9); what comes after it was not tried.",
    )
    assert try_imports(made.folder, airflow="3.3.2", requested=["empty", "gamma", "quits"]) == (
        "gamma cannot be imported: ImportError: libGL.so.1: cannot open shared object",
        "quits cannot be imported: SystemExit: 3",
    )
    with pytest.raises(
        InstallationError, match=r"Airflow is 3\.3\.2 in the environment that was built, instead of 3\.4"
    ):
        try_imports(made.folder, airflow="3.4.0", requested=[])


def test_an_airflow_that_does_not_import_is_an_error(small, project):
    present, _ = small.prepare(project)
    small.publish("apache-airflow", "3.3.3", {"airflow/__init__.py": "from structlog.dev import Styles"})
    (project.root / "Dockerfile").write_text("FROM apache/airflow:3.3.3\n")
    with pytest.raises(InstallationError) as caught:
        small.prepare(project)
    assert caught.value.message == (
        "Airflow 3.3.3 cannot be imported with these packages: ModuleNotFoundError: No module named 'structlog'"
    )
    assert current_environment(project) == present


def test_what_has_been_imported_is_not_imported_again(small, project, monkeypatch):
    tried: list[list[str]] = []

    def noted(_, *, requested, airflow):
        tried.append(requested)
        return ()

    monkeypatch.setattr("astro_magic.engines.local.building.try_imports", noted)
    small.prepare(project)
    small.prepare(small.project("other", "alpha==1.0", "beta"))
    small.publish("gamma", "1.0", {"gamma.py": ""})
    (project.root / "requirements.txt").write_text("alpha==1.0\nbeta\ngamma\n")
    small.prepare(project)
    (project.root / "requirements.txt").write_text("alpha==2.0\nbeta\ngamma\n")
    small.prepare(project)
    everything = ["apache-airflow", "alpha", "beta"]
    assert tried == [everything, ["gamma"], [*everything, "gamma"]]


def pip(action: str, folder: Path, package: str) -> None:
    command = [uv._binary(), "pip", action, "-q", "--python", str(folder / "bin" / "python"), package]
    subprocess.run(command, check=True)


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda folder: pip("uninstall", folder, "alpha"), "alpha 1.0 was uninstalled by hand"),
        (lambda folder: pip("install", folder, "alpha==2.0"), "alpha 1.0 was replaced by 2.0 by hand"),
        (
            lambda folder: (site_packages(folder) / "beta" / "deep" / "__init__.py").unlink(),
            "files of beta are missing, such as beta/deep/__init__.py",
        ),
        (
            lambda folder: shutil.rmtree(site_packages(folder)),
            "its packages are gone",
        ),
        (
            lambda folder: (folder / "astro-magic-files.json").write_text("{"),
            "what was noted of its files cannot be read",
        ),
    ],
    ids=["uninstall", "replace", "file", "folder", "note"],
)
def test_a_damaged_environment_is_built_anew(small, project, harm, why):
    made, _ = small.prepare(project)
    harm(made.folder)
    events: list[Event] = []
    again, created = run(prepare_environment(project), events.append)
    assert created
    assert again.folder.name == f"{made.folder.name}-2"
    assert again.notes == (f"The environment was built anew, since {why}.",)
    step = events[1]
    assert isinstance(step, Step)
    assert step.detail == f"looking for it in the cache, since {why}"
    # What may run from the damaged one goes on.
    assert made.folder.exists()
    assert small.prepare(project) == (current_environment(project), False)
    assert current_environment(project).notes == ()


def test_what_was_installed_by_hand_is_told(small, project):
    small.publish("gamma", "4.9", {"gamma.py": ""})
    made, _ = small.prepare(project)
    pip("install", made.folder, "gamma")
    note = "gamma 4.9 was installed by hand; it is not in requirements.txt and is gone with the next environment."
    for _ in range(2):
        again, created = small.prepare(project)
        assert not created
        assert again.folder == made.folder
        assert again.notes == (note,)
    pip("uninstall", made.folder, "gamma")
    assert small.prepare(project) == (made, False)


def test_a_file_that_was_edited_by_hand_is_told(small, project):
    made, _ = small.prepare(project)
    file = site_packages(made.folder) / "beta" / "__init__.py"
    file.with_name("new.py").write_text("print('here')")
    file.with_name("new.py").replace(file)
    assert small.prepare(project)[0].notes == ("beta/__init__.py of beta was changed by hand.",)


def test_a_machine_that_was_started_anew_has_the_files_looked_at(small, project, monkeypatch):
    made, _ = small.prepare(project)
    # As a power failure leaves it: the name is on the disk, the content is not.
    os.truncate(site_packages(made.folder) / "beta" / "__init__.py", 0)
    (site_packages(made.folder) / "beta" / "data.txt").write_text("")
    assert small.prepare(project) == (made, False)
    monkeypatch.setattr("psutil.boot_time", lambda: 5e9)
    again, created = small.prepare(project)
    assert created
    assert "files of beta are missing" in again.notes[0]


def test_nothing_is_read_while_no_folder_has_changed(small, project, monkeypatch):
    made, _ = small.prepare(project)
    monkeypatch.setattr("astro_magic.engines.local.damage.read_records", None)
    assert small.prepare(project) == (made, False)


def test_what_was_half_built_or_half_removed_is_never_looked_at(small, project):
    made, _ = small.prepare(project)
    home = environments_home(project)
    shutil.copytree(made.folder, home / f"{made.folder.name}.0123.partial", symlinks=True)
    assert environment_folders(home) == [made.folder]
    (project.root / "requirements.txt").write_text("alpha==2.0\n")
    new, _ = small.prepare(project)
    assert names_in(home) == sorted([made.folder.name, new.folder.name])


def test_two_processes_build_at_once(small, project):
    started = [child(project, "print(run(environments.prepare_environment(project))[1])") for _ in range(3)]
    said = sorted(process.communicate(timeout=120)[0].strip() for process in started)
    assert said == ["False", "False", "True"]
    assert len(environment_folders(environments_home(project))) == 1


def test_an_environment_from_before_there_was_a_history(small, project):
    made, _ = small.prepare(project)
    for name in ("astro-magic-generation.json", "astro-magic-files.json"):
        (made.folder / name).unlink()
    assert small.prepare(project) == (made, False)
    (project.root / "requirements.txt").write_text("alpha==2.0\n")
    assert small.prepare(project)[1]


def test_no_login_shows_in_a_plan(small):
    plan = Plan(Path("x"), 1, "3.3.2", "3.12", Path("p"), "https://ana:planted@x", {}, (), {"a": "planted"})
    assert "planted" not in repr(plan)


def test_files_that_are_edited_while_they_are_resolved(small, project, monkeypatch):
    resolve = environments._resolve
    asked = []

    def edited_meanwhile(project, text, interpreter):
        found = resolve(project, text, interpreter)
        asked.append(text)
        if len(asked) == 1:
            (project.root / "requirements.txt").write_text("alpha==2.0\n")
        return found

    monkeypatch.setattr(environments, "_resolve", edited_meanwhile)
    made, _ = small.prepare(project)
    assert asked == ["alpha==1.0\nbeta\n", "alpha==2.0\n"]
    assert read_facts(made.folder).packages["alpha"] == "2.0"
    assert read_facts(made.folder).inputs["requirements.txt"] == "alpha==2.0\n"
    # What was undone is not taken for what was built.
    (project.root / "requirements.txt").write_text("alpha==1.0\nbeta\n")
    made, created = small.prepare(project)
    assert created
    assert read_facts(made.folder).packages["alpha"] == "1.0"
