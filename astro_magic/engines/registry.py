"""Which engines there are, and which one a project gets."""

from __future__ import annotations

from importlib.metadata import entry_points

from astro_magic.engines.engine import Engine
from astro_magic.engines.local.engine import LocalEngine
from astro_magic.errors import EngineUnavailableError
from astro_magic.project.project import Project

__all__ = ["create_engine", "engine_names"]

_GROUP = "astro_magic.engines"
_BUILT_IN: dict[str, type[Engine]] = {LocalEngine.name: LocalEngine}


def engine_names() -> tuple[str, ...]:
    """Give the names of all engines, built in and registered."""
    return (*_BUILT_IN, *sorted(entry.name for entry in entry_points(group=_GROUP) if entry.name not in _BUILT_IN))


def create_engine(project: Project, *, engine: str = "auto") -> Engine:
    """Make the engine of that name for a project.

    Parameters
    ----------
    project : Project
        What it works on.
    engine : str
        A name, or ``auto`` for the one that suits this machine.

    Raises
    ------
    EngineUnavailableError
        When there is no engine of that name.
    """
    name = LocalEngine.name if engine == "auto" else engine
    if name in _BUILT_IN:
        return _BUILT_IN[name](project)
    for entry in entry_points(group=_GROUP):
        if entry.name == name:
            registered: type[Engine] = entry.load()
            return registered(project)
    msg = f"There is no engine named {name}."
    raise EngineUnavailableError(msg, hint=f"Engines: {', '.join(engine_names())}.")
