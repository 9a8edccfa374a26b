"""The environments that a project has had on this machine: what is kept of each, going back to one, removing old ones.

They lie in one folder, beside a file that names the current one. A folder whose name ends in ``.partial`` is being
built or removed, and is never looked at.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from astro_magic.engines.generations import Cached, Generation, Generations, Pruning, Rollback
from astro_magic.engines.local.damage import inspect_environment
from astro_magic.engines.local.disk import read_sizes, size_together
from astro_magic.engines.local.environment_cache import cached_environments, forget_unused
from astro_magic.engines.local.inputs import inputs_key, plan_inputs
from astro_magic.engines.local.supervision import find_supervisor
from astro_magic.engines.local.verification import AIRFLOW
from astro_magic.errors import NothingToUndoError
from astro_magic.project.project import Project
from astro_magic.resolve.resolver import compare_versions
from astro_magic.system.files import write_atomic

__all__ = [
    "MARKER",
    "PARTIAL",
    "Facts",
    "LocalGenerations",
    "discard",
    "environment_folders",
    "forget_old",
    "next_number",
    "read_current",
    "read_facts",
    "read_marker",
    "running_environment",
    "set_current",
    "write_facts",
]

#: Written last, so that a folder that has it is whole.
MARKER = "astro-magic.json"
PARTIAL = ".partial"
_FACTS = "astro-magic-generation.json"
_CURRENT = "current"
_KEPT = 3
#: Characters of a name that are enough to mean it.
_SHORTEST = 4


@dataclass(frozen=True)
class Facts:
    """What is kept of an environment beside what it needs to run.

    Attributes
    ----------
    number : int
        Its place in the history.
    made : str
        When it was made, in ISO format.
    packages : mapping of str to str
        Version by normalised name.
    requested : tuple of str
        What the project asked for, by normalised name.
    inputs : mapping of str to str or None
        The files that it was made from, as they were when it was made the current one last.
    """

    number: int
    made: str
    packages: Mapping[str, str] = field(default_factory=dict)
    requested: tuple[str, ...] = ()
    inputs: Mapping[str, str | None] = field(default_factory=dict, repr=False)


def read_facts(folder: Path) -> Facts:
    """Read what is kept of an environment; of one from before there was a history, little is."""
    try:
        known = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        return Facts(**{**known, "requested": tuple(known["requested"])})
    except (OSError, ValueError, TypeError, KeyError):
        made = datetime.fromtimestamp((folder / MARKER).stat().st_mtime, UTC)
        return Facts(0, made.isoformat())


def write_facts(folder: Path, facts: Facts) -> None:
    """Keep what is to be known of an environment; the inputs may hold logins, so it is closed to others.

    Raises
    ------
    FileAccessError
        When it cannot be written.
    """
    write_atomic(folder / _FACTS, json.dumps(vars(facts)).encode(), mode=0o600)


def environment_folders(home: Path) -> list[Path]:
    """Give the folders of whole environments, the one first that was used last."""
    try:
        found = [folder for folder in home.iterdir() if folder.suffix != PARTIAL and (folder / MARKER).is_file()]
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda folder: folder.stat().st_mtime_ns, reverse=True)


def read_marker(folder: Path) -> dict[str, Any] | None:
    """Read what an environment is, from the file that is written last; None where it is not there, or damaged."""
    try:
        known = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return known if isinstance(known, dict) else None


def next_number(home: Path) -> int:
    """Give the number of the next environment."""
    return 1 + max((read_facts(folder).number for folder in environment_folders(home)), default=0)


def set_current(home: Path, name: str, key: str) -> None:
    """Make an environment the one that the next start takes.

    Parameters
    ----------
    home : Path
        The folder of environments.
    name : str
        The environment's folder.
    key : str
        The name of what it is made from.

    Raises
    ------
    FileAccessError
        When it cannot be written; the current one then stays.
    """
    write_atomic(home / _CURRENT, f"{name}\n{key}\n".encode())
    if sys.platform != "win32":
        os.utime(home / name)


def read_current(home: Path) -> tuple[str, str]:
    """Give the name of the current environment, and that of what it is made from; empty without one."""
    try:
        name, key = (home / _CURRENT).read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return "", ""
    return name, key


def running_environment(project: Project) -> str:
    """Give the name of the environment that Airflow runs from, or is imported from for the next start; else nothing."""
    supervisor = find_supervisor(project.state_dir / "run" / "supervisor.json")
    return supervisor.environment if supervisor is not None else ""


def discard(folder: Path) -> None:
    """Remove an environment; one that is removed by half is never taken for a whole one."""
    if folder.suffix != PARTIAL:
        doomed = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}{PARTIAL}")
        os.replace(folder, doomed)
        folder = doomed
    shutil.rmtree(folder, ignore_errors=True)


def forget_old(home: Path, keep: Collection[str]) -> None:
    """Remove environments that have not been used for long, but for those that are named."""
    if sys.platform != "win32":
        for old in environment_folders(home)[_KEPT:]:
            if old.name not in keep:
                discard(old)


class LocalGenerations(Generations):
    """The environments of a project on this machine.

    Parameters
    ----------
    project : Project
        The project.
    home : Path
        The folder of its environments.
    hold : callable
        Keeps other processes from working on the project's environments, given what for.
    """

    def __init__(self, project: Project, home: Path, hold: Callable[[str], AbstractContextManager[None]]) -> None:
        self._project = project
        self._home = home
        self._hold = hold

    def read(self) -> tuple[Generation, ...]:
        """Read which environments are kept, newest first."""
        current, running = read_current(self._home)[0], running_environment(self._project)
        found = []
        before: Facts | None = None
        folders = [(read_facts(folder), folder) for folder in environment_folders(self._home)]
        for facts, folder in sorted(folders, key=lambda pair: (pair[0].number, pair[0].made)):
            known = read_marker(folder)
            if known is None:
                continue
            size, shared, _ = read_sizes(folder)
            found.append(
                Generation(
                    number=facts.number,
                    name=folder.name,
                    made=datetime.fromisoformat(facts.made).astimezone(),
                    airflow_version=known["airflow_version"],
                    python_version=known["python_version"],
                    packages=facts.packages,
                    requested=frozenset(facts.requested),
                    changes=_changes(before, facts) if before else (),
                    size=size,
                    shared=shared,
                    current=folder.name == current,
                    running=folder.name == running,
                )
            )
            before = facts
        return tuple(reversed(found))

    def cached(self) -> Cached:
        """Give what is kept for other projects that need the same environment."""
        found = cached_environments()
        return Cached(len(found), sum(read_sizes(folder)[2] for folder in found))

    def roll_back(self, wanted: str = "", *, dry_run: bool = False) -> Rollback:
        """Make an earlier environment the current one, and its requirements those of the project, as one change."""
        with self._hold("going back to an earlier environment"):
            chosen = _chosen(self.read(), wanted)
            folder = self._home / chosen.name
            facts = read_facts(folder)
            if not facts.inputs:
                msg = f"It is not known what environment {chosen.number} was made from, so there is no way back to it."
                raise NothingToUndoError(msg, hint="%astro_env_history shows which there are.")
            title = f"go back to environment {chosen.number}"
            change = self._project.edit(lambda: plan_inputs(self._project, facts.inputs, title), dry_run=dry_run)
            ready = not inspect_environment(folder).damage
            if not dry_run:
                set_current(self._home, chosen.name, inputs_key(self._project))
                chosen = replace(chosen, current=True)
        return Rollback(chosen, change, ready)

    def prune(self, *, keep: int | None = None, max_size: int | None = None) -> Pruning:
        """Remove environments, the one first that was used longest ago; never the current or a running one."""
        with self._hold("removing old environments"):
            known = {generation.name: generation for generation in self.read()}
            # Also what a process left that was killed.
            for left in self._home.glob(f"*{PARTIAL}"):
                discard(left)
            folders = [folder for folder in environment_folders(self._home) if folder.name in known]
            most = keep if keep is not None else len(folders) if max_size is not None else _KEPT
            removed, freed = set(), 0
            for oldest in reversed(list(folders)):
                fits = max_size is None or size_together(folders) <= max_size
                if len(folders) <= most and fits:
                    break
                if not (known[oldest.name].current or known[oldest.name].running):
                    freed += read_sizes(oldest)[2]
                    discard(oldest)
                    folders.remove(oldest)
                    removed.add(oldest.name)
            freed += forget_unused()
        return Pruning(
            tuple(each for each in known.values() if each.name in removed),
            tuple(each for each in known.values() if each.name not in removed),
            freed,
        )


def _chosen(generations: Collection[Generation], wanted: str) -> Generation:
    hint = "%astro_env_history shows which there are."
    if wanted:
        exact = [each for each in generations if wanted in (str(each.number), each.name)]
        # A short beginning of a name looks like a number.
        found = exact or [each for each in generations if len(wanted) >= _SHORTEST and each.name.startswith(wanted)]
        if len(found) == 1:
            return found[0]
        # What was asked for is not repeated: it may have been something else that was pasted.
        told = "Several environments have a name that begins so" if found else "No environment has that number or name"
        raise NothingToUndoError(f"{told}.", hint=hint)
    current = next((each.number for each in generations if each.current), None)
    earlier = [each for each in generations if current is None or each.number < current]
    if not earlier:
        raise NothingToUndoError("There is no environment from before the current one.", hint=hint)
    return max(earlier, key=lambda each: each.number)


def _changes(before: Facts, after: Facts) -> tuple[str, ...]:
    """Say how packages differ; Airflow and what the project asked for come first."""
    if not before.packages or not after.packages:
        return ()
    asked = {AIRFLOW, *before.requested, *after.requested}
    changes = compare_versions(before.packages, after.packages)
    return tuple(sorted(changes, key=lambda change: change.split()[1] not in asked))
