"""The client's way to an engine on a Unix socket, which also closes a socket that could not be connected.

Import it only where the client is needed: this module imports it.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from docker.transport.unixconn import UnixHTTPAdapter, UnixHTTPConnection, UnixHTTPConnectionPool

__all__ = ["SocketAdapter"]


class _Line(UnixHTTPConnection):  # type: ignore[misc]
    def connect(self) -> None:
        with contextlib.ExitStack() as unless_connected:
            line = unless_connected.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            line.settimeout(self.timeout)
            line.connect(self.unix_socket)
            self.sock = line
            unless_connected.pop_all()


class _Lines(UnixHTTPConnectionPool):  # type: ignore[misc]
    def _new_conn(self) -> _Line:
        return _Line(self.base_url, self.socket_path, self.timeout)


class SocketAdapter(UnixHTTPAdapter):  # type: ignore[misc]
    """Gives each thread a connection of its own, up to a number that is kept."""

    def get_connection(self, url: str, proxies: Any = None) -> _Lines:  # noqa: ARG002
        """Give the pool of connections for a request."""
        with self.pools.lock:
            pool: _Lines | None = self.pools.get(url)
            if pool is None:
                pool = self.pools[url] = _Lines(url, self.socket_path, self.timeout, maxsize=self.max_pool_size)
            return pool
