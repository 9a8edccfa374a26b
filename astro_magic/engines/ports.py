"""Choose the port of the Airflow UI: the one asked for, the remembered, the configured, else a free one."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

from astro_magic.errors import PortInUseError, ProjectBusyError
from astro_magic.machine.ports import is_free, listener_on
from astro_magic.system.folders import runtime_folder
from astro_magic.system.locks import hold

__all__ = ["PortChooser", "choose_port", "choosing_ports", "owner_of"]

#: Gives a port, as `choose_port` does.
PortChooser: TypeAlias = Callable[..., int]

_ADDRESS = "127.0.0.1"
_ANOTHER = "Leave out --port to take a free one, or give another."


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
            raise PortInUseError(msg, hint=_ANOTHER)
        return asked
    return _first_free(preferred, is_free)


@contextmanager
def choosing_ports(*own: int | None) -> Iterator[PortChooser]:
    """Choose ports that no other start of this user chooses as long as the block runs.

    A port is free until somebody listens on it, which of two environments that start at once takes a while.

    Parameters
    ----------
    *own : int or None
        Ports of what is ended in the block, to be used again by what comes after it.
    """
    with ExitStack() as reserved:

        def reserve(port: int) -> bool:
            try:
                reserved.enter_context(hold(_reservation(port), purpose="starting what will listen there", timeout=0))
            except ProjectBusyError:
                return False
            return True

        def choose(asked: int | None, *preferred: int | None) -> int:
            if asked is not None:
                if not reserve(choose_port(asked)):
                    msg = f"Port {asked} is taken by another environment that is starting."
                    raise PortInUseError(msg, hint=_ANOTHER)
                return asked
            return _first_free(preferred, lambda port: is_free(port) and reserve(port))

        for port in own:
            if port is not None:
                reserve(port)
        yield choose


def _reservation(port: int) -> Path:
    folder = runtime_folder() / "ports"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{port}.lock"


def _first_free(preferred: Sequence[int | None], is_mine: Callable[[int], bool]) -> int:
    for port in preferred:
        if port is not None and is_mine(port):
            return port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((_ADDRESS, 0))
        return int(probe.getsockname()[1])


def owner_of(port: int) -> str:
    """Say who listens on a port, as `` by NAME (process 123)``; empty when that cannot be seen."""
    listener = listener_on(port)
    return f" by {listener.name or 'a process'} (process {listener.pid})" if listener else ""
