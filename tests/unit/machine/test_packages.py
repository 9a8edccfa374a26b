from __future__ import annotations

import sys
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from astro_magic.errors import InvalidContentError
from astro_magic.machine import packages
from astro_magic.machine.packages import check_indexes, check_python, check_uv, index_urls
from astro_magic.project import Project

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def index():
    """Serve an index without packages that answers as it is told; keeps what it was asked."""

    class Index(BaseHTTPRequestHandler):
        code = 404
        address = ""
        asked: ClassVar[list[str]] = []

        def do_GET(self):
            self.asked.append(f"{self.path} {self.headers.get('Authorization')}")
            if self.code == 0:
                time.sleep(3)
            self.send_response(self.code or 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        Index.address = f"127.0.0.1:{server.server_port}"
        yield Index
        server.shutdown()


def use(monkeypatch, index, name="UV_DEFAULT_INDEX"):
    monkeypatch.setenv(name, f"http://ana:pl4nted@{index.address}/t0k3n/simple")


def test_an_index_that_answers(monkeypatch, index, tmp_path):
    use(monkeypatch, index, "PIP_INDEX_URL")
    [result] = check_indexes(folder=tmp_path, timeout=30)
    assert result.state == "good"
    assert result.detail.startswith("127.0.0.1 answers in ")
    assert index.asked[-1].startswith("/t0k3n/simple/pip/ Basic ")


@pytest.mark.parametrize(
    ("code", "said", "hint"),
    [
        (401, "refuses the login, or wants one (401)", "token"),
        (403, "refuses access (403)", "token"),
        (407, "the proxy refuses the login, or wants one (407)", "cache"),
        (500, "answers with error 500", "cache"),
        (503, "answers with error 503", "cache"),
        (200, "does not answer as an index", "cache"),
        (0, "no answer in time", "cache"),
    ],
)
def test_an_index_that_does_not(monkeypatch, index, code, said, hint):
    use(monkeypatch, index)
    index.code = code
    [result] = check_indexes(timeout=2.0 if code == 0 else 30.0)
    assert result.state == "warning"
    assert result.detail.startswith("127.0.0.1 ")
    assert result.detail.endswith(said)
    assert hint in result.hint
    assert not any(secret in repr(result) for secret in ("ana", "pl4nted", "t0k3n"))


def test_an_index_that_is_not_there(monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://ana:pl4nted@127.0.0.1:9/t0k3n")
    monkeypatch.setenv("UV_INDEX", "mine=http://nowhere.invalid/t0k3n http://127.0.0.1:9/timed%20out/proxy/")
    refused, unknown, also = check_indexes(timeout=30)
    assert refused.detail == "127.0.0.1 cannot be reached: the connection is refused"
    assert unknown.detail == "nowhere.invalid cannot be reached: its name is not known"
    assert also.detail == refused.detail


def test_an_index_that_is_a_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "wheels")
    monkeypatch.setenv("UV_INDEX", "mine=ana:pl4nted@index.example.com/simple")
    (tmp_path / "wheels").mkdir()
    folder, forgotten = check_indexes(folder=tmp_path, timeout=30)
    assert folder.state == "good"
    assert (forgotten.state, forgotten.detail) == ("bad", "one that is set is neither a URL nor a folder")
    assert "pl4nted" not in repr(forgotten)


def test_an_index_that_uv_waits_for(monkeypatch, index):
    use(monkeypatch, index)
    index.code = 0
    [result] = check_indexes(timeout=0.3)
    assert result.detail == "127.0.0.1 cannot be reached: no answer in time"


def test_words_in_an_address_are_not_taken_for_uvs_own(monkeypatch, index):
    index.code = 200
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://{index.address}/proxy/tunnel/simple")
    [result] = check_indexes(timeout=30)
    assert result.detail == "127.0.0.1 does not answer as an index"


def test_an_index_whose_url_cannot_be_read(monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://[::1/pl4nted")
    [result] = check_indexes(timeout=30)
    assert (result.state, result.detail) == ("warning", "does not answer as an index")


def test_each_index_is_asked_alone(monkeypatch, index):
    use(monkeypatch, index)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"http://{index.address}/more")
    assert [result.state for result in check_indexes(timeout=30)] == ["good", "good"]
    assert sorted(asked.split()[0] for asked in index.asked) == ["/more/pip/", "/t0k3n/simple/pip/"]


@pytest.mark.parametrize("name", ["UV_OFFLINE", "UV_NO_INDEX"])
def test_where_none_may_be_asked(monkeypatch, index, name):
    use(monkeypatch, index)
    monkeypatch.setenv(name, "1")
    [result] = check_indexes(timeout=30)
    assert (result.state, result.detail) == ("unknown", f"not asked, since {name} is set")
    assert index.asked == []


def test_index_urls():
    assert index_urls({}) == ("",)
    assert index_urls({"UV_INDEX_URL": "a", "UV_EXTRA_INDEX_URL": "b c", "UV_INDEX": "c d"}) == ("a", "c", "d", "b")
    assert index_urls({"UV_DEFAULT_INDEX": "a", "UV_INDEX_URL": "b"}) == ("a",)


def test_uv(monkeypatch, tmp_path):
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "not" / "there"))
    [result] = check_uv()
    assert result.state == "good"
    assert result.detail[0].isdigit()
    assert str(tmp_path) in result.detail
    assert not (tmp_path / "not").exists()


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "file" / "cache"))
    [result] = check_uv()
    assert result.state == "bad"
    assert "UV_CACHE_DIR" in result.hint


def wanting(monkeypatch, project, version):
    wanted = replace(project.runtime, python=version)
    monkeypatch.setattr(Project, "runtime", property(lambda self: wanted))


def test_python(monkeypatch, project):
    wanting(monkeypatch, project, VERSION)
    [result] = check_python(project)
    assert (result.state, result.detail) == ("good", f"{VERSION}, as the notebook's own")
    wanting(monkeypatch, project, "3.99")
    [result] = check_python(project)
    assert (result.state, result.detail) == ("warning", "3.99, which the image has, is not on this machine")


@pytest.mark.skipif(sys.platform == "win32", reason="makes a symbolic link")
def test_a_python_that_is_not_the_notebooks_own(monkeypatch, project, tmp_path):
    wanting(monkeypatch, project, VERSION)
    (tmp_path / f"python{VERSION}").symlink_to(Path(sys.executable).resolve())
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(packages, "sys", SimpleNamespace(version_info=(3, 1)))
    [result] = check_python(project)
    assert (result.state, result.detail) == ("good", f"{VERSION} at {tmp_path}/python{VERSION}")


def test_python_of_a_dockerfile_that_does_not_tell(project):
    (project.root / "Dockerfile").write_text("FROM nothing:known\n")
    with pytest.raises(InvalidContentError):
        assert project.runtime
    [result] = check_python(project)
    assert result.state == "unknown"
