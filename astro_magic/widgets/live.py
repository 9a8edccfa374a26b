"""What live widgets have in common: how one is shown, rests, and ends."""

from __future__ import annotations

import atexit
import threading
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any

import ipywidgets

from astro_magic.views import Display, Handle
from astro_magic.widgets.kept import KeptView
from astro_magic.widgets.model import LiveModel
from astro_magic.widgets.style import PANEL, panel_style

__all__ = ["LiveWidget", "close_all"]

_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class LiveWidget(ABC):
    """A widget that is shown as two outputs: a table that the notebook keeps, and the widget.

    The table is hidden while the widget lives, and is what a reader sees when it does not.

    Parameters
    ----------
    model : LiveModel
        What it knows.
    display : Display
        Shows an object in the notebook.
    parts : sequence of ipywidgets.Widget
        What it holds, from top to bottom.

    Attributes
    ----------
    model : LiveModel
        What it knows.
    widget : ipywidgets.VBox
        The live part, to be put into another widget.
    """

    def __init__(self, model: LiveModel, display: Display, parts: Sequence[Any]) -> None:
        self.model = model
        self._display = display
        self._lock = threading.Lock()
        self._closed = False
        self._kept: list[Handle] = []
        self._kept_gist: object = None
        style = ipywidgets.HTML(panel_style(), layout={"display": "none"})
        self.widget = ipywidgets.VBox([style, *parts])
        self._key = f"{PANEL}-{self.widget.model_id[:12]}"
        self.widget.add_class(PANEL)
        self.widget.add_class(self._key)
        # From a number on, the front end counts the places where the widget is seen.
        self.widget._view_count = 0  # noqa: SLF001 - a trait of each widget; its name is part of the protocol
        self.widget.observe(self._counted, "_view_count")
        self.widget.observe(self._comm_changed, "comm")
        self.widget.comm.on_close(self._comm_closed)

    @abstractmethod
    def kept(self, key: str = "") -> KeptView:
        """Give what the notebook is to keep of it.

        Parameters
        ----------
        key : str, optional
            Names the widget in style sheets.
        """

    @abstractmethod
    def gist(self) -> object:
        """Give what makes `kept` worth keeping instead of the one before."""

    @abstractmethod
    def refresh(self) -> None:
        """Bring all parts up to date. Called on the painting thread."""

    @property
    def closed(self) -> bool:
        """Whether it lives no more."""
        return self._closed

    def show(self) -> None:
        """Show it below the cell that runs now, and keep it up to date from now on."""
        if not self._closed:
            self.model.begin()
            # A kernel that ends leaves the table behind.
            atexit.unregister(self.close)
            atexit.register(self.close)
        self._kept_gist = self.gist()
        self._kept.append(self._display(self.kept(self._key)))
        if not self._closed:
            self._display(_Bundle({**self._view(), "text/html": "", "text/plain": ""}))

    def close(self) -> None:
        """End it: its threads end, and the table takes its place."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        atexit.unregister(self.close)
        self.model.end()
        self._keep()
        close_all(self.widget)

    def paint(self) -> None:
        """Bring everything up to date that is seen. Only what is another than before is sent."""
        if self._closed:
            return
        self.refresh()
        if self.gist() != self._kept_gist:
            self._keep()

    def __repr__(self) -> str:
        return repr(self.kept())

    def _ipython_display_(self) -> None:
        self.show()

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, Any]:
        """Give the widget and the table in one bundle, for a place that takes only one."""
        return {**({} if self._closed else self._view()), **self.kept()._repr_mimebundle_(include, exclude)}

    def _view(self) -> dict[str, Any]:
        return {_WIDGET_VIEW: {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}}

    def _keep(self) -> None:
        """Renew what the notebook keeps; when it says something else, not with each measurement."""
        self._kept_gist = self.gist()
        for handle in self._kept:
            handle.update(self.kept(self._key))

    def _counted(self, change: dict[str, Any]) -> None:
        """Rest while it is seen nowhere, as when its cell is deleted."""
        if self._closed:
            return
        if change["new"]:
            self.model.begin()
        elif change["old"]:
            self.model.end()

    def _comm_changed(self, change: dict[str, Any]) -> None:
        if change["new"] is None:
            self.close()

    def _comm_closed(self, _: object) -> None:
        self.close()


class _Bundle:
    """Something that is shown as it is."""

    def __init__(self, bundle: dict[str, Any]) -> None:
        self._bundle = bundle

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return self._bundle


def close_all(widget: Any) -> None:
    """Close a widget with all that it holds; its own close would leave them with the kernel and the page."""
    widget.close()
    for part in getattr(widget, "children", ()):
        close_all(part)
    for part in (widget.layout, getattr(widget, "style", None)):
        if part is not None:
            part.close()
