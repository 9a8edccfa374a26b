"""Wait until what was started is healthy, telling each component as it gets there."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from astro_magic.engines.answers import Component, EngineStatus
from astro_magic.engines.local.inside.components import components_of
from astro_magic.engines.local.logs import last_words
from astro_magic.engines.local.supervision import Supervisor, import_failure
from astro_magic.errors import StartFailedError
from astro_magic.system.events import Operation, Step

__all__ = ["await_health"]

_POLL_SECONDS = 0.05


def await_health(
    read: Callable[[], EngineStatus], supervisor: Supervisor, timeout: float, logs: Path
) -> Operation[EngineStatus]:
    """Read the status until every component is healthy, and give it.

    Raises
    ------
    StartFailedError
        When a component ends, or the time is over; names the component and gives its last words.
    """
    started = time.monotonic()
    healthy: set[str] = set()
    components = components_of(supervisor.airflow_version)
    for name in components:
        yield Step(name, name, detail="starting")
    while time.monotonic() - started < timeout:
        status = read()
        if not supervisor.alive():
            raise StartFailedError("The process that runs Airflow was ended from outside while it was starting.")
        seconds = time.monotonic() - started
        for component in status.components:
            if component.restarts or component.state == "failed":
                yield Step(component.name, component.name, "failed", component.detail, seconds)
                raise _failed(component, logs)
            if component.healthy and component.name not in healthy:
                healthy.add(component.name)
                yield Step(component.name, component.name, "done", "healthy", seconds)
        if status.state == "running":
            return status
        failure = supervisor.ask({"do": "status"})["failure"]
        if failure:
            raise import_failure(failure)
        time.sleep(_POLL_SECONDS)
    waiting = ", ".join(name for name in components if name not in healthy)
    msg = f"Airflow did not get healthy within {timeout:.0f} s; still waiting for: {waiting}."
    words = "\n".join(last_words(logs, name) for name in components if name not in healthy)
    raise StartFailedError(msg, hint=f"The logs are in {logs}.", detail=words)


def _failed(component: Component, logs: Path) -> StartFailedError:
    msg = f"The {component.name} ended while it was starting ({component.detail or 'no reason given'})."
    return StartFailedError(msg, hint=f"The logs are in {logs}.", detail=last_words(logs, component.name))
