"""Why a package is there: the ways that lead from what was asked for down to it, and what it needs itself."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from packaging.utils import canonicalize_name

from astro_magic.dependencies.graph import DependencyGraph, Need
from astro_magic.dependencies.packages import Package
from astro_magic.dependencies.requests import Request
from astro_magic.engines.installation import Installation
from astro_magic.errors import DependencyError

__all__ = ["DependencyTree", "Link", "MetNeed", "Way", "tree_of"]


@dataclass(frozen=True)
class Link:
    """A package on a way.

    Attributes
    ----------
    name, version : str
        As in its metadata.
    requirement : str
        As the package before it says what it needs, such as ``numpy>=1.26``; at a way's beginning as the project
        requests it, and empty where nothing does.
    extra : str
        The extra of the package before it that brings it; empty when that is always needed.
    """

    name: str
    version: str
    requirement: str = ""
    extra: str = ""


@dataclass(frozen=True)
class Way:
    """A way from what was asked for to a package, the shortest one over the package before the last.

    Attributes
    ----------
    reason : str
        Why its first package is there: ``requirements.txt:3``, ``Dockerfile``, ``base image``, ...
    links : tuple of Link
        The packages on it; the last one is that which it leads to.
    """

    reason: str
    links: tuple[Link, ...]


@dataclass(frozen=True)
class MetNeed:
    """What a package needs, and what is installed of it.

    Attributes
    ----------
    name : str
        As in its metadata, or normalised where it is not installed.
    requirement : str
        As the package says it: ``numpy>=1.26``.
    version : str
        The installed one; empty when it is missing.
    extra : str
        The extra that brings it; empty when it is always needed.
    """

    name: str
    requirement: str
    version: str
    extra: str = ""


@dataclass(frozen=True)
class DependencyTree:
    """A package, why it is there, and what it needs.

    Attributes
    ----------
    package : Package
        Which.
    ways : tuple of Way
        Those from the project's requests first, then those from what is there in any case. Empty when nothing that is
        known brings it.
    needs : tuple of MetNeed
        What it needs itself in this environment, sorted by name.
    brings : int
        How many installed packages it needs directly or by others.
    """

    package: Package
    ways: tuple[Way, ...]
    needs: tuple[MetNeed, ...]
    brings: int


def tree_of(
    name: str,
    packages: Iterable[Package],
    installation: Installation,
    requests: Mapping[str, Request],
    graph: DependencyGraph,
) -> DependencyTree:
    """Find out why a package is there.

    Parameters
    ----------
    name : str
        Its name, in any spelling.
    packages : iterable of Package
        What is installed.
    installation : Installation
        What the engine knows of it.
    requests : mapping of str to Request
        What the project requests, by normalised name.
    graph : DependencyGraph
        What needs what.

    Raises
    ------
    DependencyError
        When no package of that name is installed.
    """
    known = {package.key: package for package in packages}
    key = str(canonicalize_name(name))
    if key not in known:
        raise _unknown(name, key, known, requests, installation)
    ways = _Ways(known, installation, requests, graph).to(key)
    needs = tuple(_met(need, known) for need in graph.needs(key))
    return DependencyTree(known[key], ways, needs, len(graph.reached_from([key])) - 1)


class _Ways:
    """Finds the ways to a package."""

    def __init__(
        self,
        known: Mapping[str, Package],
        installation: Installation,
        requests: Mapping[str, Request],
        graph: DependencyGraph,
    ) -> None:
        self._known = known
        self._requests = requests
        self._graph = graph
        given = set(installation.foundation)
        if not given:
            # An image has what it has; Airflow explains the most of it, and what nothing needs the rest.
            unneeded = {name for name in known if not graph.needed_by(name)}
            given = ({"apache-airflow"} & set(known)) | unneeded
        self._given = given - set(requests)

    def to(self, key: str) -> tuple[Way, ...]:
        """Give the shortest way from a request, and from what is given, over each package that needs this one."""
        found = []
        if key in self._requests or key in self._given:
            found.append(Way(self._reason(key), (self._first(key),)))
        for roots in (self._requests, sorted(self._given)):
            # A way that leads through the package itself is none to it.
            before = self._graph.reached_from(root for root in roots if root != key)
            chains = [self._chain(parent, before) for parent in self._graph.needed_by(key) if parent in before]
            found += [Way(self._reason(chain[0]), self._links([*chain, key])) for chain in chains if key not in chain]
        return tuple(sorted(found, key=lambda way: way.links[0].requirement == ""))

    @staticmethod
    def _chain(last: str, before: Mapping[str, str]) -> list[str]:
        chain = [last]
        while before[chain[0]]:
            chain.insert(0, before[chain[0]])
        return chain

    def _links(self, chain: list[str]) -> tuple[Link, ...]:
        links = [self._first(chain[0])]
        for parent, name in pairwise(chain):
            need = self._graph.need(parent, name)
            package = self._known[name]
            links.append(Link(package.name, package.version, need.requirement, need.extra))
        return tuple(links)

    def _first(self, key: str) -> Link:
        request = self._requests.get(key)
        return Link(self._known[key].name, self._known[key].version, request.text if request else "")

    def _reason(self, key: str) -> str:
        request = self._requests.get(key)
        return request.place if request else self._known[key].origin


def _met(need: Need, known: Mapping[str, Package]) -> MetNeed:
    package = known.get(need.name)
    name, version = (package.name, package.version) if package else (need.name, "")
    return MetNeed(name, need.requirement, version, need.extra)


def _unknown(
    name: str, key: str, known: Mapping[str, Package], requests: Mapping[str, Request], installation: Installation
) -> DependencyError:
    if key in requests:
        return DependencyError(
            f"{name} is requested in {requests[key].place}, but not installed yet.", hint="%astro_restart installs it."
        )
    importable = {module: package.name for package in installation.packages for module in package.imports}
    if name in importable:
        return DependencyError(
            f"There is no package {name}: the module of that name is of {importable[name]}.",
            hint=f"Did you mean {importable[name]}?",
        )
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"Did you mean {known[close[0]].name}?" if close else "%astro_installed lists what is installed."
    return DependencyError(f"No package named {name} is installed.", hint=hint)
