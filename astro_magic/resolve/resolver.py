"""Resolve a project's requirements together with its Airflow version, which is always pinned."""

from __future__ import annotations

import hashlib
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import canonicalize_name

from astro_magic.resolve import uv
from astro_magic.system.files import write_atomic

__all__ = ["Resolution", "requirements_key", "resolve"]

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)", re.MULTILINE)
_INCLUDE = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[ =]?\s*(?P<file>\S+)", re.MULTILINE)
#: A resolver that goes back over hundreds of versions would otherwise run for minutes without an answer.
_TIME_LIMIT = 180.0
_KEPT_LOCKS = 20


@dataclass(frozen=True)
class Resolution:
    """What requirements resolve to.

    Attributes
    ----------
    lock : str
        The exact versions, as a requirements file. May hold the login of a private index.
    packages : dict
        Version by canonical name.
    airflow : str
        The exact Airflow version.
    seconds : float
        How long it took.
    checked : bool
        False when nothing could be resolved for want of a network; `note` says so.
    note : str
        What the user should know; may be empty.
    changes : tuple of str
        The difference to the present environment, such as ``adds polars 1.35.2``.
    """

    lock: str = field(repr=False)
    packages: dict[str, str]
    airflow: str
    seconds: float
    checked: bool = True
    note: str = ""
    changes: tuple[str, ...] = ()

    def compare(self, present: Mapping[str, str]) -> tuple[str, ...]:
        """Say how this differs from versions by name, such as ``adds polars 1.35.2``."""
        before: dict[str, str] = {canonicalize_name(name): version for name, version in present.items()}
        told = []
        for name in sorted({*before, *self.packages}):
            old, new = before.get(name), self.packages.get(name)
            if old is None:
                told.append(f"adds {name} {new}")
            elif new is None:
                told.append(f"removes {name} {old}")
            elif old != new:
                told.append(f"changes {name} {old} → {new}")
        return tuple(told)


def resolve(text: str, *, folder: Path, airflow: str, python: str, locks: Path) -> Resolution:
    """Resolve the lines of a requirements file.

    Parameters
    ----------
    text : str
        The requirements.
    folder : Path
        What relative paths in them are relative to.
    airflow : str
        Requirement of Airflow's version: ``3.3.2``, or ``3.3.*`` for the latest of a line.
    python : str
        Version of the environment's Python, such as ``3.12``.
    locks : Path
        Folder that keeps results, so that the same question is answered at once.

    Raises
    ------
    ResolutionError
        When there is no solution.
    NetworkError
        When an index could not be reached.
    """
    started = time.monotonic()
    whole = f"{text.rstrip()}\napache-airflow=={airflow}\npip\n"
    kept = locks / f"{_question_key(whole, folder=folder, python=python)}.txt"
    if kept.exists():
        lock = kept.read_text(encoding="utf-8")
    else:
        arguments = ["pip", "compile", "-", "--python", sys.executable, "--python-version", python, "--quiet"]
        arguments += ["--no-header", "--no-annotate", "--emit-index-url", "--emit-find-links", "--no-strip-extras"]
        lock = uv.call(arguments, cwd=folder, text=whole, timeout=_TIME_LIMIT).output
        locks.mkdir(parents=True, exist_ok=True)
        write_atomic(kept, lock.encode(), mode=0o600)
        _forget_old(locks)
    packages: dict[str, str] = {}
    for found in _PIN.finditer(lock):
        packages[canonicalize_name(found["name"])] = found["version"]
    return Resolution(lock, packages, packages["apache-airflow"], time.monotonic() - started)


def requirements_key(requirements: str, *, folder: Path, python: str) -> str:
    """Name what is asked for: the requirements, the files that they include, and the Python."""
    digest = hashlib.sha256(f"{python}\n{requirements}".encode())
    for found in _INCLUDE.finditer(requirements):
        included = folder / found["file"]
        if included.is_file():
            digest.update(included.read_bytes())
    return digest.hexdigest()[:20]


def _question_key(requirements: str, *, folder: Path, python: str) -> str:
    """Name a question to the resolver: what is asked for, and of which index."""
    settings = uv.uv_environment()
    index = [f"{name}={settings[name]}" for name in sorted(settings) if name.startswith("UV_") and "INDEX" in name]
    asked = requirements_key(requirements, folder=folder, python=python)
    return hashlib.sha256("\n".join([asked, *index]).encode()).hexdigest()[:20]


def _forget_old(locks: Path) -> None:
    for old in sorted(locks.glob("*.txt"), key=lambda file: file.stat().st_mtime)[:-_KEPT_LOCKS]:
        old.unlink(missing_ok=True)
