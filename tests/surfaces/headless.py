"""Run notebooks with nobody at the keyboard: by papermill and by nbclient."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from nbformat import NotebookNode

from tests.surfaces.notebooks import errors_in, read_notebook

__all__ = ["HeadlessRun", "run_with_nbclient", "run_with_papermill"]


@dataclass(frozen=True)
class HeadlessRun:
    """A notebook that was run.

    Attributes
    ----------
    exit_code : int
        Not 0 when a cell raised.
    notebook : NotebookNode
        The notebook with its outputs.
    path : Path
        Where it is saved.
    output : str
        What the program that ran it printed.
    """

    exit_code: int
    notebook: NotebookNode
    path: Path
    output: str

    @property
    def errors(self) -> list[tuple[str, str]]:
        """Name and message of each error in the outputs."""
        return errors_in(self.notebook)


def run(
    command: list[str], *, result: Path, folder: Path, environment: Mapping[str, str], timeout: float
) -> HeadlessRun:
    """Run a Python program that executes a notebook and saves it as `result`."""
    completed = subprocess.run(
        [sys.executable, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=dict(environment),
        text=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )
    if not result.is_file():
        message = f"no notebook was saved; exit code {completed.returncode}\n{completed.stdout}"
        raise AssertionError(message)
    return HeadlessRun(completed.returncode, read_notebook(result), result, completed.stdout)


def run_with_papermill(
    notebook: Path, *, environment: Mapping[str, str], parameters: Mapping[str, Any] | None = None, timeout: float = 120
) -> HeadlessRun:
    """Run a notebook with papermill, in the notebook's folder; the result is saved beside it.

    Parameters
    ----------
    notebook : Path
        The notebook.
    environment : mapping
        The environment of papermill and the kernel; see `isolated_environment`.
    parameters : mapping, optional
        Replaces what the cell tagged ``parameters`` sets.
    timeout : float
        Seconds until it is given up.
    """
    result = notebook.with_suffix(".papermill.ipynb")
    command = ["-m", "papermill", "--no-progress-bar", notebook.name, result.name]
    if parameters:
        command += ["--parameters_yaml", yaml.safe_dump(dict(parameters))]
    return run(command, result=result, folder=notebook.parent, environment=environment, timeout=timeout)


def run_with_nbclient(notebook: Path, *, environment: Mapping[str, str], timeout: float = 120) -> HeadlessRun:
    """Run a notebook with nbclient, in the notebook's folder; the result is saved beside it, also after an error.

    Parameters
    ----------
    notebook : Path
        The notebook.
    environment : mapping
        The environment of nbclient and the kernel; see `isolated_environment`.
    timeout : float
        Seconds until it is given up.
    """
    result = notebook.with_suffix(".nbclient.ipynb")
    script = Path(__file__).with_name("execute_notebook.py")
    command = [str(script), notebook.name, result.name]
    return run(command, result=result, folder=notebook.parent, environment=environment, timeout=timeout)
