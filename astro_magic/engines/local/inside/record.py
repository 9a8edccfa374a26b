"""The file that says who a project's supervisor is: without it, nobody finds that process."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["Record", "write_whole"]


class Record:
    """The record of one supervisor.

    Parameters
    ----------
    path : Path
        The file.
    known : mapping
        What it says; ``instance`` is what tells one supervisor from another.
    """

    def __init__(self, path: Path, known: Mapping[str, Any]) -> None:
        self._path = path
        self._known = known

    def write(self) -> None:
        """Say on disk who this is; written whole or not at all."""
        write_whole(self._path, json.dumps(self._known))

    def names_us(self) -> bool:
        """Whether the file still names this supervisor.

        One that cannot be read just now, as on a file server that is away for a moment, says nothing.
        """
        try:
            return bool(json.loads(self._path.read_text(encoding="utf-8"))["instance"] == self._known["instance"])
        except OSError as problem:
            return problem.errno not in (errno.ENOENT, errno.ENOTDIR)
        except (ValueError, KeyError, TypeError):
            return False

    def move(self, path: Path) -> None:
        """Be named by another file from now on, whoever that named before."""
        before, self._path = self._path, path
        self.write()
        before.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the file, unless it names another supervisor by now."""
        if self.names_us():
            self._path.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a file under another name, and rename it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
