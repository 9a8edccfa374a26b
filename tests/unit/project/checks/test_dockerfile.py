from __future__ import annotations

import pytest

from astro_magic.project import Project
from astro_magic.project.checks.dockerfile import check_dockerfile

AIRFLOW = "apache/airflow"


@pytest.fixture
def check(tmp_path):
    project = Project.create(tmp_path / "shop").project

    def found(text):
        path = project.root / "Dockerfile"
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
        findings = list(check_dockerfile(project))
        assert all(finding.file == "Dockerfile" and finding.hint and finding.message for finding in findings)
        return findings

    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"FROM {AIRFLOW}:3.1.8\nRUN x\nENV A=1\n", []),
        (None, [("no-dockerfile", "error", None)]),
        ("# x\n", [("no-base-image", "error", None)]),
        (f"FROM {AIRFLOW}:\n", [("no-base-image", "error", None)]),
        ("\nFROM python:3.12\n", [("unknown-image", "warning", 2)]),
        # A stage that only builds something may begin from anything, but the CLI's standalone mode looks there.
        (f"FROM node:22 AS ui\nFROM {AIRFLOW}:3.1.8\n", [("first-image-counts", "note", 1)]),
        (f"FROM {AIRFLOW}:3.1.8 AS a\nFROM node:22\nFROM a\n", []),
        (
            f"FROM {AIRFLOW}:3.1.7 AS a\nRUN x\nFROM {AIRFLOW}:3.1.8\n",
            [("several-airflows", "warning", 1), ("first-image-counts", "note", 1)],
        ),
        (f"FROM {AIRFLOW}:3.1.8 AS a\nRUN x\nFROM {AIRFLOW}:3.1.8\n", []),
        (f"FROM {AIRFLOW}:3.1.8\nUSER root\nRUN x\nUSER astro\n", []),
        (f"FROM {AIRFLOW}:3.1.8\nUSER root\nRUN x\n", [("user-root", "warning", 2)]),
        (f"FROM {AIRFLOW}:3.1.8 AS a\nUSER 0\nFROM a\nRUN x\n", [("user-root", "warning", 2)]),
        (f"FROM {AIRFLOW}:3.1.8\n# >>> a\nRUN x\n", [("open-block", "warning", 2)]),
        (f"FROM {AIRFLOW}:3.1.8\nRUN <<E\nRUN x\n", [("open-instruction", "error", 2)]),
        (f"FROM {AIRFLOW}:3.1.8\nRUM x\n", [("unknown-instruction", "error", 2)]),
        (f"FROM {AIRFLOW}:3.1.8\nENV A=1 API_TOKEN='hunter2'\n", [("secret-in-image", "warning", 2)]),
        (f"ARG DB_PASSWORD=hunter2\nFROM {AIRFLOW}:3.1.8\n", [("secret-in-image", "warning", 1)]),
        (f"FROM {AIRFLOW}:3.1.8\nARG API_TOKEN\nENV API_TOKEN=${{API_TOKEN}} KEY_BITS=2048 USE_TOKEN=true\n", []),
    ],
)
def test_findings(check, text, expected):
    findings = check(text)
    assert [(finding.check, finding.severity, finding.line) for finding in findings] == expected
    assert "hunter2" not in repr(findings)


def test_another_frontend_may_know_other_instructions(check):
    text = f"FROM {AIRFLOW}:3.1.8\nPYENV 3.8 a\n"
    assert [finding.check for finding in check(text)] == ["unknown-instruction"]
    assert [finding.check for finding in check(f"# syntax=docker/dockerfile:1\n{text}")] == ["unknown-instruction"]
    assert check(f"# syntax=quay.io/astronomer/airflow-extensions:v1\n{text}") == []


def test_a_file_that_ends_with_a_line_that_goes_on_is_read_all_the_same(check):
    (finding,) = check(f"FROM {AIRFLOW}:3.1.8\nRUN x \\\n")
    assert (finding.check, finding.severity, finding.line) == ("open-instruction", "warning", 2)
    (finding,) = check(f"FROM {AIRFLOW}:3.1.8\nRUN <<E\n")
    assert (finding.check, finding.severity, finding.line) == ("open-instruction", "error", 2)


def test_the_class_of_a_backend_is_no_secret(check):
    assert check(f"FROM {AIRFLOW}:3.1.8\nENV AIRFLOW__SECRETS__BACKEND=a.b.C\n") == []


@pytest.mark.parametrize(("image", "user"), [(f"{AIRFLOW}:3.1.8", "airflow"), ("quay.io/a/runtime:3.1-1", "astro")])
def test_the_user_to_go_back_to_is_that_of_the_image(check, image, user):
    (finding,) = [finding for finding in check(f"FROM {image}\nUSER root\n") if finding.check == "user-root"]
    assert f"USER {user} " in finding.hint
