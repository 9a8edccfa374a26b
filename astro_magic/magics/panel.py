"""The magic that shows the live panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from IPython.core.magic import magics_class

from astro_magic.magics.arguments import Arguments, argument, command
from astro_magic.magics.live import LiveWidgets
from astro_magic.magics.session import AstroMagics, Session, show_in_notebook
from astro_magic.views import StatusView

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from astro_magic.widgets.panel import Panel

__all__ = ["PanelMagics"]


@magics_class
class PanelMagics(AstroMagics):
    """The magic of the live panel."""

    def __init__(self, shell: InteractiveShell, session: Session) -> None:
        super().__init__(shell, session)
        self._panels = LiveWidgets()

    @command(argument("--engine", metavar="NAME", help="Where Airflow runs: auto, docker, local."))
    def astro_panel(self, arguments: Arguments) -> Panel | StatusView:
        """Show a live panel: what runs and what is pending, and buttons to start, restart and stop.

        Its tabs have the components, the log, connections, variables and pools to be edited, and the packages. There is
        one for each project: a new one ends the one before. Its close() method ends it, too.
        """
        environment = self.session.environment(arguments)
        if not self.session.in_notebook:
            self.session.write("The live panel needs a notebook; this is the status as it is now.")
            return StatusView(environment.project.name, environment.status(), environment.pending())

        def made() -> Panel:
            from astro_magic.engines.options import StartOptions
            from astro_magic.widgets.panel import Panel

            options = StartOptions(timeout=self.session.settings.timeout)
            return Panel(environment, display=show_in_notebook, options=options)

        return self._panels.replace(environment.project.root, made)

    def unloaded(self) -> None:
        """End all panels."""
        self._panels.close()
