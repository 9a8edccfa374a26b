"""Run Apache Airflow projects from a notebook.

``%load_ext astro_magic`` registers the magics. The same works from Python: see `Project` and `Environment`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from astro_magic.environment import Environment, open_environment
    from astro_magic.errors import (
        AirflowError,
        ApiError,
        AstroMagicError,
        BuildFailedError,
        CommandFailedError,
        DagImportError,
        DagNotFoundError,
        DagRunFailedError,
        DatabaseError,
        DependencyError,
        EngineError,
        EngineUnavailableError,
        FileAccessError,
        FileConflictError,
        InstallationError,
        InterpreterNotFoundError,
        InvalidContentError,
        InvalidPathError,
        NetworkError,
        NothingToUndoError,
        NotRunningError,
        PortInUseError,
        ProjectBusyError,
        ProjectError,
        ProjectNotFoundError,
        ResolutionError,
        RestartNeededError,
        StartFailedError,
    )
    from astro_magic.project.project import Project

__all__ = [
    "AirflowError",
    "ApiError",
    "AstroMagicError",
    "BuildFailedError",
    "CommandFailedError",
    "DagImportError",
    "DagNotFoundError",
    "DagRunFailedError",
    "DatabaseError",
    "DependencyError",
    "EngineError",
    "EngineUnavailableError",
    "Environment",
    "FileAccessError",
    "FileConflictError",
    "InstallationError",
    "InterpreterNotFoundError",
    "InvalidContentError",
    "InvalidPathError",
    "NetworkError",
    "NotRunningError",
    "NothingToUndoError",
    "PortInUseError",
    "Project",
    "ProjectBusyError",
    "ProjectError",
    "ProjectNotFoundError",
    "ResolutionError",
    "RestartNeededError",
    "StartFailedError",
    "__version__",
    "load_ipython_extension",
    "open_environment",
    "unload_ipython_extension",
]

__version__ = "0.1.0"

_HOMES = {
    "Environment": "astro_magic.environment",
    "Project": "astro_magic.project.project",
    "open_environment": "astro_magic.environment",
}


def __getattr__(name: str) -> Any:
    """Import an exported name when it is first used, so that importing the package stays cheap."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES.get(name, "astro_magic.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics; called by ``%load_ext astro_magic``."""
    from astro_magic.magics import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics out again; called by ``%unload_ext astro_magic``."""
    from astro_magic.magics import unload

    unload(shell)
