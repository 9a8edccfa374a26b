"""Bring a metadata database to the schema of the installed Airflow; runs in a fork of the supervisor."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["main"]

_URL = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"


def main(request: dict[str, Any], emit: object) -> dict[str, Any]:
    """Create or upgrade the schema of ``request["file"]``, a SQLite file; None for the database that Airflow uses."""
    from airflow import settings
    from airflow.utils import db

    if request["file"]:
        os.environ.pop(f"{_URL}_ASYNC", None)
        os.environ[_URL] = f"sqlite:///{request['file']}"
        settings.dispose_orm()
        settings.configure_vars()
        settings.configure_orm()
    db.upgradedb()
    settings.dispose_orm()
    return {}
