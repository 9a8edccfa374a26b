"""The metadata database of a project on the local engine, whichever was chosen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from astro_magic.engines.local.calls import call_in
from astro_magic.engines.local.database.chosen import SQLITE, Server, choose, chosen_server
from astro_magic.engines.local.database.preparation import Migrate, SqliteDatabase
from astro_magic.engines.local.database.server import ServerDatabase
from astro_magic.engines.local.environment import LocalEnvironment
from astro_magic.engines.local.inside import migrate
from astro_magic.engines.local.supervision import Supervisor
from astro_magic.engines.options import DatabaseOptions
from astro_magic.errors import DatabaseError, EngineError
from astro_magic.project.project import Project
from astro_magic.system.events import Operation, Step

__all__ = ["MetadataDatabase"]

_AS_IT_IS = DatabaseOptions()


class MetadataDatabase:
    """The database that a project's Airflow works on.

    Parameters
    ----------
    project : Project
        The project.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._sqlite = SqliteDatabase(project)

    @property
    def file(self) -> Path | None:
        """The SQLite file; None when the database is on a server."""
        return self._sqlite.file if chosen_server(self._project) is None else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing of it; no secret is in it."""
        server = chosen_server(self._project)
        return () if server is None else (f"The metadata database is {server.shown}.",)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What nobody is to see of where it is."""
        server = chosen_server(self._project)
        return () if server is None else server.secrets

    @contextmanager
    def choosing(self, options: DatabaseOptions | None) -> Iterator[None]:
        """Choose the database that is asked for; what was chosen before is so again when the block fails.

        Raises
        ------
        EngineError
            When the address is none, or nothing can be done with a file on a server.
        """
        options = options or _AS_IT_IS
        try:
            before = chosen_server(self._project)
        except DatabaseError:
            if not options.url:
                raise
            before = None
        wanted = _wanted(options, before)
        if wanted is not None and options.file != "keep":
            raise EngineError(
                "Only the SQLite file of the project has backups here, and can be made anew.",
                hint="Add --database sqlite to go back to it.",
            )
        if wanted == before and not options.url:
            yield
            return
        choose(self._project, wanted)
        try:
            yield
        except BaseException:
            choose(self._project, before)
            raise

    def require_unchanged(self, options: DatabaseOptions | None) -> None:
        """Refuse options that would change the database of an Airflow that runs.

        Raises
        ------
        EngineError
            When they ask for another database than it has.
        """
        options = options or _AS_IT_IS
        present = chosen_server(self._project)
        if options.file != "keep" or _wanted(options, present) != present:
            raise EngineError("Airflow runs, and works on its database.", hint="Stop it first, with %astro_stop.")

    def require_usable(self, environment: LocalEnvironment, options: DatabaseOptions | None = None) -> None:
        """Refuse a database that this environment's Airflow could not work with, while nothing has been touched yet.

        Raises
        ------
        DatabaseError, FileAccessError
            When it is damaged, cannot be reached or written, or is of a newer Airflow.
        """
        server = chosen_server(self._project)
        if server is not None:
            ServerDatabase(self._project, server).require_usable(environment)
        else:
            self._sqlite.require_usable(environment, options or _AS_IT_IS)

    def prepare(
        self, environment: LocalEnvironment, supervisor: Supervisor, options: DatabaseOptions | None = None
    ) -> Operation[None]:
        """Make it ready for this environment's Airflow; nothing is told of one that is.

        Raises
        ------
        DatabaseError, FileAccessError
            When it cannot be made or migrated. What was there before is there still.
        """
        server = chosen_server(self._project)
        if server is not None:
            yield from ServerDatabase(self._project, server).prepare(environment, _migrating(supervisor))
        else:
            yield from self._sqlite.prepare(environment, options or _AS_IT_IS, _migrating(supervisor))

    def for_runs(self, environment: LocalEnvironment, supervisor: Supervisor) -> Operation[dict[str, Any]]:
        """Say where a run without a scheduler gets a database of its own from, as a request of it has that.

        A SQLite file is copied as it is. Of a database on a server, only the connections, variables and pools are.
        """
        if chosen_server(self._project) is None:
            return {}
        file = yield from self._sqlite.empty(environment, _migrating(supervisor))
        return {"database": str(file), "objects": True}

    def go_back(self) -> None:
        """Put back what the last `prepare` migrated, for the Airflow that ran before."""
        self._sqlite.go_back()


def _migrating(supervisor: Supervisor) -> Migrate:
    """Give how Airflow's migration is run: in a fork of the process that has imported it."""

    def migrating(file: Path | None) -> Operation[dict[str, Any]]:
        request = {"file": str(file) if file is not None else None}
        return call_in(supervisor, Path(migrate.__file__), request, "core", lambda _: Step("database", "database"))

    return migrating


def _wanted(options: DatabaseOptions, present: Server | None) -> Server | None:
    if options.url == SQLITE:
        return None
    return Server.parse(options.url) if options.url else present
