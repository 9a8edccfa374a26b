"""What widgets show, and what a person does with them, without a front end.

A face is whatever has a ``widget``: a panel, an editor or a tab.
"""

from __future__ import annotations

import ipywidgets

__all__ = [
    "Screen",
    "all_of",
    "click",
    "control",
    "controls",
    "edited",
    "made",
    "order",
    "shown",
    "state_of",
    "typed",
]


class Screen:
    """What was displayed, and with what it was replaced."""

    def __init__(self):
        self.displayed = []

    def __call__(self, content):
        self.displayed.append([content])
        shown = self.displayed[-1]
        return type("Handle", (), {"update": staticmethod(shown.append)})()

    @property
    def kept(self):
        return [content._repr_mimebundle_() for content in self.displayed[0]]


def all_of(widget):
    return [widget, *(inner for child in getattr(widget, "children", ()) for inner in all_of(child))]


def shown(face):
    return "\n".join(each.value for each in all_of(face.widget) if isinstance(each, ipywidgets.HTML))


def controls(face, description):
    return [each for each in all_of(face.widget) if getattr(each, "description", None) == description]


def control(face, description):
    """The first control of that name that is not hidden."""
    return next(each for each in controls(face, description) if each.layout.display != "none")


def typed(face, description, text):
    """Do what a message of the front end does."""
    control(face, description).set_state({"value": text})


def click(face, description):
    control(face, description).click()


def state_of(face):
    """What a notebook that is saved with its widgets would hold."""
    return repr([each.get_state() for each in all_of(face.widget)])


def order(editor):
    return control(editor, editor.tab.kind.capitalize()).options


def edited(editor, until, name):
    control(editor, editor.tab.kind.capitalize()).value = name
    until(lambda: not control(editor, "Edit").disabled)
    click(editor, "Edit")
    until(lambda: controls(editor, "Save"))


def made(editor, until):
    until(lambda: not control(editor, "New").disabled)
    click(editor, "New")
    until(lambda: controls(editor, "Save"))
