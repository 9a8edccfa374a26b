"""The operating system's packages that a project asks for, and what the image has of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from astro_magic.project.project import Project

__all__ = ["OsPackage", "os_packages_of"]


@dataclass(frozen=True)
class OsPackage:
    """A package that ``packages.txt`` names.

    Attributes
    ----------
    name : str
        Its name, with the architecture where the file has one.
    requested : str
        What the file says of it, such as ``git=1:2.39*``.
    line : int
        Where, counted from 1.
    version : str
        The one in the image; of a name that other packages provide, the package and its version. Empty when missing.
    """

    name: str
    requested: str
    line: int
    version: str = ""


def os_packages_of(project: Project, installed: Mapping[str, str]) -> tuple[OsPackage, ...]:
    """Give the packages that ``packages.txt`` names, in its order.

    Parameters
    ----------
    project : Project
        The project.
    installed : mapping of str to str
        Version by ``name:architecture`` of what is in the image.

    Raises
    ------
    FileAccessError
        When the file cannot be read.
    InvalidContentError
        When it is no UTF-8 text.
    """
    by_name: dict[str, str] = {}
    for name, version in installed.items():
        by_name.setdefault(name.partition(":")[0], version)
    return tuple(
        OsPackage(name, word, line, installed.get(name) or (by_name.get(name, "") if ":" not in name else ""))
        for name, (line, word) in project.os_packages.names().items()
    )
