"""The browser of this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["CHROMIUM_OPTIONS", "find_chromium"]

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
APPLICATIONS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
CHROMIUM_OPTIONS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    # Everything shown has to come from this machine. Routing each request through Python would do as well, but slows
    # JupyterLab's start so much that its theme loader gives up now and then.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)


def find_chromium() -> Path | None:
    """Give the path of a Chromium or Chrome, or None."""
    found = (shutil.which(command) for command in COMMANDS)
    installed = (application for application in APPLICATIONS if Path(application).is_file())
    path = next((candidate for candidate in (*found, *installed) if candidate), None)
    return Path(path) if path else None
