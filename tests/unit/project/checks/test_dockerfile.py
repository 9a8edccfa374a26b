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
        (f"FROM {AIRFLOW}:3.1.8 AS a\nUSER 0\nFROM a\nRUN x\n", []),
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
