"""The form in which a connection, a variable or a pool is edited or made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ipywidgets

from astro_magic.errors import InvalidContentError
from astro_magic.objects.drafts import Draft
from astro_magic.objects.editing import Target
from astro_magic.system.secrets import is_secret_name
from astro_magic.views.html import set_html
from astro_magic.views.report import Report, Span, line
from astro_magic.widgets.form_fields import CheckField, FormField, NumberField, SecretField, TextField, TypeField
from astro_magic.widgets.live import close_all
from astro_magic.widgets.style import PANEL

__all__ = ["FormContent", "ObjectForm"]

_WHERE: Mapping[Target, str] = {
    "settings": "airflow_settings.yaml",
    "env": ".env",
    "airflow": "the running Airflow alone",
}
#: By kind: the field that has to have a value, and what it is.
_NEEDED: Mapping[str, tuple[str, str]] = {
    "connection": ("conn_type", "a type, such as postgres or http"),
    "pool": ("slots", "a number of slots"),
}
_LABEL = {"description_width": "110px"}
_MOST_SLOTS = 2**31 - 1


@dataclass(frozen=True)
class FormContent:
    """What a form says.

    Attributes
    ----------
    name : str
        The id.
    values : Mapping of str to Any
        By the field of Airflow's REST API: what was changed; None for what was emptied.
    target : {"settings", "env", "airflow"}
        Where it is to be written.
    new : bool
        Whether it must not be there yet.
    """

    name: str
    values: Mapping[str, Any] = field(repr=False)
    target: Target = "settings"
    new: bool = False


class ObjectForm:
    """A form for one object.

    Parameters
    ----------
    draft : Draft
        What is edited.
    save, cancel : callable
        Called by the front end when the button is clicked.
    move : callable
        Called by the front end with another place that is chosen for an object which is there.
    types : sequence of str, optional
        The known types of connections.

    Attributes
    ----------
    draft : Draft
        What is edited.
    widget : ipywidgets.VBox
        The form.
    problem : Report or None
        Why it was not saved.
    made : bool
        Whether a new object was made by a save that failed later on.
    """

    def __init__(
        self,
        draft: Draft,
        *,
        save: Callable[[], object],
        cancel: Callable[[], object],
        move: Callable[[Target], object],
        types: Sequence[str] = (),
    ) -> None:
        self.draft = draft
        self.made = False
        self.problem: Report | None = None
        self._problem = ipywidgets.HTML()
        self._id = ipywidgets.Text(
            description="Id" if draft.kind == "connection" else "Name",
            continuous_update=False,
            layout={"width": "320px", "max_width": "100%"},
            style=_LABEL,
        )
        self._id.observe(self._named, "value")
        self._secret: SecretField | None = None
        self._fields = self._made(types)
        places: tuple[Target, ...] = draft.places or (("settings", "env", "airflow") if draft.kind != "pool" else ())
        self._where = ipywidgets.Dropdown(
            options=[(_WHERE[place], place) for place in places or ("settings", "airflow")],
            value=draft.target,
            description="Where",
            disabled=len(places) == 1,
            layout={"width": "320px", "max_width": "100%"},
            style=_LABEL,
        )
        if not draft.new:
            self._where.observe(lambda change: change["new"] == draft.target or move(change["new"]), "value")
        self._save = ipywidgets.Button(description="Save", tooltip=f"Save this {draft.kind}", button_style="primary")
        self._save.on_click(lambda _: save())
        self._cancel = ipywidgets.Button(description="Cancel", tooltip="Close the form without saving")
        self._cancel.on_click(lambda _: cancel())
        title = line(Span(f"New {draft.kind}" if draft.new else f"{draft.kind.capitalize()} {draft.name}", "strong"))
        inputs = [self._id] if draft.new else []
        inputs += [each.widget for each in self._fields]
        buttons = ipywidgets.HBox([self._save, self._cancel])
        buttons.add_class(f"{PANEL}-form-buttons")
        head = ipywidgets.HTML(set_html(Report((title,))))
        self.widget = ipywidgets.VBox([head, *inputs, self._where, self._problem, buttons])
        self.widget.add_class(f"{PANEL}-form")
        self._named(None)

    def content(self) -> FormContent:
        """Give what it says.

        Raises
        ------
        InvalidContentError
            When something is missing, or is no value of its field. What was typed is not told.
        """
        draft = self.draft
        name = str(self._id.value).strip() if draft.new else draft.name
        if not name:
            raise InvalidContentError(f"The {draft.kind} needs {'an id' if draft.kind == 'connection' else 'a name'}.")
        self._named(None)
        values: dict[str, Any] = {}
        for each in self._fields:
            values |= each.given()
        # Another place is another draft, with values of its own.
        target: Target = self._where.value if draft.new else draft.target
        if draft.kind == "variable" and (draft.new or "value" in values):
            values["value"] = values.get("value") or ""
        if draft.kind == "variable" and target == "env" and values.get("description"):
            hint = "Choose airflow_settings.yaml, or leave the description empty."
            raise InvalidContentError("A variable in .env has no description.", hint=hint)
        key, what = _NEEDED.get(draft.kind, ("", ""))
        if key and values.get(key, None if draft.new else "there") is None:
            raise InvalidContentError(f"The {draft.kind} needs {what}.")
        return FormContent(name, values, target, draft.new and not self.made)

    def refresh(self, *, busy: bool) -> None:
        """Show why it was not saved, and whether it can be saved now.

        Parameters
        ----------
        busy : bool
            Whether something is being done.
        """
        said = set_html(self.problem) if self.problem is not None else ""
        self._problem.value = f'<div role="alert">{said}</div>' if said else ""
        self._save.disabled = self._cancel.disabled = busy
        if not busy and not self.draft.new:
            # That of another place could not be opened.
            self._where.value = self.draft.target

    def close(self) -> None:
        """Close it with all its inputs; what was typed is gone."""
        close_all(self.widget)

    def _made(self, types: Sequence[str]) -> list[FormField]:
        draft, values = self.draft, self.draft.values
        description = TextField("description", "Description", _text(values, "description"))
        match draft.kind:
            case "connection":
                extra = _text(values, "extra")
                return [
                    TypeField("conn_type", "Type", _text(values, "conn_type"), types),
                    TextField("host", "Host", _text(values, "host")),
                    NumberField("port", "Port", values.get("port"), lowest=1, highest=65535),
                    TextField("schema", "Schema", _text(values, "schema"), hint="or database"),
                    TextField("login", "Login", _text(values, "login")),
                    SecretField("password", "Password", stored=bool(values.get("password"))),
                    TextField("extra", "Extra", extra, lines=4, json_object=True, hint="a JSON object"),
                    description,
                ]
            case "variable":
                secret = SecretField("value", "Value", stored=not draft.new, removable=False)
                self._secret = secret
                stored = "" if is_secret_name(draft.name) else _text(values, "value")
                self._open = TextField("value", "Value", stored, lines=4)
                return [self._open, secret, description]
            case "pool":
                deferred = CheckField(
                    "include_deferred", "Deferred tasks take slots", stored=bool(values.get("include_deferred"))
                )
                hint = "-1 for as many as are asked for"
                slots = NumberField("slots", "Slots", values.get("slots"), lowest=-1, highest=_MOST_SLOTS, hint=hint)
                return [slots, deferred, description]

    def _named(self, _: object) -> None:
        """Give a variable whose name says that it is secret the input that shows nothing."""
        if self._secret is None:
            return
        secret = is_secret_name(self.draft.name or str(self._id.value))
        if secret and self._open.draft.changed:
            with suppress(InvalidContentError):
                self._secret.input.take(self._open.empty())
        self._open.widget.layout.display = "none" if secret else None
        self._secret.widget.layout.display = None if secret else "none"


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return "" if value is None else str(value)
