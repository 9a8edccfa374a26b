"""What goes wrong on real machines: killed processes, taken ports, two kernels, bad settings, no network."""

from __future__ import annotations

import http.server
import os
import shutil
import signal
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from astro_magic.engines.local import settings
from astro_magic.engines.local.health import api_is_ours
from astro_magic.engines.local.supervision import Supervisor, find_supervisor
from astro_magic.engines.options import StartOptions
from astro_magic.environment import Environment, open_environment
from astro_magic.errors import (
    EngineUnavailableError,
    NetworkError,
    PortInUseError,
    ProjectBusyError,
    ResolutionError,
    StartFailedError,
)
from astro_magic.machine.ports import is_free
from astro_magic.project.project import Project
from tests.engine.conftest import copy_of
from tests.engine.living import processes_of
from tests.waiting import wait_until

pytestmark = pytest.mark.airflow

Kernel = Callable[[str], "subprocess.Popen[str]"]


class _Yes(http.server.BaseHTTPRequestHandler):
    """Answers 200 to everything, as an Airflow does that lets everybody in."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"metadatabase":{"status":"healthy"},"scheduler":{"status":"healthy"}}')

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def stranger() -> Iterator[int]:
    """The port of a server that is not ours and says yes to everything."""
    with socketserver.TCPServer(("127.0.0.1", 0), _Yes) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def supervisor_of(project: Project) -> Supervisor:
    found = find_supervisor(project.state_dir / "run" / "supervisor.json")
    assert found is not None
    return found


def test_each_process_is_killed(environment: Environment, project: Project) -> None:
    """A component comes back; with the supervisor everything ends, whether the guard is the first or a later one."""
    environment.start()
    for name in ("scheduler", "api server"):
        require_back(environment, name)

    supervisor = supervisor_of(project)
    components = {part.pid for part in environment.status().components}
    (guard,) = [child for child in psutil.Process(supervisor.pid).children() if child.pid not in components]
    guard.kill()
    time.sleep(1)
    os.kill(supervisor.pid, signal.SIGKILL)
    assert wait_until(lambda: processes_of(project) == [], 10)
    assert environment.status().state == "stopped"

    assert environment.start().status.state == "running"
    os.kill(supervisor_of(project).pid, signal.SIGKILL)
    assert wait_until(lambda: processes_of(project) == [], 10)


def require_back(environment: Environment, name: str) -> None:
    """Kill a component; require that it is healthy again within seconds, and that the status tells of it."""
    victim = next(part for part in environment.status().components if part.name == name)
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)

    def back() -> bool:
        status = environment.status()
        part = next(part for part in status.components if part.name == name)
        known = part.restarts == 1 and "SIGKILL" in part.detail and part.pid != victim.pid
        return known and status.state == "running"

    assert wait_until(back, 30)


def test_a_deleted_project_ends_its_airflow(environment: Environment, project: Project, tmp_path: Path) -> None:
    """Whoever deletes the folder of a project that runs leaves no process behind."""
    environment.start()
    shutil.rmtree(project.root)

    # While it imports what comes last, it does not look.
    assert wait_until(lambda: processes_of(project) == [], 60)
    project.root.mkdir(parents=True)


def test_airflow_outlives_a_killed_kernel(environment: Environment, project: Project, other_kernel: Kernel) -> None:
    """Another kernel finds the environment that a killed one started, uses it and stops it."""
    kernel = other_kernel(
        """
        environment.start()
        print("started", flush=True)
        import time
        time.sleep(600)
        """
    )
    assert kernel.stdout is not None
    assert any("started" in line for line in kernel.stdout)
    kernel.kill()
    kernel.wait()

    assert environment.status().state == "running"
    assert environment.trigger("orders", wait=True, timeout=60).state == "success"
    environment.stop()
    assert processes_of(project) == []


def test_an_interrupted_start_leaves_nothing_half_started(
    environment: Environment, project: Project, other_kernel: Kernel
) -> None:
    """Ctrl-C during a start ends what was started; the next start works."""
    kernel = other_kernel("environment.start(listener=tell)")
    assert kernel.stdout is not None
    for line in kernel.stdout:
        if "key='scheduler'" in line:
            break
    os.kill(kernel.pid, signal.SIGINT)
    output, _ = kernel.communicate(timeout=20)

    assert "KeyboardInterrupt" in output
    assert processes_of(project) == []
    assert environment.status().state == "stopped"
    assert environment.start().status.state == "running"


def test_two_kernels_start_one_environment(environment: Environment, project: Project, other_kernel: Kernel) -> None:
    """Two starts at once: one starts it, the other waits and finds it running."""
    program = "result = environment.start()\nprint('up', result.status.url, result.status.started_at)"
    kernels = [other_kernel(program), other_kernel(program)]
    outputs = [kernel.communicate(timeout=90)[0] for kernel in kernels]

    told = {line for output in outputs for line in output.splitlines() if line.startswith("up")}
    assert len(told) == 1, outputs
    assert environment.status().state == "running"
    leaders = [process for process in processes_of(project) if process.ppid() == 1]
    assert len(leaders) <= 1


def test_a_busy_project_says_who_is_at_work(
    environment: Environment, other_kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the process, what it does, and since when."""
    kernel = other_kernel(
        """
        with environment.engine._lock("building the environment"):
            print("locked", flush=True)
            import time
            time.sleep(600)
        """
    )
    assert kernel.stdout is not None
    assert "locked" in kernel.stdout.readline()
    monkeypatch.setattr("astro_magic.engines.local.engine._LOCK_TIMEOUT", 0.3)

    with pytest.raises(ProjectBusyError, match=str(kernel.pid)) as busy:
        environment.start()
    assert "building the environment" in str(busy.value)

    # The lock dies with its holder.
    kernel.kill()
    kernel.wait()
    monkeypatch.undo()
    environment.stop()


def test_a_port_that_is_taken(environment: Environment, project: Project, stranger: int) -> None:
    """A port asked for is refused with its holder; a remembered one gives way to a free one."""
    with pytest.raises(PortInUseError, match=f"Port {stranger} is taken") as taken:
        environment.start(StartOptions(stranger))
    assert str(os.getpid()) in taken.value.message
    assert processes_of(project) == []

    project.make_state_dir()
    (project.state_dir / "port").write_text(str(stranger))
    status = environment.start().status
    assert status.state == "running"
    assert str(stranger) not in (status.url or "")
    assert not api_is_ours(stranger, supervisor_of(project).identity("any"))


def test_two_projects_at_once(environment: Environment, prepared: Project, tmp_path: Path) -> None:
    """A second Airflow takes another port than the first, and neither is taken for the other."""
    first = environment.start().status
    port = int((first.url or "").rpartition(":")[2])
    other = open_environment(copy_of(prepared, tmp_path / "bakery"))
    try:
        with pytest.raises(PortInUseError, match=f"Port {port} is taken by"):
            other.start(StartOptions(port))
        (other.project.state_dir / "port").write_text(str(port))
        second = other.start().status
        assert second.state == "running"
        assert second.url != first.url
        key = settings.read_secrets(other.project).jwt
        assert not api_is_ours(port, supervisor_of(other.project).identity(key))
        other.stop()
        assert processes_of(other.project) == []
        assert environment.status().state == "running"
    finally:
        other.stop()


def test_a_port_taken_between_choice_and_start(
    environment: Environment, project: Project, stranger: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start goes on with another port; a stranger's answer is not taken for ours."""
    (project.make_state_dir() / "port").write_text(str(stranger))
    seen = taken_after_the_first_look(monkeypatch, stranger)

    status = environment.start(StartOptions(timeout=60)).status

    assert len(seen) > 1
    assert status.state == "running"
    assert f":{stranger}" not in (status.url or "")


def test_a_port_asked_for_and_taken_before_its_use(
    environment: Environment, project: Project, stranger: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that somebody insists on is not changed for another."""
    taken_after_the_first_look(monkeypatch, stranger)
    with pytest.raises(PortInUseError, match=f"Port {stranger} is taken") as taken:
        environment.start(StartOptions(stranger, timeout=60))
    assert str(os.getpid()) in taken.value.message
    assert processes_of(project) == []


def taken_after_the_first_look(monkeypatch: pytest.MonkeyPatch, port: int) -> list[int]:
    """Have a port look free once, as one that is taken just after; gives the list of looks at it."""
    seen: list[int] = []

    def look(asked: int) -> bool:
        if asked == port:
            seen.append(asked)
            return len(seen) == 1
        return is_free(asked)

    monkeypatch.setattr("astro_magic.engines.ports.is_free", look)
    return seen


def test_settings_that_airflow_cannot_start_with(environment: Environment, project: Project) -> None:
    """The cause is told at once, not after a time-out, and nothing is left running."""
    project.apply(project.dotenv.plan_set({"AIRFLOW__LOGGING__LOGGING_LEVEL": "NONSENSE"}))
    started = time.monotonic()
    with pytest.raises(StartFailedError) as failed:
        environment.start(StartOptions(timeout=100))
    assert time.monotonic() - started < 30
    assert "NONSENSE" in str(failed.value)
    assert processes_of(project) == []


def test_requirements_that_cannot_be_installed_leave_airflow_running(
    environment: Environment, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart for a package that does not exist, or conflicts, touches nothing that runs."""
    # However narrow the terminal is.
    monkeypatch.setenv("COLUMNS", "40")
    before = environment.start().status
    for line, message in [
        ("no-such-package-anywhere-1x", "no package named"),
        ("sqlalchemy<2", "together: sqlalchemy<2 and"),
    ]:
        project.requirements.add(line)
        with pytest.raises(ResolutionError, match=message):
            environment.restart()
        project.undo()
    after = environment.status()
    assert after.state == "running"
    assert after.started_at == before.started_at


@pytest.mark.parametrize("memory", ["enough", "short"])
def test_an_environment_that_breaks_airflow_gives_way_to_the_old_one(
    environment: Environment, project: Project, monkeypatch: pytest.MonkeyPatch, memory: str
) -> None:
    """A restart that fails ends with what ran before; the change stays pending.

    It goes on all the while, unless there is no memory to import the new one beside it.
    """
    if memory == "short":
        monkeypatch.setattr("astro_magic.engines.local.instance._ROOM", 1 << 60)
    before = environment.start().status
    breaker = project.root / "include" / "breaker"
    breaker.mkdir(parents=True)
    (breaker / "airflow_local_settings.py").write_text("raise RuntimeError('broken on purpose')\n")
    (breaker / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "breaker"\nversion = "1.0"\n[tool.setuptools]\npy-modules = ["airflow_local_settings"]\n'
    )
    project.requirements.add("./include/breaker")

    with pytest.raises(StartFailedError, match="cannot be imported") as failed:
        environment.restart()

    assert "broken on purpose" in str(failed.value)
    told = "goes on as it was" if memory == "enough" else "runs again with the environment from before"
    assert told in (failed.value.hint or "")
    after = environment.status()
    assert after.state == "running"
    assert (after.started_at == before.started_at) is (memory == "enough")
    assert after.url == before.url
    assert environment.pending().reasons
    assert "breaker" not in {package.name for package in environment.packages()}
    assert environment.test_dag("orders").state == "success"


def test_no_network(
    environment: Environment, project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the cache has is enough; what it has not is told as a want of network."""
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    with pytest.raises(NetworkError, match="could not be reached"):
        environment.check_requirements("tinydb==4.8.0\n")

    # The environment that is there needs no network to start.
    assert environment.start().status.state == "running"


def test_windows_says_why_not(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Running is refused there with the reason and the way out."""
    monkeypatch.setattr("astro_magic.engines.local.engine.sys.platform", "win32")
    with pytest.raises(EngineUnavailableError, match="Windows") as refused:
        environment.prepare()
    assert "WSL" in (refused.value.hint or "")
