"""Which versions a release of Airflow was made with: from its constraints, else from the day of its upload."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from astro_magic.engines.releases import versions_of_release
from tests.servers.packages import make_wheel

TIMES = {
    ("apache-airflow", "3.1.0"): "2025-09-25T20:31:42Z",
    ("apache-airflow", "3.1.1"): "2025-10-27T10:00:00Z",
    ("rendering", "1.0"): "2025-09-01T00:00:00Z",
    ("rendering", "1.1"): "2025-09-26T12:00:00Z",
    ("rendering", "2.0"): "2025-12-01T00:00:00Z",
}


class Web:
    """A package index that knows when files were uploaded, and a place of constraints."""

    def __init__(self, folder):
        self.folder = folder
        self.pages: dict[str, bytes] = {}
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                content = owner.pages.get(self.path)
                kind = "application/vnd.pypi.simple.v1+json" if self.path.startswith("/simple/") else "text/plain"
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(b"" if self.command == "HEAD" else content or b"")

            def do_HEAD(self):
                self.do_GET()

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def publish(self, *, timed=True):
        """Have the index offer the packages."""
        for name in {name for name, _ in TIMES}:
            files = []
            for (other, version), time in TIMES.items():
                if other == name:
                    requires = ["rendering"] if name == "apache-airflow" else []
                    wheel = make_wheel(self.folder, name, version, requires=requires)
                    self.pages[f"/files/{wheel.name}"] = wheel.read_bytes()
                    about = {"filename": wheel.name, "url": f"{self.url}/files/{wheel.name}", "hashes": {}}
                    files.append(about | ({"upload-time": time} if timed else {}))
            page = {"meta": {"api-version": "1.1"}, "name": name, "files": files}
            self.pages[f"/simple/{name}/"] = json.dumps(page).encode()


@pytest.fixture
def web(tmp_path, monkeypatch):
    for name in ("UV_INDEX", "UV_FIND_LINKS", "UV_OFFLINE", "PIP_FIND_LINKS", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "wheels").mkdir()
    made = Web(tmp_path / "wheels")
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"{made.url}/simple/")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("ASTRO_MAGIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ASTRO_MAGIC_CONSTRAINTS", f"{made.url}/constraints-{{airflow}}/constraints-{{python}}.txt")
    thread = threading.Thread(target=made.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield made
    made.http.shutdown()
    made.http.server_close()
    thread.join()


def test_the_constraints_of_a_release(web):
    web.pages["/constraints-3.1.0/constraints-3.12.txt"] = b"# Made for you\napache-airflow==3.1.0\nrendering==1.0.5\n"
    known = {"apache-airflow": "3.1.0", "rendering": "1.0.5"}
    assert versions_of_release("3.1.0", "3.12", settings={}) == known
    web.pages.clear()
    assert versions_of_release("3.1.0", "3.12", settings={}) == known


@pytest.mark.parametrize("page", [None, b"<html>No such file</html>", b"\xff\xfe"])
def test_the_day_of_the_release_without_constraints(web, page):
    if page is not None:
        web.pages["/constraints-3.1.0/constraints-3.12.txt"] = page
    web.publish()
    known = {"apache-airflow": "3.1.0", "rendering": "1.1"}
    assert versions_of_release("3.1.0", "3.12", settings={}) == known
    web.pages.clear()
    assert versions_of_release("3.1.0", "3.12", settings={}) == known


def test_the_latest_of_a_line(web, monkeypatch):
    monkeypatch.setenv("ASTRO_MAGIC_CONSTRAINTS", "")
    web.publish()
    assert versions_of_release("3.1.*", "3.12", settings={}) == {"apache-airflow": "3.1.1", "rendering": "1.1"}


def test_an_index_that_does_not_tell_when(web):
    web.publish(timed=False)
    assert versions_of_release("3.1.0", "3.12", settings={}) == {}


def test_without_a_network_nothing_is_known(web, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple/")
    monkeypatch.setenv("ASTRO_MAGIC_CONSTRAINTS", "http://127.0.0.1:9/{airflow}/{python}")
    assert versions_of_release("3.1.0", "3.12", settings={}) == {}
    assert versions_of_release("3.1.*", "3.12", settings={}) == {}
