"""The folder that packages are put into while Airflow runs."""

from __future__ import annotations

import sys

__all__ = ["look_last_in"]


def look_last_in(folder: str) -> None:
    """Let this process and its forks look for modules in a folder after all others.

    It is on the path of modules already, for processes that are started anew and not forked; there it comes early.
    """
    sys.path[:] = [place for place in sys.path if place != folder]
    sys.path.append(folder)
