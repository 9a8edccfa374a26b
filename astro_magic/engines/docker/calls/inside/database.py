"""Make a metadata database of its own for a run where no Airflow runs: a SQLite file, from a copy or by a migration."""

from __future__ import annotations

import base64
import os
import tempfile
import zlib
from typing import Any

__all__ = ["main"]


def main(request: dict[str, Any], emit: object) -> dict[str, Any]:
    """Write the file that ``request["copy"]`` holds; without one make it, and give it back for the next time."""
    folder = tempfile.mkdtemp(prefix="astro-magic-run-")
    path = os.path.join(folder, "airflow.db")
    if request["copy"]:
        with open(path, "wb") as file:
            file.write(zlib.decompress(base64.b64decode(request["copy"])))
        return {"path": path, "copy": ""}
    os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{path}"
    from airflow import settings
    from airflow.utils import db

    settings.dispose_orm()
    settings.configure_vars()
    settings.configure_orm()
    db.upgradedb()
    settings.dispose_orm()
    with open(path, "rb") as file:
        return {"path": path, "copy": base64.b64encode(zlib.compress(file.read())).decode()}
