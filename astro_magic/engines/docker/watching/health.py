"""Wait until every component of a stack is healthy, and notice at once when one cannot get so."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from astro_magic.airflow.health import Health, HealthReader
from astro_magic.engines.docker.client.connection import Connection, guard, require_engine
from astro_magic.engines.docker.names import SERVERS
from astro_magic.engines.docker.services.stack import POSTGRES
from astro_magic.engines.docker.watching.deaths import ended, last_exit_code
from astro_magic.engines.docker.watching.logs import last_words
from astro_magic.errors import StartFailedError
from astro_magic.system.events import Operation, Step

__all__ = ["HealthCheck", "await_health", "spoken"]

_INTERVAL = 0.15
_LOOK_EVERY = 0.6
#: A component may die once, for instance since it was quicker than its database; twice is a crash loop.
_DEATHS = 2


@dataclass(frozen=True)
class HealthCheck:
    """What is to be healthy.

    Attributes
    ----------
    containers : mapping of str to str
        Container ids of the Airflow components, by service.
    base_url : str
        Address of the API server or webserver.
    airflow_major : int
        2 or 3.
    timeout : float
        Seconds until it is given up.
    database : str
        Container id of the metadata database: a heartbeat from before its start says nothing, and without it nothing
        gets healthy. Empty where it is not the project's own.
    """

    containers: Mapping[str, str]
    base_url: str
    airflow_major: int
    timeout: float
    database: str = ""


def spoken(service: str) -> str:
    """Give the name of a component as a person says it: ``api server`` for ``api-server``."""
    return service.replace("-", " ")


def await_health(connection: Connection, check: HealthCheck) -> Operation[None]:
    """Wait until all of them are healthy, by heartbeats that are younger than the containers' starts.

    Airflow itself calls a component healthy until its last heartbeat is half a minute old, so that after a quick
    restart everything looks well that has not begun yet.

    Raises
    ------
    StartFailedError
        When a component ends twice, or does not get healthy in time; names it, with its last words.
    """
    begun = time.monotonic()
    waiting = dict(check.containers)
    states = {service: _state(connection, service, container) for service, container in waiting.items()}
    # A container that ran already may have been started again by the engine before, which is not this start's affair.
    before = {service: state.restarts for service, state in states.items()}
    since = {service: state.started for service, state in states.items()}
    data = _state(connection, POSTGRES, check.database) if check.database else None
    database = data.started if data is not None else None
    for service in waiting:
        yield Step(service, spoken(service), detail="starting")
    looked = 0.0
    with HealthReader(check.base_url, airflow_major=check.airflow_major) as reader:
        while True:
            health = reader.read()
            floor = {name: max(moment, database or moment) for name, moment in since.items()}
            well = {name for name in since if health is not None and _is_healthy(name, health, floor[name])}
            for service in [name for name in waiting if name in well]:
                del waiting[service]
                yield Step(service, spoken(service), "done", "healthy", time.monotonic() - begun)
            now = time.monotonic()
            complete = len(well) == len(since)
            if complete or now - looked > _LOOK_EVERY:
                looked = now
                if data is not None:
                    # Without it they would wait for it as long as they are let.
                    database = _check_alive(connection, POSTGRES, check.database, data.restarts)
                starts = {
                    name: _check_alive(connection, name, container, before[name])
                    for name, container in check.containers.items()
                }
                # What was well may have died since, and have been started again by the engine.
                if complete and starts == since:
                    return
                since = starts
            if now - begun > check.timeout:
                service = next(iter(name for name in since if name not in well), next(iter(since)))
                raise StartFailedError(
                    f"The {spoken(service)} did not get healthy within {check.timeout:.0f} s.",
                    hint=f"%astro_logs {service} shows more. --timeout gives it longer.",
                    detail=last_words(connection, check.containers[service]),
                )
            time.sleep(_INTERVAL)


def _is_healthy(service: str, health: Health, since: datetime) -> bool:
    if service in SERVERS:
        # It has answered, and what it has answered came from the database.
        return True
    part = health.components.get(service.replace("-", "_"))
    return part is not None and part.healthy_since(since)


@dataclass(frozen=True)
class _State:
    """What a container does: when it was started last, how often by the engine itself, and how it ended if it did."""

    started: datetime
    restarts: int
    ended: bool
    exit_code: int
    out_of_memory: bool


def _state(connection: Connection, service: str, container: str) -> _State:
    with guard(f"looking at {service}"):
        about = connection.api.inspect_container(container)
    state = about["State"]
    return _State(
        datetime.fromisoformat(state["StartedAt"]),
        int(about["RestartCount"]),
        state["Status"] in ("exited", "dead") and not state["Running"],
        int(state["ExitCode"]),
        bool(state.get("OOMKilled")),
    )


def _check_alive(connection: Connection, service: str, container: str, before: int) -> datetime:
    """Give when it was started last; raises when it has ended for good."""
    state = _state(connection, service, container)
    deaths = state.restarts - before
    if state.ended or deaths >= _DEATHS or state.out_of_memory:
        # An engine that is stopped ends its containers first.
        require_engine(connection, f"starting the {spoken(service)}")
        code = state.exit_code
        if not state.ended and not code:
            # The engine has started it again, and its state tells of the present only.
            code = last_exit_code(connection, container, state.started) or 0
        how = ended(code, out_of_memory=state.out_of_memory)
        again = f", {deaths} times" if deaths > 1 else ""
        title = "database" if service == POSTGRES else spoken(service)
        raise StartFailedError(
            f"The {title} {how}{again}.",
            hint=f"%astro_logs {service} shows more.",
            detail=last_words(connection, container),
        )
    return state.started
