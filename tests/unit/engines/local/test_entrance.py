"""Tickets: taken once, within a minute, by the process that was there when they were made."""

from __future__ import annotations

import time

import pytest

from astro_magic.engines.local.inside.entrance import Gate, key_of, make_ticket

KEY = key_of(b"\x01" * 32, "password")


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""
    now = [time.time()]
    monkeypatch.setattr("time.time", lambda: now[0])
    return now


def test_a_ticket_is_taken_once(clock):
    gate = Gate(KEY)
    first, second = make_ticket(KEY), make_ticket(KEY)
    assert gate.admits(first)
    assert not gate.admits(first)
    assert gate.admits(second)


def test_a_ticket_is_good_for_a_minute(clock):
    gate = Gate(KEY)
    early, late = make_ticket(KEY), make_ticket(KEY)
    clock[0] += 59
    assert gate.admits(early)
    clock[0] += 2
    assert not gate.admits(early)
    assert not gate.admits(late)


def test_what_was_made_before_the_server_may_have_been_taken_by_the_one_before(clock):
    ticket = make_ticket(KEY)
    assert Gate(KEY).admits(ticket)
    clock[0] += 1
    assert not Gate(KEY).admits(ticket)


@pytest.mark.parametrize(
    "change",
    [
        lambda ticket: "",
        lambda ticket: "_",
        lambda ticket: ticket[:-1],
        lambda ticket: f"{ticket}0",
        lambda ticket: f"9{ticket}",
        lambda ticket: ticket.replace(ticket[-64:], "ö" * 64),
    ],
    ids=["empty", "bar", "cut", "longer", "later", "no letters"],
)
def test_a_changed_ticket(change):
    gate, ticket = Gate(KEY), make_ticket(KEY)
    assert not gate.admits(change(ticket))
    assert gate.admits(ticket)


def test_tickets_of_others():
    for key in (key_of(b"\x01" * 32, "another"), key_of(b"\x02" * 32, "password")):
        assert not Gate(KEY).admits(make_ticket(key))
