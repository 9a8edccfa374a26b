"""How containers ended."""

from __future__ import annotations

from datetime import datetime

from astro_magic.engines.docker.client.connection import Connection, guard

__all__ = ["ended", "last_exit_code"]


def ended(exit_code: int, *, out_of_memory: bool) -> str:
    """Say how a container ended."""
    if out_of_memory:
        return f"was killed for want of memory (exit code {exit_code})"
    if exit_code == 137:
        return "was killed (exit code 137)"
    return f"ended with exit code {exit_code}"


def last_exit_code(connection: Connection, container: str, before: datetime) -> int | None:
    """Give what a container ended with last, though it runs again and its state tells no more of it.

    Parameters
    ----------
    connection : Connection
        The engine.
    container : str
        The container's id, in full.
    before : datetime
        When it was started last, by the engine's clock.

    Returns
    -------
    int or None
        None when the engine, which keeps a few hundred events, knows nothing of it.
    """
    filters = {"container": container, "event": ["die", "died"]}
    with guard("looking at how a container ended"):
        events = connection.api.events(since="1", until=f"{before.timestamp():.6f}", filters=filters, decode=True)
        try:
            codes = [event.get("Actor", {}).get("Attributes", {}).get("exitCode") for event in events]
        finally:
            events.close()
    told = [code for code in codes if code is not None]
    return int(told[-1]) if told else None
