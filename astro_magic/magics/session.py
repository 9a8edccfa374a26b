"""What the magics of one IPython session share: the project in use, its environment, and the screen."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics

from astro_magic.errors import AstroMagicError
from astro_magic.magics.ahead import Ahead
from astro_magic.magics.configuration import AstroMagic
from astro_magic.views.progress import Empty, Progress
from astro_magic.views.view import View

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from astro_magic.environment import Environment
    from astro_magic.magics.arguments import Arguments
    from astro_magic.project.fingerprint import Pending
    from astro_magic.project.project import Project
    from astro_magic.views.environment import StatusView

__all__ = ["AstroMagics", "Session", "show_in_notebook"]


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
        self._ahead = Ahead()

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
            display=show_in_notebook if shown and self.in_notebook else None,
            write=self.write if shown and not self.in_notebook else None,
            tail=tail,
            stream=stream,
            **settings,
        )

    def finish(self, arguments: Arguments, result: Any) -> Any:
        """Give a magic's result back, as its options ask."""
        if isinstance(result, View):
            result.brief = self.quiet(arguments)
        self._prepare_ahead(arguments)
        name = getattr(arguments, "output", None)
        if name is not None and result is not None:
            self.shell.push({name: result})
        return result

    def rest(self, arguments: Arguments) -> None:
        """Prepare nothing more in the background for a project that a magic is about to stop."""
        self._ahead.rest(self.project(arguments))

    def _prepare_ahead(self, arguments: Arguments) -> None:
        """Have the next start prepared in the background, now that a magic is done."""
        with suppress(AstroMagicError):
            self._ahead.look(self.project(arguments), lambda: self.environment(arguments))

    def live(self, arguments: Arguments) -> Callable[[StatusView | None], None]:
        """Give a function that shows a view in the place of the one before; None clears the place.

        In a terminal each view is printed below the one before, unless it says the same.
        """
        if self.quiet(arguments):
            return lambda _: None
        return _Live(self)

    def show_for_now(self, view: View, after: View, seconds: float = 60) -> None:
        """Show a view that is not to be kept: soon, or when the next cell is run, another one takes its place.

        Parameters
        ----------
        view : View
            What is shown now.
        after : View
            What is left of it.
        seconds : float, optional
            How long.
        """
        if not self.in_notebook:
            self.write(repr(view))
            return
        from IPython.display import display

        handle = display(view, display_id=True, metadata={"astro_magic": {"save": False}})
        done = threading.Event()

        def replace(*_: object) -> None:
            if not done.is_set():
                done.set()
                handle.update(after)
                self.shell.events.unregister("pre_run_cell", replace)

        self.shell.events.register("pre_run_cell", replace)
        timer = threading.Timer(seconds, replace)
        timer.daemon = True
        timer.start()

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


class _Live:
    """One place on the screen, in which one status follows the other."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._handle: Any = None
        self._said: tuple[str, ...] = ()

    def __call__(self, view: StatusView | None) -> None:
        if self._session.in_notebook:
            shown = view if view is not None else Empty()
            if self._handle is None and view is not None:
                self._handle = show_in_notebook(shown)
            elif self._handle is not None:
                self._handle.update(shown)
        elif view is not None:
            said = view.gist()
            if said != self._said:
                self._session.write(repr(view))
            self._said = said


def show_in_notebook(content: Any, /) -> Any:
    """Show an object, and give the handle with which it is changed."""
    from IPython.display import display

    return display(content, display_id=True)


class AstroMagics(Magics):
    """Base of the groups of magics."""

    def __init__(self, shell: InteractiveShell, session: Session) -> None:
        super().__init__(shell)
        self.session = session

    def unloaded(self) -> None:
        """End what goes on beside the cells; called when the extension is unloaded."""
