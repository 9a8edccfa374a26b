"""The options of the magic that starts Airflow on a metadata database."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from astro_magic.magics.arguments import Arguments, argument
from astro_magic.system.secrets import logins_in_urls

if TYPE_CHECKING:
    from astro_magic.engines.options import DatabaseOptions

__all__ = ["DATABASE_ARGUMENTS", "database_options"]

DATABASE_ARGUMENTS: tuple[argument, ...] = (
    argument(
        "--database",
        default="",
        metavar="URL",
        help="Work on this database from now on: postgresql://HOST/NAME, or sqlite for the project's own file.",
    ),
    argument(
        "--database-from-env",
        default="",
        metavar="VARIABLE",
        help="The same, with the URL from this variable of the kernel: for one with a password.",
    ),
    argument(
        "--restore-database",
        action="store_true",
        help="Put back the newest backup of the SQLite database that suits this Airflow; the present one is kept.",
    ),
    argument(
        "--new-database", action="store_true", help="Begin with an empty SQLite database; the present one is kept."
    ),
)


def database_options(arguments: Arguments) -> DatabaseOptions | None:
    """Give what the arguments say about the database; None when they say nothing, and it stays as it is.

    Raises
    ------
    UsageError
        When they exclude each other.
    """
    from astro_magic.engines.options import DatabaseOptions

    if arguments.database and arguments.database_from_env:
        raise UsageError("--database and --database-from-env exclude each other.")
    if any(password for _, _, password in logins_in_urls(arguments.database)) or "password=" in arguments.database:
        raise UsageError("--database has a password, which would stay in the notebook: use --database-from-env.")
    if arguments.restore_database and arguments.new_database:
        raise UsageError("--restore-database and --new-database exclude each other.")
    options = DatabaseOptions(url=arguments.database)
    if arguments.database_from_env:
        options = DatabaseOptions(url=_variable(arguments.database_from_env))
    if arguments.restore_database:
        options = replace(options, file="restore")
    if arguments.new_database:
        options = replace(options, file="new")
    return None if options == DatabaseOptions() else options


def _variable(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise UsageError(f"The kernel has no environment variable {name}: set it before.")
    return value
