"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Severity"]

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """Something that a check found, and what to do about it.

    Attributes
    ----------
    check : str
        Which check it was, as a short fixed name such as ``unpinned-airflow``.
    severity : {"error", "warning", "note"}
        An error keeps Airflow from starting, or a file from being used; a warning is about what will surprise; a note
        is good to know.
    message : str
        What was found, in one sentence.
    hint : str
        What to do about it, in one sentence; it may name a magic.
    file : str
        The file, as a POSIX path relative to the project; empty when it is about none.
    line : int or None
        The line, counted from 1; None when it is about no single line.
    column : int or None
        The column in it, counted from 1; None when it is about the whole line.
    """

    check: str
    severity: Severity
    message: str
    hint: str
    file: str = ""
    line: int | None = None
    column: int | None = None
