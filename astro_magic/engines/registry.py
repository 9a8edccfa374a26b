"""Which engines there are, and which one a project gets."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

from astro_magic.engines.docker.client.connection import answers
from astro_magic.engines.docker.engine import DockerEngine
from astro_magic.engines.engine import Engine
from astro_magic.engines.local.engine import LocalEngine
from astro_magic.engines.local.neighbour import find_neighbour
from astro_magic.errors import EngineUnavailableError
from astro_magic.project.project import Project
from astro_magic.system.files import write_atomic

__all__ = ["create_engine", "engine_names", "remember_engine"]

_GROUP = "astro_magic.engines"
_BUILT_IN: dict[str, type[Engine]] = {LocalEngine.name: LocalEngine, DockerEngine.name: DockerEngine}
#: What the Astro CLI calls them in ``dev.mode``.
_MODES = {"standalone": LocalEngine.name, "docker": DockerEngine.name}


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
        A name, or ``auto``: local processes where the Astro CLI has started some, else the one that the project was
        started with last, else the one that ``dev.mode`` in ``.astro/config.yaml`` names, else Docker where an engine
        answers, else local processes.

    Raises
    ------
    EngineUnavailableError
        When there is no engine of that name.
    """
    name = _suitable(project) if engine == "auto" else engine
    if name in _BUILT_IN:
        return _BUILT_IN[name](project)
    for entry in entry_points(group=_GROUP):
        if entry.name == name:
            registered: type[Engine] = entry.load()
            return registered(project)
    msg = f"There is no engine named {name}."
    raise EngineUnavailableError(msg, hint=f"Engines: {', '.join(engine_names())}.")


def remember_engine(project: Project, engine: Engine | None) -> None:
    """Remember what a project was started with, so that it is found there again; None forgets it."""
    if engine is None:
        _memory(project).unlink(missing_ok=True)
        return
    project.make_state_dir()
    write_atomic(_memory(project), engine.name.encode(), durable=False)


def _suitable(project: Project) -> str:
    if find_neighbour(project) is not None:
        return LocalEngine.name
    try:
        remembered = _memory(project).read_text(encoding="utf-8").strip()
    except OSError:
        remembered = ""
    if remembered in engine_names():
        return remembered
    mode = _MODES.get((project.config.get("dev.mode") or "").lower())
    return mode or (DockerEngine.name if answers() else LocalEngine.name)


def _memory(project: Project) -> Path:
    return project.state_dir / "engine"
