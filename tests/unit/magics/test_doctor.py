from __future__ import annotations

import pytest
from IPython.core.error import UsageError

from astro_magic import errors
from astro_magic.machine.result import CheckResult
from astro_magic.project.checks.finding import Finding
from astro_magic.system.events import Step
from astro_magic.views.doctor import DoctorView

FOUND = (Finding("no-image", "error", "FROM names no known image.", "Name one.", "Dockerfile", 1),)
SEEN = (CheckResult("memory", "good", "8.0 GB of 16.0 GB available"),)


@pytest.fixture
def checks(monkeypatch):
    """Stand in for the checks; keeps for which project they were asked."""
    asked = []

    def check_project(project):
        asked.append(("files", project.root))
        return FOUND

    def check_machine(project):
        asked.append(("machine", None if project is None else project.root))
        yield Step("memory", "memory")
        return SEEN

    monkeypatch.setattr("astro_magic.project.checks.check_project", check_project)
    monkeypatch.setattr("astro_magic.machine.checks.check_machine", check_machine)
    return asked


def test_doctor(shell, project, checks):
    view = shell.cell("%astro_doctor -o health")
    assert isinstance(view, DoctorView)
    assert shell.user_ns["health"] is view
    assert (view.findings, view.machine, view.ok) == (FOUND, SEEN, False)
    assert checks == [("files", project.root), ("machine", project.root)]
    assert repr(view).splitlines()[:2] == ["shop: 1 problem", "Dockerfile"]
    assert repr(shell.cell("%astro_doctor -q")) == "shop: 1 problem"


def test_a_part_of_it(shell, project, checks):
    view = shell.cell("%astro_doctor --files")
    assert (view.findings, view.machine) == (FOUND, ())
    view = shell.cell("%astro_doctor --machine")
    assert (view.findings, view.machine, view.ok) == ((), SEEN, True)
    assert checks == [("files", project.root), ("machine", project.root)]
    view = shell.cell("%astro_doctor --machine --files")
    assert (view.findings, view.machine) == (FOUND, SEEN)


def test_outside_of_a_project(shell, tmp_path, monkeypatch, checks):
    monkeypatch.chdir(tmp_path)
    view = shell.cell("%astro_doctor")
    assert checks == [("machine", None)]
    assert "There is no project here, so only the machine was checked." in repr(view)
    with pytest.raises(errors.ProjectNotFoundError):
        shell.cell("%astro_doctor --files")
    with pytest.raises(errors.ProjectNotFoundError):
        shell.cell("%astro_doctor --project elsewhere")


def test_another_project(shell, project, tmp_path, monkeypatch, checks):
    monkeypatch.chdir(tmp_path)
    shell.cell("%astro_doctor --project shop")
    assert checks == [("files", project.root), ("machine", project.root)]


def test_a_project_whose_name_cannot_be_read(shell, project, checks):
    (project.root / ".astro/config.yaml").write_bytes(b"project:\n  name: \xff\n")
    assert repr(shell.cell("%astro_doctor")).startswith("shop: 1 problem")


def test_bad_use(shell, project, checks):
    with pytest.raises(UsageError, match="unrecognized arguments: everything"):
        shell.cell("%astro_doctor everything")
    assert checks == []


def test_for_real(shell, project, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://ana:pl4nted@127.0.0.1:9")
    view = shell.cell("%astro_doctor")
    assert {"memory", "disk", "uv", "proxy"} <= {result.name for result in view.machine}
    shown = view._repr_mimebundle_()
    assert "127.0.0.1:9 (HTTPS_PROXY) does not answer" in shown["text/plain"]
    assert not any("pl4nted" in content for content in shown.values())
