"""Which files of a project ``.dockerignore`` keeps out of its image."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

__all__ = ["is_excluded"]

# A caret that was escaped, although it stands for "none of these".
_NOT = "\\^"


def is_excluded(lines: Sequence[str], name: str) -> bool:
    """Tell whether a file or folder stays out of the image.

    The rules are those of Docker's ``patternmatcher``: the last pattern that matches the path or a folder above it
    counts, ``!`` takes back, ``**`` stands for any number of folders, and a pattern is always relative to the root.

    Parameters
    ----------
    lines : sequence of str
        The lines of the file.
    name : str
        A POSIX path relative to the project.
    """
    path = PurePosixPath(name)
    paths = [path.as_posix(), *(parent.as_posix() for parent in path.parents if parent.parts)]
    excluded = False
    for line in lines:
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        excludes = not pattern.startswith("!")
        pattern = posixpath.normpath(pattern.removeprefix("!").strip()).lstrip("/")
        if excludes != excluded and any(_matches(pattern, path) for path in paths):
            excluded = excludes
    return excluded


def _matches(pattern: str, path: str) -> bool:
    try:
        return re.fullmatch(_translate(pattern), path) is not None
    except re.error:
        # A range such as [z-a] has nothing in it.
        return False


def _translate(pattern: str) -> str:
    """Make a regular expression of a pattern of Go's ``filepath.Match`` with ``**``."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[\^?[^\]]+\]|\\.)", pattern)
    special = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    made = []
    for part in parts:
        if part in special:
            made.append(special[part])
        elif part.startswith("[") and part.endswith("]"):
            inner = re.sub(r"([^a-zA-Z0-9-])", r"\\\1", part[1:-1])
            made.append(f"[{inner.replace(_NOT, '^', 1) if part[1] == '^' else inner}]")
        elif part.startswith("\\") and len(part) == 2:
            made.append(re.escape(part[1]))
        else:
            made.append(re.escape(part))
    return "".join(made)
