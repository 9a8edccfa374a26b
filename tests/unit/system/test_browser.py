"""Whether a page that is opened here is seen by the user."""

from __future__ import annotations

import sys

import pytest

from astro_magic.system.browser import ELSEWHERE, has_browser, open_page
from tests.browsers import choose_browser

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a screen is told by variables on Linux alone")


@pytest.fixture(autouse=True)
def here(monkeypatch):
    choose_browser(monkeypatch, None)


def test_a_browser_that_is_named_is_started(tmp_path, monkeypatch):
    command = tmp_path / "browser"
    command.write_text(f"#!/bin/sh\necho $1 > {tmp_path}/given\n")
    command.chmod(0o700)
    choose_browser(monkeypatch, f"{command} %s")
    assert has_browser()
    assert open_page("file:///page.html")
    assert (tmp_path / "given").read_text() == "file:///page.html\n"
    # Over SSH or a hub, it would open on the wrong screen.
    for name in ELSEWHERE:
        with monkeypatch.context() as patch:
            patch.setenv(name, "x")
            assert not has_browser()


def test_without_a_screen_there_is_none():
    assert not has_browser()
