"""Lines of tasks' logs from the answers of both versions of Airflow's API."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest

from astro_magic.airflow.client import AirflowClient
from astro_magic.airflow.task_logs import TaskChoice, TaskLog
from astro_magic.errors import AirflowError, DagNotFoundError

RUN = {"dag_run_id": "manual", "state": "success"}
TASKS = [
    {"task_id": "extract", "map_index": -1, "try_number": 2},
    {"task_id": "group.clean", "map_index": 0, "try_number": 1},
    {"task_id": "group.clean", "map_index": 1, "try_number": 1},
    {"task_id": "later", "map_index": -1, "try_number": 0},
]
#: As Airflow 3.3 gives it, of a task that raises.
MESSAGES = [
    {"timestamp": None, "event": "::group::Log message source details", "sources": ["/logs/attempt=1.log"]},
    {"timestamp": None, "event": "/logs/attempt=1.log"},
    {"timestamp": None, "event": "::endgroup::"},
    {"timestamp": "2026-11-22T10:00:02Z", "level": "info", "event": "cleaning", "dag_id": "x", "rows": 2},
    {
        "timestamp": "2026-11-22T10:00:03Z",
        "level": "error",
        "event": "Task failed with exception",
        "logger": "task",
        "error_detail": [
            {
                "exc_type": "ValueError",
                "exc_value": "bad row",
                "frames": [{"filename": "/shop/dags/orders.py", "lineno": 12, "name": "clean"}],
            }
        ],
    },
]
TEXT = (
    "[2026-11-22T10:00:01.000+0000] {taskinstance.py:1} INFO - ::group::Pre\n"
    "[2026-11-22T10:00:01.500+0000] {a.py:2} INFO - loaded\n"
    "  more of it"
)


class Airflow(ThreadingHTTPServer):
    """Answers for one DAG with a dot in its id, which has had one run."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []


class Handler(BaseHTTPRequestHandler):
    server: Airflow

    def do_POST(self):
        self.answer({"access_token": "a-token"})

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        major, _, rest = path.removeprefix("/api/v").partition("/dags/sales.orders")
        self.server.asked.append(self.path)
        runs = {"": {}, "/dagRuns": {"dag_runs": [RUN]}, "/dagRuns/manual": RUN}
        if path.endswith("/taskInstances"):
            self.answer({"task_instances": TASKS, "total_entries": len(TASKS)})
        elif "/logs/" in path:
            self.answer({"content": MESSAGES if major == "2" else repr([("host", TEXT)])})
        elif path.endswith(f"/dags/sales.orders{rest}") and rest in runs:
            self.answer(runs[rest])
        else:
            self.answer({}, status=404)

    def answer(self, content, *, status=200):
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def airflow():
    server = Airflow()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def log_of(airflow, choice, *, major=3):
    url = f"http://127.0.0.1:{airflow.server_address[1]}"
    with AirflowClient(url, "me", "secret", airflow_major=major) as client:
        return [(found.line.source, found.line.text) for found in TaskLog(client, choice).read()]


def test_a_task_that_raises(airflow):
    assert log_of(airflow, TaskChoice("sales.orders.group.clean[1]")) == [
        ("group.clean[1]", "2026-11-22T10:00:02Z [info] cleaning rows=2"),
        ("group.clean[1]", "2026-11-22T10:00:03Z [error] Task failed with exception"),
        ("group.clean[1]", "Traceback (most recent call last):"),
        ("group.clean[1]", '  File "/shop/dags/orders.py", line 12, in clean'),
        ("group.clean[1]", "ValueError: bad row"),
    ]
    assert "map_index=1" in airflow.asked[-1]


def test_airflow_2(airflow):
    assert log_of(airflow, TaskChoice("sales.orders.extract"), major=2) == [
        ("extract", "[2026-11-22T10:00:01.500+0000] {a.py:2} INFO - loaded"),
        ("extract", "  more of it"),
    ]


def test_all_tasks_of_the_latest_run_each_with_its_last_try(airflow):
    sources = [source for source, _ in log_of(airflow, TaskChoice("sales.orders"))]
    assert sorted(set(sources)) == ["extract", "group.clean[0]", "group.clean[1]"]
    asked = "\n".join(airflow.asked)
    assert "order_by=-run_after" in asked
    assert "/extract/logs/2" in asked
    assert log_of(airflow, TaskChoice("sales.orders", "manual", 1))
    assert "/extract/logs/1" in "\n".join(airflow.asked)
    # Only one of them was tried twice.
    assert {source for source, _ in log_of(airflow, TaskChoice("sales.orders", try_number=2))} == {"extract"}


def test_what_there_is_not(airflow):
    with pytest.raises(DagNotFoundError, match="no DAG for sales"):
        log_of(airflow, TaskChoice("sales"))
    with pytest.raises(AirflowError, match="has no run other"):
        log_of(airflow, TaskChoice("sales.orders", "other"))
    with pytest.raises(AirflowError, match="has no task nothing") as refused:
        log_of(airflow, TaskChoice("sales.orders.nothing"))
    assert refused.value.hint == "Its tasks: extract, group.clean, later."
