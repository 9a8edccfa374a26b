"""The face of the panel, without a front end: what its widgets hold, and when it ends."""

from __future__ import annotations

from dataclasses import replace

import ipywidgets
import pytest

from astro_magic.engines.answers import Component
from astro_magic.errors import StartFailedError
from astro_magic.project.fingerprint import Action, Pending, Reason
from astro_magic.system.events import OutputLine
from astro_magic.widgets.panel import Panel
from tests.unit.widgets.conftest import RUNNING, STOPPED
from tests.unit.widgets.faces import Screen, all_of, shown

EVIL = "<script>alert(1)</script>"
WIDGET = "application/vnd.jupyter.widget-view+json"
CHANGED = Pending((Reason(".env", "+ REGION", Action.RECREATE),))


@pytest.fixture
def screen():
    return Screen()


@pytest.fixture
def panel(environment, screen):
    panel = Panel(environment, display=screen)
    yield panel
    environment.may_end.set()
    panel.close()
    assert panel.model.join(20)
    assert panel.model.repaint.failure is None


def control(panel, kind, description):
    [found] = [w for w in all_of(panel.widget) if isinstance(w, kind) and w.description == description]
    return found


def button(panel, description):
    return control(panel, ipywidgets.Button, description)


def test_two_outputs_of_which_the_notebook_keeps_one(panel, screen):
    panel._ipython_display_()
    [[kept], [live]] = screen.displayed
    assert "shop · local · Airflow 3.3.2 · stopped" in kept._repr_mimebundle_()["text/plain"]
    assert "run the cell again for the live panel" in kept._repr_mimebundle_()["text/html"]
    bundle = live._repr_mimebundle_()
    assert bundle[WIDGET]["model_id"] == panel.widget.model_id
    assert (bundle["text/html"], bundle["text/plain"]) == ("", "")


def test_one_bundle_for_a_place_that_takes_only_one(panel):
    bundle = panel._repr_mimebundle_()
    assert set(bundle) == {WIDGET, "text/html", "text/plain"}
    assert "run the cell again for the live panel" in bundle["text/plain"]
    assert bundle["text/plain"] == repr(panel)
    panel.close()
    assert set(panel._repr_mimebundle_()) == {"text/html", "text/plain"}


def test_the_buttons_follow_the_state(environment, panel, until):
    assert [button(panel, name).disabled for name in ("Start", "Restart", "Stop")] == [False, True, True]
    assert button(panel, "Start").button_style == "primary"
    panel.show()
    environment.waiting = CHANGED
    environment.become(RUNNING)
    until(lambda: button(panel, "Start").disabled)
    until(lambda: button(panel, "Restart").button_style == "primary")
    until(lambda: not button(panel, "Stop").disabled)
    until(lambda: "Pending: " in shown(panel) and "Applies with" in shown(panel))
    environment.waiting = Pending()
    environment.become(RUNNING)
    until(lambda: "Up to date. Nothing to restart." in shown(panel))
    until(lambda: button(panel, "Restart").button_style == "")
    environment.become(replace(RUNNING, state="failed"))
    until(lambda: "starts again what has failed." in shown(panel))
    until(lambda: button(panel, "Restart").button_style == "primary")
    assert "Up to date" not in shown(panel)


def test_a_click_starts_and_its_end_is_seen(environment, panel, until):
    panel.show()
    button(panel, "Start").click()
    button(panel, "Start").click()
    until(lambda: "Starting shop on local processes" in shown(panel))
    until(lambda: button(panel, "Start").disabled)
    environment.may_end.set()
    until(lambda: "Airflow is up in 4.1 s" in shown(panel))
    until(lambda: not button(panel, "Stop").disabled)
    assert environment.asked == ["start"]


def test_no_value_gets_into_the_panel_as_markup(environment, panel, until):
    panel.show()
    environment.waiting = Pending((Reason(EVIL, EVIL, Action.REBUILD),))
    environment.project.name = EVIL
    component = Component(EVIL, "running", detail=EVIL)
    environment.become(RUNNING, notes=(EVIL,), url=EVIL, components=(component,))
    environment.fails["restart"] = StartFailedError(EVIL, hint=EVIL, detail=EVIL)
    environment.lines.put(OutputLine(EVIL, EVIL))
    until(lambda: not button(panel, "Restart").disabled)
    environment.may_end.set()
    button(panel, "Restart").click()
    until(lambda: "Restart failed" in shown(panel))
    panel.widget.children[-1].selected_index = 1
    until(lambda: "alert(1)" in panel.tabs[1].widget.children[1].children[0].value)
    assert "<script" not in shown(panel)
    panel.close()
    assert "<script" not in repr(panel._repr_mimebundle_()["text/html"])


def test_the_log_is_chosen_from_and_filtered(environment, panel, until):
    panel.show()
    panel.widget.children[-1].selected_index = 1
    component = control(panel, ipywidgets.Dropdown, "Component")
    text = control(panel, ipywidgets.Text, "Filter")
    follow = control(panel, ipywidgets.ToggleButton, "Follow")
    until(lambda: "Nothing was written yet." in shown(panel))
    for source, said in [("scheduler", "ready"), ("triggerer", "done")]:
        environment.lines.put(OutputLine(source, said))
    until(lambda: "scheduler │ ready\ntriggerer │ done" in shown(panel))
    until(lambda: component.options == ("all", "scheduler", "triggerer"))
    component.value = "triggerer"
    until(lambda: ">done<" in shown(panel))
    assert 'aria-label="Log of triggerer"' in shown(panel)
    component.value = "all"
    text.value = "READY"
    until(lambda: ">ready<" in shown(panel) and "1 line with this text." in shown(panel))
    text.value = "nowhere"
    until(lambda: "No line holds this text." in shown(panel))
    text.value = ""
    until(lambda: "2 lines." in shown(panel))

    follow.value = False
    until(lambda: "2 lines, not following." in shown(panel))
    environment.lines.put(OutputLine("webserver", "later"))
    until(lambda: "webserver" in component.options)
    assert "later" not in shown(panel)
    assert component.value == "all"
    follow.value = True
    until(lambda: "later" in shown(panel))


def test_only_the_last_lines_are_shown(environment, panel, until):
    for number in range(300):
        environment.lines.put(OutputLine("scheduler", f"line {number}"))
    panel.show()
    panel.widget.children[-1].selected_index = 1
    until(lambda: "The last 200 of 300 lines." in shown(panel))
    assert "line 99\n" not in shown(panel)
    assert "line 100\n" in shown(panel)


def test_what_is_kept_is_renewed_when_it_says_something_else(environment, panel, screen, until):
    panel.show()
    environment.become(STOPPED)
    environment.become(STOPPED)
    environment.become(RUNNING)
    until(lambda: len(screen.kept) == 2)
    busier = replace(RUNNING.components[0], cpu_percent=90, memory=1)
    environment.become(RUNNING, components=(busier,))
    until(lambda: panel.model.sight.status.components == (busier,))
    panel.paint()
    assert len(screen.kept) == 2
    panel.close()
    assert len(screen.kept) == 3
    assert "scheduler" in screen.kept[-1]["text/html"]


def closed_by_itself(panel):
    panel.close()


def closed_as_a_widget(panel):
    panel.widget.close()


def closed_by_the_front_end(panel):
    panel.widget.comm.handle_close({})


@pytest.mark.parametrize("close", [closed_by_itself, closed_as_a_widget, closed_by_the_front_end])
def test_it_ends(panel, close):
    panel.show()
    close(panel)
    panel.close()
    assert panel.closed
    assert panel.model.join(20)
    assert [widget for widget in all_of(panel.widget) if widget.comm is not None] == []
    panel.paint()


def test_a_panel_that_is_closed_shows_the_table(panel, screen):
    panel.close()
    panel.show()
    assert len(screen.displayed) == 1
    assert panel.model.join(0)


def test_it_rests_while_it_is_seen_nowhere(environment, panel, until):
    panel.show()
    until(lambda: environment.watches == 1)
    panel.widget._view_count = 1
    panel.widget._view_count = 0
    assert panel.model.join(20)
    panel.widget._view_count = 1
    until(lambda: environment.watches == 2)
    assert not panel.closed


def test_each_control_has_a_name(panel):
    for widget in all_of(panel.widget):
        if isinstance(widget, ipywidgets.Button | ipywidgets.Text | ipywidgets.Dropdown | ipywidgets.ToggleButton):
            assert widget.description
    tab = panel.widget.children[-1]
    assert [tab.get_title(number) for number in range(len(panel.tabs))] == [
        *("Components", "Log", "Connections", "Variables", "Pools", "Packages"),
    ]
