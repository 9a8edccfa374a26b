from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.unit.engines.local.small import make_small


@pytest.fixture
def small(tmp_path, monkeypatch):
    return make_small(tmp_path, monkeypatch)


@pytest.fixture
def served(small, monkeypatch):
    """Serve the index, until it is called."""
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=small.index))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")

    def end():
        if thread.is_alive():
            server.shutdown()
            server.server_close()
            thread.join()
        return asked

    yield end
    end()
