"""Whether each component lives: a job of its own that has a heartbeat, and an API that proves to be ours."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import json
import secrets
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from astro_magic.engines.answers import Component, EngineStatus, State
from astro_magic.engines.local.environment import LocalEnvironment
from astro_magic.engines.local.inside.components import generation_of
from astro_magic.engines.local.inside.servers import IDENTITY_PATH
from astro_magic.engines.local.supervision import Supervisor
from astro_magic.errors import StartFailedError

__all__ = ["Beat", "api_is_ours", "heartbeats", "read_status", "usage"]

#: A heartbeat older than this is a component that hangs; Airflow beats every five seconds.
_STALE = timedelta(seconds=60)
#: Seconds that a supervisor may take to answer: while it imports something, it does not listen.
_PATIENCE = 60.0
#: Airflow's job type by component; the servers have none.
_JOB_TYPES = {
    "scheduler": "SchedulerJob",
    "dag processor": "DagProcessorJob",
    "triggerer": "TriggererJob",
}


@dataclass(frozen=True)
class Beat:
    """What Airflow has noted of a component's job.

    Attributes
    ----------
    began : datetime
        When the job began, or something that was later.
    latest : datetime
        Its latest heartbeat.
    """

    began: datetime
    latest: datetime

    def shows_life(self, since: datetime, now: datetime) -> bool:
        """Whether it is of the process that was started at `since`, and fresh.

        Job and process were noted at nearly the same time, so that it does not matter when the clock was set since.
        After it was set back, the latest heartbeat is in the future, and Airflow notes no other until then.
        """
        return self.began > since and now - self.latest < _STALE


def heartbeats(database: Path) -> dict[str, Beat]:
    """Give what is noted of each component's newest job, read from Airflow's table without a lock on it."""
    # The jobs of processes that were killed run for ever; of the newest, SQLite gives the other columns as well.
    question = "select job_type, start_date, latest_heartbeat, max(id) from job where state = 'running' group by 1"
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=0.5)) as connection:
            rows = {job_type: times for job_type, *times, _ in connection.execute(question) if all(times)}
    except sqlite3.Error:
        return {}
    found = {}
    for component, job_type in _JOB_TYPES.items():
        if job_type in rows:
            found[component] = Beat(*(datetime.fromisoformat(text).replace(tzinfo=UTC) for text in rows[job_type]))
    return found


def heartbeats_by_api(port: int, airflow_version: str, *, timeout: float = 2.0) -> dict[str, Beat]:
    """Give each component's latest heartbeat as the API server tells it, which reads it where no file can be read."""
    path = "/health" if generation_of(airflow_version) < 3 else "/api/v2/monitor/health"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        told = json.loads(connection.getresponse().read(10_000))
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    finally:
        connection.close()
    found = {}
    for component in _JOB_TYPES:
        name = component.replace(" ", "_")
        with contextlib.suppress(KeyError, TypeError, ValueError):
            latest = datetime.fromisoformat(told[name][f"latest_{name}_heartbeat"]).astimezone(UTC)
            found[component] = Beat(latest, latest)
    return found


def api_is_ours(port: int, identity: str, *, timeout: float = 2.0) -> bool:
    """Whether the server on this port knows this instance's key; any other server cannot answer the challenge."""
    challenge = secrets.token_hex(16)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", f"{IDENTITY_PATH}?{challenge}")
        answer = connection.getresponse().read(200)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    expected = hmac.new(bytes.fromhex(identity), challenge.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(answer, expected.encode())


def read_status(
    engine: str,
    environment: LocalEnvironment | None,
    supervisor: Supervisor | None,
    *,
    secret: str,
    database: Path | None,
    login: str,
    measured: bool,
) -> EngineStatus:
    """Put together what runs now: the supervisor's word, the heartbeats, and the API's proof.

    The heartbeats are read in the SQLite file `database`; where there is none, from the API that has proven itself.
    """
    now = datetime.now(UTC)
    airflow = environment.airflow_version if environment else None
    python = environment.python_version if environment else None
    try:
        described = (
            supervisor.ask({"do": "status"}, timeout=_PATIENCE) if supervisor is not None else {"components": []}
        )
    except StartFailedError:
        if supervisor is not None and supervisor.alive():
            silent = f"The process that runs Airflow (process {supervisor.pid}) does not answer; %astro_stop ends it."
            return EngineStatus(engine, "starting", now, airflow, python, notes=(silent,))
        # It ended between being found and being asked.
        described = {"components": []}
    if supervisor is None or not described["components"]:
        return EngineStatus(engine, "stopped", now, airflow, python)
    ours = any(part["name"] not in _JOB_TYPES and part["state"] == "running" for part in described["components"])
    ours = ours and api_is_ours(supervisor.port, supervisor.identity(secret))
    if database is not None:
        beats = heartbeats(database)
    else:
        beats = heartbeats_by_api(supervisor.port, supervisor.airflow_version) if ours else {}
    components = []
    for part in described["components"]:
        since = datetime.fromtimestamp(part["since"], UTC) if part["since"] else None
        healthy = None
        if part["state"] == "running" and part["name"] in _JOB_TYPES:
            beat = beats.get(part["name"])
            healthy = beat is not None and since is not None and beat.shows_life(since, now)
        elif part["state"] == "running":
            healthy = ours
        components.append(_component(part, since=since, healthy=healthy, measured=measured))
    starts = [component.since for component in components if component.since is not None]
    states = {component.state for component in components}
    up = all(component.healthy for component in components)
    state: State = "failed" if "failed" in states else "running" if up else "starting"
    return EngineStatus(
        engine,
        state,
        now,
        supervisor.airflow_version,
        supervisor.python_version,
        f"http://localhost:{supervisor.port}",
        min(starts, default=None),
        tuple(components),
        login,
    )


def _component(part: dict[str, Any], *, since: datetime | None, healthy: bool | None, measured: bool) -> Component:
    cpu = memory = None
    if part["pid"] and measured:
        cpu, memory = usage(part["pid"])
    return Component(
        name=part["name"],
        state=part["state"],
        healthy=healthy,
        since=since,
        pid=part["pid"],
        restarts=part["restarts"],
        cpu_percent=cpu,
        memory=memory,
        detail=part["exit"],
    )


def usage(pid: int) -> tuple[float | None, int | None]:
    """Give the share of a core since the start and the memory in bytes, of a process and all below it."""
    try:
        leader = psutil.Process(pid)
        family = [leader, *leader.children(recursive=True)]
        life = max(time.time() - leader.create_time(), 0.1)
    except psutil.Error:
        return None, None
    seconds = 0.0
    memory = 0
    for process in family:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            seconds += times.user + times.system
            memory += memory_of(process)
    return 100 * seconds / life, memory


def memory_of(process: psutil.Process) -> int:
    """Give the memory of a process in bytes: with its part of what it shares, where the system tells that.

    Raises
    ------
    psutil.Error
        When there is no such process.
    """
    try:
        full = process.memory_full_info()
    except psutil.AccessDenied:
        # On macOS, of other processes only what they have in memory is told.
        return int(process.memory_info().rss)
    return int(getattr(full, "pss", 0) or full.rss)
