"""The log: bounded, of each component, and followed again when it ends."""

from __future__ import annotations

import pytest

from astro_magic.errors import EngineUnavailableError
from astro_magic.system.events import OutputLine
from astro_magic.widgets.log_feed import KEPT, LogFeed


@pytest.fixture
def feed(environment):
    feed = LogFeed(environment, lambda: None, lambda: True)
    yield feed
    feed.end()
    assert feed.join(20)


def texts(extract):
    return [line.text for line in extract.lines]


def test_the_last_lines_that_are_wanted(environment, feed, until):
    for source, text in [("scheduler", "Ready"), ("triggerer", "ready"), ("scheduler", "\x1b[31mgone\x1b[0m")]:
        environment.lines.put(OutputLine(source, text))
    feed.begin()
    until(lambda: feed.extract().found == 3)
    assert texts(feed.extract()) == ["Ready", "ready", "gone"]
    assert texts(feed.extract(last=2)) == ["ready", "gone"]
    assert texts(feed.extract(component="scheduler")) == ["Ready", "gone"]
    assert texts(feed.extract(text="READY")) == ["Ready", "ready"]
    assert texts(feed.extract(up_to=2)) == ["Ready", "ready"]
    assert texts(feed.extract(component="nobody")) == []
    assert feed.extract().newest == 3
    assert feed.components == ("scheduler", "triggerer")
    assert len(environment.queries) == 1


def test_one_that_says_much_pushes_no_other_out(environment, feed, until):
    environment.lines.put(OutputLine("triggerer", "once"))
    for number in range(KEPT + 10):
        environment.lines.put(OutputLine("scheduler", str(number)))
    feed.begin()
    until(lambda: feed.extract().newest == KEPT + 11)
    assert texts(feed.extract(component="triggerer")) == ["once"]
    scheduler = feed.extract(component="scheduler", last=KEPT * 2)
    assert (scheduler.found, scheduler.lines[0].text) == (KEPT, "10")


def test_a_log_that_ends_is_followed_again_from_there(environment, feed, until):
    feed.begin()
    until(lambda: environment.queries)
    environment.lines.put(None)
    until(lambda: len(environment.queries) == 2)
    environment.lines.put(OutputLine("scheduler", "again"))
    until(lambda: feed.extract().found)
    first, second = environment.queries
    assert first.since is None
    assert second.since is not None


@pytest.mark.parametrize("failure", [EngineUnavailableError("The engine is gone."), ZeroDivisionError("secret")])
def test_a_log_that_cannot_be_read_is_told_of(environment, feed, until, failure):
    feed.begin()
    environment.lines.put(failure)
    until(lambda: feed.trouble)
    assert feed.trouble in ("The engine is gone.", "The log cannot be read: ZeroDivisionError.")
    environment.lines.put(OutputLine("scheduler", "again"))
    until(lambda: not feed.trouble and feed.extract().found)


def test_where_nothing_runs_the_log_is_read_once(environment, until):
    asked = []

    def running():
        asked.append(1)
        return False

    feed = LogFeed(environment, lambda: None, running)
    environment.lines.put(None)
    feed.begin()
    until(lambda: len(asked) > 3)
    feed.end()
    assert feed.join(20)
    assert len(environment.queries) == 1
