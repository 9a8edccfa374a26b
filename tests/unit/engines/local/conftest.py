from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.servers.plain_index import serve_folder
from tests.unit.engines.local.small import make_small


@pytest.fixture
def small(tmp_path, monkeypatch):
    return make_small(tmp_path, monkeypatch)


@pytest.fixture
def served(small, monkeypatch):
    """Serve the index, until it is called."""
    asked: list[str] = []
    with ExitStack() as serving:
        monkeypatch.setenv("UV_DEFAULT_INDEX", serving.enter_context(serve_folder(small.index, asked)))
        monkeypatch.setenv("UV_HTTP_RETRIES", "0")

        def end():
            serving.close()
            return asked

        yield end
