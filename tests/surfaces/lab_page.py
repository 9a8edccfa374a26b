"""A page of JupyterLab, and the few things that a test does with a notebook in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from nbformat import NotebookNode
from playwright.sync_api import Locator, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from tests.surfaces.lab_server import LabServer
from tests.surfaces.notebooks import read_notebook, write_notebook

__all__ = ["LabPage", "Theme"]

Theme = Literal["light", "dark"]

SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
WIDTH, HEIGHT = 1280, 800
TALLEST = 6000
NOTEBOOK = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook"
SPLASH = "#jupyterlab-splash"
THEMES: dict[Theme, str] = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}

STATE = """() => {
  const widget = window.jupyterapp?.shell.currentWidget;
  const context = widget?.sessionContext;
  const kernel = context?.session?.kernel;
  return {
    ready: context?.isReady ?? false,
    connection: kernel?.connectionStatus ?? 'none',
    kernel: kernel?.status ?? 'none',
    running: [...(widget?.content?.widgets ?? [])].filter(
      cell => cell.model.type === 'code' && cell.model.executionState === 'running').length,
  };
}"""
# Between two cells the kernel is idle for a moment; only a longer quiet is the end.
IS_IDLE = f"""(quiet) => {{
  const state = ({STATE})();
  const idle = state.ready && state.connection === 'connected' && state.kernel === 'idle' && state.running === 0;
  window.idleSince = idle ? (window.idleSince ?? performance.now()) : null;
  return idle && performance.now() - window.idleSince >= quiet;
}}"""
QUIET = 700
EXECUTE = """([name, options, wait]) => {
  const done = window.jupyterapp.commands.execute(name, options);
  return wait ? done.then(() => true) : true;
}"""
SCROLL_TO_TOP = """(selector) => {
  const notebook = document.querySelector(selector);
  [notebook, ...(notebook?.querySelectorAll('*') ?? [])].forEach(element => { element.scrollTop = 0; });
}"""
HIDDEN_HEIGHT = """(selector) => {
  const notebook = document.querySelector(selector);
  const scrollers = [notebook, ...(notebook?.querySelectorAll('*') ?? [])];
  return Math.max(0, ...scrollers.map(element => {
    const scrolls = ['auto', 'scroll'].includes(getComputedStyle(element).overflowY);
    return scrolls ? element.scrollHeight - element.clientHeight : 0;
  }));
}"""


class LabPage:
    """A browser's page on a JupyterLab server.

    Parameters
    ----------
    page : Page
        Playwright's page, for what has no method here.
    server : LabServer
        Where it looks.

    Attributes
    ----------
    outside_requests : list of str
        Addresses outside this server that the page asked for; there should be none.
    script_errors : list of str
        Errors of JavaScript that nothing caught.
    """

    def __init__(self, page: Page, server: LabServer) -> None:
        self.page = page
        self.server = server
        self.outside_requests: list[str] = []
        self.script_errors: list[str] = []
        self._path: Path | None = None
        page.on("request", lambda request: self._note_request(request.url))
        page.on("pageerror", lambda error: self.script_errors.append(str(error)))

    def _note_request(self, url: str) -> None:
        own = (self.server.url, self.server.url.replace("http:", "ws:"), "about:", "blob:", "data:")
        if not url.startswith(own):
            self.outside_requests.append(url)

    def open(self, notebook: Path) -> None:
        """Open a notebook that stands in the server's folder, and wait for its kernel."""
        name = notebook.relative_to(self.server.folder).as_posix()
        self.page.goto(f"{self.server.url}/lab/tree/{name}?token={self.server.token}&reset")
        self.page.wait_for_selector(SPLASH, state="detached", timeout=60_000)
        self.page.wait_for_function("() => !!window.jupyterapp?.commands")
        self.page.evaluate("() => window.jupyterapp.restored.then(() => true)")
        self.page.locator(NOTEBOOK).wait_for()
        self._path = notebook
        self.wait_until_idle()

    def open_cells(self, name: str, *cells: str | NotebookNode) -> Path:
        """Write a notebook of these cells into the server's folder, open it, and give its path."""
        path = write_notebook(self.server.folder / f"{name}.ipynb", *cells)
        self.open(path)
        return path

    def reopen(self) -> None:
        """Open the notebook as a reader does who comes later: as it was saved, on a new kernel, nothing run."""
        self.shut_down_kernels()
        self.page.goto("about:blank")
        self.open(self.path)

    @property
    def path(self) -> Path:
        """The open notebook's file."""
        if self._path is None:
            message = "no notebook is open"
            raise AssertionError(message)
        return self._path

    def execute(self, command: str, options: dict[str, Any] | None = None, *, wait: bool = True) -> None:
        """Execute one of JupyterLab's commands."""
        self.page.evaluate(EXECUTE, [command, options or {}, wait])

    def run_all(self, *, wait: bool = True, timeout: float = 60) -> None:
        """Run all cells; with ``wait=False`` return while they run."""
        self.execute("notebook:run-all-cells", wait=False)
        if wait:
            # A cell counts as running from the moment it is sent, which is a moment after the command.
            self.page.wait_for_timeout(100)
            self.wait_until_idle(timeout=timeout)

    def wait_until_idle(self, *, timeout: float = 60) -> None:
        """Wait until the kernel is connected and idle and no cell waits for it any more."""
        try:
            self.page.wait_for_function(IS_IDLE, arg=QUIET, timeout=timeout * 1000)
        except PlaywrightTimeoutError:
            message = f"the kernel is not idle after {timeout} s: {self.page.evaluate(STATE)}"
            raise AssertionError(message) from None

    def cell(self, index: int) -> Locator:
        """Give a cell, counted from 0."""
        return self.page.locator(f"{NOTEBOOK} .jp-Cell").nth(index)

    def output(self, index: int) -> Locator:
        """Give a cell's outputs (its input may hold the same words)."""
        return self.cell(index).locator(".jp-OutputArea").first

    def use_theme(self, theme: Theme) -> None:
        """Switch to a theme, and wait until it is there."""
        self.execute("apputils:change-theme", {"theme": THEMES[theme]})
        self.page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=THEMES[theme])
        # The splash screen fades for a moment: it would be in the picture, and another switch would remove it twice.
        self.page.wait_for_selector(SPLASH, state="detached")

    def screenshot(self, name: str, *, cell: int | None = None) -> list[Path]:
        """Take pictures in the light and in the dark theme; give their paths.

        Parameters
        ----------
        name : str
            ``build/screenshots/NAME-light.png`` and ``NAME-dark.png`` are written.
        cell : int, optional
            Only this cell's outputs; else the whole window, as tall as it takes to see the whole notebook.
        """
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        paths = []
        hidden = int(self.page.evaluate(HIDDEN_HEIGHT, NOTEBOOK))
        self.page.set_viewport_size({"width": WIDTH, "height": min(HEIGHT + hidden, TALLEST)})
        self.page.evaluate(SCROLL_TO_TOP, NOTEBOOK)
        for theme in THEMES:
            self.use_theme(theme)
            path = SCREENSHOTS / f"{name}-{theme}.png"
            if cell is None:
                self.page.screenshot(path=path, animations="disabled")
            else:
                self.output(cell).screenshot(path=path, animations="disabled")
            paths.append(path)
        self.use_theme("light")
        self.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
        return paths

    def save(self) -> NotebookNode:
        """Save the notebook, and give what the file then holds."""
        self.execute("docmanager:save")
        return read_notebook(self.path)

    def shut_down_kernels(self) -> None:
        """Shut down every kernel of the server."""
        self.page.evaluate("() => window.jupyterapp?.serviceManager.sessions.shutdownAll()")
