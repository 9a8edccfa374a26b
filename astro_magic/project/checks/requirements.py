"""Checks of the requirements files: what pip cannot read, and what contradicts itself or the image."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Parsed
from packaging.version import InvalidVersion, Version

from astro_magic.errors import InvalidContentError, InvalidPathError
from astro_magic.project.checks.finding import Finding
from astro_magic.project.location import project_file_name
from astro_magic.project.project import Project
from astro_magic.project.requirements.lines import RequirementLine
from astro_magic.project.requirements.requirements import Requirements
from astro_magic.project.runtime.runtime import Runtime
from astro_magic.system.secrets import mask_credentials

__all__ = ["check_requirements"]

_FILES = ("requirements.txt", "requirements-dev.txt", "requirements-client.txt", "private-requirements.txt")
_AIRFLOW = ("apache-airflow", "apache-airflow-core")


@dataclass(frozen=True)
class _Named:
    file: str
    entry: RequirementLine


def check_requirements(project: Project) -> Iterator[Finding]:
    """Check the requirements files of a project, and those that they include.

    Parameters
    ----------
    project : Project
        The project.
    """
    try:
        runtime = project.runtime
    except InvalidContentError:
        # The check of the Dockerfile tells why.
        runtime = None
    waiting = list(reversed(_FILES))
    seen: set[str] = set()
    first: dict[tuple[str, str], _Named] = {}
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        for entry in Requirements(project, file).entries():
            named = _Named(file, entry)
            yield from _unreadable(named)
            option, _, target = entry.meaning.partition(" ")
            if entry.kind == "option" and option in {"--requirement", "--constraint"}:
                included, problem = _included(project, named, target)
                yield from problem
                if included and option == "--requirement":
                    waiting.append(included)
            yield from _twice(named, first)
            if runtime is not None and entry.name in _AIRFLOW and entry.kind == "requirement":
                yield from _airflow(named, runtime)


def _unreadable(named: _Named) -> Iterator[Finding]:
    entry = named.entry
    if entry.kind == "invalid":
        text = mask_credentials(entry.text)
        message = f"pip cannot read {text!r}: {mask_credentials(entry.problem)}."
        hint = "Write it as pip's requirements files do, such as pandas==2.2.3."
        yield Finding("unreadable-requirement", "error", message, hint, named.file, entry.line)


def _included(project: Project, named: _Named, target: str) -> tuple[str, list[Finding]]:
    """Find the file that a line includes, and what is wrong with it; empty when it is none of the project."""
    target = target.strip("\"'")
    if not target or "://" in target or "${" in target:
        return "", []
    relative = posixpath.join(posixpath.dirname(named.file), target)
    if not (project.root / relative).is_file():
        message = f"{mask_credentials(named.entry.text)} names a file that is not there."
        hint = "Make the file, or remove the line."
        return "", [Finding("missing-requirements-file", "error", message, hint, named.file, named.entry.line)]
    try:
        return project_file_name(project.root, posixpath.normpath(relative)), []
    except InvalidPathError:
        return "", []


def _twice(named: _Named, first: dict[tuple[str, str], _Named]) -> Iterator[Finding]:
    entry = named.entry
    if entry.name is None:
        return
    earlier = first.setdefault((entry.name, entry.marker), named)
    if earlier is named:
        return
    same = earlier.entry.meaning == entry.meaning
    where = f"line {earlier.entry.line}" if earlier.file == named.file else f"{earlier.file} line {earlier.entry.line}"
    kind = "requirement-twice" if earlier.file == named.file else "requirement-in-two-files"
    joined = None if same else _joined(earlier.entry, entry)
    if joined is not None:
        message = f"{entry.name} is named here and in {where}; pip takes both lines together."
        yield Finding(kind, "note", message, f"Write them as one: {joined}", named.file, entry.line)
        return
    message = f"{entry.name} is named here and in {where}{'' if same else ', and they differ'}."
    yield Finding(kind, "warning", message, "Keep one of the two lines.", named.file, entry.line)


def _joined(first: RequirementLine, second: RequirementLine) -> str | None:
    """Write two lines about one package as one, where they differ in their extras or only one names versions."""
    if first.kind != "requirement" or second.kind != "requirement":
        return None
    try:
        one, other = Parsed(first.text), Parsed(second.text)
    except InvalidRequirement:
        return None
    several = one.specifier and other.specifier and one.specifier != other.specifier
    if several or one.url or other.url or one.extras == other.extras:
        return None
    one.extras |= other.extras
    one.specifier &= other.specifier
    return str(one)


def _airflow(named: _Named, runtime: Runtime) -> Iterator[Finding]:
    entry = named.entry
    image = f"{'' if runtime.exact else 'a version of '}{runtime.airflow}"
    hint = f"Remove the line, or write {entry.name}=={runtime.airflow}{'' if runtime.exact else '.*'}."
    pinned = _pinned(entry)
    if pinned is None:
        message = f"{entry.name} is not pinned, so pip may replace the Airflow of the image, {image}."
        yield Finding("unpinned-airflow", "warning", message, hint, named.file, entry.line)
    elif not _fits(pinned, runtime):
        message = f"{entry.name} is pinned to {pinned}, and the image has {image}."
        yield Finding("other-airflow", "warning", message, hint, named.file, entry.line)


def _pinned(entry: RequirementLine) -> str | None:
    """Give the version that a requirement is pinned to, which may end in ``.*``."""
    try:
        specifiers = list(Parsed(entry.text.partition(" --")[0]).specifier)
    except InvalidRequirement:
        return None
    exact = [specifier.version for specifier in specifiers if specifier.operator in {"==", "==="}]
    return exact[0] if exact else None


def _fits(pinned: str, runtime: Runtime) -> bool:
    try:
        wanted = Version(pinned.removesuffix(".*")).release
        image = Version(runtime.airflow).release
    except InvalidVersion:
        return pinned == runtime.airflow
    if runtime.exact and not pinned.endswith(".*"):
        return Version(pinned) == Version(runtime.airflow)
    shorter = min(len(wanted), len(image))
    return wanted[:shorter] == image[:shorter]
