"""The gate through which commands are started."""

import sys
import threading
import time

from astro_magic.system.events import Event, OutputLine, run
from astro_magic.system.processes import stream
from tests.waiting import wait_until

#: Writes without end, on both pipes.
ENDLESS = "import sys\nwhile True:\n    print('out')\n    print('err', file=sys.stderr)"
BOTH = "import sys\nprint('a\\r\\nb')\nprint('c', file=sys.stderr)\nsys.exit(3)"


def test_lines_and_exit_code():
    events: list[Event] = []

    code = run(stream([sys.executable, "-c", BOTH]), events.append)

    lines = [(event.source, event.text) for event in events if isinstance(event, OutputLine)]
    assert code == 3
    assert sorted(lines) == [("stderr", "c"), ("stdout", "a"), ("stdout", "b")]


def test_closing_ends_the_command_and_all_that_reads_it():
    before = set(threading.enumerate())
    operation = stream([sys.executable, "-uc", ENDLESS])
    next(operation)
    reading = set(threading.enumerate()) - before
    # Until no more fits: the readers wait for room.
    time.sleep(0.2)

    operation.close()

    assert len(reading) == 2
    assert wait_until(lambda: not any(thread.is_alive() for thread in reading), 10)
