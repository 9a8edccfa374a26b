"""What a tab of a panel is, and the two that show components and log."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets

from astro_magic.views.html import set_html
from astro_magic.views.inside import prefixed
from astro_magic.views.report import Report, Span, line
from astro_magic.views.words import count
from astro_magic.widgets.model import PanelModel
from astro_magic.widgets.style import PANEL

__all__ = ["ComponentsTab", "LogTab", "PanelTab"]

_ALL = "all"
_SHOWN = 200


class PanelTab:
    """One tab of a panel.

    Attributes
    ----------
    title : str
        What the tab is called.
    widget : ipywidgets.Widget
        What it holds.
    """

    title: str
    widget: Any

    def refresh(self) -> None:
        """Bring the widget up to date. Called on the painting thread, while the tab is the one that is seen."""
        raise NotImplementedError

    def selected(self) -> None:
        """Hear that the tab is the one that is seen from now on. Called by the front end, so it must not wait."""


class ComponentsTab(PanelTab):
    """The table of components.

    Parameters
    ----------
    model : PanelModel
        What runs.
    """

    title = "Components"

    def __init__(self, model: PanelModel) -> None:
        self.widget = ipywidgets.HTML()
        self._model = model

    def refresh(self) -> None:
        """Set the table anew."""
        blocks = self._model.status_view().components()
        nothing = line(Span("No component runs.", "muted"))
        self.widget.value = set_html(Report.of(blocks or [nothing]))


class LogTab(PanelTab):
    """The last lines of the components' logs.

    Parameters
    ----------
    model : PanelModel
        Whose log.
    """

    title = "Log"

    def __init__(self, model: PanelModel) -> None:
        self._model = model
        self._component = ipywidgets.Dropdown(
            options=[_ALL], value=_ALL, description="Component", layout={"width": "auto"}
        )
        self._text = ipywidgets.Text(
            description="Filter", placeholder="only lines with this text", layout={"width": "280px"}
        )
        self._follow = ipywidgets.ToggleButton(value=True, description="Follow", tooltip="Show new lines as they come")
        self._lines = ipywidgets.HTML()
        self._found = ipywidgets.HTML()
        self._up_to: int | None = None
        controls = ipywidgets.HBox([self._component, self._text, self._follow])
        controls.add_class(f"{PANEL}-controls")
        # The direction of this box keeps its end in sight, as a terminal does.
        scroller = ipywidgets.Box([self._lines], tabbable=True)
        scroller.add_class(f"{PANEL}-log")
        self.widget = ipywidgets.VBox([controls, scroller, self._found])
        for control in (self._component, self._text, self._follow):
            control.observe(self._asked, "value")

    def refresh(self) -> None:
        """Set the lines anew; those that came after the following was ended are left aside."""
        log = self._model.log
        self._offer()
        component = "" if self._component.value == _ALL else str(self._component.value)
        text = str(self._text.value).strip()
        up_to = None if self._follow.value else self._up_to
        extract = log.extract(component=component, text=text, last=_SHOWN, up_to=up_to)
        if self._follow.value or self._up_to is None:
            self._up_to = extract.newest
        label = f"Log of {component or 'all components'}"
        lines = escape("\n".join(prefixed(extract.lines)))
        self._lines.value = f'<pre role="log" aria-live="off" aria-label="{escape(label)}">{lines}</pre>'
        said = self._said(len(extract.lines), extract.found, filtered=bool(text))
        self._found.value = set_html(Report.of(line(Span(said, "muted"))))

    def _said(self, shown: int, found: int, *, filtered: bool) -> str:
        if self._model.log.trouble:
            return self._model.log.trouble
        if not found:
            return "No line holds this text." if filtered else "Nothing was written yet."
        held = f"the last {shown} of {count(found, 'line')}" if found > shown else count(found, "line")
        paused = "" if self._follow.value else ", not following"
        return f"{held[0].upper()}{held[1:]}{' with this text' if filtered else ''}{paused}."

    def _offer(self) -> None:
        """Offer each component that has written something; a database, for one, is none whose log is read."""
        options = (_ALL, *self._model.log.components)
        if options != tuple(self._component.options):
            chosen = self._component.value
            # To be given other options makes the front end choose the first.
            with self._component.hold_trait_notifications():
                self._component.options = options
                self._component.value = chosen if chosen in options else _ALL

    def _asked(self, _: object) -> None:
        self._model.repaint.ask()
