"""What a project requests by name, and where it says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from packaging.markers import InvalidMarker, Marker, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement

from astro_magic.project.project import Project
from astro_magic.project.requirements.lines import RequirementLine
from astro_magic.system.secrets import mask_credentials

__all__ = ["Request", "requests_of", "unnamed_requests"]


@dataclass(frozen=True)
class Request:
    """A requirement of the project.

    Attributes
    ----------
    text : str
        As written, without its comment; logins and secrets are hidden.
    file : str
        The file that has it, relative to the project.
    line : int
        Where, counted from 1.
    extras : frozenset of str
        The extras that it asks for.
    """

    text: str
    file: str
    line: int
    extras: frozenset[str] = frozenset()

    @property
    def place(self) -> str:
        """Where it stands: ``requirements.txt:3``."""
        return f"{self.file}:{self.line}"


def requests_of(project: Project, markers: Mapping[str, str]) -> dict[str, Request]:
    """Give what the requirements files and those that they include with ``-r`` request, by normalised name.

    A requirement whose environment marker does not hold requests nothing. Of several for one package, the first counts.

    Parameters
    ----------
    project : Project
        The project.
    markers : mapping of str to str
        Values of environment markers that differ from those of this process.

    Raises
    ------
    FileAccessError
        When a file cannot be read.
    InvalidContentError
        When one is no UTF-8 text.
    """
    found: dict[str, Request] = {}
    for file, entry in _requirements(project):
        if entry.name is not None and _holds(entry.marker, markers):
            found.setdefault(entry.name, _request(file, entry))
    return found


def unnamed_requests(project: Project) -> tuple[Request, ...]:
    """Give the URLs and folders of which the files do not tell what package they are.

    Parameters
    ----------
    project : Project
        The project.
    """
    return tuple(_request(file, entry) for file, entry in _requirements(project) if entry.name is None)


def _requirements(project: Project) -> list[tuple[str, RequirementLine]]:
    return [
        (each.name, entry)
        for each in project.requirement_files(constraints=False)
        for entry in each.entries()
        if entry.kind in ("requirement", "location")
    ]


def _request(file: str, entry: RequirementLine) -> Request:
    try:
        extras = Requirement(entry.text).extras
    except InvalidRequirement:
        extras = set()
    return Request(mask_credentials(entry.text), file, entry.line, frozenset(extras))


def _holds(marker: str, values: Mapping[str, str]) -> bool:
    try:
        return not marker or Marker(marker).evaluate(dict(values))
    except (InvalidMarker, UndefinedEnvironmentName):
        return True
