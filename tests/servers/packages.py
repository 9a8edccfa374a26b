"""Tiny packages of the tests' own: wheels, sdists and source trees that are built without a network."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.servers import backend

__all__ = ["make_sdist", "make_wheel", "module_of", "source_tree"]


def module_of(name: str) -> str:
    """Give the name by which a package's one module is imported."""
    return name.replace("-", "_").lower()


def make_wheel(folder: Path, name: str, version: str, *, code: str = "", requires: Sequence[str] = ()) -> Path:
    """Write a wheel with one module.

    Parameters
    ----------
    folder : Path
        Where it is written.
    name, version : str
        The package's; the module has the same name, with underscores.
    code : str
        What stands in the module, after its ``__version__``.
    requires : sequence of str
        The requirements that it brings.
    """
    return backend.write_wheel(folder, name, version, requires, {f"{module_of(name)}.py": _module(version, code)})


def make_sdist(folder: Path, name: str, version: str, *, code: str = "", requires: Sequence[str] = ()) -> Path:
    """Write an sdist with one module, which is built where it is installed."""
    with tempfile.TemporaryDirectory() as tree:
        for path, text in source_tree(name, version, code=code, requires=requires).items():
            (Path(tree) / path).write_text(text)
        with contextlib.chdir(tree):
            return folder / backend.build_sdist(str(folder))


def source_tree(name: str, version: str, *, code: str = "", requires: Sequence[str] = ()) -> dict[str, str]:
    """Give the files of a package, as they lie in a repository."""
    # JSON's texts and lists are TOML's as well.
    project = {"name": name, "version": version, "dependencies": list(requires)}
    lines = ["[build-system]", "requires = []", 'build-backend = "backend"', 'backend-path = ["."]', "", "[project]"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in project.items()]
    return {
        "pyproject.toml": "\n".join([*lines, ""]),
        "backend.py": Path(backend.__file__).read_text(encoding="utf-8"),
        f"{module_of(name)}.py": _module(version, code),
    }


def _module(version: str, code: str) -> str:
    return f"__version__ = {version!r}\n{code}"
