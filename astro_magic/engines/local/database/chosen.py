"""Which metadata database a project's Airflow works on: a SQLite file of its own, or one on a PostgreSQL server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from astro_magic.errors import DatabaseError, EngineError
from astro_magic.project.project import Project
from astro_magic.system.files import read_optional, remove, write_atomic
from astro_magic.system.secrets import mask_url_credentials

__all__ = ["SQLITE", "Server", "choose", "chosen_server", "database_variables", "forget_choice", "with_drivers"]

SQLITE = "sqlite"
_CONNECTION = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
_FORM = "postgresql://USER:PASSWORD@HOST:PORT/NAME"
_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg2")
#: Airflow opens two kinds of connections; the second driver is for the asynchronous ones.
_DRIVERS = ("psycopg2-binary", "asyncpg")
#: What asyncpg takes of libpq's options, and what it calls them.
_FOR_ASYNCPG = {"sslmode": "ssl", "host": "host"}


@dataclass(frozen=True)
class Server:
    """A database on a PostgreSQL server.

    Attributes
    ----------
    url : str
        Its address, with the login, in the form of libpq.
    """

    url: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Server:
        """Read the address that a person gave.

        Raises
        ------
        EngineError
            When it is no address of a PostgreSQL database; the address itself is not in the message.
        """
        hint = f"Write {_FORM}, or {SQLITE} for the project's own file. Special signs of a password are encoded (%40)."
        scheme, separator, _ = text.strip().partition("://")
        if not separator:
            raise EngineError("The address of the database has no scheme.", hint=hint)
        if scheme not in _SCHEMES:
            shown = scheme if scheme.replace("+", "").isalnum() else "this one"
            raise EngineError(f"Local processes work on SQLite or PostgreSQL, not on {shown}.", hint=hint)
        try:
            parts = urlsplit(text.strip())
            port = parts.port
            options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        except ValueError as problem:
            raise EngineError("The address of the database cannot be read.", hint=hint) from problem
        if "password" in options:
            raise EngineError("The password of the database stands behind its address, not before the @.", hint=hint)
        if not parts.hostname and "host" not in options:
            raise EngineError("The address of the database names no host.", hint=hint)
        if not parts.path.strip("/"):
            raise EngineError("The address of the database names no database.", hint=hint)
        return cls(_address("postgresql", parts, port, options))

    @property
    def shown(self) -> str:
        """The address without its login."""
        return mask_url_credentials(self.url)

    @property
    def user(self) -> str:
        """Who logs in."""
        return unquote(urlsplit(self.url).username or "")

    @property
    def name(self) -> str:
        """The name of the database."""
        return unquote(urlsplit(self.url).path.strip("/"))

    @property
    def place(self) -> str:
        """Host and port, as far as they are named."""
        parts = urlsplit(self.url)
        host = parts.hostname or dict(parse_qsl(parts.query)).get("host", "")
        return f"{host}:{parts.port}" if parts.port else host

    @property
    def secrets(self) -> tuple[str, ...]:
        """What nobody is to see of it."""
        password = urlsplit(self.url).password
        return (self.url, unquote(password)) if password else ()

    @property
    def variables(self) -> dict[str, str]:
        """What Airflow is told: the address for each of its two drivers."""
        parts = urlsplit(self.url)
        options = dict(parse_qsl(parts.query))
        known = {name: options[option] for option, name in _FOR_ASYNCPG.items() if option in options}
        return {
            _CONNECTION: _address("postgresql+psycopg2", parts, parts.port, options),
            f"{_CONNECTION}_ASYNC": _address("postgresql+asyncpg", parts, parts.port, known),
        }


def _address(scheme: str, parts: SplitResult, port: int | None, options: Mapping[str, str]) -> str:
    """Put an address together; every special sign is encoded, since Airflow would replace ``$NAME`` in it."""
    login = quote(unquote(parts.username or ""), safe="")
    if parts.password is not None:
        login += ":" + quote(unquote(parts.password), safe="")
    host = parts.hostname or ""
    place = f"[{host}]" if ":" in host else host
    place += f":{port}" if port else ""
    name = quote(unquote(parts.path.strip("/")), safe="")
    query = f"?{urlencode(options)}" if options else ""
    return f"{scheme}://{f'{login}@' if login else ''}{place}/{name}{query}"


def chosen_server(project: Project) -> Server | None:
    """Give the server's database that was chosen; None for the project's own SQLite file.

    Raises
    ------
    DatabaseError, FileAccessError
        When what was kept of the choice cannot be read.
    """
    kept = read_optional(_file(project))
    if kept is None:
        return None
    try:
        return Server(str(json.loads(kept)["url"]))
    except (ValueError, KeyError, TypeError) as problem:
        raise DatabaseError(
            f"{_file(project)} does not tell any more which database was chosen.",
            hint="Choose it again, with %astro_start --database or --database-from-env.",
        ) from problem


def choose(project: Project, server: Server | None) -> None:
    """Keep the choice for the next starts, in a file that only its owner can read."""
    if server is None:
        forget_choice(project)
        return
    project.make_state_dir()
    file = _file(project)
    if file.exists():
        file.chmod(0o600)
    write_atomic(file, json.dumps({"url": server.url}).encode(), mode=0o600)


def forget_choice(project: Project) -> None:
    """Go back to the project's own SQLite file."""
    if _file(project).exists():
        remove(_file(project))


def database_variables(project: Project) -> dict[str, str]:
    """Give the variables that tell Airflow its database."""
    server = chosen_server(project)
    if server is not None:
        return server.variables
    return {_CONNECTION: f"sqlite:///{project.standalone_dir / 'airflow.db'}"}


def with_drivers(project: Project, requirements: str) -> str:
    """Add the drivers of the database that was chosen to the text of a requirements file."""
    if chosen_server(project) is None:
        return requirements
    asked = project.requested()
    # Without its ending, it is the same driver, built on this machine.
    added = [name for name in _DRIVERS if not asked.keys() & {name, name.removesuffix("-binary")}]
    return "\n".join([requirements.rstrip(), *added, ""])


def _file(project: Project) -> Path:
    return project.state_dir / "database.json"
