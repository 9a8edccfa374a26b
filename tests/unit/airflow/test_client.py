"""What real servers do that are no Airflow, or one that is about to be replaced."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from astro_magic.airflow.client import AirflowClient, LateError, RefusedError
from astro_magic.airflow.health import read_health
from astro_magic.airflow.runs import DagRun, wait_for_run
from astro_magic.errors import ApiError
from astro_magic.system import events

PASSWORD = "sesame-öpen-4711"


class Server(ThreadingHTTPServer):
    """Answers with what a function makes of the request: a status and a body."""

    def __init__(self, port: int, answer: Callable) -> None:
        self.requests: list[tuple[str, str]] = []
        self.passwords: list[str | None] = []
        self.answer = answer
        super().__init__(("127.0.0.1", port), Handler)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.command, self.path))
        self.server.passwords.append(self.headers["Authorization"])
        answer = self.server.answer(self, body)
        if answer is None:
            # Break the connection without an answer, as a server that is killed does.
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        status, content = answer
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.do_any()

    def do_POST(self):
        self.do_any()

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    started = []

    def start(answer: Callable, port: int = 0) -> tuple[str, Server]:
        server = Server(port, answer)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        started.append((server, thread))
        return f"http://127.0.0.1:{server.server_address[1]}", server

    yield start
    for server, thread in started:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def nowhere():
    """An address where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def token(handler, body):
    return 201, {"access_token": "a-token"}


def test_a_server_that_comes_up_late_is_waited_for(serve):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    timer = threading.Timer(0.3, serve, [lambda handler, body: (200, {"taken": True}), port])
    timer.start()
    with AirflowClient(f"http://127.0.0.1:{port}", "me", PASSWORD, airflow_major=2) as client:
        assert client.send("POST", "/variables", {}) == {"taken": True}
    timer.join()


def test_reading_is_tried_again_when_the_connection_breaks_and_writing_is_not(serve):
    seen = []

    def answer(handler, body):
        seen.append(handler.path)
        return None if len(seen) == 1 else (200, {"value": 1})

    url, _ = serve(answer)
    with AirflowClient(url, "me", PASSWORD, airflow_major=2) as client:
        assert client.get("/variables/a") == {"value": 1}
        assert len(seen) == 2
        seen.clear()
        with pytest.raises(ApiError, match="does not answer"):
            client.send("POST", "/variables", {})
    assert len(seen) == 1


def test_nobody_answers(nowhere):
    with AirflowClient(nowhere, "me", PASSWORD) as client, pytest.raises(ApiError, match="does not answer") as error:
        client.get("/variables")
    assert PASSWORD not in repr(error.value)
    assert read_health(nowhere) is None


def test_a_token_of_an_earlier_server_is_replaced(serve):
    tokens = iter(["old", "new"])

    def answer(handler, body):
        if handler.path == "/auth/token":
            return 201, {"access_token": next(tokens)}
        return (200, {}) if handler.headers["Authorization"] == "Bearer new" else (401, {"detail": "Unauthorized"})

    url, server = serve(answer)
    with AirflowClient(url, "me", PASSWORD) as client:
        assert client.get("/variables") == {}
        assert client.get("/variables") == {}
    assert [path for _, path in server.requests].count("/auth/token") == 2


def test_a_refusal_does_not_tell_the_password(serve):
    url, _ = serve(lambda handler, body: (401, {"detail": f"{PASSWORD} is wrong"}))
    with AirflowClient(url, "me", PASSWORD) as client, pytest.raises(RefusedError) as error:
        client.get("/variables")
    assert error.value.status == 401
    assert PASSWORD not in str(error.value)


def test_a_refusal_tells_the_place_and_not_what_was_sent(serve):
    detail = [{"loc": ["body", "port"], "msg": "no number", "input": "hidden-4711"}] * 2
    url, _ = serve(
        lambda handler, body: (422, {"detail": detail}) if "token" not in handler.path else token(handler, body)
    )
    with AirflowClient(url, "me", PASSWORD) as client, pytest.raises(RefusedError) as error:
        client.send("POST", "/connections", {"port": "hidden-4711"})
    assert error.value.detail == "port: no number"
    assert error.value.problems == ((("body", "port"), "no number"),)


def test_a_listing_is_read_to_its_end_however_small_its_pages(serve):
    def answer(handler, body):
        offset = int(handler.path.rpartition("offset=")[2])
        return 200, {"variables": [{"key": offset + index} for index in range(min(3, 7 - offset))], "total_entries": 7}

    url, _ = serve(answer)
    with AirflowClient(url, "me", PASSWORD, airflow_major=2) as client:
        assert [row["key"] for row in client.rows("/variables", "variables")] == list(range(7))


def test_a_login_without_a_form_changes_nothing(serve):
    url, server = serve(lambda handler, body: (404, b"<html>no such page</html>"))
    with AirflowClient(url, "me", PASSWORD, airflow_major=2) as client:
        client.prepare_for_many()
        assert client.get("/variables/a") is None
        with pytest.raises(RefusedError) as error:
            client.send("POST", "/variables", {})
    assert error.value.detail is None
    assert server.requests[0] == ("GET", "/login/")


def test_many_requests_to_airflow_2_are_made_in_a_session_until_it_ends(serve):
    ended: list[bool] = []

    def answer(handler, body):
        if handler.path == "/login/":
            return 200, b'<input name="csrf_token" value="x">'
        known = "Authorization" in handler.headers or not ended
        return (200, {}) if known else (401, {"detail": "Unauthorized"})

    url, server = serve(answer)
    with AirflowClient(url, "me", PASSWORD, airflow_major=2) as client:
        client.prepare_for_many()
        client.send("POST", "/variables", {})
        assert server.passwords[-1] is None
        ended.append(True)
        client.send("POST", "/variables", {})
        assert server.passwords[-1] is not None


def test_without_sessions_airflow_2_is_given_the_password_each_time(serve):
    def answer(handler, body):
        if handler.path == "/login/":
            return 200, b'<input name="csrf_token" value="x">'
        return (200, {}) if "Authorization" in handler.headers else (401, {"detail": "Unauthorized"})

    url, server = serve(answer)
    with AirflowClient(url, "me", PASSWORD, airflow_major=2) as client:
        client.prepare_for_many()
        client.send("POST", "/variables", {})
        assert server.passwords[-1] is not None


@pytest.mark.parametrize("content", [b"<html>", b"[1]", b"3", b'{"a": 1}', b'{"metadatabase": 3}', b"\xff"])
def test_another_server_has_no_health(serve, content):
    url, server = serve(lambda handler, body: (200, content))
    assert read_health(url) is None
    assert len(server.requests) == 1


def test_the_health_of_airflow_2_with_a_component_that_never_ran(serve):
    parts = {
        "dag_processor": {"latest_dag_processor_heartbeat": None, "status": None},
        "metadatabase": {"status": "healthy"},
        "scheduler": {"latest_scheduler_heartbeat": "2026-01-02T03:04:05.6+00:00", "status": "unhealthy"},
    }
    url, server = serve(lambda handler, body: (200, parts))
    health = read_health(url, airflow_major=2)
    assert {name: part.status for name, part in health.components.items()} == {
        "dag_processor": "",
        "metadatabase": "healthy",
        "scheduler": "unhealthy",
    }
    assert health.components["dag_processor"].heartbeat is None
    assert health.components["scheduler"].heartbeat.isoformat() == "2026-01-02T03:04:05.600000+00:00"
    assert server.requests == [("GET", "/api/v1/health")]


def test_a_run_is_waited_for_while_the_server_is_busy(serve):
    """The first task keeps the server from answering; a wait with time left is not the place to say so."""
    row = {"dag_id": "orders", "dag_run_id": "first", "state": "success"}
    busy = [True, True]
    awake = threading.Event()

    def answer(request, _):
        if request.path.endswith("/auth/token"):
            return 201, {"access_token": "t"}
        if busy:
            busy.pop()
            awake.wait(5)
        if "taskInstances" in request.path:
            return 200, {"task_instances": [], "total_entries": 0}
        return 200, row

    url, _ = serve(answer)
    with AirflowClient(url, "admin", PASSWORD, timeout=0.2) as client:
        with pytest.raises(LateError, match="does not answer"):
            client.get("/dags/orders/dagRuns/first")
        run = DagRun("orders", "first", "queued")
        assert events.run(wait_for_run(client, run, timeout=10, ui=""), None).state == "success"
        assert not busy
        busy.append(True)
        with pytest.raises(ApiError, match="has not ended within 0 s"):
            events.run(wait_for_run(client, run, timeout=0.1, ui=""), None)
    awake.set()


@pytest.mark.parametrize(
    ("states", "told"),
    [
        ({}, "within 0 s; it"),
        ({"extract": "success", "clean": "running", "load": None}, r"\(clean is running, load has not begun\)"),
        ({f"part{number}": "queued" for number in range(5)}, r"\(part0 is queued, .*, part2 is queued, 2 more\)"),
    ],
    ids=["none", "some", "many"],
)
def test_a_run_that_takes_too_long_is_told_with_what_it_waits_for(serve, states, told):
    row = {"dag_id": "orders", "dag_run_id": "first", "state": "running"}
    tasks = [{"task_id": task, "map_index": -1, "state": state, "try_number": 1} for task, state in states.items()]

    def answer(request, _):
        if request.path.endswith("/auth/token"):
            return 201, {"access_token": "t"}
        if "taskInstances" in request.path:
            return 200, {"task_instances": tasks, "total_entries": len(tasks)}
        return 200, row

    url, _ = serve(answer)
    with AirflowClient(url, "admin", PASSWORD) as client, pytest.raises(ApiError, match=told):
        events.run(wait_for_run(client, DagRun("orders", "first", "queued"), timeout=0.2, ui=""), None)
