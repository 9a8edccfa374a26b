"""What happens to a project's containers, as the engine tells it: no polling, no event lost when a stream breaks."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from astro_magic.engines.docker.client.connection import Connection, renew
from astro_magic.engines.docker.client.failures import unreachable
from astro_magic.engines.docker.client.streams import Stream
from astro_magic.engines.docker.names import PROJECT_LABEL, SERVICE_LABEL, Names
from astro_magic.errors import EngineUnavailableError

__all__ = ["ContainerEvent", "Feed", "Watch", "watch"]

#: The engine also reports every command of every health check; those are never asked for.
_ACTIONS = ("create", "start", "die", "oom", "health_status", "destroy", "pause", "unpause")
#: Podman has words of its own.
_SAME = {"died": "die", "remove": "destroy"}
_PATIENCE = 10.0
_PAUSE = 0.2


@dataclass(frozen=True)
class ContainerEvent:
    """Something that happened to a container.

    Attributes
    ----------
    action : str
        ``create``, ``start``, ``die``, ``oom``, ``health_status``, ``destroy``, ``pause``, ``unpause``.
    container_id : str
        The container's id, in full.
    service : str
        The service it is of: ``api-server``.
    name : str
        The container's name.
    moment : datetime
        When, by the engine's clock.
    exit_code : int or None
        With what it ended (``die`` only).
    health : str
        ``healthy`` or ``unhealthy`` (``health_status`` only).
    """

    action: str
    container_id: str
    service: str
    name: str
    moment: datetime
    exit_code: int | None = None
    health: str = ""


class Watch(Iterator[ContainerEvent]):
    """The events of a project's containers, one after the other; `close` ends it from any thread.

    Parameters
    ----------
    connection : Connection
        The engine.
    project : str
        Name of the Compose project.
    since : datetime, optional
        Begin with what happened then; else with what happens from now on.
    patience : float, optional
        Seconds to go on trying when the engine has gone away, as it does when it is updated.
    """

    def __init__(
        self,
        connection: Connection,
        project: str,
        *,
        since: datetime | None = None,
        patience: float = _PATIENCE,
    ) -> None:
        self._connection = connection
        self._filters = {"type": ["container"], "label": [f"{PROJECT_LABEL}={project}"], "event": list(_ACTIONS)}
        self._since = f"{since.timestamp():.6f}" if since is not None else f"{time.time():.6f}"
        self._patience = patience
        self._closed = threading.Event()
        self._stream: Stream | None = None
        self._broken: float | None = None
        self._events = self._all()

    def __next__(self) -> ContainerEvent:
        """Wait for the next event.

        Raises
        ------
        EngineUnavailableError
            When the engine is gone and does not come back.
        """
        return next(self._events)

    def close(self) -> None:
        """End it; a thread that waits for the next event gets ``StopIteration``."""
        self._closed.set()
        stream = self._stream
        if stream is not None:
            stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _all(self) -> Iterator[ContainerEvent]:
        while not self._closed.is_set():
            problem: Exception | None = None
            try:
                yield from self._once()
            except Exception as caught:  # noqa: BLE001 - whatever breaks a stream, the engine is asked again
                problem = caught
            if self._closed.is_set():
                return
            self._broken = self._broken or time.monotonic()
            if time.monotonic() - self._broken > self._patience:
                if isinstance(problem, EngineUnavailableError):
                    raise problem
                place = self._connection.endpoint.place
                raise unreachable(problem or ConnectionError(), place, doing="watching the containers") from problem
            self._closed.wait(_PAUSE)

    def _once(self) -> Iterator[ContainerEvent]:
        """Read one stream of events to its end."""
        params = {"since": self._since, "filters": json.dumps(self._filters)}
        rest = b""
        if self._broken is not None:
            self._connection = renew(self._connection, timeout=_PAUSE * 10)
        with Stream(self._connection, "/events", params) as stream:
            self._stream, self._broken = stream, None
            if self._closed.is_set():
                return
            for piece in stream.pieces():
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    if line.strip():
                        yield self._event(json.loads(line))

    def _event(self, told: dict[str, Any]) -> ContainerEvent:
        moment = int(told.get("timeNano") or int(told["time"]) * 1_000_000_000)
        # The next stream begins right after this event.
        self._since = f"{(moment + 1) // 1_000_000_000}.{(moment + 1) % 1_000_000_000:09d}"
        actor = told.get("Actor") or {}
        labels = actor.get("Attributes") or {}
        action, _, detail = str(told.get("Action") or told.get("status") or "").partition(":")
        code = labels.get("exitCode", labels.get("containerExitCode"))
        return ContainerEvent(
            action=_SAME.get(action, action),
            container_id=str(actor.get("ID") or told.get("id") or ""),
            service=labels.get(SERVICE_LABEL, ""),
            name=labels.get("name", ""),
            moment=datetime.fromtimestamp(moment / 1e9, UTC),
            exit_code=int(code) if code is not None and code.lstrip("-").isdigit() else None,
            health=detail.strip(),
        )


def watch(connection: Connection, names: Names, *, since: datetime | None = None) -> Watch:
    """Watch a project's containers.

    Parameters
    ----------
    connection : Connection
        The engine.
    names : Names
        The project's names.
    since : datetime, optional
        Begin with what happened then, as far as the engine remembers; else with what happens from now on.
    """
    return Watch(connection, names.compose, since=since)


class Feed:
    """A project's events, collected by a thread for one that has other things to wait for.

    Parameters
    ----------
    connection : Connection
        The engine.
    names : Names
        The project's names.
    since : datetime, optional
        As for `watch`.
    """

    def __init__(self, connection: Connection, names: Names, *, since: datetime | None = None) -> None:
        self._watch = watch(connection, names, since=since)
        self._events: queue.SimpleQueue[ContainerEvent | EngineUnavailableError] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._collect, name="container events", daemon=True)
        self._thread.start()

    def next(self, timeout: float) -> ContainerEvent | None:
        """Give the next event; None when there is none for `timeout` seconds.

        Raises
        ------
        EngineUnavailableError
            When the engine is gone.
        """
        try:
            event = self._events.get(timeout=max(timeout, 0)) if timeout > 0 else self._events.get_nowait()
        except queue.Empty:
            return None
        if isinstance(event, EngineUnavailableError):
            self._events.put(event)
            raise event
        return event

    def close(self) -> None:
        """End the thread."""
        self._watch.close()
        self._thread.join(timeout=2)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _collect(self) -> None:
        with contextlib.suppress(StopIteration):
            try:
                while True:
                    self._events.put(next(self._watch))
            except EngineUnavailableError as problem:
                self._events.put(problem)
