"""Apply what is pending to running containers, at the price of what changed.

Requirements go into the running containers at once, where that can be done: packages that are only added need no
process restarted; changed ones restart the components beside the UI. The image is built in the background meanwhile.
All else needs new containers, from a new image where the image is concerned; the old ones go on until those are there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from astro_magic.airflow.runs import running_tasks
from astro_magic.engines.answers import ApiAccess
from astro_magic.engines.docker import packages
from astro_magic.engines.docker.client.connection import Connection, guard
from astro_magic.engines.docker.containers import in_parallel
from astro_magic.engines.docker.image.background import background_build
from astro_magic.engines.docker.image.facts import image_facts
from astro_magic.engines.docker.names import SERVERS
from astro_magic.engines.docker.record import Record
from astro_magic.engines.docker.services.stack import component_names
from astro_magic.engines.docker.watching.health import HealthCheck, await_health
from astro_magic.engines.docker.watching.listing import ContainerInfo
from astro_magic.errors import AirflowError, InstallationError
from astro_magic.project.fingerprint import Action, Pending
from astro_magic.project.project import Project
from astro_magic.system.events import Operation, Step

__all__ = ["add_packages", "settle"]

_TASK_GRACE = 30.0


def add_packages(
    connection: Connection,
    project: Project,
    pending: Pending,
    present: Mapping[str, ContainerInfo],
    record: Record,
    *,
    access: ApiAccess,
    timeout: float | None = None,
) -> Operation[Record | None]:
    """Bring the packages of the running containers to what the requirements say, if that can be done.

    Parameters
    ----------
    connection : Connection
        The engine.
    project : Project
        The project.
    pending : Pending
        What changed.
    present : mapping of str to ContainerInfo
        The project's containers.
    record : Record
        What the containers have beyond their image.
    access : ApiAccess
        The running Airflow.
    timeout : float, optional
        Seconds until components that do not get healthy are given up; without it, none may be restarted.

    Returns
    -------
    Record or None
        The new record; None when this way is closed, and nothing is lost by that.

    Raises
    ------
    StartFailedError
        When components do not get healthy with the new packages.
    """
    major = access.airflow_major
    running = {name: present[name] for name in component_names(major) if name in present}
    whole = all(each.state == "running" for each in running.values()) and len(running) == len(component_names(major))
    if not whole or not _concerns_packages_only(project, pending):
        return None
    begun = time.monotonic()
    yield Step("packages", "packages", detail="finding out what changes")
    facts = image_facts(connection, next(iter(running.values())).image_id)
    text = project.requirements.text()
    change = packages.plan(connection, running["scheduler"].id, text, {**facts.packages, **record.added}, facts)
    if change is None or (change.changed and timeout is None):
        yield Step("packages", "packages", "skipped", "these need a new image", time.monotonic() - begun)
        return None
    yield Step("packages", "packages", detail=f"installing {change.described}")
    try:
        packages.install(connection, [each.id for each in running.values()], text, change)
    except InstallationError:
        yield Step("packages", "packages", "skipped", "these need a new image", time.monotonic() - begun)
        return None
    yield Step("packages", "packages", "done", change.described, time.monotonic() - begun)
    if change.changed and timeout is not None:
        yield from settle(access)
        workers = {name: each.id for name, each in running.items() if name not in SERVERS}
        in_parallel(lambda container: _restart(connection, container), workers.values())
        yield from await_health(connection, HealthCheck(workers, access.base_url, major, timeout))
    background_build(project).start()
    return record.with_packages({**change.added, **change.changed})


def settle(access: ApiAccess | None) -> Operation[None]:
    """Wait for tasks that run, as long as that is no imposition: the scheduler's end is theirs, too."""
    if access is None:
        return
    begun = time.monotonic()
    while time.monotonic() - begun < _TASK_GRACE:
        try:
            with access.client() as client:
                running = running_tasks(client)
        except AirflowError:
            return
        if not running:
            return
        yield Step("tasks", "tasks", detail=f"waiting for {running} running")
        time.sleep(0.5)


def _concerns_packages_only(project: Project, pending: Pending) -> bool:
    """Whether only requirements came or changed, none of them in another file."""
    reasons = pending.reasons
    simple = all(
        reason.file == "requirements.txt" and reason.action is Action.REBUILD and not reason.detail.startswith("- ")
        for reason in reasons
    )
    entries = project.requirements.entries()
    whole = not project.requirements.included() and all(each.kind in _KINDS for each in entries)
    return bool(reasons) and simple and whole


def _restart(connection: Connection, container: str) -> None:
    with guard("restarting a component"):
        connection.api.restart(container, timeout=0)


_KINDS = ("blank", "comment", "option", "requirement")
