"""Choose the port of the Airflow UI: the one asked for, the remembered, the configured, else a free one."""

from __future__ import annotations

import contextlib
import socket

import psutil

from astro_magic.errors import PortInUseError

__all__ = ["choose_port", "is_free", "owner_of"]

_ADDRESS = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address, on every interface too."""
    for address in (_ADDRESS, ""):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def choose_port(asked: int | None, *preferred: int | None) -> int:
    """Give a port that is free now.

    Parameters
    ----------
    asked : int or None
        The port that the user insists on.
    *preferred : int or None
        Ports to try first, best first.

    Raises
    ------
    PortInUseError
        When `asked` is taken; names who has it, where that can be seen.
    """
    if asked is not None:
        if not is_free(asked):
            msg = f"Port {asked} is taken{owner_of(asked)}."
            raise PortInUseError(msg, hint="Leave out --port to take a free one, or give another.")
        return asked
    for port in preferred:
        if port is not None and is_free(port):
            return port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((_ADDRESS, 0))
        return int(probe.getsockname()[1])


def owner_of(port: int) -> str:
    """Say who listens on a port, as `` by NAME (process 123)``; empty when that cannot be seen."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    return ""
