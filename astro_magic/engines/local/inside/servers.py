"""The server of each version of Airflow, which proves whose it is, and takes requests of its own pages alone.

A health check must not take another server's answer. And that a server listens on the loopback address keeps no page
out that is open in the same browser: by a name that leads there, or from another port, it would be let in with the
login of the user.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .entrance import ENTRANCE_PATH, REFUSED, Gate, key_of

__all__ = ["IDENTITY_PATH", "guard_api", "refusal", "run_webserver"]

#: Answers a challenge, so that a health check knows whose API it talks to.
IDENTITY_PATH = "/astro-magic/identity"

_ALLOWED = "ASTRO_MAGIC_ALLOWED_HOSTS"
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"(?:[\w.-]+|\[[0-9a-fA-F:.]+\])(?::\d+)?")
_SAFE = ("GET", "HEAD", "OPTIONS")
_THREADS = 8
_LONGEST_FORM = 4096
_WORKER_TIMEOUT = 120
_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[Any]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_StartResponse = Callable[[str, list[tuple[str, str]]], Any]


def guard_api(secret: bytes, login: tuple[str, str]) -> None:
    """Guard the API server of Airflow 3, which is about to start in this process."""
    from airflow.api_fastapi import main

    main.app = _GuardedApi(main.app, secret, login)  # type: ignore[assignment,unused-ignore]


def run_webserver(secret: bytes, login: tuple[str, str]) -> None:
    """Run the webserver of Airflow 2, which otherwise starts another Python that imports everything anew.

    Its users are in the database: the one of ``login`` is made, or given that password.
    """
    from airflow.configuration import conf
    from airflow.www.app import cached_app
    from gunicorn.app.base import BaseApplication

    application = cached_app()
    with application.app_context():
        _ensure_user(application.appbuilder.sm, *login)
    address = f"{conf.get('webserver', 'web_server_host')}:{conf.getint('webserver', 'web_server_port')}"

    class Server(BaseApplication):
        def load_config(self) -> None:
            settings = {
                "bind": address,
                "worker_class": "gthread",
                "threads": _THREADS,
                "timeout": _WORKER_TIMEOUT,
                "graceful_timeout": 1,
                "accesslog": "-",
                "control_socket_disable": True,
            }
            for name, value in settings.items():
                if name in self.cfg.settings:
                    self.cfg.set(name, value)

        def load(self) -> Any:
            _add_entrance(application, Gate(key_of(secret, login[1])), login[0])
            return _GuardedWebserver(application, secret)

    Server().run()


def _ensure_user(manager: Any, name: str, password: str) -> None:
    user = manager.find_user(username=name)
    if user is not None:
        manager.reset_password(user.id, password)
        return
    role = manager.find_role("Admin")
    manager.add_user(name, "Airflow", "Admin", f"{name}@localhost.invalid", role, password=password)


def _add_entrance(application: Any, gate: Gate, name: str) -> None:
    """Let the user in who has a ticket; the form comes from a file, so it has no token of Airflow's."""
    from flask import redirect, request
    from flask_login import login_user

    def enter() -> Any:
        if not gate.admits(request.form.get("ticket", "")):
            return REFUSED, 403, {"Content-Type": "text/plain; charset=utf-8"}
        login_user(application.appbuilder.sm.find_user(username=name))
        return redirect("/", 303)

    application.add_url_rule(ENTRANCE_PATH, view_func=enter, methods=["POST"])
    application.extensions["csrf"].exempt(enter)


class _GuardedApi:
    """The API server's application, with two paths more: proof that it belongs to this project, and a way in."""

    def __init__(self, application: Any, secret: bytes, login: tuple[str, str]) -> None:
        self.application = application
        self.secret = secret
        self.name = login[0]
        self.gate = Gate(key_of(secret, login[1]))

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Answer the challenge, refuse what comes from elsewhere, hand on everything else."""
        if scope["type"] == "http" and scope["path"] == IDENTITY_PATH:
            await _answer(send, 200, _proof(self.secret, bytes(scope["query_string"])))
            return
        if scope["type"] in ("http", "websocket"):
            headers = {
                bytes(name).decode("latin-1"): bytes(value).decode("latin-1") for name, value in scope["headers"]
            }
            entering = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == ENTRANCE_PATH
            # Whoever has a ticket comes from a file, which is no page of this host.
            words = refusal("GET" if entering else scope.get("method", "GET"), headers)
            if words and scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            if words:
                await _answer(send, 403, words.encode())
                return
            if entering:
                await self._enter(receive, send)
                return
        await self.application(scope, receive, send)

    async def _enter(self, receive: _Receive, send: _Send) -> None:
        """Give who has a ticket the cookie that Airflow's own login page gives."""
        ticket = parse_qs(await _form(receive)).get("ticket", [""])[0]
        if not self.gate.admits(ticket):
            await _answer(send, 403, REFUSED.encode())
            return
        from airflow.api_fastapi.app import get_auth_manager
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=self.name, role="ADMIN"))
        # The pages of Airflow 3.0 read it by themselves, so that it cannot be kept from scripts.
        cookie = f"_token={token}; Path=/; SameSite=Lax"
        headers = [(b"location", b"/"), (b"set-cookie", cookie.encode()), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


async def _form(receive: _Receive) -> str:
    """Read the body of a request; nothing of one that is longer than a ticket."""
    body = b""
    while len(body) <= _LONGEST_FORM:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body.decode("latin-1")
    return ""


async def _answer(send: _Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-process", str(os.getpid()).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _GuardedWebserver:
    """The webserver's application with the same path."""

    def __init__(self, application: Any, secret: bytes) -> None:
        self.application = application
        self.secret = secret

    def __call__(self, environ: dict[str, Any], start_response: _StartResponse) -> Iterable[bytes]:
        """Answer the challenge, refuse what comes from elsewhere, hand on everything else."""
        headers = {
            name[5:].replace("_", "-").lower(): str(value)
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        if environ.get("PATH_INFO") == IDENTITY_PATH:
            status = "200 OK"
            body = _proof(self.secret, str(environ.get("QUERY_STRING", "")).encode("latin-1"))
        elif words := refusal(_method(environ), headers):
            status, body = "403 Forbidden", words.encode()
        else:
            answer: Iterable[bytes] = self.application(environ, start_response)
            return answer
        start_response(status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
        return [body]


def _method(environ: Mapping[str, Any]) -> str:
    """Give the method of a request; whoever comes with a ticket comes from a file, which is no page of this host."""
    method = str(environ.get("REQUEST_METHOD", "GET"))
    return "GET" if method == "POST" and environ.get("PATH_INFO") == ENTRANCE_PATH else method


def refusal(method: str, headers: Mapping[str, str]) -> str:
    """Say why a request is refused; empty when it is not.

    ``headers`` have lower-case names. A host is this machine by name or address, or one that the variable
    ``ASTRO_MAGIC_ALLOWED_HOSTS`` names. What changes something comes from a page of the host that it is sent to, or
    from no page.
    """
    host = headers.get("host", "")
    allowed = {*_THIS_MACHINE, *os.environ.get(_ALLOWED, "").lower().replace(",", " ").split()}
    name = (urlsplit(f"//{host}").hostname or "") if _HOST.fullmatch(host) else ""
    if name not in allowed and not name.endswith(".localhost"):
        told = name or "a host without a name"
        return f"This Airflow is not known as {told}. {_ALLOWED} in .env names the hosts that it is known as.\n"
    origin = headers.get("origin", "")
    # Only a program, or a server in between that this machine runs, can set the second one.
    own = {host, headers.get("x-forwarded-host", host)}
    if origin and method not in _SAFE and urlsplit(origin).netloc not in own:
        return "A page of another site cannot change anything here.\n"
    return ""


def _proof(secret: bytes, challenge: bytes) -> bytes:
    return hmac.new(secret, challenge, hashlib.sha256).hexdigest().encode()
