"""Run cells in IPython as it is in a terminal."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["TerminalSession", "run_in_terminal"]

PROMPT = re.compile(r"^(?:In \[\d+\]: |   \.+: )+", re.MULTILINE)
BORDER = "\x1e"


@dataclass(frozen=True)
class TerminalSession:
    """What a terminal showed.

    Attributes
    ----------
    cells : tuple of str
        What each cell printed, returned and raised; standard output and standard error together, without prompts.
    output : str
        All of it, prompts included.
    exit_code : int
        IPython's exit code, which says nothing of the cells: it is 0 after a cell that raised.
    """

    cells: tuple[str, ...]
    output: str
    exit_code: int


def typed(cell: str) -> str:
    """Give the lines to type for a cell.

    A blank line would end a cell in this terminal; so a cell with several lines is handed to IPython as a whole.
    """
    cell = cell.strip("\n")
    return f"get_ipython().run_cell({cell!r}, store_history=True) and None" if "\n" in cell else cell


def run_in_terminal(
    cells: Sequence[str], *, folder: Path, environment: Mapping[str, str], timeout: float = 60
) -> TerminalSession:
    """Type cells into IPython, one after the other, and give what it showed.

    Parameters
    ----------
    cells : sequence of str
        Each one a cell, magics and all.
    folder : Path
        Where IPython runs.
    environment : mapping
        The environment of the process; see `isolated_environment`.
    timeout : float
        Seconds until it is given up.
    """
    border = f"print({BORDER!r})"
    lines = [line for cell in cells for line in (typed(cell), border)]
    command = [
        sys.executable,
        "-m",
        "IPython",
        "--simple-prompt",
        "--no-banner",
        "--no-confirm-exit",
        "--colors=NoColor",
    ]
    completed = subprocess.run(
        command,
        input="\n".join(lines) + "\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=dict(environment),
        text=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )
    shown = completed.stdout.split(BORDER)[: len(cells)]
    return TerminalSession(
        cells=tuple(PROMPT.sub("", part.removeprefix("\n")).strip("\n") for part in shown),
        output=completed.stdout,
        exit_code=completed.returncode,
    )
