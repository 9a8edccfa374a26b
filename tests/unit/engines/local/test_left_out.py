from __future__ import annotations

import pytest

from astro_magic.engines.local import left_out as room
from astro_magic.engines.local.left_out import left_out
from astro_magic.project.project import Project


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "read_os_packages", lambda: {"git:amd64": "1:2.39"})
    return Project.create(tmp_path / "shop").project


def test_nothing_of_a_new_project_is_left_out(project):
    assert left_out(project) == ()


def test_os_packages_that_this_machine_has_not(project):
    project.apply(project.os_packages.plan_merge("git\ntree\nlibpq-dev\n"))
    (told,) = left_out(project)
    assert told.startswith("Not installed, since there is no image: tree, libpq-dev (packages.txt).")


def test_steps_of_the_dockerfile(project):
    path = project.root / "Dockerfile"
    path.write_text(
        f"FROM debian AS tools\nRUN make-tools\n{path.read_text()}"
        "ENV ORACLE_HOME=/opt/oracle LANG=C.UTF-8\nUSER root\nCOPY certs /certs\nRUN ldconfig\n"
        "# >>> ca-certificate\nRUN update-ca-certificates\n# <<< ca-certificate\n"
        "# >>> run-on-build\nRUN pip check\nRUN true\n# <<< run-on-build\n"
    )
    (told,) = left_out(project)
    assert "ENV ORACLE_HOME LANG (line " in told
    assert "RUN (line " in told
    assert "make-tools" not in told
    assert told.endswith(" and 1 more of the Dockerfile.")


def test_a_dockerfile_that_is_not_there(project):
    (project.root / "Dockerfile").unlink()
    assert left_out(project) == ()
