"""The view of why a package is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from astro_magic.views.report import Line, Preformatted, Report, Span, Table, line
from astro_magic.views.view import View
from astro_magic.views.words import count

if TYPE_CHECKING:
    from astro_magic.dependencies.tree import DependencyTree, Link, Way

__all__ = ["DependencyTreeView"]

#: So many ways say why a package is there; some are needed by forty others.
_WAYS_SHOWN = 12
_ASKED = re.compile(r"[A-Za-z0-9._-]+ ?(?P<asked>.*)")


class DependencyTreeView(View):
    """Why a package is there, and what it needs.

    Attributes
    ----------
    tree : DependencyTree
        The ways to the package, and its needs.
    """

    def __init__(self, tree: DependencyTree) -> None:
        self.tree = tree

    def headline(self) -> Line:
        """Name the package and where it comes from."""
        package = self.tree.package
        place = "" if " " in package.origin else "from "
        return line(Span(package.name, "strong"), f" {package.version} · {place}{package.origin}")

    def report(self) -> Report:
        """Build the tree from what was asked for down to the package, and the table of its needs."""
        ways = self.tree.ways
        left = len(ways) - _WAYS_SHOWN
        needs = tuple(
            (each.name, each.version or Span("missing", "bad"), _by(each.requirement, each.extra) or "any version")
            for each in self.tree.needs
        )
        deeper = self.tree.brings - sum(bool(each.version) for each in self.tree.needs)
        others = f", and {deeper} more by those" if deeper > 0 else ""
        files = ", ".join(self.tree.package.imported_by)
        return Report.of(
            self.headline(),
            line(f"imported by {files}", indent=1) if files else None,
            line("Why it is here" if ways else "Nothing that is known requests or needs it."),
            Preformatted(tuple(_drawn(ways[:_WAYS_SHOWN])), "start") if ways else None,
            line(Span(f"… and {count(left, 'more way')}", "muted"), indent=1) if left > 0 else None,
            line(f"It needs {count(len(needs), 'package')}{others}" if needs else "It needs no other package."),
            Table(("package", "version", "required"), needs) if needs else None,
        )


@dataclass
class _Branch:
    """A package of the tree, with those below it by name."""

    text: str
    below: dict[str, _Branch] = field(default_factory=dict)


def _drawn(ways: tuple[Way, ...]) -> Iterator[str]:
    """Draw ways as one tree for each beginning."""
    roots: dict[str, _Branch] = {}
    for way in ways:
        first = way.links[0]
        asked = f"{first.requirement} · " if first.requirement else ""
        branch = roots.setdefault(first.name, _Branch(f"{first.name} {first.version} · {asked}{way.reason}"))
        for link in way.links[1:]:
            branch = branch.below.setdefault(link.name, _Branch(_link(link)))
    for root in roots.values():
        yield root.text
        yield from _below(root, "")


def _below(branch: _Branch, margin: str) -> Iterator[str]:
    last = len(branch.below) - 1
    for number, each in enumerate(branch.below.values()):
        sign, further = ("└─ ", "   ") if number == last else ("├─ ", "│  ")
        yield f"{margin}{sign}{each.text}"
        yield from _below(each, margin + further)


def _link(link: Link) -> str:
    return " · ".join(part for part in (f"{link.name} {link.version}", _by(link.requirement, link.extra)) if part)


def _by(requirement: str, extra: str) -> str:
    """Give what is asked for beside the name, which stands before it."""
    match = _ASKED.fullmatch(requirement)
    asked = match["asked"] if match else requirement
    return " ".join(part for part in (asked, f"(extra {extra})" if extra else "") if part)
