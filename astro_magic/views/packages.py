"""The view of the environment's packages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from astro_magic.views.report import Line, Report, Span, Table, line
from astro_magic.views.view import View
from astro_magic.views.words import count

if TYPE_CHECKING:
    import pandas as pd

    from astro_magic.engines.engine import InstalledPackage

__all__ = ["PackagesView"]


class PackagesView(View):
    """The distributions of an environment.

    Attributes
    ----------
    packages : tuple of InstalledPackage
        Those that were asked for.
    total : int
        How many the environment has.
    """

    def __init__(self, packages: Sequence[InstalledPackage], *, total: int | None = None, pattern: str = "") -> None:
        self.packages = tuple(packages)
        self.total = len(self.packages) if total is None else total
        self._pattern = pattern

    def __len__(self) -> int:
        return len(self.packages)

    def __iter__(self) -> Iterator[InstalledPackage]:
        return iter(self.packages)

    @property
    def df(self) -> pd.DataFrame:
        """The packages as a DataFrame with the columns name, version and requested."""
        import pandas as pd

        rows = [(package.name, package.version, package.requested) for package in self.packages]
        return pd.DataFrame(rows, columns=["name", "version", "requested"])

    def headline(self) -> Line:
        """Say how many packages there are."""
        total = count(self.total, "package")
        requested = sum(bool(package.requested) for package in self.packages)
        if self._pattern:
            return line(f"{len(self.packages):,} of {total} match ", Span(self._pattern, "code"))
        return line(f"{total} installed, {requested} requested by the project")

    def report(self) -> Report:
        """Build the table."""
        rows = tuple((package.name, package.version, package.requested) for package in self.packages)
        return Report.of(
            self.headline(),
            Table(("package", "version", "requested as"), rows) if rows else None,
            line(Span(".df is the DataFrame", "muted")) if rows else None,
        )
