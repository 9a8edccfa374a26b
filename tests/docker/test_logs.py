"""Logs of containers on a real engine."""

import threading
import time
from datetime import datetime

import pytest

from astro_magic.engines.docker.watching.listing import find_containers
from astro_magic.engines.docker.watching.logs import last_words, read_logs
from astro_magic.engines.options import LogQuery
from astro_magic.errors import InvalidContentError
from astro_magic.system.logtext import LONGEST
from tests.docker.small import SmallStack, until

pytestmark = pytest.mark.docker


@pytest.fixture
def stack():
    with SmallStack() as stack:
        yield stack


def lines(stack, *services, **query):
    containers = [found for found in find_containers(stack.connection, stack.names) if found.service in services]
    return [(line.source, line.text) for line in read_logs(stack.connection, containers, LogQuery(**query))]


def texts(stack, *services, **query):
    return [text for _, text in lines(stack, *services, **query)]


def ended(stack, *containers):
    for container in containers:
        stack.connection.api.wait(container)


def follow(stack, **query):
    """Follow in a thread; gives the list that grows, and the iterator."""
    containers = find_containers(stack.connection, stack.names)
    return read_logs(stack.connection, containers, LogQuery(follow=True, **query))


def test_several_by_time_with_tail_grep_and_since(stack):
    script = "for n in 1 2 3; do echo {} $n; sleep 0.4; done"
    first = stack.run("api-server", script.format("a"), start=False)
    second = stack.run("dag-processor", "sleep 0.2; " + script.format("b"), start=False)
    for container in (first, second):
        stack.connection.api.start(container)
    ended(stack, first, second)
    both = lines(stack, "api-server", "dag-processor")
    assert {source for source, _ in both} == {"api server", "dag processor"}
    assert [text for source, text in both if source == "api server"] == ["a 1", "a 2", "a 3"]
    stamps = {}
    for container in (first, second):
        for row in stack.connection.api.logs(container, timestamps=True).decode().splitlines():
            stamp, text = row.split(" ", 1)
            stamps[text] = stamp
    assert [text for _, text in both] == sorted(stamps, key=stamps.get)
    assert texts(stack, "api-server", "dag-processor", tail=2) == [text for _, text in both][-2:]
    assert texts(stack, "api-server", "dag-processor", tail=0) == []
    assert texts(stack, "api-server", "dag-processor", grep="^a [12]", tail=1) == ["a 2"]
    assert texts(stack, "api-server", grep="^c") == []
    assert texts(stack, "api-server", since=datetime.fromisoformat(stamps["a 2"])) == ["a 2", "a 3"]
    assert texts(stack, "api-server", tail=1, since=datetime.fromisoformat(stamps["a 2"])) == ["a 3"]


def test_output_and_errors_colours_progress_and_a_line_without_an_end(stack):
    script = r"printf '\033[31mred\033[0m\n10%%\r50%%\rdone\n'; printf 'half' >&2; sleep 0.3; printf ' whole\nlast' >&2"
    ended(stack, stack.run("scheduler", script))
    assert sorted(texts(stack, "scheduler")) == ["done", "half whole", "last", "red"]


def test_a_terminal(stack):
    ended(stack, stack.run("scheduler", r"echo one; echo two >&2; printf '\033[1mthree\033[0m\n'", tty=True))
    assert texts(stack, "scheduler") == ["one", "two", "three"]


@pytest.mark.parametrize("tty", [False, True])
def test_a_line_of_millions_of_characters(stack, tty):
    script = "echo before; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo after"
    ended(stack, stack.run("scheduler", script, tty=tty))
    before, cut, after = texts(stack, "scheduler", tail=3)
    assert (before, after) == ("before", "after")
    assert cut.startswith("x" * LONGEST + " … (2,99")
    assert texts(stack, "scheduler", tail=2)[0] == cut
    assert texts(stack, "scheduler", tail=None) == [before, cut, after]


def test_the_end_of_a_long_log_and_a_search_in_it(stack):
    ended(stack, stack.run("scheduler", "seq 1 300000"))
    assert texts(stack, "scheduler", tail=100) == [str(number) for number in range(299_901, 300_001)]
    assert texts(stack, "scheduler", tail=2, grep="^[12]00$") == ["100", "200"]
    assert texts(stack, "scheduler", tail=2, grep="99$") == ["299899", "299999"]


def test_an_expression_that_is_none(stack):
    stack.run("scheduler")
    with pytest.raises(InvalidContentError, match="is no regular expression"):
        lines(stack, "scheduler", grep="(")


def test_last_words(stack):
    container = stack.run("scheduler", "seq 1 50")
    ended(stack, container)
    assert last_words(stack.connection, container, lines=2) == "49\n50"
    assert last_words(stack.connection, stack.run("triggerer", start=False)) == ""
    assert last_words(stack.connection, "no-such-container") == ""
    refused = stack.run(
        "api-server", "echo 'sqlalchemy.exc.ProgrammingError: no such type'; echo '[SQL:'; seq 1 50; echo ']'"
    )
    ended(stack, refused)
    assert last_words(stack.connection, refused, lines=4).splitlines() == [
        "sqlalchemy.exc.ProgrammingError: no such type",
        "…",
        "50",
        "]",
    ]


def test_following_goes_on_through_a_restart_and_a_new_container(stack):
    script = "date +begin-%N; sleep 600"
    container = stack.run("scheduler", script)
    stack.run("triggerer", "echo other; sleep 600")
    until(lambda: len(lines(stack, "scheduler", "triggerer")) == 2)
    live = follow(stack, grep="begin")
    seen = [next(live).text]
    stack.connection.api.restart(container, timeout=0)
    seen.append(next(live).text)
    stack.connection.api.remove_container(container, force=True)
    replaced = stack.run("scheduler", script)
    seen.append(next(live).text)
    assert len(set(seen)) == 3
    assert seen[2] == last_words(stack.connection, replaced)
    live.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "container log"]


def test_following_several_gives_each_line_once_while_it_is_written(stack):
    script = "n=0; while :; do n=$((n + 1)); echo {} $n; sleep 0.02; done"
    for service in ("scheduler", "triggerer"):
        stack.run(service, script.format(service))
    time.sleep(0.5)
    live = follow(stack, tail=None)
    seen = [next(live).text for _ in range(150)]
    live.close()
    for service in ("scheduler", "triggerer"):
        numbers = [int(text.split()[1]) for text in seen if text.startswith(service)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) > 20
