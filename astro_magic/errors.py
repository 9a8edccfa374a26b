"""The exception tree of Astro Magic.

Every failure that a user can meet is one of these; each one says what happened (``message``), what to do
(``hint``) and, where something else spoke first, its last words (``detail``)::

    AstroMagicError
    ├── ProjectError                 a project on disk
    │   ├── ProjectNotFoundError     no Astro project here or in a folder above
    │   ├── FileConflictError        the file changed since it was read
    │   ├── FileAccessError          it cannot be read or written (permission, disk full, not a file)
    │   ├── InvalidPathError         the path leaves the project, or is no path for this kind of file
    │   ├── InvalidContentError      the content cannot be what the file has to hold
    │   └── NothingToUndoError       the history has nothing that can be taken back
    ├── DependencyError              requirements and the environment made from them
    │   ├── ResolutionError          the requirements cannot be installed together
    │   ├── InstallationError        they resolve, but installing them failed
    │   ├── InterpreterNotFoundError no suitable Python on this machine
    │   └── NetworkError             a server of packages or repositories could not be reached, or refused
    ├── EngineError                  the place where Airflow runs
    │   ├── EngineUnavailableError   this engine cannot run here
    │   ├── ProjectBusyError         another process is working on this project
    │   ├── RestartNeededError       only a restart can bring what was asked for
    │   ├── NotRunningError          Airflow is not running
    │   ├── PortInUseError           the port asked for is taken
    │   ├── BuildFailedError         the image could not be built
    │   ├── StartFailedError         Airflow did not get healthy
    │   │   └── DatabaseError        the metadata database cannot be used as it is
    │   └── CommandFailedError       a command in the environment ended with an error
    └── AirflowError                 a running Airflow, or a DAG
        ├── ApiError                 the REST API refused or did not answer
        ├── DagNotFoundError         no DAG of that name
        ├── DagImportError           a DAG file does not import
        └── DagRunFailedError        a DAG run did not succeed
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

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
    "ProjectBusyError",
    "ProjectError",
    "ProjectNotFoundError",
    "ResolutionError",
    "RestartNeededError",
    "StartFailedError",
]

_OURS = str(Path(__file__).parent)


class AstroMagicError(Exception):
    """Base of everything that Astro Magic raises on purpose.

    Parameters
    ----------
    message : str
        What happened and why, in one sentence.
    hint : str, optional
        What to do about it.
    detail : str, optional
        The last words of the tool, the traceback or the log that stands behind it. Shown below the hint.
    """

    #: Show the Python traceback as well. Set by ``%config AstroMagic.verbose_errors``.
    verbose = False

    def __init__(self, message: str, *, hint: str | None = None, detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail
        self._hide: Callable[[str], str] = str

    def hide(self, hide: Callable[[str], str]) -> None:
        """Take secrets out of all that is shown of it, the errors behind it included.

        Parameters
        ----------
        hide : callable
            Gives a text without its secrets.
        """
        self._hide = hide
        self.message = hide(self.message)
        self.hint = hide(self.hint) if self.hint else self.hint
        self.detail = hide(self.detail) if self.detail else self.detail
        self.args = (self.message,)

    def __str__(self) -> str:
        return "\n".join(part for part in (self.message, self.hint, self.detail) if part)

    def _render_traceback_(self) -> list[str]:
        """Give the lines that IPython shows instead of a traceback."""
        if self.verbose:
            found = traceback.TracebackException.from_exception(self)
            # What stands above is IPython's, and the cell with all that was written in it.
            ours = next((place for place, frame in enumerate(found.stack) if frame.filename.startswith(_OURS)), 0)
            del found.stack[:ours]
            return [self._hide("".join(found.format()))]
        return [f"{type(self).__name__}: {self}"]


class ProjectError(AstroMagicError):
    """Something about a project on disk."""


class ProjectNotFoundError(ProjectError):
    """There is no Astro project here or in a folder above."""


class FileConflictError(ProjectError):
    """The file changed since it was read."""


class FileAccessError(ProjectError):
    """The file cannot be read or written."""


class InvalidPathError(ProjectError):
    """The path leaves the project, or is no path for this kind of file."""


class InvalidContentError(ProjectError):
    """The content cannot be what the file has to hold."""


class NothingToUndoError(ProjectError):
    """The history has nothing that can be taken back."""


class DependencyError(AstroMagicError):
    """Something about requirements and the environment made from them."""


class ResolutionError(DependencyError):
    """The requirements cannot be installed together."""


class InstallationError(DependencyError):
    """The requirements resolve, but installing them failed."""


class InterpreterNotFoundError(DependencyError):
    """There is no suitable Python on this machine."""


class NetworkError(DependencyError):
    """A server that packages or repositories come from could not be reached, or refused."""


class EngineError(AstroMagicError):
    """Something about the place where Airflow runs."""


class EngineUnavailableError(EngineError):
    """The engine cannot run here."""


class ProjectBusyError(EngineError):
    """Another process is working on this project."""


class RestartNeededError(EngineError):
    """What was asked for cannot be done while Airflow runs; a restart brings it."""


class NotRunningError(EngineError):
    """Airflow is not running."""


class PortInUseError(EngineError):
    """The port asked for is taken."""


class BuildFailedError(EngineError):
    """The image could not be built."""


class StartFailedError(EngineError):
    """Airflow did not get healthy."""


class DatabaseError(StartFailedError):
    """The metadata database cannot be used as it is."""


class CommandFailedError(EngineError):
    """A command in the environment ended with an error."""


class AirflowError(AstroMagicError):
    """Something about a running Airflow, or a DAG."""


class ApiError(AirflowError):
    """The REST API refused or did not answer."""


class DagNotFoundError(AirflowError):
    """There is no DAG of that name."""


class DagImportError(AirflowError):
    """A DAG file does not import."""


class DagRunFailedError(AirflowError):
    """A DAG run did not succeed."""
