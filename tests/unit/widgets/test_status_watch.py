"""Watching the status: what is seen last, and that trouble does not end it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from astro_magic.errors import EngineUnavailableError, InvalidContentError
from astro_magic.project.fingerprint import Action, Pending, Reason
from astro_magic.widgets.status_watch import StatusWatch
from tests.unit.widgets.conftest import NOW, RUNNING, STOPPED

GONE = EngineUnavailableError("The engine is gone.")


@pytest.fixture
def watch(environment):
    watch = StatusWatch(environment, lambda: None)
    yield watch
    watch.end()
    assert watch.join(20)


def test_it_follows_and_goes_on_when_airflow_stops(environment, watch, until):
    assert watch.sight.status == STOPPED
    watch.begin()
    environment.become(RUNNING)
    until(lambda: watch.sight.status.state == "running")
    environment.become(STOPPED)
    until(lambda: watch.sight.status.state == "stopped")
    environment.become(RUNNING)
    until(lambda: watch.sight.status.state == "running")
    assert environment.watches == 1


@pytest.mark.parametrize("failure", [GONE, ZeroDivisionError("secret")])
def test_an_engine_that_goes_away_is_told_of_and_asked_again(environment, watch, until, failure):
    watch.begin()
    environment.fails["status"] = failure
    environment.heard.put(failure)
    until(lambda: watch.sight.trouble)
    assert watch.sight.trouble in ("The engine is gone.", "The status cannot be read: ZeroDivisionError.")
    assert watch.sight.status.state == "stopped"
    del environment.fails["status"]
    environment.become(RUNNING)
    until(lambda: not watch.sight.trouble and watch.sight.status.state == "running")


def test_an_engine_that_cannot_be_asked_at_first_is_an_error(environment):
    environment.fails["status"] = GONE
    with pytest.raises(EngineUnavailableError):
        StatusWatch(environment, lambda: None)


def test_what_was_read_earlier_does_not_replace_what_was_read_later(watch):
    watch.look(replace(RUNNING, as_of=NOW + timedelta(seconds=5)))
    watch.look(replace(STOPPED, as_of=NOW + timedelta(seconds=4)))
    assert watch.sight.status.state == "running"


def test_pending_is_read_with_each_status(environment, watch):
    environment.waiting = Pending((Reason(".env", "+ A", Action.RECREATE),))
    watch.look()
    assert watch.sight.pending == environment.waiting
    environment.fails["pending"] = InvalidContentError("Dockerfile is no UTF-8 text.")
    watch.look()
    assert (watch.sight.pending, watch.sight.trouble) == (None, "Dockerfile is no UTF-8 text.")
    environment.fails = {"status": GONE}
    watch.look()
    assert watch.sight.trouble == "The engine is gone."
