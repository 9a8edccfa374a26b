"""One log of all components, as ``airflow standalone`` writes it and ``astro dev logs`` reads it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["CombinedLog"]

_PAUSE_SECONDS = 0.3
#: As much of one component is read at a time, so that one that writes without end does not keep the others waiting.
_MOST_BYTES = 1_000_000


class CombinedLog:
    """Copies what components write to logs of their own into one file, each line with its component in front.

    Parameters
    ----------
    file : Path
        The one file; what an earlier run wrote there is dropped.
    sources : mapping
        By the name of a component, its own log; only what it writes from now on is copied.
    """

    def __init__(self, file: Path, sources: Mapping[str, Path]) -> None:
        self._file = file
        self._sources = dict(sources)
        self._read = {name: _size(source) for name, source in sources.items()}
        self._looked = 0.0
        self._append(b"", os.O_TRUNC)

    def follow(self) -> None:
        """Copy what is new, unless that was done a moment ago."""
        if time.monotonic() - self._looked > _PAUSE_SECONDS:
            self.copy()

    def copy(self) -> None:
        """Copy what is new: whole lines only, the rest when it is whole."""
        for name, source in self._sources.items():
            size = _size(source)
            if size == self._read[name]:
                continue
            # A log that was begun anew is read from its start.
            start = self._read[name] if size > self._read[name] else 0
            with contextlib.suppress(OSError), source.open("rb") as stream:
                stream.seek(start)
                text = stream.read(_MOST_BYTES)
                # A line longer than all that is read at a time is cut.
                whole = text[: text.rfind(b"\n") + 1] or (text if len(text) == _MOST_BYTES else b"")
                prefix = f"{name.replace(' ', '-'):10} | ".encode()
                self._append(b"".join(prefix + line + b"\n" for line in whole.splitlines()))
                self._read[name] = start + len(whole)
        self._looked = time.monotonic()

    def _append(self, text: bytes, flags: int = os.O_APPEND) -> None:
        # A disk that is full is no reason to end Airflow.
        with contextlib.suppress(OSError):
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | flags, 0o600)
            try:
                os.write(descriptor, text)
            finally:
                os.close(descriptor)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
