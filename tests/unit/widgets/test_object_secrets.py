"""Secrets in the form of an object: they are taken, and nothing of them gets into what widgets hold."""

from __future__ import annotations

import json

import ipywidgets
import pytest

from tests.unit.widgets.conftest import SECRET, TYPED
from tests.unit.widgets.faces import click, control, controls, edited, made, shown, state_of, typed


def test_nothing_that_is_secret_gets_into_a_widget(objects, opened, displays, until, sent):
    editor = opened()
    edited(editor, until, "lake")
    typed(editor, "Password", TYPED)
    typed(editor, "Extra", json.dumps({"region": "us", "token": TYPED, "api_key": "••••••"}))
    typed(editor, "Extra", f'{{"region": "us", "token": "{TYPED}", "more": {{"secret": "{TYPED}"}}')
    typed(editor, "Host", f"https://me:{TYPED}@elsewhere")
    assert control(editor, "Password").value == ""
    assert control(editor, "Password").placeholder == "typed, not saved yet"
    click(editor, "Save")
    until(lambda: "The extra is no JSON" in shown(editor))
    assert TYPED not in state_of(editor)
    typed(editor, "Extra", '{"region": "us", "token": "••••••", "more": {"secret": "••••••"}}')
    click(editor, "Save")
    until(lambda: objects.sets)
    [(_, _, values, _, _)] = objects.sets
    assert values["password"] == TYPED
    assert values["host"] == f"https://me:{TYPED}@elsewhere"
    assert json.loads(values["extra"]) == {"region": "us", "token": TYPED, "more": {"secret": TYPED}}
    until(lambda: not controls(editor, "Save"))
    everything = "".join([*sent, state_of(editor), repr(editor), *(repr(each) for each in displays[editor])])
    assert "region" in everything
    assert TYPED not in everything
    assert SECRET not in everything


def test_a_password_can_be_taken_away(objects, opened, until):
    editor = opened()
    edited(editor, until, "lake")
    control(editor, "No password").value = True
    click(editor, "Save")
    until(lambda: objects.sets)
    assert objects.sets[0][2] == {"password": None}


@pytest.mark.parametrize("late", [False, True])
def test_a_variable_whose_name_says_that_it_is_secret(objects, opened, until, sent, late):
    editor = opened("variable")
    made(editor, until)
    if late:
        # The name is only known when the value was typed.
        typed(editor, "Value", "not known yet")
    typed(editor, "Name", "mail_token")
    assert isinstance(control(editor, "Value"), ipywidgets.Password)
    assert "not known yet" not in state_of(editor)
    if not late:
        typed(editor, "Value", TYPED)
    click(editor, "Save")
    until(lambda: objects.sets)
    value = "not known yet" if late else TYPED
    assert objects.sets == [("variable", "mail_token", {"value": value}, "settings", True)]
    assert TYPED not in "".join(sent)


def test_a_secret_variable_that_is_not_typed_over_stays(objects, opened, until, sent):
    editor = opened("variable")
    edited(editor, until, "api_key")
    assert control(editor, "Value").placeholder == "unchanged"
    typed(editor, "Description", "for the mails")
    click(editor, "Save")
    until(lambda: objects.sets)
    assert objects.sets[0][2] == {"description": "for the mails"}
    assert SECRET not in "".join(sent)
