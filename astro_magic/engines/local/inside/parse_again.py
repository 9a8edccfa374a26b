"""Ask Airflow's DAG processor for files that could not be imported: by itself it comes back after half a minute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def main(request: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Put a request for each such file where the DAG processor looks; gives how many."""
    from airflow.models.dagbag import DagPriorityParsingRequest
    from airflow.models.errors import ParseImportError
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        asked = {
            (each.bundle_name, each.relative_fileloc) for each in session.scalars(select(DagPriorityParsingRequest))
        }
        failed = {(each.bundle_name, each.filename) for each in session.scalars(select(ParseImportError))}
        for bundle, file in failed - asked:
            session.add(DagPriorityParsingRequest(bundle, file))
    return {"files": len(failed - asked)}
