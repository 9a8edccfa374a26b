"""Bring the metadata database to the schema of the installed Airflow; runs in a fork of the supervisor."""

from __future__ import annotations

from typing import Any

__all__ = ["main"]


def main(request: dict[str, Any], emit: object) -> dict[str, Any]:
    """Create or upgrade the schema."""
    from airflow.utils import db

    db.upgradedb()
    return {}
