"""The tab of objects: its table, searched and sorted, its buttons, and what the notebook keeps of it."""

from __future__ import annotations

import ipywidgets

from astro_magic.errors import EngineError, InvalidContentError
from astro_magic.objects.records import Records
from tests.unit.widgets.conftest import RUNNING, SECRET, row
from tests.unit.widgets.faces import all_of, click, control, controls, edited, order, shown

EVIL = "<script>alert(1)</script>"


def test_the_table_is_searched_and_sorted(opened, until):
    editor = opened()
    until(lambda: order(editor) == ("billing", "lake", "warehouse"))
    assert "3 connections" in shown(editor)
    assert SECRET not in shown(editor)
    control(editor, "Search").value = "EXAMPLE"
    until(lambda: order(editor) == ("billing",))
    until(lambda: "1 of 3 connections" in shown(editor))
    control(editor, "Search").value = "only in"
    until(lambda: order(editor) == ("warehouse",))
    control(editor, "Search").value = SECRET
    until(lambda: order(editor) == ())
    until(lambda: control(editor, "Edit").disabled)
    control(editor, "Search").value = ""
    control(editor, "Sort by").value = "host"
    until(lambda: order(editor) == ("billing", "lake", "warehouse"))
    control(editor, "Order").value = True
    until(lambda: order(editor) == ("lake", "billing", "warehouse"))
    control(editor, "Sort by").value = ""
    until(lambda: order(editor) == ("warehouse", "lake", "billing"))


def test_many_rows_are_counted_and_not_shown(objects, opened, until):
    objects.rows["variable"] = [row("variable", f"v{number:04}", {"value": EVIL}) for number in range(300)]
    editor = opened("variable")
    until(lambda: "100 more are not shown" in shown(editor))
    assert ">v0199<" in shown(editor)
    assert ">v0200<" not in shown(editor)
    assert "<script" not in shown(editor)
    assert len(order(editor)) == 300


def test_a_pool_shows_its_slots_in_use(opened):
    editor = opened("pool")
    assert "occupied" in shown(editor)
    assert ("occupied", "occupied") in control(editor, "Sort by").options


def test_the_table_is_read_when_something_has_changed_and_not_with_each_painting(
    running, objects, opened, until, tmp_path
):
    running.project.state_dir = tmp_path
    editor = opened()
    for _ in range(20):
        editor.paint()
    assert objects.reads == ["connection"]
    objects.rows["connection"].append(row("connection", "extra", {"conn_type": "http"}))
    running.become(RUNNING, state="starting")
    until(lambda: "extra" in order(editor))
    # A start is told of before its import has ended.
    objects.rows["connection"].append(row("connection", "imported", {"conn_type": "http"}))
    Records({}, frozenset({"connection/imported"})).store(running.project)
    editor.paint()
    until(lambda: "imported" in order(editor))
    before = len(objects.reads)
    click(editor, "Refresh")
    until(lambda: len(objects.reads) == before + 1)
    editor.tab.selected()
    editor.paint()
    until(lambda: len(objects.reads) == before + 2)


def test_a_table_that_cannot_be_read_is_told_of_and_the_last_one_stays(objects, opened, until):
    editor = opened()
    objects.fails["table"] = InvalidContentError("airflow_settings.yaml has a tab on line 3.")
    click(editor, "Refresh")
    until(lambda: "has a tab on line 3" in shown(editor))
    assert "lake" in shown(editor)
    objects.fails["table"] = ValueError(SECRET)
    click(editor, "Refresh")
    until(lambda: "an unforeseen ValueError" in shown(editor))
    assert SECRET not in shown(editor)


def test_a_connection_is_tested(objects, opened, until):
    editor = opened()
    control(editor, "Connection").value = "lake"
    until(lambda: not control(editor, "Test").disabled)
    click(editor, "Test")
    until(lambda: "Connection successfully tested" in shown(editor))
    objects.fails["test"] = EngineError("There is no environment yet.")
    until(lambda: not control(editor, "Test").disabled)
    click(editor, "Test")
    until(lambda: "Not tested</span>: There is no environment yet." in shown(editor))


def test_a_removal_asks_before(objects, opened, until):
    editor = opened()
    control(editor, "Connection").value = "lake"
    until(lambda: not control(editor, "Remove").disabled)
    click(editor, "Remove")
    until(lambda: controls(editor, "Remove lake"))
    click(editor, "Keep")
    until(lambda: not controls(editor, "Remove lake"))
    assert objects.removed == []
    until(lambda: not control(editor, "Remove").disabled)
    click(editor, "Remove")
    until(lambda: controls(editor, "Remove lake"))
    click(editor, "Remove lake")
    until(lambda: "lake" not in order(editor))
    assert objects.removed == [("connection", "lake")]
    assert "in the running Airflow removed" in shown(editor)


def test_the_notebook_keeps_the_table(objects, opened, displays, until):
    editor = opened()
    [kept, live] = displays[editor]
    assert "lake" in kept[0]._repr_mimebundle_()["text/html"]
    assert "run the cell again for the editor" in repr(editor)
    assert SECRET not in repr(editor)
    assert live[0]._repr_mimebundle_()["text/plain"] == ""
    objects.rows["connection"].append(row("connection", "later", {"conn_type": "http"}))
    click(editor, "Refresh")
    until(lambda: "later" in kept[-1]._repr_mimebundle_()["text/html"])
    assert len(kept) == 2


def test_each_control_has_a_name_and_each_button_says_what_it_does(opened, until):
    for kind, name in (("connection", "lake"), ("variable", "region"), ("pool", "heavy")):
        editor = opened(kind)
        edited(editor, until, name)
        for widget in all_of(editor.widget):
            if hasattr(widget, "description") and not isinstance(widget, ipywidgets.HTML):
                assert widget.description
            if isinstance(widget, ipywidgets.Button):
                assert widget.tooltip
