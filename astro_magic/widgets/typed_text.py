"""Inputs that keep no secret: what is typed into them is taken out before it becomes a part of their state.

All that a widget's traits hold is sent to every page that shows it, and is saved with the notebook where somebody has
asked for that. So a message of the front end is looked at before the traits are: ipywidgets would also send its
values back at once, to each page. What was typed stays in this process.
"""

from __future__ import annotations

from typing import Any

import ipywidgets

from astro_magic.objects.masked import MaskedDraft

__all__ = ["MaskedArea", "MaskedLine", "SecretText"]


class SecretText(ipywidgets.Password):
    """An input for a secret. Its value is always empty.

    Parameters
    ----------
    **options : Any
        As for any widget.

    Attributes
    ----------
    typed : str
        What was typed, in this process only; empty when nothing was.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(continuous_update=False, **options)
        self.typed = ""

    def take(self, secret: str) -> None:
        """Take a secret from somewhere else, as if it had been typed here."""
        self.typed = secret
        self.placeholder = "typed, not saved yet"

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take what the front end tells, the secret apart from the state."""
        typed = sync_data.get("value", "")
        rest = {name: value for name, value in sync_data.items() if name != "value"}
        if rest:
            super().set_state(rest)
        if typed:
            self.take(typed)
            # The page still has what was typed.
            self.send_state("value")


class _Masked:
    """An input whose secrets are masked: see `MaskedDraft`.

    Parameters
    ----------
    draft : MaskedDraft
        What is edited.
    **options : Any
        As for any widget.
    """

    def __init__(self, draft: MaskedDraft, **options: Any) -> None:
        self.draft = draft
        widget: Any = super()
        widget.__init__(value=draft.shown, continuous_update=False, **options)

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take what the front end tells; its secrets are masked before they become a part of the state."""
        widget: Any = super()
        rest = dict(sync_data)
        if "value" in rest:
            self.draft.take(rest["value"])
            if self.draft.shown != rest["value"]:
                del rest["value"]
                self.show_draft()
        if rest:
            widget.set_state(rest)

    def show_draft(self) -> None:
        """Show the text as it is now; also to a page that has another one."""
        widget: Any = self
        widget.value = self.draft.shown
        widget.send_state("value")


class MaskedLine(_Masked, ipywidgets.Text):
    """An input for one line, whose secrets are masked."""


class MaskedArea(_Masked, ipywidgets.Textarea):
    """An input for several lines, whose secrets are masked."""
