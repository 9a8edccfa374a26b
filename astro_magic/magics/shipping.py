"""Magics that take the environment elsewhere."""

from __future__ import annotations

from IPython.core.magic import magics_class

from astro_magic.magics.arguments import Arguments, argument, command
from astro_magic.magics.editing import EditingMagics
from astro_magic.views import ChangeView

__all__ = ["ShippingMagics"]


@magics_class
class ShippingMagics(EditingMagics):
    """Magics that take the environment elsewhere."""

    @command(
        argument("file", nargs="?", default="compose.yaml", help="File of the project; default: compose.yaml."),
        dry_run=True,
    )
    def astro_compose_export(self, arguments: Arguments) -> ChangeView:
        """Write a compose file with which docker compose runs the same containers."""
        environment = self.session.environment(arguments)
        with self.session.progress(arguments, "Exporting the services") as progress:
            text = environment.compose_file(listener=progress)
        document = environment.project.file(arguments.file)
        change = document.write(text, dry_run=arguments.dry_run)
        return self.show_change(arguments, change)
