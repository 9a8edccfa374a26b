"""What is installed where Airflow runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from astro_magic.engines.inside.distributions import read_distributions

__all__ = ["Installation", "InstalledPackage", "package_of", "packages_in", "with_requests"]


@dataclass(frozen=True)
class InstalledPackage:
    """A distribution in the environment.

    Attributes
    ----------
    name, version : str
        As in its metadata.
    requested : str
        The project's requirement that names it, as written; empty when it is a dependency.
    requires : tuple of str
        Its own requirements (Requires-Dist), with those of extras and of other systems.
    imports : tuple of str
        Dotted names under which its modules are, such as ``yaml`` or ``airflow.providers.standard``.
    direct : bool
        Whether it was installed from a URL, a repository or a folder, so that no index has its versions.
    origin : str
        Where it comes from, as far as the engine can tell: ``base image``, ``image`` or ``added at run time``; else
        empty.
    """

    name: str
    version: str
    requested: str = ""
    requires: tuple[str, ...] = field(default=(), repr=False)
    imports: tuple[str, ...] = field(default=(), repr=False)
    direct: bool = False
    origin: str = ""

    @property
    def key(self) -> str:
        """The normalised name."""
        return str(canonicalize_name(self.name))


@dataclass(frozen=True)
class Installation:
    """What is installed, and what an engine knows of where it comes from.

    Attributes
    ----------
    packages : tuple of InstalledPackage
        Sorted by name.
    python_version : str
        Exact; empty when it is not known.
    python : Path or None
        The environment's Python, where it is on this machine.
    markers : mapping of str to str
        Values of environment markers (PEP 508) that differ from those of this process.
    foundation : mapping of str to str
        What is there whatever the project requires, by normalised name, and why: ``{"apache-airflow": "Dockerfile"}``.
    rest : str
        Where that comes from of which nothing is known.
    note : str
        What the user should know; may be empty.
    os_packages : mapping of str to str, or None
        Version by ``name:architecture`` of the operating system's packages in the image; None without an image.
    """

    packages: tuple[InstalledPackage, ...]
    python_version: str = ""
    python: Path | None = None
    markers: Mapping[str, str] = field(default_factory=dict, repr=False)
    foundation: Mapping[str, str] = field(default_factory=dict)
    rest: str = "environment"
    note: str = ""
    os_packages: Mapping[str, str] | None = field(default=None, repr=False)


def package_of(content: Mapping[str, Any]) -> InstalledPackage:
    """Make a package of what `read_distributions` tells of it, or of what was kept of one."""
    known: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
    }
    return InstalledPackage(**known)


def packages_in(folders: list[str]) -> dict[str, InstalledPackage]:
    """Read what is installed in folders on this machine, by normalised name."""
    return {name: package_of(about) for name, about in sorted(read_distributions(folders).items())}


def with_requests(
    packages: Mapping[str, InstalledPackage], requested: Mapping[str, str]
) -> tuple[InstalledPackage, ...]:
    """Note with each package the requirement that names it; sorted by normalised name."""
    return tuple(
        replace(packages[name], requested=requested[name]) if name in requested else packages[name]
        for name in sorted(packages)
    )
