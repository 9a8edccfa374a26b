"""What holds for all tests: what this machine can run, what was left out and why, and how children are started."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

from tests.surfaces.browser import find_chromium

IN_CI = os.environ.get("CI", "").lower() in ("1", "true")
NO_CHROMIUM = "no Chromium or Chrome on this machine (on Debian: apt-get install chromium)"
NO_STRACE = "no strace on this machine (on Debian: apt-get install strace)"

# An Airflow that may not write its bytecode starts several times slower; no child of a test is to inherit that.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# How long an example takes says little on a shared machine; hence no deadline.
settings.register_profile("usual", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("campaign", settings.get_profile("usual"), max_examples=2000)
settings.load_profile("usual")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what this machine can't run; in CI nothing is left out, and so it fails there."""
    without_browser = pytest.mark.skip(reason=NO_CHROMIUM)
    without_engine = pytest.mark.skip(reason="Airflow does not run on Windows")
    without_strace = pytest.mark.skip(reason=NO_STRACE)
    missing_browser = not IN_CI and find_chromium() is None
    missing_strace = not IN_CI and shutil.which("strace") is None
    for item in items:
        if {"page", "chromium"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("browser")
        if item.get_closest_marker("browser") and missing_browser:
            item.add_marker(without_browser)
        if item.get_closest_marker("strace") and missing_strace:
            item.add_marker(without_strace)
        if item.get_closest_marker("airflow") and sys.platform == "win32":
            item.add_marker(without_engine)


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
