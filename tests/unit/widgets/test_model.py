"""What the buttons do: one thing at a time, on a thread, with progress and with errors that are sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from astro_magic.engines.answers import Component, State
from astro_magic.errors import ProjectBusyError, StartFailedError
from astro_magic.system.events import Step
from astro_magic.views.text import set_text
from astro_magic.widgets.model import PanelModel
from astro_magic.widgets.work import Task
from tests.unit.widgets.conftest import RUNNING, STOPPED

TASKS: tuple[Task, ...] = ("start", "restart", "stop")


@pytest.fixture
def model(environment):
    model = PanelModel(environment, lambda: None)
    yield model
    environment.may_end.set()
    model.end()
    assert model.join(20)


def said(model):
    report = model.work.report()
    return set_text(report) if report is not None else ""


@pytest.mark.parametrize(
    ("status", "able"),
    [
        (STOPPED, ("start",)),
        (RUNNING, ("restart", "stop")),
        (replace(RUNNING, state="starting"), ("restart", "stop")),
        (replace(RUNNING, state="failed"), ("restart", "stop")),
        (replace(STOPPED, state="failed", components=(Component("scheduler", "failed"),)), ("start", "stop")),
    ],
)
def test_what_makes_sense(environment, status, able):
    environment.state = status
    model = PanelModel(environment, lambda: None)
    assert tuple(task for task in TASKS if model.able(task)) == able


def test_a_start_goes_on_in_the_background(environment, model, until):
    environment.fails["events"] = [Step("environment", "environment", "done", "131 packages", 2.6)]
    assert model.begin_task("start")
    assert not any(model.able(task) for task in TASKS)
    assert not model.begin_task("start")
    assert not model.begin_task("stop")
    until(lambda: "131 packages" in said(model))
    assert "Starting shop on local processes" in said(model)
    environment.may_end.set()
    until(lambda: model.work.task is None)
    assert environment.asked == ["start"]
    assert "shop · Airflow is up in 4.1 s · http://localhost:8080" in said(model)
    assert model.sight.status.state == "running"
    assert model.able("stop")


def test_a_restart_and_a_stop(environment, model, until):
    environment.state = RUNNING
    model.begin()
    until(lambda: model.able("restart"))
    environment.may_end.set()
    assert model.begin_task("restart")
    until(lambda: model.work.task is None)
    assert "started in 6.0 s" in said(model)
    assert model.begin_task("stop")
    until(lambda: model.work.task is None)
    assert "Stopped shop in" in said(model)
    assert model.sight.status.state == "stopped"
    assert environment.asked == ["restart", "stop"]


def test_a_failure_is_a_sentence_and_stays_until_the_next_task(environment, model, until):
    detail = "\n".join(f"line {number}" for number in range(30))
    environment.fails["start"] = StartFailedError("The scheduler ended.", hint="See %astro_logs.", detail=detail)
    environment.may_end.set()
    model.begin_task("start")
    until(lambda: model.work.task is None)
    assert "Start failed: The scheduler ended.\nSee %astro_logs." in said(model)
    assert "line 29" in said(model)
    assert "line 3\n" not in said(model)
    states: tuple[State, ...] = ("running", "starting", "stopped", "failed")
    for state in states:
        model.work.forget_outdated(state)
    assert "Start failed" in said(model)
    environment.fails["start"] = ProjectBusyError("Another process is starting Airflow.")
    model.begin_task("start")
    until(lambda: "Start failed: Another process is starting Airflow." in said(model))


def test_an_unforeseen_failure_does_not_tell_what_may_be_secret(environment, model, until, capfd):
    environment.fails["start"] = ValueError("password=hunter22")
    environment.may_end.set()
    model.begin_task("start")
    until(lambda: model.work.task is None)
    assert "Start failed: an unforeseen ValueError.\n%astro_start in a cell shows the whole error." in said(model)
    assert capfd.readouterr() == ("", "")
    assert model.able("start")


def test_a_success_is_forgotten_when_it_is_no_longer_so(environment, model, until):
    environment.may_end.set()
    model.begin_task("start")
    until(lambda: model.work.task is None)
    model.work.forget_outdated("running")
    assert "Airflow is up" in said(model)
    model.work.forget_outdated("failed")
    assert said(model) == ""


def test_the_buttons_come_back_when_the_engine_cannot_be_asked_after_the_work(environment, model, until):
    environment.state = RUNNING
    model.begin()
    until(lambda: model.able("stop"))
    model.end()
    assert model.join(20)
    model.begin_task("stop")
    environment.fails["status"] = ZeroDivisionError()
    environment.may_end.set()
    until(lambda: model.work.task is None)
    assert "Stopped shop" in said(model)


def test_threads_end_and_begin_again(environment, model, until):
    model.begin()
    until(lambda: environment.watches == 1 and len(environment.queries) == 1)
    model.end()
    assert model.join(20)
    model.begin()
    until(lambda: environment.watches == 2 and len(environment.queries) == 2)
