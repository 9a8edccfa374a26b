"""Magics of the environment's packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from IPython.core.error import UsageError
from IPython.core.magic import magics_class

from astro_magic.magics.arguments import Arguments, argument, command
from astro_magic.magics.session import AstroMagics
from astro_magic.views import DependencyTreeView, OsPackagesView, PackagesView

if TYPE_CHECKING:
    from astro_magic.environment import Environment

__all__ = ["PackageMagics"]


@magics_class
class PackageMagics(AstroMagics):
    """Magics of the environment's packages."""

    @command(
        argument("pattern", nargs="?", default="", help="A part of the name, or a pattern such as apache-*."),
        argument("--outdated", action="store_true", help="Only those with a newer version; asks the package index."),
        argument("--tree", metavar="NAME", help="Why this package is there, and what it needs."),
        argument("--os", action="store_true", help="The packages of packages.txt, and what the image has of them."),
    )
    def astro_installed(self, arguments: Arguments) -> PackagesView | DependencyTreeView | OsPackagesView:
        """List the packages of the environment: what requests them, where they come from, what imports them."""
        chosen = [name for name in ("pattern", "outdated", "os", "tree") if getattr(arguments, name)]
        if ("tree" in chosen or "os" in chosen) and len(chosen) > 1:
            raise UsageError("--tree NAME and --os stand alone: they take no pattern and no other option.")
        environment = self.session.environment(arguments)
        if arguments.tree:
            return DependencyTreeView(environment.dependencies().tree(arguments.tree))
        if arguments.os:
            return self._os_packages(environment)
        return self._packages(arguments, environment)

    def _packages(self, arguments: Arguments, environment: Environment) -> PackagesView:
        newest = arguments.pattern if arguments.outdated else None
        with self.session.progress(arguments, "Looking for newer versions") as progress:
            found = environment.dependencies(newest=newest, listener=progress)
        packages = found.matching(arguments.pattern)
        return PackagesView(
            [each for each in packages if each.outdated] if arguments.outdated else packages,
            total=len(found.packages),
            pattern=arguments.pattern,
            outdated=arguments.outdated,
            missing=() if arguments.pattern or arguments.outdated else found.missing,
            note="" if arguments.outdated else found.note,
        )

    @staticmethod
    def _os_packages(environment: Environment) -> OsPackagesView:
        found = environment.dependencies()
        names = tuple(environment.project.os_packages.names())
        where = environment.engine.title
        return OsPackagesView(found.os_packages, has_image=found.has_image, where=where, names=names)
