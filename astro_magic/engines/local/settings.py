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
from dataclasses import dataclass, field
from pathlib import Path

from astro_magic.engines.local.environments import LocalEnvironment
from astro_magic.project.project import Project
from astro_magic.system.files import write_atomic

__all__ = [
    "AIRFLOW_USER",
    "LocalSecrets",
    "airflow_environment",
    "command_environment",
    "login_words",
    "overridden",
    "read_secrets",
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
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "1",
    "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "ASTRONOMER_ENVIRONMENT": "local",
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
    try:
        return LocalSecrets(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        pass
    project.make_state_dir()
    made = {name: secrets.token_urlsafe(48) for name in ("jwt", "session")} | {"password": secrets.token_urlsafe(12)}
    write_atomic(file, json.dumps(made).encode(), mode=0o600)
    passwords = json.dumps({AIRFLOW_USER: made["password"]})
    write_atomic(_passwords_file(project), passwords.encode(), mode=0o600)
    return LocalSecrets(**made)


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
    return {**base, **airflow_environment(project, port=port), "PATH": path, "VIRTUAL_ENV": str(environment.folder)}


def airflow_environment(project: Project, *, port: int | None) -> dict[str, str]:
    """Give the variables that make Airflow this project's: the defaults, ``.env``, and the engine's own."""
    return {**_DEFAULTS, **project.variables(), **_engine_variables(project, port or 8080)}


def overridden(project: Project) -> tuple[str, ...]:
    """Name the variables of ``.env`` that the engine sets itself, so that they have no effect."""
    return tuple(sorted(set(project.variables()) & set(_engine_variables(project, 8080))))


def _engine_variables(project: Project, port: int) -> Mapping[str, str]:
    known = read_secrets(project)
    return {
        "AIRFLOW_HOME": str(project.standalone_dir),
        "AIRFLOW__CORE__DAGS_FOLDER": str(project.root / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(project.root / "plugins"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__FERNET_KEY": _FERNET_KEY,
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{AIRFLOW_USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_passwords_file(project)),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://localhost:{port}",
        "AIRFLOW__API__SECRET_KEY": known.session,
        "AIRFLOW__API_AUTH__JWT_SECRET": known.jwt,
        "AIRFLOW__DATABASE__CHECK_MIGRATIONS": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{project.standalone_dir / 'airflow.db'}",
        "PYTHONPATH": str(project.root),
    }
