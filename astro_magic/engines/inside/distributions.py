"""What is installed, read from the files that installers leave; nothing is imported.

This file is run as it is in an image's Python, of whatever version that is, and imported for environments on disk.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
from importlib.metadata import Distribution
from typing import Any

#: By these endings a file is a module that can be imported.
_SOURCE, _EXTENSIONS = ".py", (".so", ".pyd")


def read_distributions(folders: list[str] | None = None) -> dict[str, dict[str, Any]]:
    """Give each distribution by its normalised name; the first one that is found counts, as it does for an import.

    Parameters
    ----------
    folders : list of str, optional
        Where to look; where this Python looks by default.

    Returns
    -------
    dict of str to dict
        ``name`` and ``version`` as in the metadata, ``requires`` (Requires-Dist, as written), ``imports`` (dotted names
        by which its modules begin) and ``direct`` (whether it comes from elsewhere than an index).
    """
    found: dict[str, dict[str, Any]] = {}
    for distribution in importlib.metadata.distributions(path=sys.path if folders is None else folders):
        name, version, requires = _metadata(distribution)
        key = re.sub(r"[-_.]+", "-", name).lower()
        if name and key not in found:
            found[key] = {
                "name": name,
                "version": version,
                "requires": requires,
                "imports": _imports(distribution),
                "direct": distribution.read_text("direct_url.json") is not None,
            }
    return found


def read_os_packages(file: str = "/var/lib/dpkg/status") -> dict[str, str]:
    """Give the version of each installed Debian package by ``name:architecture``; nothing where dpkg is not.

    A name that packages only provide has no architecture, and the package that provides it before its version.
    """
    try:
        with open(file, encoding="utf-8", errors="replace") as stream:
            paragraphs = stream.read().split("\n\n")
    except OSError:
        return {}
    installed: dict[str, str] = {}
    provided: dict[str, str] = {}
    for paragraph in paragraphs:
        fields = dict(line.split(": ", 1) for line in paragraph.split("\n") if ": " in line and line[0] not in " \t")
        if fields.get("Status", "").split()[-1:] != ["installed"]:
            continue
        installed["{Package}:{Architecture}".format(**fields)] = fields["Version"]
        for name in fields.get("Provides", "").split(","):
            if name.strip():
                provided.setdefault(name.split()[0].split(":")[0], "{Package} {Version}".format(**fields))
    for name, version in provided.items():
        installed.setdefault(name, version)
    return installed


def _metadata(distribution: Distribution) -> tuple[str, str, list[str]]:
    """Give name, version and requirements. Only the head is read: a README that follows takes most of the time."""
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    name = version = ""
    requires = []
    for line in text.split("\n"):
        if not line.strip("\r"):
            break
        key, _, value = line.partition(":")
        if key == "Name":
            name = value.strip()
        elif key == "Version":
            version = value.strip()
        elif key == "Requires-Dist":
            requires.append(value.strip())
    if not requires and distribution.read_text("requires.txt"):
        # What an old setuptools wrote; the library knows how to read it.
        requires = list(distribution.requires or ())
    return name, version, requires


def _imports(distribution: Distribution) -> list[str]:
    """Give the names under which all of its modules are: ``yaml``, or ``airflow.providers.standard``."""
    record = distribution.read_text("RECORD")
    packages: set[tuple[str, ...]] = set()
    modules: set[tuple[str, ...]] = set()
    for line in (record or "").split("\n"):
        folders, module = _module(line.partition(",")[0])
        if module == "__init__":
            packages.add(folders)
        elif module:
            # The modules of a folder without __init__.py are named by the folder, unless others may share that.
            modules.add(folders if len(folders) > 1 else (*folders, module))
    names = sorted(packages | modules)
    roots: list[tuple[str, ...]] = []
    for name in names:
        if not roots or name[: len(roots[-1])] != roots[-1]:
            roots.append(name)
    if not roots:
        return sorted(set((distribution.read_text("top_level.txt") or "").split()))
    return [".".join(name) for name in roots]


def _module(path: str) -> tuple[tuple[str, ...], str]:
    """Split a path as RECORD has it into folders and the module's name; that is empty for what is no module."""
    if path.endswith(_SOURCE):
        path = path[: -len(_SOURCE)]
    elif path.endswith(_EXTENSIONS):
        folder, slash, file = path.rpartition("/")
        path = folder + slash + file.split(".")[0]
    else:
        return (), ""
    parts = tuple(path.split("/"))
    if not all(part.isidentifier() for part in parts) or parts == ("__init__",):
        return (), ""
    return parts[:-1], parts[-1]
