"""The Python environment that a project's files stand for.

Each environment has a folder of its own, named after exactly what is in it. It is built beside the others under
another name, verified there, and gets its own name by one rename, so that one which is there is always whole. What is
done to it afterwards is noticed before it is used; it is then built anew under a further name.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from astro_magic.engines.installation import Installation, InstalledPackage, packages_in, with_requests
from astro_magic.engines.local.building import Plan, build, link_cached
from astro_magic.engines.local.damage import inspect_environment
from astro_magic.engines.local.database.chosen import with_drivers
from astro_magic.engines.local.environment import LocalEnvironment
from astro_magic.engines.local.generations import (
    environment_folders,
    forget_old,
    next_number,
    read_current,
    read_facts,
    read_marker,
    running_environment,
    set_current,
    write_facts,
)
from astro_magic.engines.local.inputs import inputs_key, read_inputs
from astro_magic.engines.local.interpreter import Interpreter, find_interpreter
from astro_magic.engines.resolution import resolve_requirements
from astro_magic.errors import InstallationError
from astro_magic.project.project import Project
from astro_magic.resolve.resolver import Resolution
from astro_magic.system.events import Operation, Step
from astro_magic.system.locks import hold

__all__ = [
    "building",
    "current_environment",
    "environments_home",
    "environments_of",
    "fitting_environment",
    "installation_of",
    "prepare_environment",
    "resolve_here",
]

_STEP = "environment"
#: Another process that holds the lock builds an environment, most likely this one.
_LOCK_TIMEOUT = 900.0


def resolve_here(project: Project, text: str) -> Resolution:
    """Resolve requirements for this project's Airflow, and for the Python that this machine has for it.

    Raises
    ------
    ResolutionError, NetworkError
        See `astro_magic.resolve.resolver.resolve`.
    """
    return _resolve(project, text, _interpreter(project))


def _interpreter(project: Project) -> Interpreter:
    return find_interpreter(project.runtime.python, airflow=project.runtime.airflow)


def _resolve(project: Project, text: str, interpreter: Interpreter) -> Resolution:
    return resolve_requirements(project, with_drivers(project, text), python=interpreter.line)


def current_environment(project: Project, *, name: str | None = None) -> LocalEnvironment | None:
    """Give the environment that was made last, or the one of that name; None when it is not there."""
    home = environments_home(project)
    name = name or read_current(home)[0]
    return _read(home / name) if name else None


def fitting_environment(project: Project) -> LocalEnvironment | None:
    """Give the environment that the project's files stand for; None when it has to be made first."""
    return _fitting(environments_home(project), inputs_key(project))


def _fitting(home: Path, inputs: str) -> LocalEnvironment | None:
    name, made_from = read_current(home)
    return _read(home / name) if name and made_from == inputs else None


def environments_home(project: Project) -> Path:
    """Give the folder that the project's environments are in."""
    return project.state_dir / "environments"


def environments_of(project: Project) -> tuple[LocalEnvironment, ...]:
    """Give every environment of the project that is there."""
    return tuple(
        found for folder in environment_folders(environments_home(project)) if (found := _read(folder)) is not None
    )


def installation_of(project: Project, environment: LocalEnvironment, added: Path | None = None) -> Installation:
    """Give what is installed in an environment, and was added to what runs of it, read from the metadata on disk."""
    line = ".".join(environment.python_version.split(".")[:2])
    return Installation(
        with_requests(_packages(environment, added), project.requested()),
        python_version=environment.python_version,
        python=environment.python,
        markers={"python_version": line, "python_full_version": environment.python_version},
        foundation={"apache-airflow": "Dockerfile", "pip": "environment"},
    )


_Read = dict[str, InstalledPackage]
_read_packages: dict[Path, tuple[int, _Read]] = {}


def _packages(environment: LocalEnvironment, added: Path | None) -> _Read:
    """Read what is installed, by normalised name; once, since to install or remove something changes the folder."""
    found: _Read = {}
    for folder in environment.site_packages:
        found |= _read_once(folder)
    if added is not None and added.is_dir():
        found |= {name: replace(each, origin="added at run time") for name, each in _read_once(added).items()}
    return found


def _read_once(folder: Path) -> _Read:
    changed = folder.stat().st_mtime_ns
    if _read_packages.get(folder, (None,))[0] != changed:
        _read_packages[folder] = (changed, packages_in([os.fspath(folder)]))
    return _read_packages[folder][1]


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
    cached = False
    home = environments_home(project)
    inputs, files = inputs_key(project), read_inputs(project)
    present = _fitting(home, inputs)
    damage = ""
    if present is not None:
        condition = inspect_environment(present.folder)
        if not condition.damage:
            return replace(present, notes=(*present.notes, *condition.notes)), False
        damage = condition.damage
    yield Step(_STEP, "environment", detail="resolving requirements")
    interpreter = _interpreter(project)
    resolution = _resolve(project, project.requirements.text(), interpreter)
    if inputs_key(project) != inputs:
        # Somebody edited the files meanwhile.
        return (yield from prepare_environment(project))
    name = hashlib.sha256(f"{interpreter.version}\n{resolution.lock}".encode()).hexdigest()[:12]
    with building(project):
        found = _whole(home, name)
        created = found is None
        if found is None:
            requested = tuple(sorted(project.requested().keys() & set(resolution.packages)))
            why = f", since {damage}" if damage else ""
            plan = Plan(
                folder=_free(home, name),
                number=next_number(home),
                airflow_version=resolution.airflow,
                python_version=interpreter.version,
                python=interpreter.path,
                lock=resolution.lock,
                packages=resolution.packages,
                requested=requested,
                inputs=files,
                notes=(interpreter.note,) if interpreter.note else (),
                tried=_tried(home, resolution.packages, interpreter.version),
                base=None if damage else _base(home, interpreter.version),
            )
            yield Step(_STEP, "environment", detail=f"looking for it in the cache{why}")
            cached = link_cached(plan, project)
            if not cached:
                yield Step(_STEP, "environment", detail=f"installing {len(plan.packages)} packages{why}")
                build(plan, project)
            found = _made(plan.folder)
        else:
            facts = read_facts(found.folder)
            write_facts(found.folder, replace(facts, inputs=files))
        set_current(home, found.folder.name, inputs)
        forget_old(home, {found.folder.name, running_environment(project)})
    described = f"{found.described}, from the cache" if cached else found.described
    yield Step(_STEP, "environment", "done", described, time.monotonic() - started)
    if damage:
        found = replace(found, notes=(*found.notes, f"The environment was built anew, since {damage}."))
    return found, created


@contextmanager
def building(project: Project, *, timeout: float = _LOCK_TIMEOUT) -> Iterator[None]:
    """Keep other processes from building: whatever is half built is then left over from one that was killed."""
    state = project.make_state_dir()
    with hold(state / "environments.lock", purpose="building the environment", timeout=timeout):
        yield


def _whole(home: Path, name: str) -> LocalEnvironment | None:
    """Give an environment of that content, unless there is none, or each was damaged."""
    for folder in environment_folders(home):
        if folder.name.partition("-")[0] == name:
            found = _read(folder)
            condition = inspect_environment(folder)
            if found is not None and not condition.damage:
                return replace(found, notes=(*found.notes, *condition.notes))
    return None


def _free(home: Path, name: str) -> Path:
    """Give a folder for an environment of that content: one that was damaged may still be in use."""
    count = 1
    while (home / (name if count == 1 else f"{name}-{count}")).exists():
        count += 1
    return home / (name if count == 1 else f"{name}-{count}")


def _base(home: Path, python_version: str) -> Path | None:
    """Give the current environment, where it has the same Python and is whole."""
    name = read_current(home)[0]
    present = _read(home / name) if name else None
    if present is None or present.python_version != python_version or inspect_environment(present.folder).damage:
        return None
    return present.folder


def _tried(home: Path, packages: dict[str, str], python_version: str) -> frozenset[str]:
    """Give the packages whose import was tried in the current environment, where the new one only adds to that."""
    name = read_current(home)[0]
    present = _read(home / name) if name else None
    if present is None or present.python_version != python_version:
        return frozenset()
    facts = read_facts(present.folder)
    same = facts.packages.items() <= packages.items()
    # What did not import then may do so with what is added.
    failed = {note.split()[0] for note in present.notes}
    return frozenset({"apache-airflow", *facts.requested} - failed) if same and facts.packages else frozenset()


def _made(folder: Path) -> LocalEnvironment:
    found = _read(folder)
    if found is None:
        raise InstallationError("The environment that was built is gone.", hint="Run it again.")
    return found


def _read(folder: Path) -> LocalEnvironment | None:
    known = read_marker(folder)
    if known is None or not (folder / "bin" / "python").exists():
        return None
    return LocalEnvironment(**{**known, "folder": folder, "notes": tuple(known["notes"])})
