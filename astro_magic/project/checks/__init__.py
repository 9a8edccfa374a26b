"""Checks of a project: what will not work, will surprise, or is good to know."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial

from astro_magic.errors import AstroMagicError
from astro_magic.project.checks.finding import Finding, Severity
from astro_magic.project.project import Project

__all__ = ["AREAS", "Finding", "Severity", "check_project"]

#: What can be checked.
AREAS = ("dags", "dockerfile", "files", "git", "requirements", "settings", "variables")

_ORDER = {"error": 0, "warning": 1, "note": 2}


def check_project(
    project: Project, *, only: Collection[str] | None = None, thorough: bool = False
) -> tuple[Finding, ...]:
    """Check a project.

    Parameters
    ----------
    project : Project
        The project.
    only : collection of str, optional
        What to check, of `AREAS`. Default: everything.
    thorough : bool, optional
        Parse every DAG file in search of errors of syntax, however many there are; else those that look odd, and
        some of those that were changed last.

    Returns
    -------
    tuple of Finding
        Errors first, then warnings, then notes; each sorted by file and line. A file that cannot be read is an error
        among them, not an exception.

    Raises
    ------
    ValueError
        When `only` names what is no area.
    """
    unknown = sorted(set(only or ()) - set(AREAS))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no area of checks; there are {', '.join(AREAS)}")
    found: dict[tuple[str, str, int | None], Finding] = {}
    for area, check in _checks(thorough=thorough).items():
        if only is None or area in only:
            for finding in _run(project, check):
                # Several checks may stumble over the same unreadable file.
                place = (finding.message, finding.file, finding.line)
                found.setdefault((finding.message, "", None) if finding.check == "unreadable" else place, finding)
    return tuple(sorted(found.values(), key=_rank))


def _checks(*, thorough: bool) -> dict[str, Callable[[Project], Iterator[Finding]]]:
    from astro_magic.project.checks.dags import check_dags
    from astro_magic.project.checks.dockerfile import check_dockerfile
    from astro_magic.project.checks.files import check_files
    from astro_magic.project.checks.git import check_git
    from astro_magic.project.checks.requirements import check_requirements
    from astro_magic.project.checks.settings import check_settings
    from astro_magic.project.checks.variables import check_variables

    return {
        # First, since it names the file that the others only stumble over.
        "files": check_files,
        "dags": partial(check_dags, parsed_at_once=None) if thorough else check_dags,
        "dockerfile": check_dockerfile,
        "git": check_git,
        "requirements": check_requirements,
        "settings": check_settings,
        "variables": check_variables,
    }


def _run(project: Project, check: Callable[[Project], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check(project)
    except AstroMagicError as error:
        yield Finding("unreadable", "error", error.message, error.hint or "Correct the file, then run this again.")


def _rank(finding: Finding) -> tuple[int, str, int, str]:
    return _ORDER[finding.severity], finding.file, finding.line or 0, finding.message
