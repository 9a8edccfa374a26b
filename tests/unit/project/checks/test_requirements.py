from __future__ import annotations

import pytest

from astro_magic.project import Project
from astro_magic.project.checks.requirements import check_requirements


@pytest.fixture
def check(tmp_path):
    project = Project.create(tmp_path / "shop").project
    (project.root / "requirements.txt").unlink()
    (project.root / "Dockerfile").write_text("FROM apache/airflow:3.1.8\n")

    def found(files):
        for name, text in files.items():
            path = project.root / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        findings = list(check_requirements(project))
        assert all(finding.hint for finding in findings)
        assert "hunter2" not in repr(findings)
        return [(finding.check, finding.severity, finding.file, finding.line) for finding in findings]

    return found


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, []),
        ({"requirements.txt": "# x\npandas==2\nduckdb\n"}, []),
        (
            {"requirements.txt": "pandas==\n--token=hunter2\n"},
            [
                ("unreadable-requirement", "error", "requirements.txt", 1),
                ("unreadable-requirement", "error", "requirements.txt", 2),
            ],
        ),
        ({"requirements.txt": "a==1\nb\nA==2\n"}, [("requirement-twice", "warning", "requirements.txt", 3)]),
        ({"requirements.txt": "a==1; python_version<'3.12'\na==2; python_version>='3.12'\n"}, []),
        (
            {"requirements.txt": "a==1\n", "requirements-dev.txt": "b\na\n"},
            [("requirement-in-two-files", "warning", "requirements-dev.txt", 2)],
        ),
        (
            {"requirements.txt": "a==1\n-r more/x.txt\n", "more/x.txt": "-r y.txt\n", "more/y.txt": "\na\n"},
            [("requirement-in-two-files", "warning", "more/y.txt", 2)],
        ),
        ({"requirements.txt": "-r requirements.txt\na\n"}, []),
        (
            {"requirements.txt": "-r more.txt\n-c limits.txt\n-r https://h/x.txt\n-r ${X}.txt\n"},
            [
                ("missing-requirements-file", "error", "requirements.txt", 1),
                ("missing-requirements-file", "error", "requirements.txt", 2),
            ],
        ),
        # What constrains only is no requirement.
        ({"requirements.txt": "a==1\n-c limits.txt\n", "limits.txt": "a==1\n"}, []),
        ({"requirements.txt": "apache-airflow\n"}, [("unpinned-airflow", "warning", "requirements.txt", 1)]),
        ({"requirements.txt": "apache-airflow[celery]>=3\n"}, [("unpinned-airflow", "warning", "requirements.txt", 1)]),
        ({"requirements.txt": "apache_airflow_core==3.1.7\n"}, [("other-airflow", "warning", "requirements.txt", 1)]),
        ({"requirements.txt": "apache-airflow==3.1.8\napache-airflow-core==3.1.*\n"}, []),
        ({"requirements.txt": "apache-airflow==2.*\n"}, [("other-airflow", "warning", "requirements.txt", 1)]),
        ({"requirements.txt": "apache-airflow==3.1.9\n", "Dockerfile": "FROM python:3.12\n"}, []),
        ({"requirements.txt": "apache-airflow-providers-amazon\n"}, []),
    ],
)
def test_findings(check, files, expected):
    assert check(files) == expected


def test_both_lines_are_named(check, tmp_path):
    check({"requirements.txt": "a==1\n", "requirements-dev.txt": "a==2\n"})
    (finding,) = check_requirements(Project(tmp_path / "shop"))
    assert finding.message == "a is named here and in requirements.txt line 1, and they differ."


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        ("a==1\na[x]\n", "a[x]==1"),
        ("a[y]\nA[x]==1\n", "a[x,y]==1"),
        ("a==1\na==2\n", None),
        ("a[x]==1\na==2\n", None),
        ("a[x] @ https://h/a.whl\na\n", None),
    ],
)
def test_extras_on_a_line_of_their_own(tmp_path, lines, joined):
    project = Project.create(tmp_path / "shop").project
    (project.root / "requirements.txt").write_text(lines)
    (finding,) = check_requirements(project)
    assert (finding.check, finding.line) == ("requirement-twice", 2)
    if joined is None:
        assert (finding.severity, finding.hint) == ("warning", "Keep one of the two lines.")
    else:
        assert (finding.severity, finding.hint) == ("note", f"Write them as one: {joined}")
