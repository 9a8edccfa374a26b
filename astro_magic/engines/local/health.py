"""Whether each component lives: a heartbeat younger than its start, and an API that proves to be ours."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import secrets
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from astro_magic.engines.engine import Component, EngineStatus, State
from astro_magic.engines.local.database import database_file
from astro_magic.engines.local.environments import LocalEnvironment
from astro_magic.engines.local.inside.components import IDENTITY_PATH
from astro_magic.engines.local.supervision import Supervisor
from astro_magic.errors import StartFailedError

__all__ = ["api_is_ours", "heartbeats", "read_status"]

#: A heartbeat older than this is a component that hangs; Airflow beats every five seconds.
_STALE = timedelta(seconds=60)
#: Airflow's job type by component; the API server has none.
_JOB_TYPES = {
    "scheduler": "SchedulerJob",
    "dag processor": "DagProcessorJob",
    "triggerer": "TriggererJob",
}


def heartbeats(database: Path) -> dict[str, datetime]:
    """Give each component's latest heartbeat, read from Airflow's job table without a lock on it."""
    question = "select job_type, max(latest_heartbeat) from job where state = 'running' group by job_type"
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=0.5)) as connection:
            rows = dict(connection.execute(question).fetchall())
    except sqlite3.Error:
        return {}
    found = {}
    for component, job_type in _JOB_TYPES.items():
        if rows.get(job_type):
            found[component] = datetime.fromisoformat(rows[job_type]).replace(tzinfo=UTC)
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
    standalone: Path,
    login: str,
    measured: bool,
) -> EngineStatus:
    """Put together what runs now: the supervisor's word, the heartbeats, and the API's proof."""
    now = datetime.now(UTC)
    airflow = environment.airflow_version if environment else None
    python = environment.python_version if environment else None
    try:
        described = supervisor.ask({"do": "status"}) if supervisor is not None else {"components": []}
    except StartFailedError:
        # It ended between being found and being asked.
        described = {"components": []}
    if supervisor is None or not described["components"]:
        return EngineStatus(engine, "stopped", now, airflow, python)
    beats = heartbeats(database_file(standalone))
    components = []
    for part in described["components"]:
        since = datetime.fromtimestamp(part["since"], UTC) if part["since"] else None
        healthy = None
        if part["state"] == "running" and part["name"] in _JOB_TYPES:
            beat = beats.get(part["name"])
            healthy = beat is not None and since is not None and beat > since and now - beat < _STALE
        elif part["state"] == "running":
            healthy = api_is_ours(supervisor.port, supervisor.identity(secret))
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
        cpu, memory = _usage(part["pid"])
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


def _usage(pid: int) -> tuple[float | None, int | None]:
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
            full = process.memory_full_info()
            memory += int(getattr(full, "pss", 0) or full.rss)
    return 100 * seconds / life, memory
