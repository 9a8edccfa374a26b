"""What holds for all tests: what this machine can run, what was left out and why, and how children are started."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.servers.git_ssh import find_sshd
from tests.servers.postgres import find_postgres
from tests.surfaces.browser import find_chromium

# Servers with private packages: whichever folder a test is in, it can ask for one.
pytest_plugins = ["tests.servers.fixtures"]

IN_CI = os.environ.get("CI", "").lower() in ("1", "true")
NO_CHROMIUM = "no Chromium or Chrome on this machine (on Debian: apt-get install chromium)"
NO_POSTGRES = "no PostgreSQL server on this machine (on Debian: apt-get install postgresql)"
NO_SSHD = "no sshd on this machine (on Debian: apt-get install openssh-server)"
NO_STRACE = "no strace on this machine (on Debian: apt-get install strace)"
#: Whoever asks for one of these fixtures needs what the mark stands for.
MARKED_BY_FIXTURES = {
    "browser": {"page", "chromium"},
    "openssh": {"git_server", "bridge_git_server"},
    "postgres": {"postgres_server"},
}
ON_THE_BRIDGE = {"bridge_index", "bridge_git_server"}
WITH_DOCKER = Path(__file__).resolve().parent / "docker"
#: A stack of containers is started, changed and started again in one test.
DOCKER_TIMEOUT = 900
_SLOW_FILES = 40

# An Airflow that may not write its bytecode starts several times slower; no child of a test is to inherit that.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# How long an example takes says little on a shared machine; hence no deadline.
settings.register_profile("usual", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("campaign", settings.get_profile("usual"), max_examples=2000)
# With other versions of what is needed, it is the calls that may fail, not the examples.
settings.register_profile("few", settings.get_profile("usual"), max_examples=5)
settings.load_profile("usual")


# By default a project runs in Docker where an engine answers. The tests outside `tests/docker` are about the engine
# that needs none: a user's own configuration says so, in a folder that whatever they start inherits. The configuration
# of this machine's user counts for no test.
_home = tempfile.TemporaryDirectory(prefix="astro-magic-tests-", ignore_cleanup_errors=True)
(Path(_home.name) / ".astro").mkdir()
(Path(_home.name) / ".astro" / "config.yaml").write_text("dev:\n    mode: standalone\n", encoding="utf-8")
os.environ["ASTRO_HOME"] = _home.name

# What a magic prepares in the background would outlive its test; the tests of just that switch it on.
os.environ["ASTRO_MAGIC_WARM"] = "off"


def pytest_configure() -> None:
    """Let an interrupt be one: a process that tests are handed to ignores it, and so would whatever it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure() -> None:
    """Take away the configuration that the tests ran with."""
    _home.cleanup()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what this machine can't run; in CI nothing is left out, and so it fails there."""
    with_docker = [item for item in items if _is_with_docker(item)]
    against_docker = _reason_against_docker() if with_docker and not IN_CI else None
    for item in with_docker:
        item.add_marker("docker")
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(DOCKER_TIMEOUT))
        if against_docker:
            item.add_marker(pytest.mark.skip(reason=against_docker))
    against = {} if IN_CI else _reasons_against_tools()
    if sys.platform == "win32":
        against["airflow"] = "Airflow does not run on Windows"
    for item in items:
        for mark, fixtures in MARKED_BY_FIXTURES.items():
            if fixtures & _fixtures_of(item):
                item.add_marker(mark)
        for mark, reason in against.items():
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


def _reasons_against_tools() -> dict[str, str]:
    """Give the marks of the tests that need a program which this machine has not, each with the reason."""
    found = {
        "browser": (find_chromium(), NO_CHROMIUM),
        "openssh": (find_sshd(), NO_SSHD),
        "postgres": (find_postgres(), NO_POSTGRES),
        "strace": (shutil.which("strace"), NO_STRACE),
    }
    return {mark: reason for mark, (program, reason) in found.items() if program is None}


def _is_with_docker(item: pytest.Item) -> bool:
    if WITH_DOCKER in item.path.parents or ON_THE_BRIDGE & _fixtures_of(item):
        return True
    return item.get_closest_marker("docker") is not None


def _fixtures_of(item: pytest.Item) -> set[str]:
    return set(getattr(item, "fixturenames", ()))


def _reason_against_docker() -> str | None:
    from tests.docker.images import reason_against

    return reason_against()


@pytest.fixture
def campaign(request):
    """Whether the tests are run in a campaign, where what is otherwise a sample is run in full."""
    return request.config.getoption("--hypothesis-profile") == "campaign"


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a run in CI fail when a test was left out, since there everything can be run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if IN_CI and reporter is not None and reporter.getreports("skipped") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """Say what was left out, and why."""
    if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return
    reasons: Counter[str] = Counter()
    for report in terminalreporter.getreports("skipped"):
        if isinstance(report.longrepr, tuple):
            reasons[report.longrepr[2].removeprefix("Skipped: ")] += 1
    if deselected := len(terminalreporter.getreports("deselected")):
        reasons["not asked for"] = deselected
    terminalreporter.section("left out")
    for reason, count in reasons.most_common():
        terminalreporter.line(f"{count} test{'' if count == 1 else 's'}: {reason}")
    if not reasons:
        terminalreporter.line("nothing: every test was run")
    _tell_slowest_files(terminalreporter)


def _tell_slowest_files(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which files take longest: what keeps a worker is a whole file."""
    seconds: dict[str, float] = {}
    for outcome in ("passed", "failed", "skipped", "error", ""):
        for report in terminalreporter.getreports(outcome):
            if isinstance(report, pytest.TestReport):
                seconds[report.location[0]] = seconds.get(report.location[0], 0.0) + report.duration
    slow = sorted(((taken, file) for file, taken in seconds.items() if taken >= 1), reverse=True)[:_SLOW_FILES]
    if slow:
        terminalreporter.section("slowest files")
    for taken, file in slow:
        terminalreporter.line(f"{taken:7.1f}s  {file}")
