"""What the local engine's Airflow is told: its configuration, as environment variables.

Precedence, lowest first: the kernel's environment, defaults that a project may change, the project's ``.env``, and
what the engine itself depends on.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from astro_magic.engines.local.database.chosen import database_variables
from astro_magic.engines.local.environment import LocalEnvironment
from astro_magic.engines.local.inside.components import generation_of
from astro_magic.private.access import trust_settings
from astro_magic.project.project import Project
from astro_magic.system.files import write_atomic
from astro_magic.system.locks import hold

__all__ = [
    "AIRFLOW_USER",
    "LocalSecrets",
    "airflow_environment",
    "command_environment",
    "login_words",
    "overridden",
    "read_secrets",
    "with_added",
]

AIRFLOW_USER = "admin"
#: The key that the Astro CLI uses for every local project; each tool must be able to read the other's connections.
_FERNET_KEY = "d6Vefz3G9U_ynXB3cr7y_Ak35tAHkEGAVxuz_B-jzWw="
#: What belongs to the kernel: its plotting backend, its path, its debugging switches.
_KERNEL_ONLY = (
    "MPLBACKEND",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONSTARTUP",
    "VIRTUAL_ENV",
    "JPY_PARENT_PID",
    "JPY_SESSION_NAME",
    "PYDEVD_USE_FRAME_EVAL",
    "GIT_PAGER",
    "PAGER",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "FORCE_COLOR",
)
_DEFAULTS = {
    "AIRFLOW__CORE__PARALLELISM": "4",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "ASTRONOMER_ENVIRONMENT": "local",
}
#: Seconds; they are made in a moment.
_SECRETS_TIMEOUT = 20.0
#: So that a new or changed file is seen within a second.
_DEFAULTS_2 = {
    "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "1",
    "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "1",
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "1",
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_FETCH_INTERVAL": "1",
    "AIRFLOW__WEBSERVER__WARN_DEPLOYMENT_EXPOSURE": "False",
}
_DEFAULTS_3 = {
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "1",
    "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "1",
    # The first task has the API server build what tasks talk to. On a busy machine that takes longer than five tries of
    # five seconds, after which the task fails.
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
    # What watches a task may sleep as long as this, in seconds, after the task has ended; a stop waits for it.
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
}


@dataclass(frozen=True)
class LocalSecrets:
    """The secrets of a project's local Airflow; made once, and readable by their owner only."""

    jwt: str = field(repr=False)
    session: str = field(repr=False)
    password: str = field(repr=False)


def read_secrets(project: Project) -> LocalSecrets:
    """Give the project's secrets; make them at the first call."""
    file = project.state_dir / "secrets.json"
    known = _read_secrets(file)
    if known is not None:
        return known
    project.make_state_dir()
    with hold(project.state_dir / "secrets.lock", purpose="making its secrets", timeout=_SECRETS_TIMEOUT):
        known = _read_secrets(file)
        if known is None:
            names = {"jwt": 48, "session": 48, "password": 12}
            known = LocalSecrets(**{name: secrets.token_urlsafe(length) for name, length in names.items()})
            write_atomic(file, json.dumps(asdict(known)).encode(), mode=0o600)
    return known


def _read_secrets(file: Path) -> LocalSecrets | None:
    try:
        return LocalSecrets(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def ready_secrets(project: Project) -> LocalSecrets:
    """Give the project's secrets to what is started, and see to it that the file is right in which Airflow has one.

    Airflow makes a password of its own where that file has none, and writes it into a log.
    """
    known = read_secrets(project)
    file = _passwords_file(project)
    wanted = json.dumps({AIRFLOW_USER: known.password}).encode()
    if not file.exists() or file.read_bytes() != wanted:
        write_atomic(file, wanted, mode=0o600)
    return known


def login_words(project: Project) -> str:
    """Say how a person logs in to the Airflow UI: who, and where the password stands."""
    return f"user {AIRFLOW_USER}, password in {_passwords_file(project).relative_to(project.root.parent)}"


def _passwords_file(project: Project) -> Path:
    return project.state_dir / "passwords.json"


def command_environment(project: Project, environment: LocalEnvironment, *, port: int | None) -> dict[str, str]:
    """Give the environment of a command such as ``airflow dags list`` or ``pip freeze``."""
    base = {name: value for name, value in os.environ.items() if name not in _KERNEL_ONLY}
    if sys.platform == "darwin":
        # Forked processes crash in macOS's own look-up of proxies and in its check of Objective-C's state.
        base = {"NO_PROXY": "*", "no_proxy": "*", "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES"} | base
    path = os.pathsep.join([os.fspath(environment.folder / "bin"), base.get("PATH", os.defpath)])
    base |= trust_settings(project)
    variables = airflow_environment(project, environment.airflow_version, port=port)
    return {**base, **variables, "PATH": path, "VIRTUAL_ENV": str(environment.folder)}


def with_added(variables: Mapping[str, str], added: Path) -> dict[str, str]:
    """Let Python and the shell find packages that were added to what runs, after what they find already."""
    first, *others = variables["PATH"].split(os.pathsep)
    path = os.pathsep.join([first, os.fspath(added / "bin"), *others])
    return {**variables, "PATH": path, "PYTHONPATH": f"{variables['PYTHONPATH']}{os.pathsep}{added}"}


def airflow_environment(project: Project, airflow_version: str, *, port: int | None) -> dict[str, str]:
    """Give the variables that make Airflow this project's: the defaults, ``.env``, and the engine's own."""
    defaults = _DEFAULTS | (_DEFAULTS_2 if generation_of(airflow_version) < 3 else _DEFAULTS_3)
    return {**defaults, **project.variables(), **_engine_variables(project, airflow_version, port or 8080)}


def overridden(project: Project, airflow_version: str) -> tuple[str, ...]:
    """Name the variables of ``.env`` that the engine sets itself, so that they have no effect."""
    return tuple(sorted(set(project.variables()) & set(_engine_variables(project, airflow_version, 8080))))


def _engine_variables(project: Project, airflow_version: str, port: int) -> Mapping[str, str]:
    shared = {
        "AIRFLOW_HOME": str(project.standalone_dir),
        "AIRFLOW__CORE__DAGS_FOLDER": str(project.root / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(project.root / "plugins"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__FERNET_KEY": _FERNET_KEY,
        "AIRFLOW__DATABASE__CHECK_MIGRATIONS": "False",
        **database_variables(project),
        "PYTHONPATH": str(project.root),
    }
    own = _variables_2(project, port) if generation_of(airflow_version) < 3 else _variables_3(project, port)
    return shared | own


def _variables_2(project: Project, port: int) -> dict[str, str]:
    return {
        # It would refuse SQLite, which takes one writer at a time and lets the others wait, for all but one task.
        "_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK": "1",
        "AIRFLOW__API__AUTH_BACKENDS": (
            "airflow.providers.fab.auth_manager.api.auth.backend.basic_auth,airflow.api.auth.backend.session"
        ),
        "AIRFLOW__SCHEDULER__STANDALONE_DAG_PROCESSOR": "False",
        "AIRFLOW__WEBSERVER__BASE_URL": f"http://localhost:{port}",
        "AIRFLOW__WEBSERVER__SECRET_KEY": read_secrets(project).session,
        "AIRFLOW__WEBSERVER__WEB_SERVER_HOST": "127.0.0.1",
        "AIRFLOW__WEBSERVER__WEB_SERVER_PORT": str(port),
    }


def _variables_3(project: Project, port: int) -> dict[str, str]:
    known = read_secrets(project)
    return {
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{AIRFLOW_USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_passwords_file(project)),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        # Several would be processes of their own, which cannot prove whose they are.
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__BASE_URL": f"http://localhost:{port}",
        "AIRFLOW__API__SECRET_KEY": known.session,
        "AIRFLOW__API_AUTH__JWT_SECRET": known.jwt,
    }
