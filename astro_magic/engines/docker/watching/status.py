"""What of a project runs on the engine, and how it is."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from astro_magic.airflow.health import Health, read_health
from astro_magic.engines.answers import Component, EngineStatus, State
from astro_magic.engines.docker.client.connection import Connection, guard
from astro_magic.engines.docker.names import ANY_ADDRESS, SERVERS, Names
from astro_magic.engines.docker.watching.deaths import ended
from astro_magic.engines.docker.watching.listing import ContainerInfo, find_containers
from astro_magic.engines.docker.watching.logs import last_words
from astro_magic.engines.docker.watching.usage import Running, Usage, measure
from astro_magic.engines.docker.watching.watch import Feed

__all__ = ["AIRFLOW_VERSION_LABEL", "PYTHON_VERSION_LABEL", "read_status", "watch_status"]

AIRFLOW_VERSION_LABEL = "astro-magic.airflow-version"
PYTHON_VERSION_LABEL = "astro-magic.python-version"

_ENGINE = "docker"
#: The label of the base images, for containers that Astro Magic did not make.
_IMAGE_AIRFLOW_LABEL = "io.astronomer.docker.airflow.version"
_ALL_ADMINS = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"
_AIRFLOW = (*SERVERS, "scheduler", "dag-processor", "triggerer")
_MIGRATION = "db-migration"
_DATABASE = "postgres"
_SERVER_PORT = 8080
#: Airflow's name of a component on its health page, where it has a heartbeat.
_BEATS = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}
#: So long after its start a component that has given no sign of life is still starting.
_STARTING = timedelta(minutes=2)
#: A component that was started again so often, and not long ago, will not come up by itself.
_LOOP = 2
_LOOP_AGE = timedelta(seconds=60)
#: What the engine's word for a container's state says without a further look.
_PLAIN: Mapping[str, tuple[State, str]] = {
    "running": ("running", ""),
    "paused": ("stopped", "paused"),
    "removing": ("stopped", ""),
}
_TOGETHER = timedelta(milliseconds=50)


@dataclass(frozen=True)
class _Container:
    """A container, as listed and as inspected."""

    info: ContainerInfo
    state: Mapping[str, Any]
    restarts: int
    environment: Sequence[str]

    @property
    def service(self) -> str:
        return self.info.service

    @property
    def up(self) -> bool:
        return self.state.get("Status") == "running"

    @property
    def started(self) -> datetime | None:
        return _moment(self.state.get("StartedAt"))

    @property
    def finished(self) -> datetime | None:
        return _moment(self.state.get("FinishedAt"))


def read_status(
    connection: Connection,
    names: Names,
    *,
    airflow_major: int | None = None,
    measured: bool = True,
    patience: float = 1.5,
) -> EngineStatus:
    """Read what runs now, whoever started it.

    Parameters
    ----------
    connection : Connection
        The engine.
    names : Names
        The project's names.
    airflow_major : int, optional
        2 or 3; else the containers tell.
    measured : bool, optional
        Also read what the containers use, where they are processes of this machine.
    patience : float, optional
        Seconds that Airflow may take to say how its components are; longer where they are known to be well.

    Raises
    ------
    EngineUnavailableError
        When the engine is gone.
    """
    now = datetime.now(UTC)
    listed = [info for info in find_containers(connection, names) if not info.one_off]
    if not any(info.state not in ("created", "exited") or info.exit_code for info in listed):
        return EngineStatus(_ENGINE, "stopped", now, *_versions(listed))
    server = next((info for info in listed if info.service in SERVERS and info.state == "running"), None)
    url = _url(connection, server)
    airflow, python = _versions(listed)
    major = airflow_major or _major(airflow, listed)
    with ThreadPoolExecutor(8) as pool:
        asked = pool.submit(read_health, url, airflow_major=major, timeout=patience) if url else None
        containers = [one for one in pool.map(lambda info: _inspected(connection, info), listed) if one is not None]
        usage = _measured(connection, containers) if measured else {}
        told = asked.result() if asked is not None else None
        parts = [_component(one, containers, told, usage.get(one.info.id), now) for one in containers]
        failed = [one for one, part in zip(containers, parts, strict=True) if part.state == "failed"]
        words = dict(pool.map(lambda one: (one.info.id, last_words(connection, one.info.id)), failed))
    shown = [
        (one, replace(part, detail="\n".join(text for text in (part.detail, words.get(one.info.id)) if text)))
        for one, part in zip(containers, parts, strict=True)
        if one.service != _MIGRATION or part.state != "stopped"
    ]
    shown.sort(key=lambda pair: _rank(pair[0]))
    state = _overall(shown)
    if state == "stopped":
        return EngineStatus(_ENGINE, state, now, airflow, python)
    starts = [one.started for one, _ in shown if one.service in _AIRFLOW and one.up and one.started]
    return EngineStatus(
        engine=_ENGINE,
        state=state,
        as_of=now,
        airflow_version=airflow,
        python_version=python,
        url=url,
        started_at=min(starts, default=None),
        components=tuple(part for _, part in shown),
        login=_login(major, containers),
    )


def watch_status(
    connection: Connection, names: Names, *, airflow_major: int | None = None, interval: float = 5.0
) -> Generator[EngineStatus, None, None]:
    """Give the status now, again at once when something happens to a container, and from time to time.

    Nothing is asked while nothing happens, but for Airflow's heartbeats every few seconds.

    Parameters
    ----------
    connection : Connection
        The engine.
    names : Names
        The project's names.
    airflow_major : int, optional
        As for `read_status`.
    interval : float, optional
        Seconds after which the heartbeats are read again; a fifth of it while Airflow starts.

    Raises
    ------
    EngineUnavailableError
        When the engine is gone and does not come back.
    """
    with Feed(connection, names, since=datetime.now(UTC) - timedelta(seconds=1)) as feed:
        while True:
            status = read_status(connection, names, airflow_major=airflow_major)
            yield status
            event = feed.next(interval / 5 if status.state == "starting" else interval)
            # What happens to one container often happens to others too; they are told of together.
            until = datetime.now(UTC) + _TOGETHER
            while event is not None:
                event = feed.next((until - datetime.now(UTC)).total_seconds())


def _inspected(connection: Connection, info: ContainerInfo) -> _Container | None:
    """Look at a container; None when it is gone meanwhile."""
    import docker.errors

    with guard("looking at the containers"):
        try:
            found = connection.api.inspect_container(info.id)
        except docker.errors.NotFound:
            return None
    return _Container(
        info, found["State"], int(found.get("RestartCount") or 0), (found.get("Config") or {}).get("Env") or ()
    )


def _measured(connection: Connection, containers: Sequence[_Container]) -> dict[str, Usage]:
    running = [
        Running(one.info.id, int(one.state.get("Pid") or 0), one.started)
        for one in containers
        if one.up and one.started
    ]
    return measure(connection, running)


def _component(
    one: _Container, all_of_them: Sequence[_Container], health: Health | None, usage: Usage | None, now: datetime
) -> Component:
    state, detail = _state(one, all_of_them)
    healthy = None
    if state == "running":
        healthy = _healthy(one, health, now)
        young = one.started is not None and now - one.started < _LOOP_AGE
        if not healthy and one.restarts >= _LOOP and young:
            state, healthy, detail = "failed", None, f"keeps ending, and was started again {one.restarts} times"
        elif one.service == _MIGRATION or (not healthy and one.started and now - one.started < _STARTING):
            state = "starting"
    return Component(
        name=one.info.component,
        state=state,
        healthy=healthy,
        since=one.started if one.up else None,
        pid=int(one.state.get("Pid") or 0) or None if usage is not None else None,
        restarts=one.restarts,
        cpu_percent=usage.cpu_percent if usage is not None else None,
        memory=usage.memory if usage is not None else None,
        detail=detail,
        image=_image(one.info),
        ports=one.info.ports,
    )


def _state(one: _Container, all_of_them: Sequence[_Container]) -> tuple[State, str]:
    """Say what a container does, and if it failed, why."""
    status, code = str(one.state.get("Status")), int(one.state.get("ExitCode") or 0)
    starved = bool(one.state.get("OOMKilled"))
    if status in _PLAIN:
        return _PLAIN[status]
    if status == "created":
        why = str(one.state.get("Error") or "")
        up = any(other.up for other in all_of_them)
        return ("failed" if why else "starting" if up else "stopped"), why
    if status == "restarting":
        return "failed", f"{ended(code, out_of_memory=starved)}; started again {one.restarts} times"
    if status == "dead" or starved or _fell(one, code, all_of_them):
        return "failed", ended(code, out_of_memory=starved)
    return "stopped", ""


def _fell(one: _Container, code: int, all_of_them: Sequence[_Container]) -> bool:
    """Whether a container that has ended should not have.

    To be asked to stop, politely or not, is no failure; but to end with an error while the others went on is one.
    """
    if code in (0, 143):
        return False
    others = [other.started for other in all_of_them if other.up and other.service in _AIRFLOW and other.started]
    outlived = bool(others) and one.finished is not None and one.finished > min(others)
    return outlived or one.service == _MIGRATION


def _healthy(one: _Container, health: Health | None, now: datetime) -> bool:
    """Whether a container that runs is well: Airflow's word where it has one, else the engine's check."""
    checked = one.info.health
    if one.service in SERVERS:
        return health is not None
    if one.service in _BEATS and health is not None:
        beat = health.components.get(_BEATS[one.service])
        # Airflow calls what has just died healthy, by its last heartbeat.
        return beat is not None and beat.healthy_since(one.started or now)
    if one.service == _DATABASE and checked != "unhealthy" and health is not None:
        # Airflow knows it before the engine's first check, which comes half a minute after the start.
        return health.components["metadatabase"].status == "healthy"
    return checked == "healthy" if checked or one.service in _BEATS else True


def _overall(shown: Sequence[tuple[_Container, Component]]) -> State:
    parts = [part for _, part in shown]
    if any(part.state == "failed" for part in parts):
        return "failed"
    if all(part.state == "stopped" for part in parts):
        return "stopped"
    # A service that ends by itself, such as one that prepares something, may have done so.
    needed = [part for one, part in shown if part.state != "stopped" or one.service in (*_AIRFLOW, _DATABASE)]
    has_server = any(one.service in SERVERS for one, _ in shown)
    return "running" if has_server and all(part.healthy for part in needed) else "starting"


def _rank(one: _Container) -> tuple[int, str]:
    """Order the components: the UI first, the database last."""
    order = (_MIGRATION, *_AIRFLOW)
    if one.service in order:
        return order.index(one.service), one.info.component
    return len(order) + (1 if one.service == _DATABASE else 0), one.info.component


def _versions(listed: Sequence[ContainerInfo]) -> tuple[str | None, str | None]:
    """Give the exact versions of Airflow and Python, as the labels of the containers tell."""
    labels: dict[str, str] = {}
    for info in listed:
        if info.service in (*_AIRFLOW, _MIGRATION):
            labels = {**info.labels, **labels}
    airflow = labels.get(AIRFLOW_VERSION_LABEL) or labels.get(_IMAGE_AIRFLOW_LABEL)
    return airflow, labels.get(PYTHON_VERSION_LABEL)


def _major(airflow: str | None, listed: Sequence[ContainerInfo]) -> int:
    if airflow and airflow.partition(".")[0].isdigit():
        return int(airflow.partition(".")[0])
    return 2 if any(info.service == "webserver" for info in listed) else 3


def _url(connection: Connection, server: ContainerInfo | None) -> str | None:
    if server is None or not server.published:
        return None
    port = server.published.get(_SERVER_PORT) or next(iter(server.published.values()))
    remote = urlsplit(connection.host).hostname if connection.endpoint.socket is None else None
    open_to_all = any(address.startswith(f"{ANY_ADDRESS}:") for address in server.ports)
    return f"http://{remote if remote and open_to_all else 'localhost'}:{port}"


def _login(major: int, containers: Sequence[_Container]) -> str:
    server = next((one for one in containers if one.service in SERVERS), None)
    if server is None:
        return ""
    if major == 2:
        return "user admin, password admin"
    variables = dict(entry.partition("=")[::2] for entry in server.environment)
    everyone = variables.get(_ALL_ADMINS, "").lower() in ("true", "t", "1")
    return "anyone on this machine (no login)" if everyone else ""


def _image(info: ContainerInfo) -> str:
    """Give the image's tag, or the beginning of its id when the tag names another by now."""
    if info.image.startswith("sha256:") or info.image_id.removeprefix("sha256:").startswith(info.image):
        return info.image_id.removeprefix("sha256:")[:12]
    return info.image


def _moment(text: Any) -> datetime | None:
    """Read a time of the engine, which has nine digits of a second; its zero is none."""
    if not text or str(text).startswith("0001-"):
        return None
    whole, _, fraction = str(text).rstrip("Z").partition(".")
    if "+" in whole or whole.count("-") > 2:
        return datetime.fromisoformat(str(text))
    return datetime.fromisoformat(f"{whole}.{(fraction or '0')[:6].ljust(6, '0')}+00:00")
