"""What is installed in a project's image, and in running containers beyond it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from astro_magic.engines.docker.client.commands import run_command
from astro_magic.engines.docker.client.connection import Connection
from astro_magic.engines.docker.image.facts import ImageFacts, facts_at_hand
from astro_magic.engines.docker.record import Record
from astro_magic.engines.inside import distributions
from astro_magic.engines.installation import Installation, InstalledPackage, package_of, with_requests
from astro_magic.errors import EngineError, EngineUnavailableError, InvalidContentError
from astro_magic.project.dockerfile.images import base_of
from astro_magic.project.project import Project

__all__ = ["read_installation", "versions_in"]

_READ = f"""
{Path(distributions.__file__).read_text(encoding="utf-8")}

import json, sys
found = read_distributions()
print(json.dumps({{name: found[name] for name in sys.argv[1:] if name in found}}))
"""

#: What was read of added packages, by the container and when they were added.
_read: dict[tuple[str, str], dict[str, InstalledPackage]] = {}


def versions_in(facts: ImageFacts, record: Record) -> dict[str, InstalledPackage]:
    """Give what is in an image and was added to its containers; of what was added, names and versions only."""
    added = {name: InstalledPackage(name, version) for name, version in record.added.items()}
    return {**facts.distributions, **added}


def read_installation(
    connection: Connection, project: Project, facts: ImageFacts, record: Record, running: Sequence[str]
) -> Installation:
    """Give what is in an image and in its containers, and what of it was in the Dockerfile's base image already.

    Parameters
    ----------
    connection : Connection
        The engine.
    project : Project
        The project.
    facts : ImageFacts
        What is in the project's image.
    record : Record
        What containers have beyond it.
    running : sequence of str
        Ids of the project's running Airflow containers; what was added is read in the first one.

    Raises
    ------
    EngineUnavailableError
        When the engine is gone.
    """
    reference = _base_image(project, record)
    base = facts_at_hand(connection, reference) if reference else None
    found = {name: _placed(package, base, name) for name, package in versions_in(facts, record).items()}
    for name, package in _added(connection, facts, record, running).items():
        found[name] = replace(package, origin="added at run time")
    unknown = f"The base image {reference} is not on this machine, so that what comes from it is not told apart."
    line = ".".join(facts.python_version.split(".")[:2])
    return Installation(
        with_requests(found, project.requested()),
        python_version=facts.python_version,
        markers={
            "os_name": "posix",
            "sys_platform": "linux",
            "platform_system": "Linux",
            "platform_machine": facts.machine,
            "python_version": line,
            "python_full_version": facts.python_version,
        },
        rest="image",
        note=unknown if reference and base is None else "",
        os_packages=facts.os_packages,
    )


def _base_image(project: Project, record: Record) -> str:
    """Give the image that the Dockerfile builds on; empty where it does not tell, or a prepared image is run."""
    if record.image_name:
        return ""
    try:
        return base_of(project.dockerfile.entries()).image
    except InvalidContentError:
        return ""


def _placed(package: InstalledPackage, base: ImageFacts | None, name: str) -> InstalledPackage:
    if base is None:
        return replace(package, origin="image")
    return replace(package, origin="base image") if base.packages.get(name) == package.version else package


def _added(
    connection: Connection, facts: ImageFacts, record: Record, running: Sequence[str]
) -> Mapping[str, InstalledPackage]:
    """Give what was added to containers, with its metadata where one of them can be asked."""
    known = {name: InstalledPackage(name, version) for name, version in record.added.items()}
    if not known or not running:
        return known
    key = (running[0], record.added_at)
    if key not in _read:
        try:
            done = run_command(connection, running[0], [facts.python, "-c", _READ, *known])
            told = json.loads(done.output)
            _read[key] = {name: package_of(about) for name, about in told.items()}
        except EngineUnavailableError:
            raise
        except (EngineError, ValueError):
            # A container that is about to end; names and versions are known all the same.
            return known
    return {**known, **_read[key]}
