from __future__ import annotations

import json
import os
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from astro_magic.project.runtime.table import choose, kept_table, read_table
from astro_magic.sources import runtimes
from astro_magic.sources.runtimes import refresh

GOOD: dict[str, Any] = {
    "schemaVersion": "1.8",
    "features": {"triggerer": {"introducedVersion": "4.0.0"}},
    "runtimeVersions": {
        "13.12.0": {
            "metadata": {"airflowVersion": "2.11.3", "channel": "stable", "releaseDate": "2026-10-01", "LTS": True},
            "migrations": {"airflowDatabase": False},
        },
        "13.13.0": {"metadata": {"airflowVersion": "2.11.4", "channel": "stable", "yanked": True, "yankedReason": "x"}},
        "14.0.0": {"metadata": {"airflowVersion": "2.12.0", "channel": "stable"}},
    },
    "runtimeVersionsV3": {
        "3.3-8": {
            "metadata": {
                "airflowVersion": "3.3.2",
                "channel": "stable",
                "pythonVersions": ["3.12", "3.13", "3.14"],
                "defaultPythonVersion": "3.14",
            }
        },
        "3.4-2": {
            "metadata": {
                "airflowVersion": "3.4.1",
                "channel": "stable",
                "releaseDate": "2026-11-01",
                "pythonVersions": ["3.13", "3.14"],
                "defaultPythonVersion": "3.14",
            }
        },
        "3.5-1-alpha": {"metadata": {"airflowVersion": "3.5.0a1", "channel": "alpha"}},
    },
}


class Server:
    """A server that gives one answer, and counts how often it is asked."""

    def __init__(self):
        self.asked: list[str] = []
        self.answer = lambda handler: reply(handler, json.dumps(GOOD).encode())
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                owner.asked.append(self.path)
                try:
                    owner.answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/astronomer-runtime"


def reply(handler, content, status=200, **headers):
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


@pytest.fixture
def server(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield made
    made.http.shutdown()
    made.http.server_close()
    thread.join()


def age(path, seconds):
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def test_a_new_list_is_kept_and_read(server):
    assert choose().tag == "3.3-8"
    assert refresh(url=server.url)
    assert choose().tag == "3.4-2"
    assert choose("3.4", python="3.13").tag == "3.4-2-python-3.13"
    assert choose("2").tag == "13.12.0"
    assert choose("2.11.2").tag == "13.11.0"
    table = read_table()
    assert table.as_of == datetime.now(tz=UTC).date().isoformat()
    assert table.releases["13.13.0"].yanked
    assert table.lines["3.4-"].pythons == ("3.13", "3.14")
    # Airflow 2 of an unknown line has no known Python; a preview has no version.
    assert not {"14.0.0", "3.5-1-alpha"} & set(table.releases)


def test_a_list_of_today_is_not_asked_for_again(server):
    assert refresh(url=server.url)
    assert refresh(url=server.url)
    assert len(server.asked) == 1
    age(kept_table(), 25 * 3600)
    assert refresh(url=server.url)
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>log in</html>",
        b"\xff\xfe",
        b"{}",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"runtimeVersions": {}, "runtimeVersionsV3": {}}',
        b'{"runtimeVersions": [], "runtimeVersionsV3": []}',
        b'{"runtimeVersions": {"13.1.0": null}, "runtimeVersionsV3": {}}',
        json.dumps(GOOD).replace('"airflowVersion": "3.4.1"', '"airflowVersion": 3').encode(),
        json.dumps(GOOD).replace("2026-11-01", "soon").encode(),
        json.dumps(GOOD).replace('"defaultPythonVersion": "3.14"', '"defaultPythonVersion": "3.14\\nRUN x"').encode(),
    ],
)
def test_garbage_is_not_kept(server, content):
    server.answer = lambda handler: reply(handler, content)
    assert refresh(url=server.url) is False
    assert not kept_table().exists()
    assert choose().tag == "3.3-8"


def test_tags_of_another_form_are_left_out(server):
    odd = {"3.4-3; rm -rf /": GOOD["runtimeVersionsV3"]["3.4-2"], "3.4": GOOD["runtimeVersionsV3"]["3.4-2"]}
    server.answer = lambda handler: reply(handler, json.dumps(GOOD | {"runtimeVersionsV3": odd}).encode())
    assert refresh(url=server.url)
    assert choose().tag == "3.3-8"


def test_too_many_tags_are_not_kept(server, monkeypatch):
    monkeypatch.setattr(runtimes, "_MOST_TAGS", 2)
    assert refresh(url=server.url) is False


@pytest.mark.parametrize("status", [204, 403, 404, 500, 503])
def test_other_answers_are_no_list(server, status):
    server.answer = lambda handler: reply(handler, b"" if status == 204 else json.dumps(GOOD).encode(), status)
    assert refresh(url=server.url) is False


def test_a_huge_answer_is_given_up(server):
    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(1000):
            handler.wfile.write(b" " * 100_000)

    server.answer = endless
    assert refresh(url=server.url, timeout=20) is False
    assert not kept_table().exists()


def test_a_slow_answer_is_given_up_in_time(server):
    ended = threading.Event()

    def dripping(handler):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)
        ended.set()

    server.answer = dripping
    assert refresh(url=server.url, timeout=0.3) is False
    assert not ended.is_set()


def test_no_answer_is_given_up_in_time(server):
    released = threading.Event()
    server.answer = lambda handler: released.wait(60)
    assert refresh(url=server.url, timeout=0.2) is False
    released.set()


def test_a_redirect_is_followed_but_not_for_ever(server):
    def moved(handler):
        if handler.path == "/new":
            reply(handler, json.dumps(GOOD).encode())
        else:
            reply(handler, b"", 302, Location="/new")

    server.answer = moved
    assert refresh(url=server.url)
    kept_table().unlink()
    server.answer = lambda handler: reply(handler, b"", 302, Location=handler.path)
    assert refresh(url=server.url) is False


def test_a_failure_is_remembered_for_ten_minutes(server):
    server.answer = lambda handler: reply(handler, b"", 500)
    assert refresh(url=server.url) is False
    assert refresh(url=server.url) is False
    assert len(server.asked) == 1
    (mark,) = kept_table().parent.iterdir()
    age(mark, 601)
    server.answer = lambda handler: reply(handler, json.dumps(GOOD).encode())
    assert refresh(url=server.url)
    assert not mark.exists()


def test_no_network_is_no_error_and_what_was_kept_stays(server):
    assert refresh(url=server.url)
    age(kept_table(), 2 * 24 * 3600)
    assert refresh(url="http://127.0.0.1:1/") is False
    assert choose().tag == "3.4-2"


@pytest.mark.parametrize("url", ["", "nothing", "ftp://127.0.0.1/x", "http://", "http://[x"])
def test_an_odd_address_is_no_error(url):
    assert refresh(url=url) is False


def test_a_cache_that_cannot_be_written_is_no_error(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ASTRO_MAGIC_CACHE", str(tmp_path / "file" / "cache"))
    assert refresh(url=server.url) is False
    assert server.asked == []
