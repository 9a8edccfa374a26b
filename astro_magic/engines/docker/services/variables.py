"""What Airflow is told in the containers: its configuration, as environment variables.

Precedence, lowest first: what the image sets, defaults that a project may change, the project's ``.env``, and what the
engine itself depends on. The last are these, and why:

- The metadata database, in both spellings that Airflow knows: Postgres is a service of the same stack.
- The executor, and on Airflow 2 that the scheduler reads the DAG files itself: there is no container for anything else.
- Home, plugins and, unless it is inside of ``dags/``, the folder of the DAGs: that is where the project is mounted.
- Ports, hosts and addresses of the servers: they are published, looked at and linked to.
- The auth manager, by which the engine itself logs in.
- The Fernet key, which is the Astro CLI's: each tool must be able to read the connections that the other's Airflow
  saved. And the secrets by which components trust each other: all have to have the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath

from packaging.version import Version

from astro_magic.engines.docker.names import ANY_ADDRESS

__all__ = ["airflow_variables", "engine_variables", "overridden_variables"]

#: The key that the Astro CLI uses for every local project.
_FERNET_KEY = "d6Vefz3G9U_ynXB3cr7y_Ak35tAHkEGAVxuz_B-jzWw="
_DAGS_FOLDER = "AIRFLOW__CORE__DAGS_FOLDER"
_BASIC_AUTH = ("airflow.api.auth.backend.basic_auth", "airflow.api.auth.backend.session")

_DEFAULTS = {
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    # A DAG that is edited twice in half a minute is to be seen twice.
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "1",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "ASTRONOMER_ENVIRONMENT": "local",
}
_DEFAULTS_3 = {
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "1",
    "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
    # No component starts before the migration is done, and looking again takes each of them half a second of CPU.
    "AIRFLOW__DATABASE__CHECK_MIGRATIONS": "False",
    # The first task has the server build what tasks talk to; on a busy machine it would not wait long enough for that.
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
}
_DEFAULTS_2 = {
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_FETCH_INTERVAL": "1",
    "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "2",
    "AIRFLOW__WEBSERVER__EXPOSE_CONFIG": "True",
    "AIRFLOW__WEBSERVER__RBAC": "True",
    # The webserver warns of it on every page, and means a server that others can reach.
    "AIRFLOW__WEBSERVER__WARN_DEPLOYMENT_EXPOSURE": "False",
}


def airflow_variables(
    variables: Mapping[str, str], *, airflow_version: str, home: str, dsn: str, port: int, secret: str
) -> dict[str, str]:
    """Give the environment of every container that runs Airflow.

    Parameters
    ----------
    variables : Mapping of str to str
        Those of the project's ``.env``.
    airflow_version : str
        The version of Airflow in the image.
    home : str
        Airflow's folder in the image.
    dsn : str
        The address of the metadata database, with its password.
    port : int
        The port of this machine at which the server is published.
    secret : str
        By which the components trust each other.
    """
    version = Version(airflow_version)
    defaults = _DEFAULTS | (_DEFAULTS_2 if version.major < 3 else _DEFAULTS_3)
    fixed = _fixed(variables, version=version, home=home, dsn=dsn, port=port, secret=secret)
    return dict(sorted({**defaults, **variables, **fixed}.items()))


def engine_variables(variables: Mapping[str, str], *, airflow_version: str, home: str) -> tuple[str, ...]:
    """Name the variables that the engine sets whatever the project's files say.

    Parameters
    ----------
    variables : Mapping of str to str
        Those of the project's ``.env``.
    airflow_version, home : str
        As for `airflow_variables`.
    """
    return tuple(_fixed(variables, version=Version(airflow_version), home=home, dsn="", port=0, secret=""))


def overridden_variables(variables: Mapping[str, str], *, airflow_version: str, home: str) -> tuple[str, ...]:
    """Name the variables of ``.env`` that have no effect, since the engine sets them itself.

    That a value is also the engine's own makes no difference: it would not be followed if it were changed.

    Parameters
    ----------
    variables : Mapping of str to str
        Those of the project's ``.env``.
    airflow_version, home : str
        As for `airflow_variables`.
    """
    # To the user's list of backends, the engine only adds its own.
    added = {"AIRFLOW__API__AUTH_BACKENDS"}
    taken = set(engine_variables(variables, airflow_version=airflow_version, home=home)) - added
    # Airflow looks for a command or a secret's name only where the variable itself is not set.
    return tuple(
        sorted(key for key in variables if {key, key.removesuffix("_CMD"), key.removesuffix("_SECRET")} & taken)
    )


def _fixed(
    variables: Mapping[str, str], *, version: Version, home: str, dsn: str, port: int, secret: str
) -> dict[str, str]:
    fixed = {
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__FERNET_KEY": _FERNET_KEY,
        "AIRFLOW__CORE__PLUGINS_FOLDER": f"{home}/plugins",
        "AIRFLOW__CORE__SQL_ALCHEMY_CONN": dsn,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": dsn,
    }
    chosen = variables.get(_DAGS_FOLDER)
    # Left alone otherwise: the image, too, may have chosen a folder inside.
    if chosen is not None and not _is_inside(chosen, f"{home}/dags"):
        fixed[_DAGS_FOLDER] = f"{home}/dags"
    return fixed | (_fixed_2(variables, version, port, secret) if version.major < 3 else _fixed_3(port, secret))


def _fixed_3(port: int, secret: str) -> dict[str, str]:
    return {
        "AIRFLOW__API__BASE_URL": f"http://localhost:{port}",
        # Inside of the container; what is published is told by the ports.
        "AIRFLOW__API__HOST": ANY_ADDRESS,
        "AIRFLOW__API__PORT": "8080",
        "AIRFLOW__API__SECRET_KEY": secret,
        # Shorter than 64 bytes, each token would put a warning into the logs.
        "AIRFLOW__API_AUTH__JWT_SECRET": f"{secret}-{hashlib.sha256(secret.encode()).hexdigest()}",
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "http://api-server:8080/execution/",
        "AIRFLOW__SCHEDULER__STANDALONE_DAG_PROCESSOR": "True",
    }


def _fixed_2(variables: Mapping[str, str], version: Version, port: int, secret: str) -> dict[str, str]:
    key = "AIRFLOW__API__AUTH_BACKENDS" if version >= Version("2.3") else "AIRFLOW__API__AUTH_BACKEND"
    own = _BASIC_AUTH if key.endswith("S") else _BASIC_AUTH[:1]
    theirs = [part.strip() for part in variables.get(key, "").split(",") if key.endswith("S") and part.strip()]
    return {
        key: ",".join(dict.fromkeys([*own, *theirs])),
        "AIRFLOW__SCHEDULER__STANDALONE_DAG_PROCESSOR": "False",
        "AIRFLOW__WEBSERVER__BASE_URL": f"http://localhost:{port}",
        "AIRFLOW__WEBSERVER__SECRET_KEY": secret,
        "AIRFLOW__WEBSERVER__WEB_SERVER_HOST": ANY_ADDRESS,
        "AIRFLOW__WEBSERVER__WEB_SERVER_PORT": "8080",
    }


def _is_inside(path: str, folder: str) -> bool:
    parts = PurePosixPath(path).parts
    return ".." not in parts and PurePosixPath(path).is_relative_to(folder)
