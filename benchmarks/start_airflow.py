"""Start to all components healthy, and the memory that takes, beside ``airflow standalone``."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil

from astro_magic.engines.local.inside import processes
from astro_magic.engines.local.ports import choose_port
from astro_magic.engines.local.supervision import find_supervisor
from astro_magic.environment import Environment
from benchmarks._measure import Row, alternate, show, timed
from benchmarks._project import baseline_environment, measured_project

_ROUNDS = 5
_PARTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


def _memory(found: list[psutil.Process]) -> float:
    """Give the proportional set size of processes, in MB."""
    total = 0
    for process in found:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total / 1e6


def _ours(environment: Environment, memory: list[float], stops: list[float]) -> float:
    seconds = timed(environment.start)
    supervisor = find_supervisor(environment.project.state_dir / "run" / "supervisor.json")
    assert supervisor is not None
    memory.append(_memory(supervisor.members()))
    stops.append(timed(environment.stop))
    return seconds


def _standalone(environment: Environment, home: Path, memory: list[float]) -> float:
    """Run ``airflow standalone`` until its own health page calls every component healthy."""
    port = choose_port(None)
    variables = {
        **baseline_environment(environment, home),
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://localhost:{port}/execution/",
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
    try:
        while not _healthy(port, before):
            if time.perf_counter() - started > 120 or process.poll() is not None:
                raise RuntimeError("airflow standalone did not get healthy")
            time.sleep(0.05)
        seconds = time.perf_counter() - started
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        memory.append(_memory(family))
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        processes.end(processes.members(process.pid, before, "none"), grace=3)
        process.wait()
    return seconds


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
    memory: tuple[list[float], list[float]] = ([], [])
    stops: list[float] = []
    with measured_project() as environment, tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        _ours(environment, [], [])
        _standalone(environment, home, [])
        ours, standalone = alternate(
            _ROUNDS,
            lambda: _ours(environment, memory[0], stops),
            lambda: _standalone(environment, home, memory[1]),
        )
    show(
        [
            Row("start to all healthy", ours, standalone, "s", "at most 0.6"),
            Row("memory (PSS)", memory[0], memory[1], "MB", "at most 0.6"),
        ]
    )
    print(f"\nstop: median {sorted(stops)[len(stops) // 2]:.2f} s; `airflow standalone`: both databases existed before")


if __name__ == "__main__":
    main()
