"""Choose the port of the Airflow UI: the one asked for, the remembered, the configured, else a free one."""

from __future__ import annotations

import socket

from astro_magic.errors import PortInUseError
from astro_magic.machine.ports import is_free, listener_on

__all__ = ["choose_port", "owner_of"]

_ADDRESS = "127.0.0.1"


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
    listener = listener_on(port)
    return f" by {listener.name or 'a process'} (process {listener.pid})" if listener else ""
