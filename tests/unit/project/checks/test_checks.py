from __future__ import annotations

import subprocess
import sys

import pytest

from astro_magic.project import Project
from astro_magic.project.checks import AREAS, check_project


def test_a_new_project_has_no_findings(project):
    assert check_project(project) == ()
    assert check_project(project, thorough=True) == ()


def test_findings_are_sorted_and_chosen(project):
    root = project.root
    (root / "dags" / "broken.py").write_text("from airflow.sdk import dag\nx = (\n")
    (root / "dags" / "a.py").write_text("from airflow.sdk import DAG\nDAG('x')\nDAG('x')\n")
    (root / "airflow.cfg").write_text("")
    (root / "packages.txt").write_bytes(b"git\r\n")
    found = check_project(project)
    assert [(finding.severity, finding.file) for finding in found] == [
        ("error", "dags/a.py"),
        ("error", "dags/broken.py"),
        ("warning", "airflow.cfg"),
        ("warning", "packages.txt"),
    ]
    assert all(finding.message.endswith(".") and finding.hint for finding in found)
    assert [finding.file for finding in check_project(project, only=["dags"])] == ["dags/a.py", "dags/broken.py"]
    assert check_project(project, only=["git"]) == ()


def test_an_unknown_area_is_refused(project):
    with pytest.raises(ValueError, match="'dag' is no area of checks; there are dags, "):
        check_project(project, only=["dag"])


@pytest.mark.parametrize(
    "name", ["Dockerfile", ".env", "packages.txt", "requirements.txt", "airflow_settings.yaml", "dags/.airflowignore"]
)
@pytest.mark.parametrize("content", [b"caf\xe9\n", b"a\0b\n"])
def test_a_file_that_is_no_text_is_one_error(project, name, content):
    (project.root / name).write_bytes(content)
    found = [finding for finding in check_project(project) if finding.severity == "error"]
    assert [finding.file for finding in found] == [name]
    assert name in found[0].message


def test_no_check_raises_on_an_empty_folder(tmp_path):
    (tmp_path / ".astro").mkdir()
    (tmp_path / ".astro" / "config.yaml").write_text("")
    found = check_project(Project(tmp_path))
    assert {finding.severity for finding in found} >= {"error", "warning"}


def test_each_area_alone_finds_what_all_find_together(project):
    (project.root / "dags" / "a.py").write_text("# airflow dag\nx = (\n")
    (project.root / "requirements.txt").write_bytes(b"pandas\x00\n")
    together = {finding.message for finding in check_project(project)}
    assert together == {finding.message for area in AREAS for finding in check_project(project, only=[area])}


def test_the_checks_are_cheap_to_import():
    code = "import sys, astro_magic.project.checks; print(sorted({'yaml', 'pathspec', 'httpx'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
