"""The Python files under ``dags/`` that Airflow looks at, and what their text tells about their DAGs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from astro_magic.project.dags.airflowignore import AirflowIgnore
from astro_magic.project.dags.ignore_rules import Walk
from astro_magic.project.dags.option import airflow_major, airflow_option
from astro_magic.project.dags.outline import Outline, outline
from astro_magic.project.dags.source import SuggestedDag, Survey, survey
from astro_magic.project.project import Project

__all__ = ["DagFile", "DagFolder", "dag_files", "dag_folder", "dag_ids"]

_Value = TypeVar("_Value")

# How many files are remembered; far more than a project has.
_REMEMBERED = 20_000
# A longer file takes too long to parse for a look at the project.
_LARGEST_PARSED = 1_000_000


@dataclass(frozen=True)
class DagFile:
    """A Python file under ``dags/`` that no ``.airflowignore`` names.

    Attributes
    ----------
    name : str
        The file, as a POSIX path relative to the project.
    path : Path
        The file on disk.
    size : int
        Bytes.
    modified : float
        When it was last changed, in seconds since the epoch.
    dags : tuple of SuggestedDag
        The DAG ids that its text suggests, with their lines.
    missing : tuple of str
        The words that Airflow's safe mode looks for and the text lacks; Airflow passes over the file if there are any.
    defines : bool
        Whether its text plainly makes a DAG.
    odd : bool
        Whether there is a reason to parse the file.
    """

    name: str
    path: Path = field(repr=False)
    size: int
    modified: float
    dags: tuple[SuggestedDag, ...]
    missing: tuple[str, ...]
    defines: bool
    odd: bool

    @property
    def outlined(self) -> bool:
        """Whether the file was parsed already, in this process and as it is now."""
        known = _OUTLINES.get(str(self.path))
        return known is not None and known[0] == (self.size, self.modified)

    def outline(self) -> Outline:
        """Parse the file, once for each version of it. One that cannot be read, or is very long, gives nothing."""
        key = str(self.path)
        known = _OUTLINES.get(key)
        if known is not None and known[0] == (self.size, self.modified):
            return known[1]
        found = Outline()
        if self.size <= _LARGEST_PARSED:
            try:
                found = outline(self.path.read_bytes())
            except OSError:
                return found
        _remember(_OUTLINES, key, ((self.size, self.modified), found))
        return found


@dataclass(frozen=True)
class DagFolder:
    """What is in ``dags/``: the walk through it, and the Python files that are not ignored."""

    walk: Walk
    files: tuple[DagFile, ...]


_SURVEYS: dict[str, tuple[tuple[int, float, bool], Survey]] = {}
_OUTLINES: dict[str, tuple[tuple[int, float], Outline]] = {}


def dag_folder(project: Project) -> DagFolder:
    """Go through ``dags/`` and look at each Python file that no ``.airflowignore`` names.

    Parameters
    ----------
    project : Project
        The project.

    Raises
    ------
    FileAccessError
        When an ignore file, ``.env`` or the Dockerfile cannot be read.
    InvalidContentError
        When one of them is no UTF-8 text.
    """
    walk = AirflowIgnore(project).walk()
    assets = airflow_major(project) >= 3
    safe_mode = _is_true(airflow_option(project, "core", "dag_discovery_safe_mode"))
    root = f"{project.root}{os.sep}dags{os.sep}"
    found = []
    for name in walk.files:
        if name.endswith(".py"):
            file = _look(root + name, name, assets=assets, safe_mode=safe_mode)
            if file is not None:
                found.append(file)
    return DagFolder(walk, tuple(found))


def dag_files(project: Project) -> tuple[DagFile, ...]:
    """Look at the Python files under ``dags/`` that no ``.airflowignore`` names.

    Parameters
    ----------
    project : Project
        The project.

    Returns
    -------
    tuple of DagFile
        Sorted by name.

    Raises
    ------
    FileAccessError
        When an ignore file, ``.env`` or the Dockerfile cannot be read.
    InvalidContentError
        When one of them is no UTF-8 text.
    """
    return dag_folder(project).files


def dag_ids(project: Project) -> tuple[str, ...]:
    """Give the DAG ids that the text of the project's DAG files suggests, sorted; nothing is imported.

    Parameters
    ----------
    project : Project
        The project.

    Raises
    ------
    FileAccessError
        When an ignore file, ``.env`` or the Dockerfile cannot be read.
    InvalidContentError
        When one of them is no UTF-8 text.
    """
    return tuple(sorted({dag.dag_id for file in dag_files(project) for dag in file.dags}))


def _look(path: str, name: str, *, assets: bool, safe_mode: bool) -> DagFile | None:
    """Look at one file; None when it is none, or has gone meanwhile."""
    try:
        status = os.stat(path)  # noqa: PTH116 - five hundred paths are looked at here
        key = (status.st_size, status.st_mtime_ns / 1e9, assets)
        known = _SURVEYS.get(path)
        if known is not None and known[0] == key:
            found = known[1]
        else:
            with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - as above
                found = survey(stream.read(), assets=assets)
            _remember(_SURVEYS, path, (key, found))
    except OSError:
        return None
    return DagFile(
        name=f"dags/{name}",
        path=Path(path),
        size=status.st_size,
        modified=key[1],
        dags=found.dags,
        missing=found.missing if safe_mode else (),
        defines=found.defines,
        odd=found.odd,
    )


def _remember(memory: dict[str, _Value], key: str, value: _Value) -> None:
    if len(memory) >= _REMEMBERED:
        memory.clear()
    memory[key] = value


def _is_true(text: str | None) -> bool:
    """Read a truth value as ``AirflowConfigParser.getboolean`` does; the option's default is true."""
    return text is None or text.strip().lower() not in {"f", "false", "0"}
