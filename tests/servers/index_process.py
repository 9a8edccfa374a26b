"""The process of a private package index: pypiserver behind a server that speaks TLS and notes what it is asked.

Its settings are read from standard input, since they hold a password.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pypiserver
from cheroot import wsgi
from cheroot.ssl.builtin import BuiltinSSLAdapter

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Noted:
    """An application of which each request is written down: what was asked, what was answered, and no login."""

    def __init__(self, application: Application, notes: Path, wrong_login: int) -> None:
        self._application = application
        self._notes = notes
        self._wrong_login = wrong_login

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def answer(status: str, headers: list[tuple[str, str]], failure: object = None) -> Any:
            # Of itself, pypiserver only answers a login with this that it does not know.
            if status.startswith("403") and self._wrong_login == 401:
                status, headers = "401 Unauthorized", [*headers, ("WWW-Authenticate", 'Basic realm="pypi"')]
            request = {
                "method": environ["REQUEST_METHOD"],
                "path": environ["PATH_INFO"],
                "login": "HTTP_AUTHORIZATION" in environ,
                "status": int(status.partition(" ")[0]),
            }
            with self._notes.open("a") as notes:
                notes.write(f"{json.dumps(request)}\n")
            return start_response(status, headers, failure)

        return self._application(environ, answer)


def main() -> None:
    """Serve until the process is ended."""
    settings = json.load(sys.stdin)
    login = settings["user"], settings["password"]
    application = pypiserver.app(
        roots=[Path(settings["packages"])],
        authenticate=["update", "download", "list"],
        auther=lambda user, password: (user, password) == login,
        # What it does not have is not looked for elsewhere, and what was added a moment ago is there.
        disable_fallback=True,
        backend_arg="simple-dir",
    )
    noted = Noted(application, Path(settings["notes"]), settings["wrong_login"])
    server = wsgi.Server((settings["host"], settings["port"]), noted)
    if settings["certificate"] is not None:
        server.ssl_adapter = BuiltinSSLAdapter(*settings["certificate"])
    server.prepare()
    sys.stdout.write(f"listening on port {settings['port']}\n")
    sys.stdout.flush()
    server.serve()


if __name__ == "__main__":
    main()
