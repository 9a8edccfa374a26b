"""The Python environment that a project's files stand for.

Each environment has a folder of its own, named after exactly what is in it. It is built beside the others under
another name and gets its own by one rename, so that one which is there is always whole.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shutil
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from astro_magic.engines.engine import InstalledPackage
from astro_magic.engines.local.interpreter import find_interpreter
from astro_magic.errors import ResolutionError
from astro_magic.project.project import Project
from astro_magic.resolve import uv
from astro_magic.resolve.resolver import Resolution, requirements_key, resolve
from astro_magic.system.events import Operation, Step
from astro_magic.system.files import write_atomic

__all__ = [
    "LocalEnvironment",
    "current_environment",
    "installed_packages",
    "prepare_environment",
    "resolve_requirements",
]

_KEPT = 3
_STEP = "environment"


@dataclass(frozen=True)
class LocalEnvironment:
    """An environment that is there and whole.

    Attributes
    ----------
    folder : Path
        The virtual environment.
    airflow_version, python_version : str
        Exact versions.
    packages, requested : int
        Number of distributions, and how many of them the project's requirements ask for.
    notes : tuple of str
        What the user should know of it.
    """

    folder: Path
    airflow_version: str
    python_version: str
    packages: int
    requested: int
    notes: tuple[str, ...] = ()

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.folder / "bin" / "python"

    @property
    def described(self) -> str:
        """What is in it, in a few words."""
        return f"{self.packages} packages, {self.requested} from requirements.txt"


def resolve_requirements(project: Project, text: str) -> Resolution:
    """Resolve requirements for this project's Airflow and Python.

    Raises
    ------
    ResolutionError, NetworkError
        See `astro_magic.resolve.resolver.resolve`.
    """
    runtime = project.runtime
    python = find_interpreter(runtime.python).line
    locks = project.state_dir / "locks"

    def resolve_with(airflow: str, requirements: str) -> Resolution:
        return resolve(requirements, folder=project.root, airflow=airflow, python=python, locks=locks)

    if runtime.exact:
        return resolve_with(runtime.airflow, text)
    try:
        return resolve_with(f"{runtime.airflow}.*", text)
    except ResolutionError:
        # With a whole line of Airflow versions to rule out, the proof is a page long; with one, it is a sentence.
        return resolve_with(resolve_with(f"{runtime.airflow}.*", "").airflow, text)


def current_environment(project: Project, *, name: str | None = None) -> LocalEnvironment | None:
    """Give the environment that was made last, or the one of that name; None when it is not there."""
    home = _home(project)
    return _read(home / name) if name else _current(home)[0]


def installed_packages(project: Project, environment: LocalEnvironment) -> tuple[InstalledPackage, ...]:
    """Give what is installed in an environment, read from the metadata on disk, sorted by name."""
    requested = project.requirements.names()
    folders = [os.fspath(folder) for folder in environment.folder.glob("lib/python*/site-packages")]
    found = {}
    for distribution in importlib.metadata.distributions(path=folders):
        name = distribution.metadata["Name"]
        line = requested.get(canonicalize_name(name))
        found[canonicalize_name(name)] = InstalledPackage(name, distribution.version, line[1] if line else "")
    return tuple(found[name] for name in sorted(found))


def prepare_environment(project: Project) -> Operation[tuple[LocalEnvironment, bool]]:
    """Make the environment for the project's present requirements; nothing is told of one that is there.

    Returns
    -------
    tuple
        The environment, and whether it was built now.

    Raises
    ------
    ResolutionError, NetworkError, InstallationError, InterpreterNotFoundError
        When it cannot be made. Environments that were there before are untouched.
    """
    started = time.monotonic()
    runtime = project.runtime
    home = _home(project)
    inputs = _inputs(project)
    present, made_from = _current(home)
    if present is not None and made_from == inputs:
        return present, False
    yield Step(_STEP, "environment", detail="resolving requirements")
    interpreter = find_interpreter(runtime.python)
    resolution = resolve_requirements(project, project.requirements.text())
    name = hashlib.sha256(f"{interpreter.version}\n{resolution.lock}".encode()).hexdigest()[:12]
    found = _read(home / name)
    created = found is None
    if found is None:
        requested = len(set(project.requirements.names()) & set(resolution.packages))
        notes = (interpreter.note,) if interpreter.note else ()
        about = LocalEnvironment(
            home / name, resolution.airflow, interpreter.version, len(resolution.packages), requested, notes
        )
        yield Step(_STEP, "environment", detail=f"installing {about.packages} packages")
        _build(about, interpreter.path, resolution.lock, project.root)
        found = about
    write_atomic(home / "current", f"{name}\n{inputs}\n".encode())
    _forget_old(home, name)
    yield Step(_STEP, "environment", "done", found.described, time.monotonic() - started)
    return found, created


def _inputs(project: Project) -> str:
    """Name everything that an environment is made from, so that nothing is resolved again while it is the same."""
    runtime = project.runtime
    return requirements_key(f"{runtime}\n{project.requirements.text()}", folder=project.root, python=runtime.python)


def _current(home: Path) -> tuple[LocalEnvironment | None, str]:
    """Give the environment that was made last, and the name of what it was made from."""
    try:
        name, inputs = (home / "current").read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return None, ""
    return _read(home / name), inputs


def _build(about: LocalEnvironment, python: Path, lock: str, project_root: Path) -> None:
    """Build beside, then rename: whoever looks sees no environment, or a whole one."""
    about.folder.parent.mkdir(parents=True, exist_ok=True)
    for left in about.folder.parent.glob("*.partial"):
        shutil.rmtree(left, ignore_errors=True)
    partial = about.folder.with_name(f"{about.folder.name}.partial")
    try:
        uv.call(["venv", "--quiet", "--relocatable", "--no-project", "--python", python, partial])
        lock_file = partial / "astro-magic.lock"
        write_atomic(lock_file, lock.encode(), mode=0o600)
        target = ["--python", os.fspath(partial / "bin" / "python"), os.fspath(lock_file)]
        uv.call(["pip", "sync", "--quiet", "--compile-bytecode", *target], cwd=project_root)
        known = {**asdict(about), "folder": about.folder.name}
        write_atomic(partial / "astro-magic.json", json.dumps(known).encode())
        if about.folder.exists():
            shutil.rmtree(about.folder)
        os.replace(partial, about.folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _read(folder: Path) -> LocalEnvironment | None:
    try:
        known = json.loads((folder / "astro-magic.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not (folder / "bin" / "python").exists():
        return None
    return LocalEnvironment(**{**known, "folder": folder, "notes": tuple(known["notes"])})


def _home(project: Project) -> Path:
    return project.state_dir / "environments"


def _forget_old(home: Path, keep: str) -> None:
    """Remove environments that have not been used for long; the running one is among the newest."""
    if sys.platform == "win32":
        return
    os.utime(home / keep)
    folders = [folder for folder in home.iterdir() if folder.is_dir()]
    for old in sorted(folders, key=lambda folder: folder.stat().st_mtime)[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
