"""Start, restart and stop until all components are healthy or gone, and memory, beside ``airflow standalone``.

A restart is compared with the start of ``airflow standalone``, which has no other way to restart.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from astro_magic.airflow.runs import DagRun, trigger, unpause, wait_for_dag, wait_for_run
from astro_magic.engines.answers import ApiAccess
from astro_magic.engines.inside import processes
from astro_magic.engines.ports import choose_port
from astro_magic.environment import Environment
from astro_magic.system.events import Event, Step
from astro_magic.system.events import run as finish
from benchmarks._instance import await_warm, memory_of, supervisor_of
from benchmarks._measure import Row, show, timed
from benchmarks._project import DAG, baseline_environment, measured_project

_ROUNDS = 5
#: Seconds for a run.
_PATIENCE = 120
_PARTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


def _ours(environment: Environment, measured: dict[str, list[float]]) -> None:
    """Go through a life: a start from nothing, restarts, a stop, and a start from a warm process."""
    project = environment.project

    def measure(name: str, work: Callable[[], object]) -> None:
        measured[name].append(timed(work))

    measure("cold start", environment.start)
    measured["memory"].append(memory_of(supervisor_of(environment).members(), "pss"))
    await_warm(environment)
    measure("restart", lambda: environment.restart(force=True))
    measure("first run", lambda: _require_success(environment.trigger(DAG, wait=True, timeout=_PATIENCE)))
    measured["memory after it"].append(memory_of(supervisor_of(environment).members(), "pss"))
    project.apply(project.dotenv.plan_set({"A_VARIABLE": f"value {time.time()}"}))
    change = time.perf_counter()
    away: list[float] = []

    def listen(event: Event) -> None:
        if isinstance(event, Step) and event.key == "stop" and not away:
            away.append(time.perf_counter())

    environment.restart(listener=listen)
    measured["restart, changed .env"].append(time.perf_counter() - change)
    measured["of that, without Airflow"].append(time.perf_counter() - away[0])
    measure("stop", environment.stop)
    environment.warm_up()
    await_warm(environment)
    measure("warm start", environment.start)
    _require_success(environment.trigger(DAG, wait=True, timeout=_PATIENCE))
    measure("stop, right after a run", environment.stop)


def _standalone(environment: Environment, home: Path, measured: dict[str, list[float]]) -> None:
    """Run ``airflow standalone`` until its own health page calls every component healthy."""
    port = choose_port(None)
    variables = {
        **baseline_environment(environment, home),
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://localhost:{port}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    }
    before = time.time()
    started = time.perf_counter()
    process = subprocess.Popen(
        [shutil.which("airflow", path=variables["PATH"]) or "airflow", "standalone"],
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    begun = processes.start_of(process.pid)
    try:
        while not _healthy(port, before):
            if time.perf_counter() - started > 120 or process.poll() is not None:
                raise RuntimeError("airflow standalone did not get healthy")
            time.sleep(0.05)
        measured["start"].append(time.perf_counter() - started)
        family = processes.members(process.pid, begun, "none")
        measured["memory"].append(memory_of(family, "pss"))
        measured["first run"].append(timed(lambda: _run(port)))
        family = processes.members(process.pid, begun, "none")
        measured["memory after it"].append(memory_of(family, "pss"))
        # It heeds this signal alone.
        stopped = time.perf_counter()
        process.send_signal(signal.SIGINT)
        processes.await_end(family, timeout=60)
        measured["stop"].append(time.perf_counter() - stopped)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        processes.end(processes.members(process.pid, begun, "none"), grace=3)
        process.wait()


def _run(port: int) -> None:
    """Trigger the DAG, and wait for the run."""
    with ApiAccess(f"http://127.0.0.1:{port}", "admin", "admin").client() as client:
        finish(wait_for_dag(client, DAG, changed=None, timeout=_PATIENCE))
        unpause(client, DAG)
        _require_success(finish(wait_for_run(client, trigger(client, DAG, conf={}, ui=""), timeout=_PATIENCE, ui="")))


def _require_success(run: DagRun) -> None:
    if run.state != "success":
        raise RuntimeError(f"the run is {run.state}")


def _healthy(port: int, since: float) -> bool:
    """Whether each component is healthy, with a heartbeat of this run."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v2/monitor/health", timeout=1) as answer:
            health = json.load(answer)
    except OSError:
        return False
    return all(
        health[part]["status"] == "healthy" and _beat(health[part]) > since for part in _PARTS if part != "metadatabase"
    )


def _beat(part: dict[str, str]) -> float:
    from datetime import datetime

    name = next(name for name in part if name.startswith("latest_"))
    return datetime.fromisoformat(part[name]).timestamp() if part[name] else 0.0


def main() -> None:
    """Measure and print."""
    ours: dict[str, list[float]] = defaultdict(list)
    standalone: dict[str, list[float]] = defaultdict(list)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else _ROUNDS
    with measured_project() as environment, tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        _ours(environment, defaultdict(list))
        _standalone(environment, home, defaultdict(list))
        for _ in range(rounds):
            _ours(environment, ours)
            _standalone(environment, home, standalone)
    targets = {"cold start": "at most 0.58", "warm start": "at most 0.12", "restart": "at most 0.12"}
    names = ("cold start", "warm start", "restart", "restart, changed .env", "of that, without Airflow")
    rows = [Row(name, ours[name], standalone["start"], "s", targets.get(name, "")) for name in names]
    stops = ("stop", "stop, right after a run")
    rows += [Row(name, ours[name], standalone["stop"], "s", "under 2 s") for name in stops]
    rows.append(Row("first run after a restart", ours["first run"], standalone["first run"], "s", ""))
    rows.append(Row("memory (PSS)", ours["memory"], standalone["memory"], "MB", "at most 0.6"))
    after = "memory after it"
    rows.append(Row("memory after a run, warm (PSS)", ours[after], standalone[after], "MB", "at most 0.6"))
    show(rows)
    print(f"\n{rounds} rounds, alternating; `airflow standalone`: both databases existed before")


if __name__ == "__main__":
    main()
