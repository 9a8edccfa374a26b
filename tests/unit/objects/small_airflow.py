"""A server that keeps connections, variables and pools as Airflow 3 does, and misbehaves where it is told to."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from astro_magic.airflow.client import AirflowClient
from astro_magic.airflow.writing import RESOURCES, KindName
from astro_magic.engines.answers import ApiAccess
from astro_magic.errors import EngineError, NotRunningError

__all__ = ["Answer", "SmallAirflow", "SmallEngine", "running"]

#: What is answered instead: a status and a body, or what breaks the connection ``before`` or ``after`` it was done.
Answer = tuple[int, Any] | str | None

TIMEOUT = 0.3
_KINDS: Mapping[str, KindName] = {resource.listing: kind for kind, resource in RESOURCES.items()}


class SmallAirflow(ThreadingHTTPServer):
    """What it keeps, by kind and name, what it was asked, and how it misbehaves."""

    daemon_threads = True

    def __init__(self) -> None:
        self.kept: dict[tuple[KindName, str], dict[str, Any]] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.fault: Callable[[str, str, Any], Answer] = lambda method, path, body: None
        self.lock = threading.Lock()
        self.add("pool", "default_pool", slots=128, include_deferred=False, description="Default pool")
        super().__init__(("127.0.0.1", 0), _Handler)

    def add(self, kind: KindName, name: str, **values: Any) -> None:
        """Keep an object, as if somebody had made it in Airflow."""
        empty: dict[str, Any] = dict.fromkeys(RESOURCES[kind].fields)
        self.kept[kind, name] = {**empty, **({"include_deferred": False} if kind == "pool" else {}), **values}

    @property
    def writes(self) -> list[tuple[str, str, Any]]:
        return [each for each in self.asked if each[0] != "GET" and each[1] != "/auth/token"]


class _Handler(BaseHTTPRequestHandler):
    server: SmallAirflow
    protocol_version = "HTTP/1.1"
    # One packet for an answer: a second one waits until the first was acknowledged.
    wbufsize = -1

    def do_any(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        url = urlsplit(self.path)
        with self.server.lock:
            self.server.asked.append((self.command, url.path, body))
            fault = self.server.fault(self.command, url.path, body)
            answer = fault if isinstance(fault, tuple) else self._answer(url, body) if fault != "before" else None
        if fault == "slow":
            time.sleep(3 * TIMEOUT)
        if isinstance(fault, str):
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        assert answer is not None
        status, content = answer
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_DELETE = do_any  # noqa: N815 - as the base class calls them

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, url: Any, body: Any) -> tuple[int, Any]:
        kept = self.server.kept
        if url.path == "/auth/token":
            return 201, {"access_token": "a-token"}
        _, _, _, section, *rest = url.path.split("/")
        kind = _KINDS[section]
        resource = RESOURCES[kind]
        if rest:
            return self._one(kind, unquote(rest[0]), body)
        if self.command == "GET":
            offset = int(parse_qs(url.query)["offset"][0])
            names = [name for each, name in kept if each == kind]
            rows = [self._shown(kind, name) for name in names]
            return 200, {resource.listing: rows[offset:], "total_entries": len(rows)}
        if self.command == "POST":
            if (kind, body[resource.id]) in kept:
                return 409, {"detail": "it is there"}
            self.server.add(kind, body.pop(resource.id), **body)
            return 201, {}
        told: dict[str, Any] = {}
        for action in body["actions"]:
            names = [each if isinstance(each, str) else each[resource.id] for each in action["entities"]]
            for name, entity in zip(names, action["entities"], strict=True):
                if action["action"] == "delete":
                    kept.pop((kind, name), None)
                else:
                    self.server.add(kind, name, **{key: entity[key] for key in entity if key != resource.id})
            told[action["action"]] = {"success": names, "errors": []}
        return 200, told

    def _one(self, kind: KindName, name: str, body: Any) -> tuple[int, Any]:
        kept = self.server.kept
        if (kind, name) not in kept:
            return 404, {"detail": "there is none"}
        if self.command == "DELETE":
            del kept[kind, name]
            return 204, b""
        if self.command == "PATCH":
            kept[kind, name].update({key: body[key] for key in body if key != RESOURCES[kind].id})
        return 200, self._shown(kind, name)

    def _shown(self, kind: KindName, name: str) -> dict[str, Any]:
        values = self.server.kept[kind, name]
        hidden = {"password": "***"} if values.get("password") else {}
        return {RESOURCES[kind].id: name, **values, **hidden}


class _Access(ApiAccess):
    def client(self) -> AirflowClient:
        return AirflowClient(self.base_url, self.username, self.password, timeout=TIMEOUT)


class SmallEngine:
    """Stands in for an engine that runs it; its database is read without the API."""

    def __init__(self, server: SmallAirflow) -> None:
        self.server = server
        self.running = True
        self.database_answers = True

    def api(self) -> ApiAccess:
        if not self.running:
            raise NotRunningError("Airflow does not run.")
        return _Access(f"http://127.0.0.1:{self.server.server_address[1]}", "me", "login-4711")

    def call(self, script: Any, request: Any, *, stage: str, event: Any) -> Generator[Any, None, Any]:
        yield event({})
        if not self.database_answers:
            raise EngineError("Airflow's database does not answer.")
        if request["ask"] == "types":
            return {"types": ["http", "postgres"]}
        kept = self.server.kept.items()
        return {
            "objects": [
                {"kind": kind, "name": name, "values": dict(values), "problems": []}
                for (kind, name), values in kept
                if kind in request["kinds"]
            ]
        }


@contextmanager
def running() -> Iterator[SmallAirflow]:
    """Serve one, as long as the context lasts."""
    server = SmallAirflow()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
