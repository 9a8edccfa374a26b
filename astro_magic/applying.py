"""Apply a project's files to its Airflow: at a start, at a restart, and while it runs.

What was applied last is kept as a fingerprint of the files, so that a restart knows what is pending. It is taken
before the work begins: what changes meanwhile is pending afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from astro_magic.engines.answers import EngineStatus
from astro_magic.engines.engine import Engine
from astro_magic.engines.options import StartOptions
from astro_magic.engines.registry import remember_engine
from astro_magic.objects.importing import ObjectsImporter
from astro_magic.objects.records import records_file
from astro_magic.project.fingerprint import Action, Fingerprint, Pending
from astro_magic.project.project import Project
from astro_magic.results import RestartResult, StartResult
from astro_magic.system.events import Operation

__all__ = ["add_packages", "forget", "pending_changes", "restart", "start"]

_NOTHING = Pending(())


def pending_changes(project: Project, engine: Engine, status: EngineStatus) -> Pending:
    """Give what has changed since the running environment was started, and what applies it."""
    started_with = Fingerprint.stored(project)
    if started_with is None or not status.running or status.started_by:
        return _NOTHING
    changed = started_with.pending(Fingerprint.take(project))
    return Pending(tuple(reason for reason in changed.reasons if engine.heeds(reason.file)))


def start(project: Project, engine: Engine, options: StartOptions) -> Operation[StartResult]:
    """Prepare, start, and wait until every component is healthy: see `astro_magic.environment.Environment.start`."""
    started = time.monotonic()
    status = engine.status()
    engine.require_startable(options, running=status.running)
    if status.state == "running":
        seconds = time.monotonic() - started
        notes = (*status.notes, *_without_effect(options, status))
        return StartResult(status, already_running=True, seconds=seconds, notes=notes)
    now = Fingerprint.take(project)
    remember_engine(project, engine)
    importing = ObjectsImporter(project, engine)
    status = yield from importing.beside(engine.start(options))
    now.store(project)
    seconds = time.monotonic() - started
    return StartResult(status, False, seconds, status.notes, importing.result)  # noqa: FBT003


def restart(project: Project, engine: Engine, options: StartOptions | None, *, force: bool) -> Operation[RestartResult]:
    """Apply what is pending with the cheapest action: see `astro_magic.environment.Environment.restart`."""
    started = time.monotonic()
    chosen = options or StartOptions()
    status = engine.status()
    pending = pending_changes(project, engine, status)
    # What somebody else has started is taken over.
    healthy = status.state == "running" and not status.started_by
    was_running = status.running
    now = Fingerprint.take(project)
    asked = force or bool(chosen.image) or chosen.build is not None
    importing = ObjectsImporter(project, engine)
    if healthy and not asked and pending.action is Action.NONE:
        return RestartResult(pending, status, time.monotonic() - started, restarted=False)
    if healthy and not asked and pending.action is Action.IMPORT_OBJECTS:
        yield from importing.now()
    else:
        remember_engine(project, engine)
        status = yield from importing.beside(engine.restart(pending, chosen))
        # Where nothing was restarted, nothing has said that the API answers.
        yield from importing.now()
    now.store(project)
    seconds = time.monotonic() - started
    return RestartResult(pending, status, seconds, objects=importing.result, started=not was_running)


def add_packages(project: Project, engine: Engine) -> Operation[bool]:
    """Put new requirements into what runs: see `astro_magic.environment.Environment.add_packages`."""
    status = engine.status()
    pending = pending_changes(project, engine, status)
    now = Fingerprint.take(project)
    if not status.running or {reason.file for reason in pending.reasons} != {"requirements.txt"}:
        return False
    done = yield from engine.add_packages(pending)
    if done:
        now.store(project)
    return done


def forget(project: Project) -> None:
    """Forget what was applied, of an Airflow whose data is gone."""
    Fingerprint.forget(project)
    records_file(project).unlink(missing_ok=True)
    remember_engine(project, None)


def _without_effect(options: StartOptions, status: EngineStatus) -> Iterator[str]:
    """Name the options that mean nothing to an Airflow that runs already."""
    if options.port is not None and not (status.url or "").endswith(f":{options.port}"):
        yield f"It goes on at its port: --port {options.port} is for a start after %astro_stop."
    if options.image or options.build is not None:
        yield "It goes on with its image: %astro_restart takes --image-name and the options of a build."
