"""Find a Python of the version that the image has."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from astro_magic.errors import CommandFailedError, DependencyError, InterpreterNotFoundError
from astro_magic.resolve import uv
from astro_magic.system import processes
from astro_magic.system.folders import cache_folder

__all__ = ["Interpreter", "find_interpreter"]

#: Pythons that the latest Airflow runs on, and those that earlier ones run on, the best choice first (from what their
#: packages say that they require).
_SUPPORTED = ("3.12", "3.13", "3.11", "3.14", "3.10")
_SUPPORTED_BY = {
    "2": ("3.12", "3.11", "3.10"),
    "3.0": ("3.12", "3.11", "3.10"),
    "3.1": ("3.12", "3.13", "3.11", "3.10"),
}
_RETRY_SECONDS = 24 * 3600
_QUESTION = "import sys; print('.'.join(map(str, sys.version_info[:3])), sys.base_prefix == sys.prefix)"


@dataclass(frozen=True)
class Interpreter:
    """A Python on this machine.

    Attributes
    ----------
    path : Path
        Its executable.
    version : str
        Its exact version.
    note : str
        Why it is another one than asked for; empty when it is the one.
    """

    path: Path
    version: str
    note: str = ""

    @property
    def line(self) -> str:
        """Major and minor version."""
        return ".".join(self.version.split(".")[:2])


def find_interpreter(wanted: str, *, airflow: str) -> Interpreter:
    """Find a Python of version `wanted`, such as ``3.12``; else one that the version of Airflow supports.

    Looked for in this order: the kernel's own, ``PATH``, pyenv, uv's own, and a download by uv.

    Raises
    ------
    InterpreterNotFoundError
        When the machine has none that Airflow supports.
    """
    for path in _candidates(wanted):
        version = _ask(path)
        if version and version.startswith(f"{wanted}."):
            return Interpreter(path, version)
    downloaded = _download(wanted) if not _failed_lately(wanted) else None
    if downloaded is not None:
        return downloaded
    for other in _supported(airflow):
        for path in _candidates(other):
            version = _ask(path)
            if version and version.startswith(f"{other}."):
                note = f"Python {wanted} of the image is not on this machine; Python {version} is used instead."
                return Interpreter(path, version, note)
    msg = f"There is no Python {wanted} on this machine, nor another one that Airflow {airflow} supports."
    raise InterpreterNotFoundError(msg, hint=f"Install Python {wanted}, or let uv download it with network access.")


def _supported(airflow: str) -> tuple[str, ...]:
    line = ".".join(airflow.split(".")[:2])
    return _SUPPORTED_BY.get(line) or _SUPPORTED_BY.get(line.partition(".")[0]) or _SUPPORTED


def _candidates(wanted: str) -> Iterator[Path]:
    if sys.version_info[:2] == tuple(int(part) for part in wanted.split(".")):
        yield Path(getattr(sys, "_base_executable", "") or sys.executable)
    found = shutil.which(f"python{wanted}")
    # A shim of pyenv's asks a shell which Python it stands for, which takes longer than to look what there is.
    if found and Path(found).parent.name != "shims":
        yield Path(found)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from sorted(pyenv.glob(f"{wanted}.*/bin/python{wanted}"), reverse=True)
    try:
        listed = uv.call(["python", "find", "--managed-python", "--no-python-downloads", wanted], offline=True)
    except DependencyError:
        return
    yield Path(listed.output.strip())


def _ask(path: Path) -> str | None:
    """Give a Python's version; None when it does not run, as a shim without its Python."""
    try:
        answer = processes.run([path, "-I", "-c", _QUESTION], timeout=20)
    except CommandFailedError:
        return None
    return answer.output.split()[0] if answer.code == 0 else None


def _failed_lately(wanted: str) -> bool:
    """Whether a download was tried in vain within the last day; where there is no way to, each try costs seconds."""
    try:
        return 0.0 <= time.time() - _failure_mark(wanted).stat().st_mtime < _RETRY_SECONDS
    except FileNotFoundError:
        return False


def _failure_mark(wanted: str) -> Path:
    return cache_folder() / f"python-{wanted}-not-downloaded"


def _download(wanted: str) -> Interpreter | None:
    """Let uv fetch the Python; None where there is no way to."""
    try:
        uv.call(["python", "install", wanted], timeout=300)
        path = Path(uv.call(["python", "find", "--managed-python", wanted], offline=True).output.strip())
    except (DependencyError, CommandFailedError):
        _failure_mark(wanted).touch()
        return None
    version = _ask(path)
    return Interpreter(path, version) if version else None
