"""The browser that this process opens pages with, chosen for a test alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from astro_magic.system.browser import ELSEWHERE

__all__ = ["choose_browser"]


def choose_browser(patch: pytest.MonkeyPatch, command: str | Path | None) -> None:
    """Let a command with ``%s``, or nothing, be the browser of a user who sits at this machine.

    ``webbrowser`` reads ``BROWSER`` once for each process: what it found for an earlier test is put away meanwhile.
    """
    for name in (*ELSEWHERE, "BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        patch.delenv(name, raising=False)
    if command is not None:
        patch.setenv("BROWSER", str(command))
    patch.setattr("webbrowser._tryorder", None)
    patch.setattr("webbrowser._browsers", {})
