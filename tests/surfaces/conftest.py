"""Fixtures: one JupyterLab for all tests, a browser for each file, a page for each test."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.surfaces.browser import CHROMIUM_OPTIONS, find_chromium
from tests.surfaces.headless import HeadlessRun, run_with_nbclient, run_with_papermill
from tests.surfaces.isolation import isolated_environment
from tests.surfaces.lab_page import HEIGHT, SCREENSHOTS, WIDTH, LabPage
from tests.surfaces.lab_server import LabServer, running_lab
from tests.surfaces.terminal import TerminalSession, run_in_terminal

TEST_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether the test failed, for what comes after it."""
    report = yield
    if report.when == "call":
        item.stash[TEST_FAILED] = report.failed
    return report


@pytest.fixture(scope="session")
def jupyterlab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """Run a JupyterLab with settings of its own, on the Python that runs the tests."""
    with running_lab(tmp_path_factory.mktemp("jupyterlab")) as server:
        yield server


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Run this machine's browser, unseen.

    Playwright keeps an event loop in this thread for as long as the fixture lives; hence for a file, not longer.
    """
    path = find_chromium()
    if path is None:
        pytest.fail("no Chromium or Chrome on this machine, and in CI nothing is left out")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, jupyterlab: LabServer, request: pytest.FixtureRequest) -> Iterator[LabPage]:
    """Give a page of JupyterLab; after the test it must have stayed on this machine and free of script errors."""
    context = chromium.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    lab_page = LabPage(context.new_page(), jupyterlab)
    yield lab_page
    failed = request.node.stash.get(TEST_FAILED, True)
    if failed:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        lab_page.page.screenshot(path=SCREENSHOTS / f"failed-{request.node.name}.png")
    # A kernel that goes on would slow down the next test.
    lab_page.shut_down_kernels()
    context.close()
    if not failed:
        assert lab_page.outside_requests == []
        assert lab_page.script_errors == []


@pytest.fixture
def jupyter_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give an environment in which Jupyter and IPython know nothing of this machine's user."""
    return isolated_environment(tmp_path_factory.mktemp("jupyter"))


@pytest.fixture
def terminal(tmp_path: Path, jupyter_environment: dict[str, str]) -> Callable[..., TerminalSession]:
    """Give a function that types cells into IPython in the test's folder."""

    def run(*cells: str, timeout: float = 60) -> TerminalSession:
        return run_in_terminal(cells, folder=tmp_path, environment=jupyter_environment, timeout=timeout)

    return run


@pytest.fixture
def papermill(jupyter_environment: dict[str, str]) -> Callable[..., HeadlessRun]:
    """Give a function that runs a notebook with papermill."""

    def run(notebook: Path, *, timeout: float = 120, **parameters: Any) -> HeadlessRun:
        return run_with_papermill(notebook, environment=jupyter_environment, parameters=parameters, timeout=timeout)

    return run


@pytest.fixture
def nbclient(jupyter_environment: dict[str, str]) -> Callable[..., HeadlessRun]:
    """Give a function that runs a notebook with nbclient."""

    def run(notebook: Path, *, timeout: float = 120) -> HeadlessRun:
        return run_with_nbclient(notebook, environment=jupyter_environment, timeout=timeout)

    return run
