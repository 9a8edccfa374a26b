from __future__ import annotations

import pytest

from astro_magic.project.checks.dockerfile import check_dockerfile


@pytest.fixture
def found(project):
    """Give what one check finds in a Dockerfile: the severity and line of each finding, and the findings."""

    def find(text, check):
        (project.root / "Dockerfile").write_bytes(text.encode())
        findings = [finding for finding in check_dockerfile(project) if finding.check == check]
        assert all(finding.file == "Dockerfile" and finding.message.endswith(".") for finding in findings)
        assert all(finding.hint.endswith(".") for finding in findings)
        assert "hunter2" not in repr(findings)
        return [(finding.severity, finding.line) for finding in findings], findings

    return find
