"""Magics of the environment's packages."""

from __future__ import annotations

from fnmatch import fnmatch

from IPython.core.magic import magics_class

from astro_magic.magics.arguments import Arguments, argument, command
from astro_magic.magics.session import AstroMagics
from astro_magic.views import PackagesView

__all__ = ["PackageMagics"]


@magics_class
class PackageMagics(AstroMagics):
    """Magics of the environment's packages."""

    @command(argument("pattern", nargs="?", default="", help="A part of the name, or a pattern such as apache-*."))
    def astro_installed(self, arguments: Arguments) -> PackagesView:
        """List the packages of the environment, and which of them the project asks for."""
        packages = self.session.environment(arguments).packages()
        pattern = arguments.pattern.lower()
        sought = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
        found = [package for package in packages if fnmatch(package.name.lower(), sought)]
        return PackagesView(found, total=len(packages), pattern=arguments.pattern)
