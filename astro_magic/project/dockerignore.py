"""Which files of a project ``.dockerignore`` keeps out of its image."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from astro_magic.project.changes import FileChange
from astro_magic.project.document import Document

if TYPE_CHECKING:
    from astro_magic.project.project import Project

__all__ = ["is_excluded", "plan_included"]

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


def plan_included(project: Project, names: Collection[str], *, folder: str = "") -> tuple[FileChange, ...]:
    """Plan that a build gets these files, by lines such as ``!packages.txt`` for those that are kept out of it.

    Parameters
    ----------
    project : Project
        The project.
    names : collection of str
        The files, as POSIX paths relative to the project; they need not exist yet.
    folder : str, optional
        The folder that is let in as a whole when one of them is kept out; by default each file by itself.

    Returns
    -------
    tuple of FileChange
        Empty when the build gets all of them.

    Raises
    ------
    FileAccessError
        When the file that says so cannot be read.
    InvalidContentError
        When it is no UTF-8 text.
    """
    document = _IgnoreFile(project, "Dockerfile.dockerignore")
    if document.read() is None:
        document = _IgnoreFile(project, ".dockerignore")
    rules = document.lines()
    out = [name for name in names if is_excluded(rules, name)]
    return (document.plan_lines([f"!{name}" for name in dict.fromkeys(folder or name for name in out)]),) if out else ()


class _IgnoreFile(Document):
    """The file that says what a build does not get."""

    def plan_lines(self, lines: Sequence[str]) -> FileChange:
        """Plan that these lines stand at its end, where they count most."""
        before = self.read()
        content = self._content(before)
        there = list(content.lines)
        if there and not there[-1].endswith("\n"):
            there[-1] += content.line_end
        return self._plan_lines(before, content, [*there, *(f"{line}{content.line_end}" for line in lines)])


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
