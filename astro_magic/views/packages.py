"""The views of what is installed: Python packages, and the operating system's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from astro_magic.system.frames import require_pandas
from astro_magic.views.report import Block, Cell, Line, Report, Span, Table, line
from astro_magic.views.view import View
from astro_magic.views.words import count

if TYPE_CHECKING:
    import pandas as pd

    from astro_magic.dependencies.os_packages import OsPackage
    from astro_magic.dependencies.packages import Package
    from astro_magic.dependencies.requests import Request

__all__ = ["OsPackagesView", "PackagesView"]

_COLUMNS = ("name", "version", "requested", "file", "line", "origin", "required_by", "newest", "imported_by")
_FILES_SHOWN = 2
_DATA_FRAME = line(Span(".df is the DataFrame", "muted"))


class PackagesView(View):
    """The packages of an environment.

    Attributes
    ----------
    packages : tuple of Package
        Those that were asked for.
    total : int
        How many the environment has.
    """

    def __init__(
        self,
        packages: Sequence[Package],
        *,
        total: int | None = None,
        pattern: str = "",
        outdated: bool = False,
        missing: Sequence[Request] = (),
        note: str = "",
    ) -> None:
        self.packages = tuple(packages)
        self.total = len(self.packages) if total is None else total
        self._pattern = pattern
        self._outdated = outdated
        self._missing = missing
        self._note = note

    def __len__(self) -> int:
        return len(self.packages)

    def __iter__(self) -> Iterator[Package]:
        return iter(self.packages)

    @property
    def df(self) -> pd.DataFrame:
        """The packages as a DataFrame.

        Its columns are name, version, requested, file, line, origin, required_by, newest and imported_by; required_by
        and imported_by hold lists.
        """
        require_pandas()
        import pandas as pd

        def value(package: Package, column: str) -> object:
            found = getattr(package, column)
            return list(found) if isinstance(found, tuple) else found

        rows = [[value(package, column) for column in _COLUMNS] for package in self.packages]
        return pd.DataFrame(rows, columns=list(_COLUMNS)).astype({"line": "Int64"})

    def headline(self) -> Line:
        """Say how many packages there are."""
        total = count(self.total, "package")
        matching = (" match ", Span(self._pattern, "code")) if self._pattern else ()
        if self._outdated:
            of = (" of those that match ", Span(self._pattern, "code")) if self._pattern else (f" of {total}",)
            verb = "has" if len(self.packages) == 1 else "have"
            return line(f"{len(self.packages):,}", *of, f" {verb} a newer version")
        if matching:
            return line(f"{len(self.packages):,} of {total}", *matching)
        requested = sum(bool(package.requested) for package in self.packages)
        return line(f"{total} installed, {requested} requested by the project")

    def report(self) -> Report:
        """Build the table, without columns that have nothing in them."""
        return Report.of(self.headline(), self.blocks(), _DATA_FRAME if self.packages else None)

    def blocks(self) -> Sequence[Block]:
        """Build the table alone, and below it what is not installed yet."""
        newest = [package.newest or "" for package in self.packages] if self._outdated else []
        columns: dict[str, Sequence[Cell]] = {
            "package": [Span(each.name, "strong") if each.requested else each.name for each in self.packages],
            "version": [each.version for each in self.packages],
            "newest": newest,
            "from": [each.origin for each in self.packages],
            "requested": [_request(each) for each in self.packages],
            "imported by": [_files(each.imported_by) for each in self.packages],
        }
        told = {name: cells for name, cells in columns.items() if any(_text(cell) for cell in cells)}
        missing = [
            line("Not installed yet: ", Span(each.text, "code"), f" ({each.place}); %astro_restart brings it.")
            for each in self._missing
        ]
        # Nobody requests or imports most packages: without their empty cells, more rows fit into one output.
        rows = tuple(_trimmed(row) for row in zip(*told.values(), strict=True))
        note = line(Span(self._note, "muted")) if self._note else None
        return Report.of(Table(tuple(told), rows) if rows else None, missing, note).blocks


class OsPackagesView(View):
    """The packages of ``packages.txt``, and what the image has of them.

    Attributes
    ----------
    packages : tuple of OsPackage
        In the order of the file; empty where the file means nothing.
    """

    def __init__(
        self, packages: Sequence[OsPackage] | None, *, has_image: bool, where: str, names: Sequence[str] = ()
    ) -> None:
        self.packages = tuple(packages or ())
        self._known = packages is not None
        self._has_image = has_image
        self._where = where
        self._names = names

    def __len__(self) -> int:
        return len(self.packages)

    def __iter__(self) -> Iterator[OsPackage]:
        return iter(self.packages)

    @property
    def df(self) -> pd.DataFrame:
        """The packages as a DataFrame with the columns name, requested, line and version; missing ones have none."""
        require_pandas()
        import pandas as pd

        rows = [(each.name, each.requested, each.line, each.version or None) for each in self.packages]
        return pd.DataFrame(rows, columns=["name", "requested", "line", "version"])

    def headline(self) -> Line:
        """Say how many there are, or why nothing can be said."""
        if not self._has_image:
            named = f" ({', '.join(self._names)})" if self._names else ""
            return line(
                f"packages.txt{named} has no effect on {self._where}: there is no image to install it in; "
                "%astro_start --engine docker makes one."
            )
        if not self._known:
            return line("The image has no Debian packages, so packages.txt cannot be compared with it.")
        missing = sum(not each.version for each in self.packages)
        named = count(len(self.packages), "package")
        if not self.packages:
            return line("packages.txt names no packages")
        there = f"of which the image lacks {missing}" if missing else "and the image has all of them"
        return line(f"packages.txt names {named}, {there}")

    def report(self) -> Report:
        """Build the table."""
        rows = tuple(
            (
                each.name,
                each.version or Span("missing", "bad"),
                Span(f"{each.requested} · packages.txt:{each.line}", "muted"),
            )
            for each in self.packages
        )
        missing = any(not each.version for each in self.packages)
        return Report.of(
            self.headline(),
            Table(("package", "version", "requested"), rows) if rows else None,
            line("%astro_restart builds the image with what is missing.") if missing else None,
            _DATA_FRAME if rows else None,
        )


def _request(package: Package) -> str:
    return f"{package.requested} · {package.file}:{package.line}" if package.requested else ""


def _files(names: Sequence[str]) -> str:
    more = f" and {len(names) - _FILES_SHOWN} more" if len(names) > _FILES_SHOWN else ""
    return ", ".join(names[:_FILES_SHOWN]) + more


def _trimmed(row: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """Leave out the empty cells at the end of a row."""
    while row and not _text(row[-1]):
        row = row[:-1]
    return row


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell.text
