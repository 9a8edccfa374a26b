"""Build an environment beside the others, and give it its name when it has been found whole."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from astro_magic.engines.local.damage import note_condition
from astro_magic.engines.local.environment_cache import (
    CacheKey,
    Kept,
    forget_environment,
    keep_environment,
    take_environment,
)
from astro_magic.engines.local.generations import MARKER, PARTIAL, Facts, discard, write_facts
from astro_magic.engines.local.linking import link_distributions
from astro_magic.engines.local.verification import AIRFLOW, ALTERED, find_broken, try_imports
from astro_magic.errors import CommandFailedError, DependencyError, InstallationError, NetworkError, ResolutionError
from astro_magic.private.access import settings_for_uv
from astro_magic.project.project import Project
from astro_magic.resolve import uv
from astro_magic.system.files import write_atomic
from astro_magic.system.folders import cache_folder

__all__ = ["Plan", "build", "link_cached"]

_LOCK = "astro-magic.lock"
_NOT_INSTALLED = re.compile(r"Failed to install: \S+ \((?P<name>[A-Za-z0-9][\w.-]*)==")
#: Other uses of uv's cache are waited for.
_CLEAN_SECONDS = 120.0
_REMEMBERED = 100


@dataclass(frozen=True)
class Plan:
    """An environment that is to be built.

    Attributes
    ----------
    folder : Path
        Where it is to be; nothing is there yet.
    number : int
        Its place in the history.
    airflow_version, python_version : str
        Exact versions.
    python : Path
        The Python that it is made of.
    lock : str
        The exact versions, as a requirements file. May hold the login of a private index.
    packages : mapping of str to str
        Version by normalised name.
    requested : tuple of str
        What the project asks for, by normalised name.
    inputs : mapping of str to str or None
        The files that it is made from.
    notes : tuple of str
        What the user should know of it.
    tried : frozenset of str
        Packages whose import need not be tried again.
    base : Path or None
        An environment of the same Python, from which is linked what is the same.
    """

    folder: Path
    number: int
    airflow_version: str
    python_version: str
    python: Path
    lock: str = field(repr=False)
    packages: Mapping[str, str] = field(repr=False)
    requested: tuple[str, ...]
    inputs: Mapping[str, str | None] = field(repr=False)
    notes: tuple[str, ...] = ()
    tried: frozenset[str] = frozenset()
    base: Path | None = None


def link_cached(plan: Plan, project: Project) -> bool:
    """Link the environment from the user's cache, if it was built before; gives whether it was.

    No other process may be building in the same folder. What one left there that was killed is removed.
    """
    _clear(plan.folder.parent)
    key = _key(plan, project)
    partial = _partial(plan)
    try:
        kept = take_environment(key, partial)
        if kept is None:
            return False
        write_atomic(partial / _LOCK, plan.lock.encode(), mode=0o600)
        _finish(replace(plan, tried=plan.tried | kept.imported), partial, kept.notes)
    except InstallationError:
        forget_environment(key)
        return False
    finally:
        discard(partial)
    return True


def build(plan: Plan, project: Project) -> None:
    """Build beside, verify, then rename: whoever looks sees no environment, or a whole one.

    No other process may be building in the same folder. What one left there that was killed is removed.

    Raises
    ------
    ResolutionError, NetworkError, InstallationError
        When it cannot be built, or what was built is not whole, a second time without uv's cache of what was broken.
    """
    _clear(plan.folder.parent)
    broken = _build_once(plan, project)
    if broken:
        fresh = _forget_cached(broken, project)
        broken = _build_once(plan, project, cached=fresh, before=broken)
    if broken:
        name, fault = next(iter(broken.items()))
        more = f", and {len(broken) - 1} other packages are broken" if len(broken) > 1 else ""
        msg = f"The environment is not whole after two attempts: {name} {fault}{more}."
        raise InstallationError(msg, hint="Check the disk and its free space; uv cache clean empties uv's cache.")


def _clear(home: Path) -> None:
    """Make the folder of environments, and remove what a process left there that was killed."""
    home.mkdir(parents=True, exist_ok=True)
    for left in home.glob(f"*{PARTIAL}"):
        discard(left)


def _partial(plan: Plan) -> Path:
    """Name the folder to build in; each time another, since what was killed may have left uv writing into its own."""
    return plan.folder.with_name(f"{plan.folder.name}.{secrets.token_hex(4)}{PARTIAL}")


def _key(plan: Plan, project: Project) -> CacheKey:
    return CacheKey(plan.lock, plan.python, plan.python_version, uv.index_settings(settings_for_uv(project)))


def _build_once(
    plan: Plan, project: Project, *, cached: bool = True, before: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Build it, unless what was built is broken: then give what is wrong with each broken distribution.

    Files that differ from their RECORD in the same way `before`, when they came from elsewhere, were published so.
    """
    partial = _partial(plan)
    try:
        uv.call(["venv", "--quiet", "--relocatable", "--no-project", "--python", plan.python, partial])
        write_atomic(partial / _LOCK, plan.lock.encode(), mode=0o600)
        if plan.base is not None and before is None:
            # What is missing or other than it should be is found below, and built without that one then.
            with suppress(OSError):
                link_distributions(plan.base, partial, plan.packages)
        broken = _install(partial, project, cached=cached) or find_broken(partial, plan.packages)
        odd = tuple(f"{name} {fault} than its own list of files says." for name, fault in broken.items())
        if broken and (broken != before or not all(fault.startswith(ALTERED) for fault in broken.values())):
            return broken
        failed = _finish(plan, partial, odd)
    finally:
        discard(partial)
    # Of what stands behind a package that ended Python, nothing is known.
    imported = frozenset({AIRFLOW, *plan.tried, *(() if failed else plan.requested)})
    keep_environment(_key(plan, project), plan.folder, Kept(imported, odd))
    return {}


def _finish(plan: Plan, partial: Path, notes: tuple[str, ...]) -> tuple[str, ...]:
    """Try imports, write down what there is to know, and give it its name; gives what does not import, and why."""
    failed = _try_imports(plan, partial)
    _note(plan, partial, (*plan.notes, *notes, *failed))
    os.replace(partial, plan.folder)
    return failed


def _try_imports(plan: Plan, partial: Path) -> tuple[str, ...]:
    """Import what was not found to import before: in an environment of the same content, or one with less in it."""
    digest = hashlib.sha256(json.dumps([plan.python_version, plan.lock, plan.requested]).encode()).hexdigest()
    known = cache_folder() / "imported.txt"
    lines = known.read_text(encoding="utf-8").split() if known.exists() else []
    if digest in lines:
        return ()
    untried = [name for name in dict.fromkeys((AIRFLOW, *plan.requested)) if name not in plan.tried]
    if not untried:
        return ()
    notes = try_imports(partial, airflow=plan.airflow_version, requested=untried)
    if not notes:
        write_atomic(known, "\n".join([*lines[-_REMEMBERED:], digest, ""]).encode(), durable=False)
    return notes


def _install(partial: Path, project: Project, *, cached: bool) -> dict[str, str]:
    """Let uv install; give the distributions that it could not take from its cache."""
    target = ["--python", os.fspath(partial / "bin" / "python"), os.fspath(partial / _LOCK)]
    sync = ["pip", "sync", "--quiet", "--compile-bytecode", *([] if cached else ["--no-cache"]), *target]
    try:
        uv.call(sync, cwd=project.root, extra=settings_for_uv(project))
    except (ResolutionError, NetworkError):
        raise
    except InstallationError as error:
        found = _NOT_INSTALLED.findall(error.detail or "")
        if not found or not cached:
            raise
        return dict.fromkeys(found, "could not be installed from uv's cache")
    return {}


def _forget_cached(names: Iterable[str], project: Project) -> bool:
    """Take packages out of uv's cache; gives whether that could be done."""
    try:
        uv.call(["cache", "clean", "--quiet", *names], cwd=project.root, timeout=_CLEAN_SECONDS)
    except (DependencyError, CommandFailedError):
        return False
    return True


def _note(plan: Plan, partial: Path, notes: tuple[str, ...]) -> None:
    """Write down what there is to know of it; the marker comes last, when all else is on the disk."""
    made = datetime.now(UTC).isoformat(timespec="seconds")
    write_facts(partial, Facts(plan.number, made, dict(plan.packages), plan.requested, dict(plan.inputs)))
    note_condition(partial)
    known = {
        "folder": plan.folder.name,
        "airflow_version": plan.airflow_version,
        "python_version": plan.python_version,
        "packages": len(plan.packages),
        "requested": len(plan.requested),
        "notes": notes,
    }
    write_atomic(partial / MARKER, json.dumps(known).encode())
