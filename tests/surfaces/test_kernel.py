"""Real kernels: interrupted, killed, and two of them on one project."""

from __future__ import annotations

import queue
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from astro_magic.environment import open_environment
from astro_magic.project.project import Project
from tests.engine.living import processes_of

pytestmark = pytest.mark.airflow


class Kernel:
    """A kernel, and what its cells show."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(cwd=str(folder), env=environment)
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=30)

    def run(self, cell: str, *, until: str = "", seconds: float = 60) -> str:
        """Run a cell to its end, or until its output holds some text; give what it showed, errors included."""
        message: str = self.client.execute(cell)
        return self.follow(message, until=until, seconds=seconds)

    def follow(self, message: str, *, until: str = "", seconds: float = 60) -> str:
        """Collect what a cell shows."""
        shown: str = ""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                received = self.client.get_iopub_msg(timeout=0.2)
            except queue.Empty:
                continue
            if received["parent_header"].get("msg_id") != message:
                continue
            content = received["content"]
            if received["msg_type"] == "error":
                shown += f"{content['ename']}: {content['evalue']}\n"
            shown += content.get("data", {}).get("text/plain", content.get("text", "")) + "\n"
            if until and until in shown:
                return shown
            if received["msg_type"] == "status" and content["execution_state"] == "idle":
                return shown
        raise AssertionError(f"no end of {message} within {seconds} s: {shown}")

    def end(self, *, now: bool) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=now)


@pytest.fixture
def start_kernel(tmp_path: Path, jupyter_environment: dict[str, str]) -> Iterator[Callable[[], Kernel]]:
    """Start kernels in the test's folder; whatever is left of them and their projects is ended."""
    kernels: list[Kernel] = []

    def start() -> Kernel:
        kernels.append(Kernel(tmp_path, jupyter_environment))
        kernels[-1].run("%load_ext astro_magic")
        return kernels[-1]

    yield start
    for kernel in kernels:
        kernel.end(now=True)
    if (tmp_path / "shop").exists():
        project = Project(tmp_path / "shop")
        open_environment(project).stop()
        assert processes_of(project) == []


def test_airflow_outlives_its_kernel_and_a_new_one_stops_it(start_kernel, tmp_path) -> None:
    first = start_kernel()
    first.run("%astro_init shop")
    assert "Airflow is up" in first.run("%astro_start", seconds=120)
    first.end(now=True)

    project = Project(tmp_path / "shop")
    assert processes_of(project) != []

    second = start_kernel()
    assert "running" in second.run("%astro_status --project shop")
    assert "Stopped shop" in second.run("%astro_stop --project shop")
    assert processes_of(project) == []


def test_an_interrupted_cell_leaves_nothing_running(start_kernel, tmp_path) -> None:
    kernel = start_kernel()
    kernel.run("%astro_init shop")
    message = kernel.client.execute("%astro_start")
    kernel.follow(message, until="scheduler", seconds=120)
    kernel.manager.interrupt_kernel()

    assert "KeyboardInterrupt" in kernel.follow(message)
    assert processes_of(Project(tmp_path / "shop")) == []
    assert "stopped" in kernel.run("%astro_status")
    assert "Airflow is up" in kernel.run("%astro_start", seconds=120)
    assert "Removed" in kernel.run("%astro_kill --yes")
    assert processes_of(Project(tmp_path / "shop")) == []


def test_two_kernels_see_one_environment(start_kernel, tmp_path) -> None:
    first, second = start_kernel(), start_kernel()
    first.run("%astro_init shop")
    starting = first.client.execute("%astro_start")
    shown = [second.run("%astro_start --project shop", seconds=120), first.follow(starting, seconds=120)]

    # Either may be the first; the other one waits for it, or says who is at work.
    assert any("Airflow is up" in each for each in shown)
    assert all(re.search(r"Airflow (is|was) up|Another process .* starting Airflow", each) for each in shown)
    assert "Airflow was up already" in second.run("%astro_start --project shop")
    assert "Stopped shop" in second.run("%astro_stop --project shop")
    assert "stopped" in first.run("%astro_status")
