"""The loop and the painter: one thread each, which ends, and never paints more than an eye can follow."""

from __future__ import annotations

import threading

from astro_magic.widgets.loop import Loop
from astro_magic.widgets.repaint import Repaint


def test_a_loop_has_one_thread_which_does_not_keep_the_process_alive(until):
    seen = []

    def work(end):
        seen.append(threading.current_thread())
        end.wait(20)

    loop = Loop("test", work)
    assert loop.join(0)
    loop.begin()
    loop.begin()
    until(lambda: seen)
    assert [thread.daemon for thread in seen] == [True]
    loop.end()
    assert loop.join(20)
    loop.begin()
    until(lambda: len(seen) == 2)
    loop.end()
    assert loop.join(20)


def test_a_loop_that_is_begun_again_while_it_ends_does_not_call_the_end_off(until):
    ends = []
    leave = threading.Event()

    def work(end):
        ends.append(end)
        leave.wait(20)

    loop = Loop("test", work)
    loop.begin()
    until(lambda: len(ends) == 1)
    loop.end()
    loop.begin()
    until(lambda: len(ends) == 2)
    assert [end.is_set() for end in ends] == [True, False]
    leave.set()
    assert loop.join(20)


def test_what_changes_meanwhile_is_painted_once(until):
    painted = []
    repaint = Repaint(lambda: painted.append(1), gap=20)
    repaint.begin()
    until(lambda: painted)
    for _ in range(1000):
        repaint.ask()
    repaint.end()
    assert repaint.join(20)
    assert painted == [1]


def test_nothing_is_painted_while_nothing_changes(until):
    painted = []
    repaint = Repaint(lambda: painted.append(1), gap=0)
    repaint.begin()
    until(lambda: painted)
    repaint.ask()
    until(lambda: len(painted) == 2)
    repaint.end()
    assert repaint.join(20)
    assert painted == [1, 1]


def test_time_that_goes_on_is_painted(until):
    painted = []
    repaint = Repaint(lambda: painted.append(1), pulse=lambda: 0.001, gap=0)
    repaint.begin()
    until(lambda: len(painted) > 5)
    repaint.end()
    assert repaint.join(20)


def test_a_painting_that_fails_is_tried_again(until, capfd):
    painted = []

    def paint():
        painted.append(1)
        if len(painted) == 1:
            raise ValueError("no front end")

    repaint = Repaint(paint, gap=0)
    repaint.begin()
    until(lambda: repaint.failure is not None)
    repaint.ask()
    until(lambda: len(painted) == 2 and repaint.failure is None)
    repaint.end()
    assert repaint.join(20)
    assert capfd.readouterr() == ("", "")
