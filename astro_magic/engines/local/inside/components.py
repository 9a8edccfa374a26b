"""How each Airflow component is run in a forked process."""

from __future__ import annotations

import sys
from typing import Any

from . import servers

__all__ = ["SERVERS", "Component", "components_of", "generation_of", "run", "stage_of"]

#: By Airflow's major version, the arguments of the command line that run each. The log servers of scheduler and
#: triggerer would listen on every interface; the API server reads the files.
_COMMANDS: dict[int, dict[str, tuple[str, ...]]] = {
    2: {
        "scheduler": ("scheduler", "--skip-serve-logs"),
        "triggerer": ("triggerer", "--skip-serve-logs"),
        "webserver": (),
    },
    3: {
        "scheduler": ("scheduler", "--skip-serve-logs"),
        "dag processor": ("dag-processor",),
        "triggerer": ("triggerer", "--skip-serve-logs"),
        "api server": ("api-server",),
    },
}
#: Those that the others and the user's browser talk to.
SERVERS = ("api server", "webserver")


class Component:
    """A component and the process that runs it now."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pid: int | None = None
        #: By the time of day, which is told; and by a clock that nobody sets, which is counted with.
        self.started = 0.0
        self.begun = 0.0
        self.restarts = 0
        self.failures_in_a_row = 0
        self.due: float | None = None
        self.exit: str = ""

    def describe(self) -> dict[str, Any]:
        """Give what a status shows of it."""
        state = "running" if self.pid else "starting" if self.due is not None else "failed"
        return {
            "name": self.name,
            "state": state,
            "pid": self.pid,
            "since": self.started or None,
            "restarts": self.restarts,
            "exit": self.exit,
        }


def generation_of(airflow_version: str) -> int:
    """Give what of a version decides how Airflow is run: 2, or 3 for what came after it."""
    return 2 if airflow_version.startswith("2.") else 3


def components_of(airflow_version: str) -> tuple[str, ...]:
    """Give the components that a version of Airflow has, in the order in which they are started."""
    return tuple(_COMMANDS[generation_of(airflow_version)])


def stage_of(component: str) -> str:
    """Give the preload stage that a component needs."""
    return "api" if component in SERVERS else "core"


def run(component: str, airflow_version: str, secret: bytes, login: tuple[str, str]) -> None:
    """Run a component in this process until it ends.

    ``secret`` proves whose server it is, and ``login`` is the user and the password that a server is to know.
    """
    if component == "webserver":
        servers.run_webserver(secret, login)
        return
    from airflow.cli import cli_parser

    if component == "api server":
        servers.guard_api(secret, login)
    argv = list(_COMMANDS[generation_of(airflow_version)][component])
    sys.argv = ["airflow", *argv]
    arguments = cli_parser.get_parser().parse_args(argv)
    arguments.func(arguments)
