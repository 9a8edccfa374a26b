"""What the magics of one IPython session share: the project in use, its environment, and the screen."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics

from astro_magic.errors import AstroMagicError
from astro_magic.magics.configuration import AstroMagic
from astro_magic.views.progress import Progress
from astro_magic.views.view import View

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from astro_magic.environment import Environment
    from astro_magic.magics.arguments import Arguments
    from astro_magic.project.fingerprint import Pending
    from astro_magic.project.project import Project

__all__ = ["AstroMagics", "Session"]


class Session:
    """What the magics of one IPython session share.

    Parameters
    ----------
    shell : InteractiveShell
        The shell that the magics are registered in.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.settings = AstroMagic(parent=shell)
        self._root: Path | None = None

    @property
    def in_notebook(self) -> bool:
        """Whether the front end can change what it has displayed."""
        return getattr(self.shell, "kernel", None) is not None

    def use(self, project: Project) -> None:
        """Work on a project from now on."""
        self._root = project.root

    def project(self, arguments: Arguments | None = None) -> Project:
        """Give the project that a magic is to work on.

        Parameters
        ----------
        arguments : Namespace, optional
            The magic's arguments; ``--project`` names another than the one in use.

        Raises
        ------
        ProjectNotFoundError
            When there is none.
        """
        from astro_magic.project.project import Project

        asked = getattr(arguments, "project", None)
        if asked is not None:
            return Project.find(Path(asked).expanduser())
        return Project.find(self._root if self._root is not None else ".")

    def environment(self, arguments: Arguments | None = None) -> Environment:
        """Give the environment of the project that a magic is to work on."""
        from astro_magic.environment import open_environment

        engine = getattr(arguments, "engine", None) or self.settings.engine
        return open_environment(self.project(arguments), engine=engine)

    def pending(self, arguments: Arguments) -> tuple[Pending | None, bool]:
        """Give what a start or restart would apply, and whether Airflow runs.

        The file is written by now, so an engine that cannot be asked is no reason to fail.
        """
        try:
            environment = self.environment(arguments)
            return environment.pending(), environment.status().running
        except AstroMagicError:
            return None, False

    def quiet(self, arguments: Arguments) -> bool:
        """Tell whether little is to be shown."""
        return bool(arguments.quiet) or self.settings.verbosity == 0

    def progress(self, arguments: Arguments, title: str, *, tail: int = 0, stream: bool = False) -> Progress:
        """Make a listener that shows how work goes on."""
        shown = not self.quiet(arguments)
        settings = {"delay": 0.0} if self.settings.verbosity > 1 else {}
        return Progress(
            title,
            display=_display if shown and self.in_notebook else None,
            write=self.write if shown and not self.in_notebook else None,
            tail=tail,
            stream=stream,
            **settings,
        )

    def finish(self, arguments: Arguments, result: Any) -> Any:
        """Give a magic's result back, as its options ask."""
        if isinstance(result, View):
            result.brief = self.quiet(arguments)
        name = getattr(arguments, "output", None)
        if name is not None:
            self.shell.push({name: result})
        return result

    def show(self, arguments: Arguments, view: View) -> None:
        """Show a view at once, for a magic that is about to raise."""
        from IPython.display import display

        view.brief = self.quiet(arguments)
        display(view)

    @staticmethod
    def write(text: str) -> None:
        """Print a line."""
        # Looked up now: a kernel and a test replace it.
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    @staticmethod
    def ask_secret(name: str) -> str | None:
        """Ask for a value without showing it; None when nobody can be asked."""
        import warnings
        from getpass import GetPassWarning, getpass

        from IPython.core.error import StdinNotImplementedError

        # Where it cannot hide what is typed, getpass warns and shows it.
        with warnings.catch_warnings(), suppress(StdinNotImplementedError, EOFError, OSError, GetPassWarning):
            warnings.simplefilter("error", GetPassWarning)
            return getpass(f"{name}: ")
        return None

    @staticmethod
    def confirm(question: str) -> bool | None:
        """Ask; None when nobody can be asked."""
        from IPython.core.error import StdinNotImplementedError

        # EOFError and OSError: standard input is closed or not a terminal.
        with suppress(StdinNotImplementedError, EOFError, OSError):
            return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
        return None


def _display(content: Any, /) -> Any:
    from IPython.display import display

    return display(content, display_id=True)


class AstroMagics(Magics):
    """Base of the groups of magics."""

    def __init__(self, shell: InteractiveShell, session: Session) -> None:
        super().__init__(shell)
        self.session = session
