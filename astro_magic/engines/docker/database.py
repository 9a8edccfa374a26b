"""The metadata database in the Postgres container: whether it has Airflow's schema, and how it gets it.

Migrating an empty database takes Airflow several seconds, and gives the same result each time. So the result is kept in
the user's cache folder, by Airflow version, and restored where the next empty database needs it. Which version made
or last migrated a schema is noted in the database itself, as its comment: it goes where the data goes.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version

from astro_magic.engines.docker.client.commands import SCRATCH, put_files, run_command
from astro_magic.engines.docker.client.connection import Connection, guard
from astro_magic.engines.docker.watching.logs import last_words
from astro_magic.errors import EngineError, EngineUnavailableError, StartFailedError
from astro_magic.system.files import write_atomic
from astro_magic.system.folders import cache_folder

__all__ = ["Database", "Schema"]

_MARK = "astro-magic "
#: The comment of the database, and the revision of Airflow's schema, without naming a table that may not be there.
_SCHEMA = """
SELECT coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database WHERE datname = current_database()
UNION ALL
SELECT CASE WHEN to_regclass('public.alembic_version') IS NULL THEN '' ELSE (xpath(
  '//v/text()', query_to_xml('SELECT version_num AS v FROM alembic_version', true, true, '')
))[1]::text END
"""
_DISCONNECT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname IN (:'database', :'backup') AND pid <> pg_backend_pid();
"""
#: psql replaces, and quotes, variables in what it reads, not in what it is given as an argument.
_READING = 'printf "%s" "$0" | exec psql "$@"'
_BACKUP = "astro_magic_before"
_DUMP = "astro-magic-schema.sql"
_INTERVAL = 0.1
#: So often it may end until it is given up.
_ENDS = 2
_DATA = "/var/lib/postgresql/data"


@dataclass(frozen=True)
class Schema:
    """What a metadata database holds.

    Attributes
    ----------
    revision : str
        The revision of its schema, as Airflow's migrations name it; empty when it has none.
    airflow_version : str
        The Airflow version that last migrated it, where that is known.
    """

    revision: str
    airflow_version: str = ""

    @property
    def empty(self) -> bool:
        """Whether Airflow never was here."""
        return not self.revision

    def is_of(self, airflow_version: str) -> bool:
        """Whether it is known to be this version's schema."""
        return not self.empty and self.airflow_version == airflow_version

    def is_newer_than(self, airflow_version: str) -> bool:
        """Whether a newer Airflow has migrated it."""
        try:
            return bool(self.airflow_version) and Version(self.airflow_version) > Version(airflow_version)
        except InvalidVersion:
            return False


class Database:
    """The metadata database of one project.

    Parameters
    ----------
    connection : Connection
        The engine.
    container : str
        The running Postgres container.
    user : str
        Its superuser; the database has the same name.
    """

    def __init__(self, connection: Connection, container: str, user: str) -> None:
        self._connection = connection
        self._container = container
        self._user = user

    def wait(self, timeout: float) -> None:
        """Wait until it takes connections.

        Raises
        ------
        StartFailedError
            When it has ended, or takes too long.
        """
        deadline = time.monotonic() + timeout
        # While the image makes a new cluster, its server listens on its socket only.
        while not self._answers(["pg_isready", "--quiet", "--host", "127.0.0.1", "--username", self._user]):
            with guard("looking at postgres"):
                about = self._connection.api.inspect_container(self._container)
            status, ends = about["State"]["Status"], int(about["RestartCount"])
            if status not in ("running", "created", "restarting") or ends >= _ENDS or time.monotonic() > deadline:
                why = "it ended" if status != "running" or ends else f"it took no connection for {timeout:.0f} s"
                raise StartFailedError(
                    f"The metadata database did not start: {why}.",
                    hint="If its data cannot be used any more, %astro_kill removes it.",
                    detail=last_words(self._connection, self._container),
                )
            time.sleep(_INTERVAL)

    def _answers(self, argv: Sequence[str]) -> bool:
        try:
            return self._run(argv)[0] == 0
        except EngineUnavailableError:
            raise
        except EngineError:
            # It has ended, or is between two attempts.
            return False

    def half_made(self, volume: str) -> bool:
        """Whether the making of its data was ended in the middle, so that no server ever ran on them.

        Parameters
        ----------
        volume : str
            Where the data have to be, for that to be told.
        """
        with guard("looking at postgres"):
            mounts = self._connection.api.inspect_container(self._container)["Mounts"]
        ours = any(mount["Destination"] == _DATA and mount.get("Name") == volume for mount in mounts)
        # Each server that starts writes how it was started, the one that the image makes the database with, too.
        return ours and self._has("PG_VERSION") and not self._has("postmaster.opts")

    def _has(self, name: str) -> bool:
        from docker.errors import NotFound

        with guard("looking at postgres"):
            try:
                content, _ = self._connection.api.get_archive(self._container, f"{_DATA}/{name}")
            except NotFound:
                return False
            return bool(b"".join(content))

    def schema(self) -> Schema:
        """Read what it holds."""
        comment, _, revision = self._query(_SCHEMA).partition("\n")
        revision = revision.strip()
        known = re.fullmatch(rf"{_MARK}(\{{.*\}})", comment.strip())
        if known:
            with contextlib.suppress(ValueError):
                noted = json.loads(known[1])
                # Another tool may have migrated it since.
                if noted.get("revision") == revision:
                    return Schema(revision, str(noted.get("airflow", "")))
        return Schema(revision)

    def mark(self, airflow_version: str) -> None:
        """Note which Airflow the schema is of."""
        noted = _MARK + json.dumps({"airflow": airflow_version, "revision": self.schema().revision})
        self._query("COMMENT ON DATABASE :\"database\" IS :'noted'", noted=noted)

    # -- the schema of a version, kept for the next empty database -----------------------------------------------

    def restore_template(self, airflow_version: str) -> bool:
        """Fill the empty database with the kept schema; False when there is none, or it does not fit."""
        file = self._template(airflow_version)
        if not file.is_file():
            return False
        put_files(self._connection, self._container, {_DUMP: file.read_bytes()})
        options = ["--quiet", "--single-transaction", "--set", "ON_ERROR_STOP=1", "--output", "/dev/null"]
        failed, _ = self._run(["psql", *self._options(), *options, "--file", f"{SCRATCH}/{_DUMP}"])
        if failed:
            file.unlink(missing_ok=True)
            return False
        self.mark(airflow_version)
        return True

    def keep_template(self, airflow_version: str) -> None:
        """Keep the schema that Airflow has just made in an empty database."""
        failed, dump = self._run(["pg_dump", "--username", self._user, "--no-owner", "--no-privileges", self._user])
        if not failed:
            file = self._template(airflow_version)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(file, dump.encode(), mode=0o600)

    def _template(self, airflow_version: str) -> Path:
        # A dump is for servers of its own major version, and newer ones.
        server = self._query("SHOW server_version_num")[:-4]
        return cache_folder() / "schemas" / f"airflow-{airflow_version}-postgres-{server}.sql"

    # -- before a migration, and back ----------------------------------------------------------------------------

    def back_up(self) -> None:
        """Copy the database inside the server; who is connected to it loses the connection."""
        self.drop_backup()
        self._administer('CREATE DATABASE :"backup" TEMPLATE :"database"')

    def go_back(self) -> None:
        """Put the copy into the place of the database."""
        self._administer('DROP DATABASE :"database"')
        self._administer('ALTER DATABASE :"backup" RENAME TO :"database"')

    def drop_backup(self) -> None:
        """Remove the copy, if there is one."""
        self._administer('DROP DATABASE IF EXISTS :"backup"')

    # -- commands in the container -------------------------------------------------------------------------------

    def _administer(self, statement: str) -> None:
        self._query(_DISCONNECT + statement, database="template1")

    def _query(self, statement: str, *, database: str | None = None, **variables: str) -> str:
        """Run statements; their variables are replaced by what is given, the database and its backup among them."""
        known = {"database": self._user, "backup": _BACKUP, **variables}
        options = ["--no-align", "--tuples-only", "--quiet", "--set", "ON_ERROR_STOP=1"]
        options += [word for name, value in known.items() for word in ("--set", f"{name}={value}")]
        failed, said = self._run(["sh", "-c", _READING, statement, *self._options(database), *options])
        if failed:
            raise EngineError("The metadata database refused a command.", detail=said.strip() or None)
        return said.strip("\n")

    def _options(self, database: str | None = None) -> list[str]:
        return ["--no-psqlrc", "--username", self._user, "--dbname", database or self._user]

    def _run(self, argv: Sequence[str]) -> tuple[int, str]:
        """Run a command in the container; gives its exit code and what it wrote."""
        done = run_command(self._connection, self._container, argv)
        return done.code, done.errors or done.output if done.code else done.output
