"""What is wrong with a Dockerfile, told before a build has been waited for."""

from __future__ import annotations

from astro_magic.errors import InvalidContentError
from astro_magic.project.checks.dockerfile import check_dockerfile
from astro_magic.project.checks.finding import Finding
from astro_magic.project.project import Project

__all__ = ["lint"]


def lint(project: Project) -> tuple[str, ...]:
    """Check the Dockerfile of a project.

    Returns
    -------
    tuple of str
        What will surprise in the image, a sentence each with its line, and what to do about it.

    Raises
    ------
    InvalidContentError
        When the image cannot be built, or must not: the first reason, with its line.
    """
    findings = list(check_dockerfile(project))
    for finding in findings:
        if finding.severity == "error":
            raise InvalidContentError(_told(finding), hint=finding.hint)
    return tuple(f"{_told(each)} {each.hint}" for each in findings if each.severity == "warning")


def _told(finding: Finding) -> str:
    return f"{finding.file} line {finding.line}: {finding.message}" if finding.line else finding.message
