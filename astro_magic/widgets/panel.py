"""The live panel of a project's environment, as an ipywidget."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import ipywidgets

from astro_magic.engines.options import StartOptions
from astro_magic.environment import Environment
from astro_magic.views import Display, StatusView
from astro_magic.views.environment import pending_lines
from astro_magic.views.html import set_html
from astro_magic.views.report import Block, Report, Span, line
from astro_magic.widgets.kept import KeptView
from astro_magic.widgets.live import LiveWidget
from astro_magic.widgets.model import PanelModel
from astro_magic.widgets.object_tab import ObjectTab
from astro_magic.widgets.packages_tab import PackagesTab
from astro_magic.widgets.style import PANEL
from astro_magic.widgets.tabs import ComponentsTab, LogTab, PanelTab
from astro_magic.widgets.work import Task

__all__ = ["Panel"]

_TOOLTIPS: dict[Task, str] = {
    "start": "Start Airflow, and wait until every component is healthy",
    "restart": "Apply what is pending, by the least that applies all of it",
    "stop": "Stop Airflow; data and environment are kept",
}


class Panel(LiveWidget):
    """A live panel: what runs, what is pending, buttons that start, restart and stop, and tabs for all else.

    Parameters
    ----------
    environment : Environment
        What it shows.
    display : Display
        Shows an object in the notebook.
    options : StartOptions, optional
        How Airflow is started.

    Raises
    ------
    AstroMagicError
        When the engine cannot be asked.

    Attributes
    ----------
    model : PanelModel
        What it knows.
    tabs : tuple of PanelTab
        Its tabs, in their order.
    """

    model: PanelModel

    def __init__(self, environment: Environment, *, display: Display, options: StartOptions | None = None) -> None:
        model = PanelModel(environment, self.paint, options=options)
        self.tabs: tuple[PanelTab, ...] = (
            ComponentsTab(model),
            LogTab(model),
            ObjectTab("connection", model),
            ObjectTab("variable", model),
            ObjectTab("pool", model),
            PackagesTab(model),
        )
        self._head, self._notice, self._work = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        self._buttons = {task: self._button(task) for task in _TOOLTIPS}
        self._tab = _tab_widget(self.tabs)
        self._tab.observe(self._selected, "selected_index")
        buttons = ipywidgets.HBox(list(self._buttons.values()))
        buttons.add_class(f"{PANEL}-buttons")
        super().__init__(model, display, [self._head, buttons, self._work, self._notice, self._tab])
        self.paint()

    def kept(self, key: str = "") -> KeptView:
        """Give the status as the notebook keeps it."""
        status = self.model.status_view()
        return KeptView(status.report(), status.status.as_of, "live panel", key)

    def gist(self) -> object:
        """Give what makes a status worth keeping instead of the one before; the first one with measurements is."""
        status = self.model.status_view()
        measured = any(component.memory is not None for component in status.status.components)
        return status.gist(), status.pending, measured

    def refresh(self) -> None:
        """Bring the head, the buttons and the tab that is seen up to date."""
        model = self.model
        status = model.status_view()
        self._head.value = set_html(Report((status.headline(),)))
        self._notice.value = _set(self._notice_lines(status))
        model.work.forget_outdated(status.status.state)
        work = model.work.report()
        self._work.value = _set(work.blocks if work is not None else ())
        self._work.layout.display = None if work is not None else "none"
        for task, button in self._buttons.items():
            button.disabled = not model.able(task)
            button.button_style = "primary" if task == self._suggested(status) else ""
        selected = self._tab.selected_index
        if selected is not None:
            self.tabs[selected].refresh()

    def _notice_lines(self, status: StatusView) -> Sequence[Block]:
        sight = self.model.sight
        if sight.trouble:
            return [line(Span("Trouble", "bad"), f": {sight.trouble}")]
        if sight.pending is None or not status.status.running:
            return []
        restart = Span("Restart", "strong")
        if sight.pending.reasons:
            return pending_lines(sight.pending, running=True, applied_by=restart)
        if status.status.state == "failed":
            return [line(restart, " starts again what has failed.")]
        up_to_date = status.status.state == "running"
        return [line(Span("Up to date. Nothing to restart.", "muted"))] if up_to_date else []

    def _suggested(self, status: StatusView) -> Task | None:
        """Give what most people would do next."""
        if not status.status.running:
            return "start"
        pending = status.pending is not None and bool(status.pending.reasons)
        return "restart" if pending or status.status.state == "failed" else None

    def _button(self, task: Task) -> Any:
        button = ipywidgets.Button(description=task.capitalize(), tooltip=_TOOLTIPS[task], disabled=True)
        button.on_click(partial(self._clicked, task))
        return button

    def _clicked(self, task: Task, _: object) -> None:
        self.model.begin_task(task)

    def _selected(self, change: dict[str, Any]) -> None:
        if change["new"] is not None:
            self.tabs[change["new"]].selected()
        self.model.repaint.ask()


def _tab_widget(tabs: Sequence[PanelTab]) -> Any:
    widget = ipywidgets.Tab([tab.widget for tab in tabs], selected_index=0)
    for number, tab in enumerate(tabs):
        widget.set_title(number, tab.title)
    widget.add_class(f"{PANEL}-tabs")
    return widget


def _set(blocks: Sequence[Block]) -> str:
    return set_html(Report(tuple(blocks))) if blocks else ""
