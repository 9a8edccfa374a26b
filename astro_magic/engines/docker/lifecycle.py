"""The containers of one project, as one thing that starts, changes and stops.

A change never takes an environment away that worked: the new containers are made beside the old ones, which are only
stopped, and removed when the new ones are healthy. If those do not get so, the old ones are started again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from astro_magic.engines.docker import containers
from astro_magic.engines.docker.client.connection import Connection, guard
from astro_magic.engines.docker.database import Database, Schema
from astro_magic.engines.docker.image.facts import ImageFacts
from astro_magic.engines.docker.names import SERVERS, Names
from astro_magic.engines.docker.services.stack import MIGRATION, POSTGRES, Model, component_names
from astro_magic.engines.docker.services.translate import HASH_LABEL, config_hash, started_services
from astro_magic.engines.docker.watching.health import HealthCheck, await_health
from astro_magic.engines.docker.watching.listing import ContainerInfo, find_containers
from astro_magic.engines.docker.watching.logs import last_words
from astro_magic.errors import AstroMagicError, EngineError, StartFailedError
from astro_magic.system.events import Operation, Step

__all__ = ["Plan", "Stack"]

_NEXT = "-next"
#: States of containers that can be removed and nothing else: an engine that is killed meanwhile leaves them so.
_BEING_REMOVED = ("dead", "removing")
_BEFORE = "-before"
_DATABASE_TIMEOUT = 60.0
_MIGRATION_TIMEOUT = 600.0
_ALL_COMPONENTS = frozenset((*component_names(2), *component_names(3)))


@dataclass(frozen=True)
class Plan:
    """What is to run.

    Attributes
    ----------
    model : Model
        The services.
    facts : ImageFacts
        What is in the image that the Airflow services run.
    base_url : str
        Address of the API server or webserver.
    user : str
        The superuser of the metadata database.
    timeout : float
        Seconds until components that do not get healthy are given up.
    """

    model: Model
    facts: ImageFacts
    base_url: str
    user: str
    timeout: float

    @property
    def components(self) -> tuple[str, ...]:
        """The services that run Airflow."""
        known = component_names(self.facts.airflow_major)
        return tuple(service for service in started_services(self.model) if service in known)

    @property
    def others(self) -> tuple[str, ...]:
        """The services beside: the database, and what the override file adds."""
        return tuple(name for name in started_services(self.model) if name not in (*self.components, MIGRATION))


class Stack:
    """The containers of one project.

    Parameters
    ----------
    connection : Connection
        The engine.
    names : Names
        The project's names.
    """

    def __init__(self, connection: Connection, names: Names) -> None:
        self.connection = connection
        self.names = names

    def containers(self) -> dict[str, ContainerInfo]:
        """Give the project's containers by service; without single commands, and what an ended switch left."""
        found = find_containers(self.connection, self.names)
        return {each.service: each for each in found if self._is_proper(each)}

    def remove_leftovers(self) -> None:
        """Remove what a switch left that was ended in the middle."""
        found = find_containers(self.connection, self.names)
        ours = [each.id for each in found if each.name.endswith((_NEXT, _BEFORE)) and not each.one_off]
        containers.remove_containers(self.connection, ours)

    def _is_proper(self, container: ContainerInfo) -> bool:
        return not container.one_off and not container.name.endswith((_NEXT, _BEFORE))

    # -- start ---------------------------------------------------------------------------------------------------

    def bring_up(self, plan: Plan) -> Operation[None]:
        """Start everything, and wait until it is healthy. A start that fails or is interrupted ends what it started.

        Raises
        ------
        EngineError
            When something cannot be started, or does not get healthy.
        """
        self.remove_leftovers()
        containers.ensure_surroundings(self.connection, self.names, plan.model)
        finished = False
        started: dict[str, str] = {}
        try:
            started |= self._make(plan, plan.others)
            containers.start_containers(self.connection, started)
            ready = self._make(plan, plan.components)
            try:
                yield from self._prepare_database(plan, started.get(POSTGRES))
            except StartFailedError:
                remade = self._remade_database(plan, started.get(POSTGRES))
                if not remade:
                    raise
                started |= remade
                yield from self._prepare_database(plan, started[POSTGRES])
            # Before they are started: an interrupt in the middle of that is to end them, too.
            started |= ready
            with containers.favoured(self.connection, _servers(plan, ready)):
                containers.start_containers(self.connection, ready)
                yield from await_health(self.connection, self._check(plan, ready, started.get(POSTGRES, "")))
            finished = True
        finally:
            if not finished:
                with contextlib.suppress(AstroMagicError):
                    containers.kill_containers(self.connection, started.values())
        self._remove_orphans(plan)

    def _remove_orphans(self, plan: Plan) -> None:
        """Remove containers of services that are no more, such as those of an override file that is gone."""
        gone = [each.id for service, each in self.containers().items() if service not in plan.model["services"]]
        containers.remove_containers(self.connection, gone)

    def _check(self, plan: Plan, ids: Mapping[str, str], database: str = "") -> HealthCheck:
        return HealthCheck(ids, plan.base_url, plan.facts.airflow_major, plan.timeout, database)

    def _make(self, plan: Plan, services: Iterable[str]) -> dict[str, str]:
        """Give containers of services, which need not run: those that are there and fit, else new ones."""
        present = self.containers()
        wanted = list(services)
        fitting = {name: present[name].id for name in wanted if name in present and self._fits(plan, present[name])}
        missing = [name for name in wanted if name not in fitting]
        containers.remove_containers(self.connection, [present[name].id for name in missing if name in present])
        return fitting | containers.create_containers(self.connection, self.names, plan.model, missing)

    def _fits(self, plan: Plan, container: ContainerInfo) -> bool:
        if container.state in _BEING_REMOVED:
            return False
        same = container.labels.get(HASH_LABEL) == config_hash(plan.model, container.service)
        return same and (container.service not in plan.components or container.image_id == plan.facts.id)

    # -- change --------------------------------------------------------------------------------------------------

    def switch(self, plan: Plan, *, settle: Callable[[], Operation[None]]) -> Operation[None]:
        """Put new containers of Airflow's components into the place of those that run; the database goes on.

        Parameters
        ----------
        plan : Plan
            What is to run from now on.
        settle : callable
            Waits for running tasks, right before the old components end.

        Raises
        ------
        EngineError
            When the new ones do not get healthy. The old ones run again then.
        """
        self.remove_leftovers()
        containers.ensure_surroundings(self.connection, self.names, plan.model)
        present = self.containers()
        fits = self._look_ahead(plan, present.get(POSTGRES))
        old = {service: each for service, each in present.items() if service in _ALL_COMPONENTS}
        new = containers.create_containers(self.connection, self.names, plan.model, plan.components, suffix=_NEXT)
        backup: Database | None = None
        finished = False
        try:
            yield from settle()
            begun = time.monotonic()
            yield Step("switch", "switch", detail="putting new containers into the place of the old ones")
            going = dict(old)
            if not fits:
                containers.in_parallel(self._put_away, going.values())
                going.clear()
            others = self._make(plan, plan.others)
            containers.start_containers(self.connection, others)
            if not fits:
                database = self._database(plan, others.get(POSTGRES))
                if database is not None:
                    database.wait(_DATABASE_TIMEOUT)
                    if not database.schema().is_of(plan.facts.airflow_version):
                        database.back_up()
                        # Not before: what would put a copy back that is not there takes the data away.
                        backup = database
                yield from self._prepare_database(plan, others.get(POSTGRES))
            with containers.favoured(self.connection, _servers(plan, new)):
                services = {**new, **going}
                containers.in_parallel(lambda name: self._replace(name, going.get(name), new.get(name)), services)
                yield Step("switch", "switch", "done", "new containers", time.monotonic() - begun)
                yield from await_health(self.connection, self._check(plan, new, others.get(POSTGRES, "")))
            finished = True
        except EngineError as failure:
            yield Step("switch", "switch", "failed", "going back to the containers from before")
            self._go_back(old, new, backup)
            finished = True
            yield from self._await_old(old, plan)
            failure.hint = f"Airflow runs again as it did before. {failure.hint or ''}".strip()
            raise
        finally:
            if not finished:
                # Interrupted: nothing can be told any more, but the old ones are to run.
                self._go_back(old, new, backup)
        containers.remove_containers(self.connection, [each.id for each in old.values()])
        self._remove_orphans(plan)
        if backup is not None:
            backup.drop_backup()

    def _look_ahead(self, plan: Plan, postgres: ContainerInfo | None) -> bool:
        """Tell whether the database goes on as it is; refuse, before anything is stopped, what does not go with it."""
        if postgres is None or postgres.state != "running" or POSTGRES not in plan.others:
            return False
        try:
            schema = Database(self.connection, postgres.id, plan.user).schema()
        except EngineError:
            # It does not answer now; what it holds is looked at again when it does.
            return False
        _refuse_older(schema, plan.facts.airflow_version)
        return schema.is_of(plan.facts.airflow_version) and self._fits(plan, postgres)

    def _put_away(self, container: ContainerInfo) -> None:
        """End a container, and let another one have its name."""
        containers.kill_containers(self.connection, [container.id])
        containers.rename_container(self.connection, container.id, f"{container.name}{_BEFORE}")

    def _replace(self, service: str, old: ContainerInfo | None, new: str | None) -> None:
        """Put a new container into the place of an old one."""
        if old is not None:
            self._put_away(old)
        if new is not None:
            containers.rename_container(self.connection, new, self.names.container(service))
            containers.start_containers(self.connection, {service: new})

    def _go_back(self, old: Mapping[str, ContainerInfo], new: Mapping[str, str], database: Database | None) -> None:
        """Remove the new containers and start the old ones, with the database as they knew it."""
        containers.remove_containers(self.connection, new.values())
        postgres = self.containers().get(POSTGRES)
        if postgres is not None:
            # It may be what has ended. Where it runs, nothing is done.
            containers.start_containers(self.connection, {POSTGRES: postgres.id})
        if database is not None:
            database.wait(_DATABASE_TIMEOUT)
            database.go_back()

        def restore(each: ContainerInfo) -> None:
            with contextlib.suppress(EngineError):
                # It may not have been renamed yet.
                containers.rename_container(self.connection, each.id, each.name)

        containers.in_parallel(restore, old.values())
        containers.start_containers(self.connection, {service: each.id for service, each in old.items()})

    def _await_old(self, old: Mapping[str, ContainerInfo], plan: Plan) -> Operation[None]:
        port = next((port for each in old.values() for inside, port in each.published.items() if inside == 8080), None)
        base_url = f"http://127.0.0.1:{port}" if port else plan.base_url
        # The old ones may be of another Airflow than the plan's.
        major = 2 if "webserver" in old else 3
        check = HealthCheck({service: each.id for service, each in old.items()}, base_url, major, plan.timeout)
        with contextlib.suppress(StartFailedError):
            yield from await_health(self.connection, check)

    # -- the database --------------------------------------------------------------------------------------------

    def _database(self, plan: Plan, container: str | None) -> Database | None:
        """Give the project's own database; None when the override file put Airflow on another one."""
        return Database(self.connection, container, plan.user) if container else None

    def _remade_database(self, plan: Plan, container: str | None) -> dict[str, str]:
        """Make the database anew, if a start was ended while it was being made, so that it never held anything."""
        database = self._database(plan, container)
        if container is None or database is None or not database.half_made(self.names.postgres_volume):
            return {}
        containers.remove_containers(self.connection, [container])
        containers.remove_volume(self.connection, self.names.postgres_volume)
        containers.ensure_surroundings(self.connection, self.names, plan.model)
        remade = self._make(plan, [POSTGRES])
        containers.start_containers(self.connection, remade)
        return remade

    def _prepare_database(self, plan: Plan, container: str | None) -> Operation[None]:
        """Bring the schema to what this Airflow needs; costs nothing when it is so."""
        begun = time.monotonic()
        version = plan.facts.airflow_version
        yield Step("database", "database", detail="starting")
        database = self._database(plan, container)
        if database is None:
            yield from self._migrate(plan)
            yield Step("database", "database", "done", f"Airflow {version} schema", time.monotonic() - begun)
            return
        database.wait(_DATABASE_TIMEOUT)
        schema = database.schema()
        detail = f"Postgres, Airflow {version} schema"
        _refuse_older(schema, version)
        if schema.is_of(version):
            yield Step("database", "database", "done", detail, time.monotonic() - begun)
            return
        if not (schema.empty and database.restore_template(version)):
            was = f" from {schema.airflow_version}" if schema.airflow_version else ""
            yield Step("database", "database", detail=f"migrating{was} to the schema of Airflow {version}")
            yield from self._migrate(plan)
            if schema.empty:
                database.keep_template(version)
            database.mark(version)
        yield Step("database", "database", "done", detail, time.monotonic() - begun)

    def _migrate(self, plan: Plan) -> Operation[None]:
        """Run Airflow's migration in a container of its own, to its end."""
        present = self.containers().get(MIGRATION)
        if present is not None:
            containers.remove_containers(self.connection, [present.id])
        made = containers.create_containers(self.connection, self.names, plan.model, [MIGRATION])
        try:
            containers.start_containers(self.connection, made)
            begun = time.monotonic()
            while (code := self._exit_code(made[MIGRATION])) is None:
                if time.monotonic() - begun > _MIGRATION_TIMEOUT:
                    raise StartFailedError(
                        f"The migration of the database did not end within {_MIGRATION_TIMEOUT:.0f} s.",
                        detail=last_words(self.connection, made[MIGRATION]),
                    )
                yield Step("database", "database", detail="migrating")
                time.sleep(0.2)
            if code:
                raise StartFailedError(
                    f"The migration of the database ended with exit code {code}.",
                    hint="The data is as it was before, if Airflow ran already.",
                    detail=last_words(self.connection, made[MIGRATION]),
                )
        finally:
            containers.remove_containers(self.connection, made.values())

    def _exit_code(self, container: str) -> int | None:
        with guard("looking at the migration"):
            state: dict[str, Any] = self.connection.api.inspect_container(container)["State"]
        return int(state["ExitCode"]) if state["Status"] in ("exited", "dead") else None

    # -- stop ----------------------------------------------------------------------------------------------------

    def stop(self, *, grace: float) -> Operation[tuple[int, int]]:
        """End everything and keep it; gives how many containers ran, and how many had to be killed."""
        self.remove_leftovers()
        found = find_containers(self.connection, self.names)
        running = {each.name: each for each in found if each.state in ("running", "restarting", "paused")}
        if not running:
            return 0, 0
        begun = time.monotonic()
        yield Step("stop", "stop", detail=f"ending {len(running)} containers")
        first = {name: each.id for name, each in running.items() if each.service in _ALL_COMPONENTS}
        forced = containers.stop_containers(self.connection, first, grace=grace)
        # The database goes last: components write to it until they end.
        rest = {name: each.id for name, each in running.items() if name not in first}
        forced += containers.stop_containers(self.connection, rest, grace=grace)
        yield Step("stop", "stop", "done", f"{len(running)} containers", time.monotonic() - begun)
        return len(running), forced

    def remove(self) -> tuple[int, tuple[str, ...]]:
        """Remove containers, networks and volumes; gives how many containers ran, and the names of what was removed."""
        found = find_containers(self.connection, self.names)
        running = sum(each.state in ("running", "restarting", "paused") for each in found)
        containers.remove_containers(self.connection, [each.id for each in found])
        networks = containers.remove_networks(self.connection, self.names)
        volumes = containers.remove_volumes(self.connection, self.names)
        return running, (*(each.name for each in found), *networks, *volumes)


def _servers(plan: Plan, ids: Mapping[str, str]) -> list[str]:
    """Give the containers that have the UI: all components import Airflow at once, and somebody waits for this one."""
    services = plan.model["services"]
    return [ids[name] for name in SERVERS if name in ids and "cpu_shares" not in services[name]]


def _refuse_older(schema: Schema, airflow_version: str) -> None:
    """Refuse a database that a newer Airflow has migrated."""
    if schema.is_newer_than(airflow_version):
        raise EngineError(
            f"The metadata database was made by Airflow {schema.airflow_version}; this project now has "
            f"{airflow_version}, and Airflow does not go back.",
            hint="Go back to the image from before in the Dockerfile, or remove the data with %astro_kill.",
        )
