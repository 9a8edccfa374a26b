"""How each Airflow component is run in a forked process."""

from __future__ import annotations

import hashlib
import hmac
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

__all__ = ["COMPONENTS", "IDENTITY_PATH", "Component", "run", "stage_of"]

#: Answers a challenge, so that a health check knows whose API it talks to.
IDENTITY_PATH = "/astro-magic/identity"

#: The log servers of scheduler and triggerer would listen on every interface; the API server reads the files.
COMPONENTS: dict[str, list[str]] = {
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
    "api server": ["api-server"],
}

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[Any]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Component:
    """A component and the process that runs it now."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pid: int | None = None
        self.started = 0.0
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


def stage_of(component: str) -> str:
    """Give the preload stage that a component needs."""
    return "api" if component == "api server" else "core"


def run(component: str, secret: bytes) -> None:
    """Run a component in this process until it ends."""
    from airflow.cli import cli_parser

    if component == "api server":
        from airflow.api_fastapi import main

        main.app = _Identity(main.app, secret)  # type: ignore[assignment,unused-ignore]
    argv = COMPONENTS[component]
    sys.argv = ["airflow", *argv]
    arguments = cli_parser.get_parser().parse_args(argv)
    arguments.func(arguments)


class _Identity:
    """The API server's application, with one path more: proof that it belongs to this project."""

    def __init__(self, application: Any, secret: bytes) -> None:
        self.application = application
        self.secret = secret

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Answer the challenge; hand on everything else."""
        if scope["type"] != "http" or scope["path"] != IDENTITY_PATH:
            await self.application(scope, receive, send)
            return
        answer = hmac.new(self.secret, bytes(scope["query_string"]), hashlib.sha256).hexdigest()
        headers = [(b"content-type", b"text/plain"), (b"x-process", str(os.getpid()).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer.encode()})
