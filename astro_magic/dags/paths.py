"""Where a project's files are for Airflow, and where they are for the people who wrote them."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["outside_paths"]

#: What a container sees of a project; beside it stand files of the image.
_FOLDERS = ("dags", "include", "plugins", "tests")


def outside_paths(traceback: str, *, inside: str, root: Path) -> str:
    """Put the project's own files in a traceback where they are on this machine.

    Parameters
    ----------
    traceback : str
        A traceback, or several.
    inside : str
        The project's folder as Airflow sees it.
    root : Path
        The same folder here.
    """
    here = str(root)
    if inside == here:
        return traceback
    own = re.compile(rf'(?<=File "){re.escape(inside)}(?=/(?:{"|".join(_FOLDERS)})/)')
    return own.sub(lambda _: here, traceback)
