"""The image that a project runs: its Dockerfile's, or a prepared one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from astro_magic.engines.docker.client.connection import Connection
from astro_magic.engines.docker.image.background import end_abandoned_builds
from astro_magic.engines.docker.image.build import build_image
from astro_magic.engines.docker.image.facts import ImageFacts, image_facts, tag_image
from astro_magic.engines.docker.image.lint import lint
from astro_magic.engines.docker.names import Names
from astro_magic.engines.docker.record import Record
from astro_magic.engines.options import BuildOptions
from astro_magic.errors import ProjectBusyError
from astro_magic.project.project import Project
from astro_magic.system.events import Operation, Step
from astro_magic.system.locks import hold

__all__ = ["end_abandoned", "make_image", "options_kept"]

_WAIT = 1800.0
_LOGS_KEPT = 20


def make_image(
    connection: Connection, project: Project, record: Record, *, options: BuildOptions | None = None, name: str = ""
) -> Operation[ImageFacts]:
    """Build the image of a project, or take the prepared one; its tag is the project's afterwards.

    Parameters
    ----------
    connection : Connection
        The engine.
    project : Project
        The project.
    record : Record
        What is kept of earlier calls.
    options : BuildOptions, optional
        How it is built; as the last time by default.
    name : str, optional
        The prepared image; else the one that was asked for last, if any.

    Raises
    ------
    EngineError
        When the image cannot be built, is not there, or has no Airflow in it.
    InvalidContentError
        When the Dockerfile cannot be built from, or puts a key into the image.
    """
    names = Names.of(project)
    prepared = name or record.image_name
    if prepared:
        yield Step("build", "image", detail=f"looking into {prepared}")
        facts = image_facts(connection, prepared)
        tag_image(connection, facts.id, names.image)
        yield Step("build", "image", "done", prepared, 0.0)
        return facts
    logs = project.make_state_dir() / "logs"
    logs.mkdir(mode=0o700, exist_ok=True)
    for old in sorted(logs.glob("build-*.log"), key=lambda file: file.stat().st_mtime)[:-_LOGS_KEPT]:
        old.unlink(missing_ok=True)
    log = logs / f"build-{datetime.now().astimezone():%Y%m%d-%H%M%S}.log"
    lint(project)
    with _turn(project):
        chosen = options if options is not None else _options(record)
        image_id = yield from build_image(connection, project, tag=names.image, options=chosen, log=log)
    return image_facts(connection, image_id)


def options_kept(record: Record, options: BuildOptions | None) -> Record:
    """Give the record with build options for later builds; what is meant for one build only is left out."""
    if options is None:
        return record
    return replace(record, options=asdict(replace(options, no_cache=False, pull=False)))


def _options(record: Record) -> BuildOptions:
    known: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in record.options.items()
    }
    return BuildOptions(**known)


def end_abandoned(project: Project) -> None:
    """End builds that a killed kernel left; nothing where somebody builds."""
    with suppress(ProjectBusyError), _turn(project, timeout=0):
        pass


@contextmanager
def _turn(project: Project, *, timeout: float = _WAIT) -> Iterator[None]:
    """Wait for a build of the same project that goes on in the background: its steps are this one's cache."""
    with hold(project.state_dir / "image.lock", purpose="building the image", timeout=timeout):
        end_abandoned_builds(Names.of(project).image)
        yield
