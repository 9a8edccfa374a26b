"""The packages of an environment, each with what requests it, brings it, needs it and imports it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from astro_magic.dependencies.graph import DependencyGraph
from astro_magic.dependencies.requests import Request
from astro_magic.engines.installation import Installation, InstalledPackage
from astro_magic.project.dags.imports import FileImports

__all__ = ["Package", "join", "pair_unnamed"]


@dataclass(frozen=True)
class Package:
    """A package of an environment, and why it is there.

    Attributes
    ----------
    name, version : str
        As in its metadata.
    requested : str
        The project's requirement that names it, as written, secrets hidden; empty when there is none.
    file : str
        The requirements file that has it, relative to the project; empty when there is none.
    line : int or None
        The line of the requirement, counted from 1.
    origin : str
        Where the installed version comes from: ``base image``, ``requirements.txt``, ``dependency of pandas``, ``added
        at run time``, ``Dockerfile``, ``image`` or ``environment``.
    required_by : tuple of str
        The installed packages that need it themselves, sorted.
    imported_by : tuple of str
        The files of the project that import it, relative to the project.
    newest : str or None
        The newest version that an index has for this Python, if that is newer, else the installed one; None when no
        index was asked, or it is not from one.
    """

    name: str
    version: str
    requested: str = ""
    file: str = ""
    line: int | None = None
    origin: str = ""
    required_by: tuple[str, ...] = ()
    imported_by: tuple[str, ...] = ()
    newest: str | None = None

    @property
    def key(self) -> str:
        """The normalised name."""
        return str(canonicalize_name(self.name))

    @property
    def outdated(self) -> bool:
        """Whether an index has a newer version; False when none was asked."""
        return self.newest is not None and self.newest != self.version


def join(
    installation: Installation,
    requests: Mapping[str, Request],
    graph: DependencyGraph,
    imports: Iterable[FileImports],
) -> tuple[Package, ...]:
    """Bring together what is known of each package.

    Parameters
    ----------
    installation : Installation
        What is installed.
    requests : mapping of str to Request
        What the project requests, by normalised name.
    graph : DependencyGraph
        What needs what.
    imports : iterable of FileImports
        What the project's files import.

    Returns
    -------
    tuple of Package
        Those that are requested first, and then by name.
    """
    installed = {package.key: package for package in installation.packages}
    origins = _origins(installation, installed, requests, graph)
    importers = _importers(installed, imports)
    found = []
    for key, package in installed.items():
        request = requests.get(key)
        found.append(
            Package(
                package.name,
                package.version,
                request.text if request else "",
                request.file if request else "",
                request.line if request else None,
                origins[key],
                tuple(installed[each].name for each in graph.needed_by(key)),
                tuple(importers.get(key, ())),
            )
        )
    return tuple(sorted(found, key=lambda package: (not package.requested, package.key)))


def pair_unnamed(
    installation: Installation, requests: Mapping[str, Request], unnamed: tuple[Request, ...]
) -> dict[str, Request]:
    """Give the requests with that of the one URL or folder which does not tell its package, where only one can be it.

    Parameters
    ----------
    installation : Installation
        What is installed.
    requests : mapping of str to Request
        What the project requests by name.
    unnamed : tuple of Request
        What it requests without a name.
    """
    keys = [package.key for package in installation.packages if package.direct]
    left = [key for key in keys if key not in requests]
    if len(left) == 1 and len(unnamed) == 1:
        return {**requests, left[0]: unnamed[0]}
    return dict(requests)


def _origins(
    installation: Installation,
    installed: Mapping[str, InstalledPackage],
    requests: Mapping[str, Request],
    graph: DependencyGraph,
) -> dict[str, str]:
    """Say of each package where it comes from."""
    brought: dict[str, str] = {}
    # What is there in any case is no request's doing.
    for root in (*installation.foundation, *requests):
        if root in installed:
            for key in graph.reached_from([root]):
                brought.setdefault(key, f"dependency of {installed[root].name}")
    found = {}
    for key, package in installed.items():
        engine_knows = package.origin in ("base image", "added at run time")
        if key in requests and not engine_knows:
            found[key] = requests[key].file
        else:
            foundation = installation.foundation.get(key, "")
            found[key] = package.origin or foundation or brought.get(key, "") or installation.rest
    return found


def _importers(installed: Mapping[str, InstalledPackage], imports: Iterable[FileImports]) -> dict[str, list[str]]:
    """Give the files that import something of each package, by the longest name that packages have modules under."""
    owners: dict[str, list[str]] = {}
    for key, package in installed.items():
        for name in package.imports:
            owners.setdefault(name, []).append(key)
    found: dict[str, list[str]] = {}
    for each in imports:
        keys = {key for module in each.modules for key in _owners_of(module, owners)}
        for key in keys:
            found.setdefault(key, []).append(each.file)
    return found


def _owners_of(module: str, owners: Mapping[str, list[str]]) -> list[str]:
    while module:
        if module in owners:
            return owners[module]
        module = module.rpartition(".")[0]
    return []
