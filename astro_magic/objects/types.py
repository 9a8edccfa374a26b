"""Connection types that the installed providers do not know: no hook can use such a connection."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from astro_magic.engines.engine import Engine
from astro_magic.errors import EngineError
from astro_magic.system.events import run

__all__ = ["unknown_types"]


def unknown_types(engine: Engine, types: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Find the connections whose type no installed provider knows.

    Parameters
    ----------
    engine : Engine
        Where Airflow is. One that cannot be asked knows nothing of it.
    types : Mapping of str to str
        By the id of a connection: its type.

    Returns
    -------
    dict of str to tuple of (str, str)
        By the id: what is wrong, and what to do.
    """
    from astro_magic.objects.asking import connection_types

    if not types:
        return {}
    try:
        known = run(connection_types(engine), lambda _: None)
    except EngineError:
        return {}
    return {name: _told(name, kind, known) for name, kind in types.items() if kind not in known}


def _told(name: str, kind: str, known: Iterable[str]) -> tuple[str, str]:
    close = difflib.get_close_matches(kind, list(known), n=1)
    message = f"No installed provider knows the type {kind[:40]!r} of the connection {name[:60]!r}."
    provider = "Its provider belongs into requirements.txt; a DAG can read the connection without it."
    return message, f"Did you mean {close[0]}? {provider}" if close else provider
