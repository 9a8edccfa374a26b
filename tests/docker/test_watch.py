"""Events of containers on a real engine, and what those that ended had to say."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from astro_magic.engines.docker.watching.deaths import last_exit_code
from astro_magic.engines.docker.watching.watch import Watch, watch
from astro_magic.errors import EngineUnavailableError
from tests.docker.small import SmallStack, until

pytestmark = pytest.mark.docker


@pytest.fixture
def stack():
    with SmallStack() as stack:
        yield stack


def just_now():
    return datetime.now(UTC) - timedelta(milliseconds=1)


def take(events, action):
    return next(event for event in events if event.action == action)


def test_the_life_of_a_container_and_of_no_other(stack):
    begun = just_now()
    with SmallStack() as other, watch(stack.connection, stack.names, since=begun) as events:
        other.run("scheduler", "exit 1")
        container = stack.run(
            "dag-processor", "sleep 1; exit 7", healthcheck={"test": ["CMD", "true"], "interval": 100_000_000}
        )
        created = next(events)
        assert (created.action, created.service, created.container_id) == ("create", "dag-processor", container)
        assert next(events).action == "start"
        healthy = next(events)
        assert (healthy.action, healthy.health) == ("health_status", "healthy")
        died = take(events, "die")
        assert (died.exit_code, died.service) == (7, "dag-processor")
        assert begun < died.moment < datetime.now(UTC) + timedelta(seconds=1)
        stack.connection.api.remove_container(container)
        assert take(events, "destroy").container_id == container


def test_closing_wakes_the_thread_that_waits(stack):
    events = watch(stack.connection, stack.names)
    ended = threading.Event()

    def wait():
        assert list(events) == []
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: events._stream is not None)
    events.close()
    assert ended.wait(20)
    thread.join()


def test_nothing_is_lost_and_nothing_told_twice_when_the_stream_breaks(stack):
    with watch(stack.connection, stack.names, since=just_now()) as events:
        first = stack.run("scheduler")
        assert [next(events).action, next(events).action] == ["create", "start"]
        stream = events._stream
        # What the network does, and not the watch: the stream is not marked as closed.
        stream.close()
        second = stack.run("triggerer")
        seen = [next(events) for _ in range(2)]
        assert [(event.action, event.container_id) for event in seen] == [("create", second), ("start", second)]
        assert first != second


def test_what_one_ended_with_that_runs_again(stack):
    again = "test -e /died && exec sleep 600; touch /died; exit 5"
    container = stack.run("triggerer", again, restart_policy={"Name": "unless-stopped"})
    inspect = stack.connection.api.inspect_container
    until(lambda: (about := inspect(container))["RestartCount"] and not about["State"]["Restarting"])
    started = datetime.fromisoformat(inspect(container)["State"]["StartedAt"])
    assert last_exit_code(stack.connection, container, started) == 5
    other = stack.run("scheduler")
    assert last_exit_code(stack.connection, other, datetime.now(UTC)) is None


def test_an_engine_that_goes_away(stack, tmp_path):
    gone = replace(stack.connection.endpoint, host=f"unix://{tmp_path}/gone.sock")
    elsewhere = replace(stack.connection, endpoint=gone)
    events = Watch(elsewhere, stack.names.compose, patience=0.5)
    breaker = threading.Thread(target=lambda: until(lambda: events._stream).close())
    breaker.start()
    with pytest.raises(EngineUnavailableError, match="there is no socket"):
        next(events)
    breaker.join()
