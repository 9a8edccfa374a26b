"""Parse a DAG file in the project's environment."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

from astro_magic.dags.inside import parse as script
from astro_magic.dags.paths import outside_paths
from astro_magic.dags.results import DagSummary, ImportFailure, ParseResult, TaskNode
from astro_magic.engines.engine import Engine
from astro_magic.system.events import Event, Operation, Step

__all__ = ["parse_file"]

_SKIPPED = (
    "Airflow's safe mode passes over this file in silence: it has to contain both words, "
    '"dag" and "airflow", to be parsed.'
)


def parse_file(engine: Engine, file: Path) -> Operation[ParseResult]:
    """Import a DAG file as the DAG processor would.

    Parameters
    ----------
    engine : Engine
        Where Airflow is.
    file : Path
        The file, below the project's ``dags`` folder.

    Returns
    -------
    ParseResult
        The DAGs, or the failure. A file that does not import is a result, not an error.
    """
    root = engine.project.root
    request = {"project": str(root), "file": file.relative_to(root).as_posix()}
    found = yield from engine.call(Path(script.__file__), request, stage="core", event=_progress)
    error = outside_paths(found["error"], inside=found["project"], root=root)
    failure = _failure(error, file) if error else None
    warnings = [*found["warnings"], *([_SKIPPED] if found["skipped"] else [])]
    return ParseResult(
        file=request["file"],
        seconds=found["seconds"],
        dags=tuple(_dag(described) for described in found["dags"]),
        failure=failure,
        warnings=tuple(warnings),
    )


def _progress(_: dict[str, Any]) -> Event:
    return Step("parse", "parse")


def _dag(described: dict[str, Any]) -> DagSummary:
    tasks = (TaskNode(task["task_id"], task["operator"], tuple(task["downstream"])) for task in described["tasks"])
    when = datetime.fromisoformat(described["next_run"]) if described["next_run"] else None
    return DagSummary(described["dag_id"], described["schedule"], when, tuple(tasks))


def _failure(traceback: str, file: Path) -> ImportFailure:
    """Find in a traceback where in this file, and what."""
    rows = traceback.rstrip().splitlines()
    kind, _, message = rows[-1].partition(": ")
    line = column = end_column = None
    source = ""
    place = re.compile(rf'^\s*File "{re.escape(str(file))}", line (?P<line>\d+)')
    for number, row in enumerate(rows):
        found = place.match(row)
        if not found:
            continue
        line = int(found["line"])
        text = rows[number + 1] if number + 1 < len(rows) else ""
        marks = rows[number + 2] if number + 2 < len(rows) else ""
        source = text.strip()
        column = end_column = None
        pointed = re.search(r"[~^]+", marks) if not marks.strip(" ~^") else None
        if pointed:
            indent = len(text) - len(text.lstrip())
            column, end_column = pointed.start() - indent + 1, pointed.end() - indent + 1
    return ImportFailure(kind.strip(), message, line, column, end_column, source, traceback)
