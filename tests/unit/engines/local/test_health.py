"""What Airflow's table of jobs tells of a component, also when the clock was set."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from astro_magic.engines.local.health import heartbeats

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@pytest.fixture
def job(tmp_path):
    """Note a job as Airflow does; in a folder whose name means something in a URI."""
    folder = tmp_path / "c#%41?mode=rw"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "airflow.db")) as connection:
        connection.execute("create table job (id integer primary key, state, job_type, start_date, latest_heartbeat)")

        def note(began, latest, *, state="running"):
            row = (state, "SchedulerJob", *(f"{each:%Y-%m-%d %H:%M:%S.%f}" for each in (began, latest)))
            connection.execute("insert into job values (null, ?, ?, ?, ?)", row)
            connection.commit()
            return heartbeats(folder / "airflow.db").get("scheduler")

        yield note


def test_one_that_beats(job):
    beat = job(NOW - HOUR, NOW - SECOND)
    assert beat.shows_life(NOW - HOUR - SECOND, NOW)


def test_one_that_has_stopped_beating(job):
    beat = job(NOW - HOUR, NOW - HOUR / 2)
    assert not beat.shows_life(NOW - HOUR - SECOND, NOW)


def test_the_job_of_the_process_before(job):
    assert not job(NOW - HOUR, NOW - SECOND).shows_life(NOW - 2 * SECOND, NOW)


def test_a_clock_that_was_set_back(job):
    """What has been noted lies in the future, and nothing is noted until then: that is no reason to call it ill."""
    began = NOW + HOUR
    assert job(began, began + SECOND).shows_life(began - SECOND, NOW)


def test_a_clock_that_was_set_back_before_a_restart(job):
    """The job of the process that was killed has a heartbeat in the future; the new one counts all the same."""
    job(NOW, NOW + HOUR)
    assert job(NOW + 2 * SECOND, NOW + 3 * SECOND).shows_life(NOW + SECOND, NOW + 4 * SECOND)
    assert not job(NOW - HOUR, NOW + HOUR).shows_life(NOW + SECOND, NOW + 4 * SECOND)


def test_a_clock_that_was_set_forward(job):
    """It is fresh again with the next heartbeat, five seconds later."""
    began = NOW - HOUR
    assert not job(began, began + SECOND).shows_life(began - SECOND, NOW)
    assert job(began, NOW).shows_life(began - SECOND, NOW)


def test_one_that_has_not_begun(job):
    assert job(NOW, NOW, state="success") is None


def test_a_database_that_is_not_there(tmp_path):
    assert heartbeats(tmp_path / "nothing.db") == {}
