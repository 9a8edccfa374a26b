"""What the Astro CLI 1.45 does in its standalone mode, as its source says, with the real ``airflow standalone``."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from astro_magic.project.project import Project

__all__ = ["AstroCli"]

_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.5
_FERNET_KEY = "d6Vefz3G9U_ynXB3cr7y_Ak35tAHkEGAVxuz_B-jzWw="


class AstroCli:
    """``astro dev start --standalone``, ``ps``, ``logs`` and ``stop`` in a project.

    Parameters
    ----------
    project : Project
        The project.
    environment : Path, optional
        An environment that stands for the ``.venv`` that the CLI would make; only a start needs it.
    """

    def __init__(self, project: Project, environment: Path | None = None) -> None:
        self.project = project
        self.root, self.state = project.root, project.root / ".astro" / "standalone"
        self.pid_file, self.log = self.state / "airflow.pid", self.state / "airflow.log"
        self.unique = f"{project.name}_{hashlib.md5(os.fsencode(self.root), usedforsecurity=False).hexdigest()[:6]}"
        self.routes = Path(os.environ["ASTRO_HOME"]) / ".astro" / "proxy" / "routes.json"
        if environment is not None:
            (self.root / ".venv").symlink_to(environment)

    def start(self, port: int, *, major: int = 3) -> int:
        """Start Airflow as the leader of a process group; give its process id."""
        if self._alive():
            raise AssertionError("Airflow is already running")
        self.state.mkdir(parents=True, exist_ok=True)
        (self.state / "airflow_version").write_text(str(major))
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                [self.root / ".venv" / "bin" / "airflow", "standalone"],
                cwd=self.root,
                env=self._variables(port, major),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        self.pid_file.write_text(str(process.pid))
        entry = {"hostname": "shop.localhost", "port": str(port), "projectDir": str(self.root), "pid": process.pid}
        self._write_routes([*self._others(), entry])
        # The CLI ends after its start, and its child gets another parent.
        process.returncode = 0
        return process.pid

    def ps(self) -> dict[str, Any]:
        """Tell what ``astro dev ps --json`` does."""
        pid = self._alive()
        return {"mode": "standalone", "running": bool(pid), "pid": pid}

    def logs(self, *components: str) -> list[str]:
        """Give what ``astro dev logs`` prints: lines that begin with the name of a component and a blank."""
        lines = self.log.read_text().splitlines()
        return [line for line in lines if any(line.startswith(f"{name} ") for name in components)]

    def stop(self) -> None:
        """Stop Airflow as ``astro dev stop`` does."""
        pid = self._alive()
        self._write_routes(self._others())
        if pid:
            os.killpg(pid, signal.SIGTERM)
            deadline = time.monotonic() + _STOP_SECONDS
            while _lives(pid) and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
            if _lives(pid):
                os.killpg(pid, signal.SIGKILL)
        self.pid_file.unlink(missing_ok=True)

    def route(self) -> dict[str, Any] | None:
        """Give what is registered for the project."""
        return next((entry for entry in self._routes() if entry["projectDir"] == str(self.root)), None)

    def _alive(self) -> int:
        try:
            pid = int(self.pid_file.read_text())
        except (OSError, ValueError):
            return 0
        return pid if _lives(pid) else 0

    def _variables(self, port: int, major: int) -> dict[str, str]:
        shared = {
            **os.environ,
            **self.project.variables(),
            "PATH": f"{self.root}/.venv/bin:{os.environ['PATH']}",
            "PYTHONPATH": str(self.root),
            "AIRFLOW_HOME": str(self.state),
            "ASTRONOMER_ENVIRONMENT": "local",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": f"{self.root}/dags",
            "AIRFLOW__CORE__FERNET_KEY": _FERNET_KEY,
        }
        if major < 3:
            return {
                **shared,
                "AIRFLOW__CORE__PLUGINS_FOLDER": f"{self.root}/plugins",
                "AIRFLOW__WEBSERVER__WEB_SERVER_PORT": str(port),
                "AIRFLOW__WEBSERVER__WORKERS": "1",
                "AIRFLOW__WEBSERVER__SECRET_KEY": self.unique,
                "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
                "_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK": "1",
                "AIRFLOW__CORE__EXECUTE_TASKS_NEW_PYTHON_INTERPRETER": "True",
                "AIRFLOW__API__AUTH_BACKENDS": "airflow.api.auth.backend.basic_auth",
            }
        return {
            **shared,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://localhost:{port}/execution/",
            "AIRFLOW__API__SECRET_KEY": self.unique,
            "AIRFLOW__API_AUTH__JWT_SECRET": self.unique,
        }

    def _routes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.routes.read_text()) if self.routes.exists() else []
        return found

    def _others(self) -> list[dict[str, Any]]:
        return [entry for entry in self._routes() if entry["projectDir"] != str(self.root)]

    def _write_routes(self, entries: list[dict[str, Any]]) -> None:
        self.routes.parent.mkdir(parents=True, exist_ok=True)
        self.routes.write_text(json.dumps(entries, indent=2))


def _lives(pid: int) -> bool:
    # Its init collects it; here that is this process, which has started it.
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
