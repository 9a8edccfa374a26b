"""A project's database on a PostgreSQL server made ready for an Airflow: reached, migrated, or refused."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from astro_magic.engines.local.database.chosen import Server
from astro_magic.engines.local.database.preparation import Migrate, migration_failed, name_schema, refuse_newer
from astro_magic.engines.local.database.schema import Revisions, Schema
from astro_magic.engines.local.environment import LocalEnvironment
from astro_magic.engines.local.inside import reach
from astro_magic.errors import CommandFailedError, DatabaseError
from astro_magic.project.project import Project
from astro_magic.system import processes
from astro_magic.system.events import Operation, Step

__all__ = ["ServerDatabase"]

_STEP = "database"
_TIMEOUT = 30.0
_LOGIN = re.compile(r"authentication failed|no password supplied|no pg_hba\.conf entry|role \"[^\"]*\" does not exist")
_NO_DATABASE = re.compile(r"database \"[^\"]*\" does not exist")
_AWAY = re.compile(r"could not translate host name|refused|timeout expired|No route to host|unreachable|No such file")


class ServerDatabase:
    """The database on a server, which is the user's own: nothing is removed from it.

    Parameters
    ----------
    project : Project
        The project.
    server : Server
        Where it is.
    """

    def __init__(self, project: Project, server: Server) -> None:
        self._project = project
        self._server = server

    def require_usable(self, environment: LocalEnvironment) -> Schema:
        """Refuse what cannot work, while nothing has been touched yet; gives what is there.

        Raises
        ------
        DatabaseError
            When the server cannot be reached, refuses the login, or has no such database; when the database may not be
            written to, or is of a newer Airflow.
        """
        found = self._ask(environment)
        what = f"The database {self._server.name} on {self._server.place}"
        if found["read_only"]:
            raise DatabaseError(
                f"{what} is read-only, so Airflow could not work with it.",
                hint="Is it a standby? Name the server that is written to.",
            )
        schema = Schema(bool(found["tables"]), str(found["revision"]))
        revisions = Revisions.of(environment.site_packages, environment.airflow_version)
        if schema.revision == revisions.head and schema.revision:
            return schema
        if not found["may_create"]:
            raise DatabaseError(
                f"{what} lets {self._server.user or 'this user'} make no tables.",
                hint="Its owner can allow that: GRANT CREATE, USAGE ON SCHEMA public TO the user.",
            )
        if schema.revision and revisions.head and revisions.migration(schema.revision) is None:
            name = name_schema(self._project, schema.revision)
            refuse_newer(name, revisions.airflow_version, "or name an empty database with %astro_start --database")
        return schema

    def prepare(self, environment: LocalEnvironment, migrate: Migrate) -> Operation[None]:
        """Make the database ready for this environment's Airflow; nothing is told of one that is.

        Raises
        ------
        DatabaseError
            As `require_usable`, and when it cannot be migrated.
        """
        started = time.monotonic()
        schema = self.require_usable(environment)
        version = environment.airflow_version
        if schema.revision == Revisions.of(environment.site_packages, version).head:
            return
        was = name_schema(self._project, schema.revision) if schema.revision else ""
        words = f"from Airflow {was} to {version}" if was else f"to Airflow {version}"
        doing = f"migrating {words}" if schema.revision else f"making the schema of Airflow {version}"
        yield Step(_STEP, _STEP, detail=f"{doing} on {self._server.place}")
        with migration_failed(version, untouched=False):
            yield from migrate(None)
        done = f"migrated {words}, without a backup" if schema.revision else f"Airflow {version} schema"
        yield Step(_STEP, _STEP, "done", f"PostgreSQL, {self._server.shown}, {done}", time.monotonic() - started)

    def _ask(self, environment: LocalEnvironment) -> dict[str, object]:
        # Isolated, so that what the kernel has on its path does not get in.
        argv = [str(environment.python), "-I", str(Path(reach.__file__))]
        try:
            done = processes.run(argv, text=self._server.url, cwd=self._project.root, timeout=_TIMEOUT)
        except CommandFailedError as late:
            raise self._refused(f"timeout expired: {late.message}") from late
        try:
            found: dict[str, object] = json.loads(done.output)
        except ValueError as problem:
            raise DatabaseError(
                f"The database on {self._server.place} could not be looked at.", detail=done.errors.strip() or None
            ) from problem
        if "refused" in found:
            raise self._refused(str(found["refused"]))
        return found

    def _refused(self, said: str) -> DatabaseError:
        place = self._server.place
        back = "%astro_start --database sqlite goes back to the project's own file."
        if _LOGIN.search(said):
            user = self._server.user
            message = f"PostgreSQL on {place} refuses the login{f' of {user}' if user else ''}."
            hint = f"Check user and password in the address. {back}"
        elif _NO_DATABASE.search(said):
            message = f"PostgreSQL on {place} has no database {self._server.name}."
            hint = f"Make it there: CREATE DATABASE {self._server.name}. {back}"
        elif _AWAY.search(said):
            message = f"PostgreSQL on {place} cannot be reached."
            hint = f"Does it run, and are host and port right? {back}"
        else:
            message, hint = f"PostgreSQL on {place} does not let Airflow in.", back
        return DatabaseError(message, hint=hint, detail=said)
