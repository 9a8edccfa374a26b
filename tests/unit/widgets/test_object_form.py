"""The form of an object: what it saves, what it refuses, and what becomes of it when something fails."""

from __future__ import annotations

import pytest

from astro_magic.airflow.objects import ObjectResult
from astro_magic.errors import ApiError, EngineError, InvalidContentError
from astro_magic.objects.table import Definition, ObjectRow
from tests.unit.widgets.conftest import TYPED
from tests.unit.widgets.faces import all_of, click, control, controls, edited, made, shown, state_of, typed


def test_only_what_was_changed_is_saved(objects, opened, until):
    editor = opened()
    edited(editor, until, "lake")
    assert control(editor, "Password").placeholder == "unchanged"
    typed(editor, "Login", "bob")
    typed(editor, "Port", "5439")
    typed(editor, "Description", "")
    click(editor, "Save")
    until(lambda: objects.sets)
    assert objects.sets == [("connection", "lake", {"login": "bob", "port": 5439}, "settings", False)]
    until(lambda: not controls(editor, "Save"))
    until(lambda: "airflow_settings.yaml +1 −1" in shown(editor))
    until(lambda: objects.reads.count("connection") == 2)


def test_a_refused_save_loses_nothing(objects, opened, until):
    editor = opened()
    edited(editor, until, "lake")
    typed(editor, "Password", TYPED)
    typed(editor, "Login", "bob")
    typed(editor, "Port", "ninety")
    click(editor, "Save")
    until(lambda: "Not saved</span>: The port is no whole number from 1 to 65535." in shown(editor))
    assert objects.sets == []
    assert "ninety" not in shown(editor)
    typed(editor, "Port", "")
    objects.fails["set"] = InvalidContentError("The login is too long.", hint="Take a shorter one.")
    click(editor, "Save")
    until(lambda: "The login is too long." in shown(editor) and "Take a shorter one." in shown(editor))
    until(lambda: not control(editor, "Save").disabled)
    assert control(editor, "Login").value == "bob"
    objects.fails["set"] = ValueError(TYPED)
    click(editor, "Save")
    until(lambda: "Not saved</span>: an unforeseen ValueError." in shown(editor))
    until(lambda: not control(editor, "Save").disabled)
    del objects.fails["set"]
    click(editor, "Save")
    until(lambda: len(objects.sets) == 3)
    assert objects.sets[-1][2] == {"password": TYPED, "login": "bob", "port": None}
    assert TYPED not in state_of(editor)


def test_what_airflow_did_not_take_is_told_and_tried_again(objects, opened, until):
    editor = opened()
    made(editor, until)
    typed(editor, "Id", "fresh")
    typed(editor, "Type", "http")
    objects.results = (ObjectResult("connection", "fresh", "failed", "It has no name."),)
    click(editor, "Save")
    until(lambda: "Airflow did not take it: It has no name; the file is written." in shown(editor))
    until(lambda: not control(editor, "Save").disabled)
    objects.results = (ObjectResult("connection", "fresh", "created"),)
    click(editor, "Save")
    until(lambda: "in the running Airflow created" in shown(editor))
    assert [new for *_, new in objects.sets] == [True, False]


@pytest.mark.parametrize(
    ("kind", "given", "why"),
    [
        ("connection", {}, "The connection needs an id."),
        ("connection", {"Id": "a"}, "The connection needs a type, such as postgres or http."),
        ("pool", {"Name": "a"}, "The pool needs a number of slots."),
        ("pool", {"Name": "a", "Slots": "1.5"}, "The slots is no whole number"),
        ("variable", {"Name": "a", "Where": "env", "Description": "b"}, "A variable in .env has no description."),
    ],
)
def test_what_is_missing_is_told(objects, opened, until, kind, given, why):
    editor = opened(kind)
    made(editor, until)
    for name, value in given.items():
        control(editor, name).value = value
        if hasattr(control(editor, name), "draft"):
            typed(editor, name, value)
    click(editor, "Save")
    until(lambda: why in shown(editor))
    assert objects.sets == []


def test_an_object_in_two_places_is_edited_in_either(objects, opened, until):
    definitions = (
        Definition("environment", ".env:1", {"conn_type": "http", "host": "one"}),
        Definition("settings", "airflow_settings.yaml:3", {"conn_type": "http", "host": "two"}),
    )
    objects.rows["connection"] = [ObjectRow("connection", "both", definitions, "same")]
    editor = opened(name="both")
    until(lambda: controls(editor, "Host") and control(editor, "Host").value == "one")
    objects.fails["draft"] = InvalidContentError("The file has a tab.")
    control(editor, "Where").value = "settings"
    until(lambda: "Not opened</span>: The file has a tab." in shown(editor))
    until(lambda: control(editor, "Where").value == "env")
    del objects.fails["draft"]
    control(editor, "Where").value = "settings"
    until(lambda: controls(editor, "Host") and control(editor, "Host").value == "two")
    typed(editor, "Host", "three")
    click(editor, "Save")
    until(lambda: objects.sets)
    assert objects.sets[0][2:4] == ({"host": "three"}, "settings")


def test_a_second_click_does_nothing_and_two_saves_never_overlap(objects, opened, until):
    first, second = opened(), opened()
    objects.may_end.clear()
    for editor, name in ((first, "lake"), (second, "billing")):
        edited(editor, until, name)
        typed(editor, "Login", "bob")
        click(editor, "Save")
        click(editor, "Save")
    until(lambda: control(first, "Save").disabled and control(second, "Save").disabled)
    assert "Saving lake" in shown(first)
    click(first, "Cancel")
    click(first, "Test")
    assert controls(first, "Save")
    objects.may_end.set()
    until(lambda: len(objects.sets) == 2)
    assert objects.most_at_once == 1
    assert objects.tested == []


def test_an_object_that_cannot_be_opened_and_one_that_is_not_changed(objects, opened, until):
    editor = opened()
    control(editor, "Connection").value = "lake"
    until(lambda: not control(editor, "Edit").disabled)
    objects.fails["draft"] = InvalidContentError("It is in a secrets backend only.", hint="Change it there.")
    click(editor, "Edit")
    until(lambda: "Not opened</span>: It is in a secrets backend only." in shown(editor))
    del objects.fails["draft"]
    objects.fails["types"] = EngineError("There is no environment yet.")
    edited(editor, until, "lake")
    assert "postgres" in control(editor, "Type").options
    click(editor, "Save")
    until(lambda: "Nothing was changed." in shown(editor))
    until(lambda: not controls(editor, "Save"))
    assert objects.sets == []


def test_a_form_that_is_closed_leaves_no_widget(opened, until):
    editor = opened()
    edited(editor, until, "lake")
    inside = all_of(editor.tab._form.widget)
    click(editor, "Cancel")
    until(lambda: not controls(editor, "Save"))
    assert [each for each in inside if each.comm is not None] == []
    edited(editor, until, "lake")
    inside = all_of(editor.tab._form.widget)
    editor.close()
    assert [each for each in inside if each.comm is not None] == []


def test_an_error_of_the_api_is_a_sentence(objects, opened, until):
    editor = opened("pool")
    edited(editor, until, "heavy")
    typed(editor, "Slots", "4")
    control(editor, "Deferred tasks take slots").value = True
    objects.fails["set"] = ApiError("Airflow did not answer.", hint="The file is written.")
    click(editor, "Save")
    until(lambda: "Not saved</span>: Airflow did not answer." in shown(editor))
    assert objects.sets[0][2] == {"slots": 4, "include_deferred": True}
