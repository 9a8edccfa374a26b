"""Look at a PostgreSQL database: reads its address from standard input, and writes what it found as JSON.

Run by the environment's Python, which has the driver; nothing of Airflow is imported.
"""

from __future__ import annotations

import json
import sys
from typing import Any

_SECONDS = 5
_QUESTION = """
SELECT to_regclass('alembic_version') IS NOT NULL,
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
       current_setting('transaction_read_only') = 'on',
       EXISTS (SELECT 1 FROM pg_class WHERE relkind = 'r' AND relnamespace = to_regnamespace(current_schema()))
"""


def look(url: str) -> dict[str, Any]:
    """Give what is there, or what the server or the driver says against it."""
    try:
        import psycopg2
    except ImportError as problem:
        return {"refused": f"the driver cannot be imported ({problem})"}
    try:
        connection = psycopg2.connect(url, connect_timeout=_SECONDS)
    except psycopg2.Error as problem:
        return {"refused": str(problem).strip()}
    try:
        with connection.cursor() as cursor:
            cursor.execute(_QUESTION)
            named, may_create, read_only, tables = cursor.fetchone()
            revision = ""
            if named:
                cursor.execute("SELECT version_num FROM alembic_version")
                rows = cursor.fetchall()
                revision = rows[0][0] if len(rows) == 1 else ""
    except psycopg2.Error as problem:
        return {"refused": str(problem).strip()}
    finally:
        connection.close()
    return {"revision": revision, "tables": tables, "may_create": may_create, "read_only": read_only}


if __name__ == "__main__":
    print(json.dumps(look(sys.stdin.read())))
