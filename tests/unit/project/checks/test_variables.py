from __future__ import annotations

import pytest

from astro_magic.project import Project
from astro_magic.project.checks.variables import check_variables


@pytest.fixture
def project(tmp_path):
    project = Project.create(tmp_path / "shop").project
    (project.root / "Dockerfile").write_text("FROM apache/airflow:3.1.8\n")
    (project.root / ".env").unlink()
    return project


def found(project):
    findings = list(check_variables(project))
    assert all(finding.hint for finding in findings)
    assert "hunter2" not in repr(findings)
    return [(finding.check, finding.severity, finding.line) for finding in findings if finding.check != "env-dialects"]


@pytest.mark.parametrize(
    ("line", "check", "words"),
    [
        ("GREETING=1", None, ""),
        ("# greeting=1", None, ""),
        ("http_proxy=x", None, ""),
        ("greeting=1", "lower-case-variable", "GREETING"),
        ("airflow__Core__parallelism=1", "lower-case-variable", "AIRFLOW__CORE__PARALLELISM"),
        ("TF_VAR_region=x", None, ""),
        ("hunter2", "no-assignment", "KEY=VALUE"),
        ("MY KEY=hunter2", "no-assignment", "blank"),
        ("AIRFLOW__CORE__EXECUTOR=x", "overridden-variable", "Docker mode"),
        ("AIRFLOW__CORE__FERNET_KEY=hunter2", "overridden-variable", "its Docker mode and in its standalone mode"),
        ("AIRFLOW__CORE__DAGS_FOLDER=x", "overridden-variable", "standalone"),
        ("AIRFLOW__WEBSERVER__EXPOSE_CONFIG=x", None, ""),
        ("AIRFLOW__CORE__PARALLELISM=1", None, ""),
        ("AIRFLOW__API_AUTH__JWT_ALGORITHM=x", None, ""),
        ("AIRFLOW__CORE__SQL_ALCHEMY_CONN_CMD=x", None, ""),
        ("AIRFLOW__MY_PROVIDER__KEY=x", None, ""),
        ("AIRFLOW_CONN_CORE_DB=x", None, ""),
        ("AIRFLOW_VAR_CORE_X=x", None, ""),
        ("AIRFLOW_UID=50000", None, ""),
        ("AIRFLOW_CORE_PARALLELISM=1", "unknown-option", "AIRFLOW__CORE__PARALLELISM"),
        ("AIRFLOW__CORE_PARALLELISM=1", "unknown-option", "AIRFLOW__CORE__PARALLELISM"),
        ("AIRFLOW_CORE__PARALLELISM=1", "unknown-option", "AIRFLOW__CORE__PARALLELISM"),
        ("AIRFLOW___CORE__PARALLELISM=1", "unknown-option", "AIRFLOW__CORE__PARALLELISM"),
        ("AIRFLOW_DAG_PROCESSOR_REFRESH_INTERVAL=1", "unknown-option", "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL"),
        ("AIRFLOW__SHEDULER__X=1", "unknown-option", "AIRFLOW__SCHEDULER__X"),
    ],
)
def test_lines(project, line, check, words):
    (project.root / ".env").write_text(f"A=1\n{line}\n")
    findings = [finding for finding in check_variables(project) if finding.check != "env-dialects"]
    expected = [(check, ".env", 2)] if check else []
    assert [(finding.check, finding.file, finding.line) for finding in findings] == expected
    assert not findings or words in f"{findings[0].message} {findings[0].hint}"
    assert "hunter2" not in repr(list(check_variables(project)))


def test_which_templates_count_depends_on_airflow(project):
    (project.root / ".env").write_text("AIRFLOW__WEBSERVER__EXPOSE_CONFIG=x\n")
    assert found(project) == []
    for image in ("apache/airflow:2.10.5", "python:3.12"):
        (project.root / "Dockerfile").write_text(f"FROM {image}\n")
        assert found(project) == [("overridden-variable", "warning", 1)]


def test_a_variable_that_is_set_twice(project):
    assert found(project) == []
    (project.root / ".env").write_text("A=1\nB=2\nA=hunter2\n")
    assert found(project) == [("variable-twice", "warning", 3)]
    (project.root / ".env").unlink()
    (project.root / ".env").mkdir()
    (project.root / ".env" / "dev.env").write_text("A=1\n")
    (project.root / ".env" / "prod.env").write_text("B=1\nA=hunter2\n")
    (finding,) = check_variables(project)
    assert (finding.file, finding.line) == (".env/prod.env", 2)
    assert ".env/dev.env line 1" in finding.message


def test_lines_that_tools_read_in_several_ways(project):
    (project.root / ".env").write_bytes(b"\xef\xbb\xbfA=1\nB='hunter2 x'\nC=1\n")
    findings = list(check_variables(project))
    assert [(finding.check, finding.severity, finding.line) for finding in findings] == [
        ("env-dialects", "note", 1),
        ("env-dialects", "note", 2),
    ]
    assert "keeps the quotes" in findings[1].message
    assert "hunter2" not in repr(findings)


def test_a_value_of_several_lines_is_told_of_once(project):
    (project.root / ".env").write_text('A=\'{\n"b": "hunter2"\nhunter2\n}\'\n')
    assert found(project) == []
    (note,) = check_variables(project)
    assert (note.check, note.line) == ("env-dialects", 1)


def test_lines_that_are_read_in_the_same_ways_are_told_of_together(project):
    (project.root / ".env").write_text("".join(f"A{number}='x'\n" for number in range(9)) + "B=$C\n")
    notes = list(check_variables(project))
    assert [note.line for note in notes] == [1, 10]
    assert notes[0].message.endswith("; so are lines 2, 3, 4, 5, 6 and 3 more.")
