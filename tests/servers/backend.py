"""Build the tests' own packages: by name for an index, and as the build backend that lies in their source trees.

A copy of this file is in each source tree, so that building one needs nothing but Python. A tree is a
``pyproject.toml`` with the name, the version and the dependencies, and the modules beside it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["build_sdist", "build_wheel", "metadata", "write_wheel"]

#: What lies in a source tree and is no module of the package.
_OWN = ("backend.py", "setup.py")


def metadata(name: str, version: str, requires: Sequence[str]) -> str:
    """Give the text of a package's metadata."""
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    return "\n".join([*lines, *(f"Requires-Dist: {requirement}" for requirement in requires), ""])


def write_wheel(folder: Path, name: str, version: str, requires: Sequence[str], modules: Mapping[str, str]) -> Path:
    """Write a wheel of modules, each by its file name."""
    stem = f"{_file_name(name)}-{version}"
    files = dict(modules)
    files[f"{stem}.dist-info/METADATA"] = metadata(name, version, requires)
    files[f"{stem}.dist-info/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: backend\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = [f"{path},sha256={_digest(text)},{len(text.encode())}" for path, text in files.items()]
    files[f"{stem}.dist-info/RECORD"] = "\n".join([*record, f"{stem}.dist-info/RECORD,,", ""])
    wheel = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


def build_wheel(
    wheel_directory: str, config_settings: object = None, metadata_directory: str | None = None
) -> str:  # what an installer calls
    """Build the tree in the current folder."""
    name, version, requires = _project()
    modules = {path.name: path.read_text() for path in Path().glob("*.py") if path.name not in _OWN}
    return write_wheel(Path(wheel_directory), name, version, requires, modules).name


def build_sdist(sdist_directory: str, config_settings: object = None) -> str:  # what an installer calls
    """Pack the tree in the current folder."""
    name, version, requires = _project()
    stem = f"{_file_name(name)}-{version}"
    with tarfile.open(Path(sdist_directory) / f"{stem}.tar.gz", "w:gz") as archive:
        for path in sorted(path for path in Path().glob("*") if path.suffix in (".py", ".toml")):
            archive.add(path, f"{stem}/{path.name}")
        content = metadata(name, version, requires).encode()
        about = tarfile.TarInfo(f"{stem}/PKG-INFO")
        about.size = len(content)
        archive.addfile(about, io.BytesIO(content))
    return f"{stem}.tar.gz"


def _project() -> tuple[str, str, list[str]]:
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    return project["name"], project["version"], project.get("dependencies", [])


def _file_name(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
