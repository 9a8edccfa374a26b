"""The fields of a form: each an input with a label, which tells what was changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import ipywidgets

from astro_magic.errors import InvalidContentError
from astro_magic.objects.masked import MaskedDraft
from astro_magic.widgets.typed_text import MaskedArea, MaskedLine, SecretText

__all__ = ["CheckField", "FormField", "NumberField", "SecretField", "TextField", "TypeField"]

#: A longer text is scrolled.
_MOST_LINES = 12
_WIDE = {"width": "520px", "max_width": "100%"}
_NARROW = {"width": "320px", "max_width": "100%"}
_LABEL = {"description_width": "110px"}


class FormField(Protocol):
    """One field of a form.

    Attributes
    ----------
    widget : ipywidgets.Widget
        Its input.
    """

    widget: Any

    def given(self) -> dict[str, Any]:
        """Give the new value by the field of Airflow's REST API, None for one that was emptied; nothing when unchanged.

        Raises
        ------
        InvalidContentError
            When what was typed is no value of this field. It is not told.
        """


class TextField:
    """A text; secrets in it are masked.

    Parameters
    ----------
    name : str
        The field of Airflow's REST API.
    label : str
        What it is called.
    stored : str
        What is stored.
    lines : int, optional
        How many lines are seen at least.
    json_object : bool, optional
        Whether it has to be a JSON object, or empty.
    hint : str, optional
        Is seen while it is empty.
    """

    def __init__(
        self, name: str, label: str, stored: str, *, lines: int = 1, json_object: bool = False, hint: str = ""
    ) -> None:
        self.draft = MaskedDraft(stored, f"The {label.lower()}", json_object=json_object)
        self._name = name
        options = {"description": label, "placeholder": hint, "layout": _WIDE, "style": _LABEL}
        if lines == 1 and "\n" not in stored:
            self.widget: Any = MaskedLine(self.draft, **options)
        else:
            rows = min(max(lines, self.draft.shown.count("\n") + 1), _MOST_LINES)
            self.widget = MaskedArea(self.draft, rows=rows, **options)

    def given(self) -> dict[str, Any]:
        """Give the text, when it is another one."""
        return {self._name: self.draft.text() or None} if self.draft.changed else {}

    def empty(self) -> str:
        """Take the text out of it, and give it.

        Raises
        ------
        InvalidContentError
            When it is none that could be saved; it stays then.
        """
        text = self.draft.text()
        self.draft.take("")
        self.widget.show_draft()
        return text


class SecretField:
    """A secret, of which nothing is ever shown.

    Parameters
    ----------
    name, label : str
        As for a `TextField`.
    stored : bool
        Whether there is one.
    removable : bool, optional
        Whether it can be taken away.
    """

    def __init__(self, name: str, label: str, *, stored: bool, removable: bool = True) -> None:
        self._name = name
        hint = "unchanged" if stored else "none"
        self.input = SecretText(description=label, placeholder=hint, layout=_NARROW, style=_LABEL)
        self._none = ipywidgets.Checkbox(description=f"No {label.lower()}", indent=False, layout={"width": "auto"})
        self._none.tooltip = f"Take the {label.lower()} away that is stored"
        self.widget = ipywidgets.HBox([self.input, self._none] if stored and removable else [self.input])

    def given(self) -> dict[str, Any]:
        """Give what was typed, or None when there is to be none any more."""
        if self.input.typed:
            return {self._name: self.input.typed}
        return {self._name: None} if self._none.value else {}


class NumberField:
    """A whole number.

    Parameters
    ----------
    name, label : str
        As for a `TextField`.
    stored : int or None
        What is stored.
    lowest, highest : int
        What it may be.
    hint : str, optional
        Is seen while it is empty.
    """

    def __init__(self, name: str, label: str, stored: int | None, *, lowest: int, highest: int, hint: str = "") -> None:
        self._name = name
        self._label = label
        self._stored = "" if stored is None else str(stored)
        self._range = range(lowest, highest + 1)
        self.widget = ipywidgets.Text(
            self._stored,
            description=label,
            placeholder=hint,
            continuous_update=False,
            layout={"width": "230px"},
            style=_LABEL,
        )

    def given(self) -> dict[str, Any]:
        """Give the number, when it is another one."""
        text = str(self.widget.value).strip()
        if text == self._stored:
            return {}
        if not text:
            return {self._name: None}
        number = int(text) if text.lstrip("-").isdecimal() and text.isascii() and len(text) < 12 else None
        if number is None or number not in self._range:
            first, last = self._range[0], self._range[-1]
            raise InvalidContentError(f"The {self._label.lower()} is no whole number from {first} to {last}.")
        return {self._name: number}


class TypeField:
    """A text that most people choose from a list.

    Parameters
    ----------
    name, label : str
        As for a `TextField`.
    stored : str
        What is stored.
    options : sequence of str
        The list.
    """

    def __init__(self, name: str, label: str, stored: str, options: Sequence[str]) -> None:
        self._name = name
        self._stored = stored
        self.widget = ipywidgets.Combobox(
            value=stored,
            options=tuple(options),
            description=label,
            placeholder="such as postgres or http",
            continuous_update=False,
            layout=_NARROW,
            style=_LABEL,
        )

    def given(self) -> dict[str, Any]:
        """Give the text, when it is another one."""
        text = str(self.widget.value).strip()
        return {} if text == self._stored else {self._name: text or None}


class CheckField:
    """Yes or no.

    Parameters
    ----------
    name, label : str
        As for a `TextField`.
    stored : bool
        What is stored.
    """

    def __init__(self, name: str, label: str, *, stored: bool) -> None:
        self._name = name
        self._stored = stored
        self.widget = ipywidgets.Checkbox(value=stored, description=label, layout=_WIDE, style=_LABEL)

    def given(self) -> dict[str, Any]:
        """Give it, when it is the other one."""
        return {} if self.widget.value == self._stored else {self._name: bool(self.widget.value)}
