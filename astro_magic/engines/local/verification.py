"""Whether an environment that has just been built is whole, before anybody may use it.

Every file is compared with its RECORD. What the project asks for is imported, in one process of the environment's
Python. A package that does not import is not a broken environment: it may want a library of the operating system, or a
display. Airflow that does not import is.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.version import InvalidVersion, Version

from astro_magic.engines.installation import packages_in
from astro_magic.engines.local.inside import imports
from astro_magic.engines.local.records import find_faults, read_records, site_packages
from astro_magic.errors import CommandFailedError, InstallationError
from astro_magic.system import processes

__all__ = ["AIRFLOW", "ALTERED", "find_broken", "find_broken_in", "try_imports"]

AIRFLOW = "apache-airflow"
#: How what is wrong with a distribution begins of which no file is missing.
ALTERED = "has another"
_SECONDS = 60
_LONGEST = 300
#: What an import may want to know of this machine. A variable with a secret could get into the words of an error.
_PASSED = ("PATH", "HOME", "USER", "LANG", "LC_", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_")
#: Folders that packages install by mistake, or whose import does something.
_NOT_THEIRS = frozenset({"bin", "conftest", "docs", "examples", "scripts", "setup", "test", "tests", "tools"})


def find_broken(folder: Path, locked: Mapping[str, str]) -> dict[str, str]:
    """Compare every file of an environment with what is recorded of it.

    Parameters
    ----------
    folder : Path
        The virtual environment.
    locked : mapping of str to str
        Version by normalised name of what was to be installed; an empty version will do with any.

    Returns
    -------
    dict of str to str
        What is wrong with each broken distribution, by its normalised name: ``lacks humanize/time.py``.
    """
    try:
        site = site_packages(folder)
    except FileNotFoundError:
        return dict.fromkeys(locked, "is not installed")
    return find_broken_in(site, locked)


def find_broken_in(site: Path, locked: Mapping[str, str]) -> dict[str, str]:
    """Compare every file in a folder of packages with what is recorded of it: see `find_broken`."""
    records = read_records(site)
    broken: dict[str, str] = {}
    for name, version in locked.items():
        if name not in records:
            broken[name] = "is not installed"
        elif version and _public(records[name].version) != _public(version):
            broken[name] = f"is {records[name].version} instead of {version}"
    for name, faults in find_faults(site, records.values(), contents=True).items():
        verb, paths = ("lacks", faults.missing) if faults.missing else (ALTERED, faults.altered)
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        broken.setdefault(name, f"{verb} {paths[0]}{more}")
    return broken


def try_imports(folder: Path, *, airflow: str, requested: Sequence[str], also: Path | None = None) -> tuple[str, ...]:
    """Import what the project asks for in an environment's Python, and look which Airflow that has.

    Parameters
    ----------
    folder : Path
        The virtual environment.
    airflow : str
        The version that Airflow is to have.
    requested : sequence of str
        Distributions by normalised name, Airflow's where that is to be imported as well; those without a module that
        can be imported are passed over.
    also : Path, optional
        A folder of packages that is looked in after the environment's own.

    Returns
    -------
    tuple of str
        What does not import and why, each as a sentence.

    Raises
    ------
    InstallationError
        When Airflow has another version or does not import.
    """
    places = [os.fspath(place) for place in (site_packages(folder), also) if place is not None]
    installed = packages_in(places)
    modules = {name: _modules(installed[name].imports) for name in requested if name in installed}
    if AIRFLOW in modules:
        # The distribution of that name has no module of its own.
        modules[AIRFLOW] = ["airflow"]
    version, results = _imported(folder, [(name, names) for name, names in modules.items() if names], places[1:])
    if version != airflow:
        told = f"is {version}" if version else "is missing"
        msg = f"Airflow {told} in the environment that was built, instead of {airflow}."
        raise InstallationError(msg, hint="%astro_start builds it again; uv cache clean apache-airflow before helps.")
    failure = results.pop(AIRFLOW, "")
    if failure:
        msg = f"Airflow {airflow} cannot be imported with these packages: {failure}"
        hint = "A package has a version that this Airflow does not know: pin an older one in requirements.txt."
        raise InstallationError(msg, hint=hint)
    return tuple(f"{name} cannot be imported: {why}" for name, why in results.items() if why)


def _modules(names: Sequence[str]) -> list[str]:
    """Leave out what is private, and folders that are no part of what a package offers."""
    return [name for name in names if name.partition(".")[0] not in _NOT_THEIRS and not name.startswith("_")]


def _imported(folder: Path, wanted: Sequence[tuple[str, list[str]]], also: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Give Airflow's version, and by distribution what stood against its import."""
    text = json.dumps({"imports": wanted, "also": also, "seconds": _SECONDS})
    with tempfile.TemporaryDirectory(prefix="astro-magic-") as empty:
        variables = {name: value for name, value in os.environ.items() if name.startswith(_PASSED)}
        argv = [os.fspath(folder / "bin" / "python"), "-I", imports.__file__]
        environment = {**variables, "AIRFLOW_HOME": empty}
        try:
            done = processes.run(argv, env=environment, cwd=Path(empty), text=text, timeout=2 * _SECONDS)
        except CommandFailedError as error:
            msg = f"The Python of the environment that was built does not work: {error.message}"
            raise InstallationError(msg, hint="Run it again.") from error
    version, begun, finished = "", "", False
    results: dict[str, str] = {}
    for line in done.output.splitlines():
        answer = json.loads(line)
        version = answer.get("airflow", version)
        begun = answer.get("begun", begun)
        finished = finished or "finished" in answer
        if answer.get("error"):
            results[answer["done"]] = answer["error"][:_LONGEST]
    if not finished:
        late = done.code == -14
        why = f"took longer than {_SECONDS} s" if late else f"ended Python (exit code {done.code})"
        results[begun or AIRFLOW] = f"its import {why}; what comes after it was not tried."
    return version, results


def _public(version: str) -> str:
    """Give a version in its normal form and without a local part, so that only another release differs."""
    try:
        return Version(version).public
    except InvalidVersion:
        return version
