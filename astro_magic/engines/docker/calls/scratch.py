"""Databases for one test run: the running Airflow's scheduler must not see the run, nor the run change its data."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from astro_magic.engines.docker.calls.calls import call_script
from astro_magic.engines.docker.calls.inside import database as database_script
from astro_magic.engines.docker.client.commands import run_command
from astro_magic.engines.docker.client.connection import Connection, guard
from astro_magic.errors import CommandFailedError, EngineError
from astro_magic.system.events import Event, Operation, Step
from astro_magic.system.files import write_atomic
from astro_magic.system.folders import cache_folder

__all__ = ["empty_database", "scratch_database"]

_PREFIX = "astro_magic_run_"
_LEFT_AFTER = 3600
#: Whose rows a run has no use for: what ran, what is to run, and what a run's own DAG brings along anyway.
_WITHOUT_ROWS = (
    "*asset_event",
    "*dataset_event",
    "asset_dag_run_queue",
    "asset_partition_dag_run",
    "asset_trigger",
    "asset_watcher",
    "backfill*",
    "callback*",
    "celery_*",
    "connection_test_request",
    "dag_code",
    "dag_priority_parsing_request",
    "dag_run*",
    "dag_version",
    "dag_warning",
    "dataset_dag_run_queue",
    "deadline*",
    "hitl_*",
    "import_error",
    "job",
    "log",
    "partitioned_asset_key_log",
    "rendered_task_instance_fields",
    "revoked_token",
    "serialized_dag",
    "session",
    "sla_miss",
    "task_fail",
    "task_instance*",
    "task_map",
    "task_reschedule",
    "task_state_store",
    "trigger",
    "xcom",
)
#: Arguments: the user, whose name the database has; the copy; since when copies count as left over. A copy whose run
#: goes on has connections, so the server refuses to drop it.
_COPY = r"""
user=$1 copy=$2 before=$3; shift 3
export PGUSER="$user" PGDATABASE="$user" PGOPTIONS='-c synchronous_commit=off -c client_min_messages=error'
export PGPASSWORD="${PGPASSWORD:-$POSTGRES_PASSWORD}"
psql -Xqtc "SELECT datname FROM pg_database WHERE datname ~ '^astro_magic_run_[0-9]+_[0-9a-f]+\$'
  AND split_part(datname, '_', 4)::bigint < $before" | while read -r left; do
    psql -Xqc "DROP DATABASE IF EXISTS $left" >/dev/null 2>&1
done
psql -Xqc "CREATE DATABASE $copy TEMPLATE template0" || exit
# A foreign key to rows that were left out is refused, which does no harm. That all the rest came is seen at the end.
{
  pg_dump --no-owner --no-privileges --no-comments "$@" && echo 'CREATE TABLE astro_magic_copied();'
  printf '%s\\n' '\set ON_ERROR_STOP 1' 'SELECT FROM alembic_version;' 'DROP TABLE astro_magic_copied;'
} | psql -Xq --output /dev/null --dbname "$copy"
"""
_DROP = r"""
export PGUSER="$1" PGDATABASE="$1" PGPASSWORD="${PGPASSWORD:-$POSTGRES_PASSWORD}"
for attempt in 1 2 3; do
  psql -Xqtc "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '$2'" >/dev/null
  psql -Xqc "DROP DATABASE IF EXISTS $2" && exit
  sleep 0.5
done
"""


@contextlib.contextmanager
def scratch_database(connection: Connection, container: str, *, user: str, url: str) -> Iterator[dict[str, str]]:
    """Copy the metadata database within its server; gives the variables by which Airflow uses the copy.

    The copy has connections, variables, pools and the list of DAGs, and nothing of what ran. It is dropped at the
    end; one that a killed process left is dropped by a later copy.

    Parameters
    ----------
    connection : Connection
        The engine.
    container : str
        The running Postgres container.
    user : str
        Its superuser; the database has the same name.
    url : str
        How Airflow reaches the database: ``postgresql://postgres:postgres@postgres:5432``.

    Raises
    ------
    EngineError
        When it cannot be copied; the server's words are the detail.
    """
    now = int(time.time())
    copy = f"{_PREFIX}{now}_{secrets.token_hex(4)}"
    without = [f"--exclude-table-data={table}" for table in _WITHOUT_ROWS]
    try:
        done = run_command(
            connection, container, ["sh", "-c", _COPY, "sh", user, copy, str(now - _LEFT_AFTER), *without]
        )
        if done.code:
            detail = "\n".join(done.errors.strip().splitlines()[-5:]) or None
            raise EngineError("The metadata database could not be copied for the run.", detail=detail)
        address = urlunsplit(urlsplit(url)._replace(path=f"/{copy}"))
        yield {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address, "AIRFLOW__CORE__SQL_ALCHEMY_CONN": address}
    finally:
        # Without Postgres there is no copy either.
        with contextlib.suppress(EngineError):
            _detached(connection, container, ["sh", "-c", _DROP, "sh", user, copy])


def empty_database(
    connection: Connection, container: str, airflow_version: str, *, workdir: str
) -> Operation[dict[str, str]]:
    """Make a SQLite file with Airflow's schema in a container; gives the variables by which Airflow uses it.

    It stays in the container's temporary folder, and goes with the container. The first one of a version is made by
    Airflow's migrations, which takes seconds, and is kept in the user's cache folder.

    Raises
    ------
    CommandFailedError
        When Airflow cannot make it.
    """
    kept = cache_folder() / "databases" / f"airflow-{airflow_version}.sqlite.zlib.b64"
    try:
        copy = kept.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        copy = ""
    try:
        made = yield from _make(connection, container, copy, workdir=workdir)
    except CommandFailedError:
        if not copy:
            raise
        kept.unlink(missing_ok=True)
        made = yield from _make(connection, container, "", workdir=workdir)
    if made["copy"]:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(kept, made["copy"].encode("ascii"), mode=0o600)
    address = f"sqlite:///{made['path']}"
    return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address, "AIRFLOW__CORE__SQL_ALCHEMY_CONN": address}


def _make(connection: Connection, container: str, copy: str, *, workdir: str) -> Operation[dict[str, Any]]:
    return (
        yield from call_script(
            connection,
            container,
            Path(database_script.__file__),
            {"copy": copy},
            stage="core",
            event=_no_event,
            workdir=workdir,
        )
    )


def _no_event(_: dict[str, Any]) -> Event:
    return Step("database", "database")


def _detached(connection: Connection, container: str, argv: list[str]) -> None:
    with guard("dropping the copy of the metadata database"):
        made = connection.api.exec_create(container, argv, stdout=False, stderr=False)
        connection.api.exec_start(made["Id"], detach=True)
