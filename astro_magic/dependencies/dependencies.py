"""What is installed in a project's environment, and why; the one object that magics and Python code ask."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from astro_magic.dependencies.graph import DependencyGraph
from astro_magic.dependencies.os_packages import OsPackage, os_packages_of
from astro_magic.dependencies.packages import Package, join, pair_unnamed
from astro_magic.dependencies.requests import Request, requests_of, unnamed_requests
from astro_magic.dependencies.tree import DependencyTree, tree_of
from astro_magic.engines.engine import Engine
from astro_magic.engines.installation import Installation
from astro_magic.project.dags.imports import project_imports
from astro_magic.project.project import Project
from astro_magic.resolve.newest import newest_versions
from astro_magic.system.events import Operation, Step

__all__ = ["Dependencies", "read_dependencies"]


@dataclass(frozen=True)
class Dependencies:
    """What is installed in an environment, and why.

    Attributes
    ----------
    packages : tuple of Package
        All Python packages: those that the project requests first, and then by name.
    missing : tuple of Request
        What the project requests by name and is not installed yet.
    os_packages : tuple of OsPackage, or None
        What ``packages.txt`` names, and what the image has of it; None where there is no image of Debian's kind.
    has_image : bool
        Whether there is an image at all, so that ``packages.txt`` means something.
    note : str
        What the user should know; may be empty.
    """

    packages: tuple[Package, ...]
    missing: tuple[Request, ...]
    os_packages: tuple[OsPackage, ...] | None
    has_image: bool
    note: str
    _installation: Installation = field(repr=False)
    _requests: dict[str, Request] = field(repr=False)
    _graph: DependencyGraph = field(repr=False)

    def matching(self, pattern: str) -> tuple[Package, ...]:
        """Give the packages whose name has a part, or fits a pattern such as ``apache-*``; all for an empty one."""
        return tuple(package for package in self.packages if _fits(package, pattern))

    def tree(self, name: str) -> DependencyTree:
        """Give why a package is there, and what it needs.

        Raises
        ------
        DependencyError
            When no package of that name is installed.
        """
        return tree_of(name, self.packages, self._installation, self._requests, self._graph)


def read_dependencies(project: Project, engine: Engine, *, newest: str | None = None) -> Operation[Dependencies]:
    """Find out what is installed, and why; nothing is started, and no code of the project is run.

    Parameters
    ----------
    project : Project
        The project.
    engine : Engine
        What runs it.
    newest : str, optional
        A pattern of the packages of which the newest version is looked for; empty for all, None for none.

    Raises
    ------
    NotRunningError
        When there is no environment yet.
    NetworkError
        When the newest versions are asked for, and an index could not be reached.
    """
    installation = engine.installation()
    named = requests_of(project, installation.markers)
    requests = pair_unnamed(installation, named, unnamed_requests(project))
    extras = {name: request.extras for name, request in requests.items()}
    installed = {package.key: package for package in installation.packages}
    graph = DependencyGraph(installed, extras, installation.markers)
    packages = join(installation, requests, graph, project_imports(project))
    if newest is not None:
        packages = yield from _with_newest(project, installation, packages, newest)
    return Dependencies(
        packages,
        tuple(request for name, request in requests.items() if name not in installed),
        os_packages_of(project, installation.os_packages) if installation.os_packages else None,
        installation.os_packages is not None,
        installation.note,
        installation,
        requests,
        graph,
    )


def _with_newest(
    project: Project, installation: Installation, packages: tuple[Package, ...], pattern: str
) -> Operation[tuple[Package, ...]]:
    """Give the packages, those that fit the pattern with their newest version."""
    direct = {package.name for package in installation.packages if package.direct}
    asked = {each.name: each.version for each in packages if _fits(each, pattern) and each.name not in direct}
    started = time.monotonic()
    yield Step("newest", "package index", detail=f"looking for newer versions of {len(asked)} packages")
    newer = newest_versions(
        asked,
        python=installation.python or installation.python_version,
        folder=project.root,
        options=_index_options(project),
    )
    told = f"{len(newer)} of {len(asked)} have a newer version"
    yield Step("newest", "package index", "done", told, time.monotonic() - started)
    return tuple(
        replace(each, newest=newer.get(each.name, each.version)) if each.name in asked else each for each in packages
    )


def _index_options(project: Project) -> tuple[tuple[str, str], ...]:
    """Give the options of the requirements that say where packages are."""
    document = project.requirements
    lines = [
        entry.meaning.split(" ", 1)
        for each in (document, *document.included())
        for entry in each.entries()
        if entry.kind == "option"
    ]
    return tuple((words[0], words[1]) for words in lines if len(words) > 1)


def _fits(package: Package, pattern: str) -> bool:
    pattern = pattern.lower()
    sought = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    return fnmatchcase(package.name.lower(), sought) or fnmatchcase(package.key, sought)
