"""A question with two answers, which stands where a form would."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets

from astro_magic.views.html import set_html
from astro_magic.views.report import Report, line
from astro_magic.widgets.live import close_all
from astro_magic.widgets.style import PANEL

__all__ = ["Question"]


class Question:
    """A question, a button that says yes, and one that says no.

    Parameters
    ----------
    text : str
        The question.
    answer : str
        What the button says that means yes.
    yes, no : callable
        Called by the front end when the button is clicked.

    Attributes
    ----------
    widget : ipywidgets.VBox
        What is shown.
    """

    def __init__(self, text: str, answer: str, *, yes: Callable[[], object], no: Callable[[], object]) -> None:
        self._yes = ipywidgets.Button(description=answer, tooltip=f"Yes: {text}")
        self._no = ipywidgets.Button(description="Keep", tooltip="No: leave it as it is")
        self._yes.on_click(lambda _: yes())
        self._no.on_click(lambda _: no())
        asked = ipywidgets.HTML(set_html(Report((line(text),))))
        buttons = ipywidgets.HBox([self._yes, self._no])
        buttons.add_class(f"{PANEL}-form-buttons")
        self.widget = ipywidgets.VBox([asked, buttons])
        self.widget.add_class(f"{PANEL}-form")

    def refresh(self, *, busy: bool) -> None:
        """Show whether it can be answered now.

        Parameters
        ----------
        busy : bool
            Whether something is being done.
        """
        self._yes.disabled = self._no.disabled = busy

    def close(self) -> None:
        """Close it."""
        close_all(self.widget)
