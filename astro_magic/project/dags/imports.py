"""Which modules the Python files of a project import, by their syntax trees; nothing is imported."""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from astro_magic.project.project import Project

__all__ = ["FileImports", "project_imports"]

#: The folders whose files Airflow imports, or files there do.
_FOLDERS = ("dags", "include", "plugins")
_REMEMBERED = 20_000
# A longer file is data, and takes seconds to parse.
_LARGEST_PARSED = 1_000_000
#: A folder with this file is a virtual environment: what is in it is installed, not written here.
_OF_ENVIRONMENTS = "pyvenv.cfg"


@dataclass(frozen=True)
class FileImports:
    """What a file imports.

    Attributes
    ----------
    file : str
        The file, as a POSIX path relative to the project.
    modules : frozenset of str
        Dotted names, each as far as the file tells: ``from google.cloud import storage`` gives
        ``google.cloud.storage``, whether that is a module or not. Relative imports are left out.
    """

    file: str
    modules: frozenset[str]


_known: dict[str, tuple[tuple[int, int], frozenset[str]]] = {}


def project_imports(project: Project) -> tuple[FileImports, ...]:
    """Give what each Python file under ``dags/``, ``include/`` and ``plugins/`` imports, sorted by file.

    A file that is no Python, or cannot be read, imports nothing. A file is parsed once for each version of it.

    Parameters
    ----------
    project : Project
        The project.
    """
    root = os.fspath(project.root)
    found = []
    for folder in _FOLDERS:
        for path in _python_files(f"{root}{os.sep}{folder}"):
            modules = _imports_of(path)
            if modules:
                found.append(FileImports(Path(path).relative_to(root).as_posix(), modules))
    return tuple(sorted(found, key=lambda each: each.file))


def _python_files(folder: str) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        if _OF_ENVIRONMENTS in files:
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        yield from (f"{place}{os.sep}{name}" for name in files if name.endswith(".py"))


def _imports_of(path: str) -> frozenset[str]:
    try:
        status = os.stat(path)  # noqa: PTH116 - five hundred paths may be looked at
        key = (status.st_size, status.st_mtime_ns)
        known = _known.get(path)
        if known is not None and known[0] == key:
            return known[1]
        modules = _read(Path(path).read_bytes()) if status.st_size <= _LARGEST_PARSED else frozenset()
    except OSError:
        return frozenset()
    if len(_known) >= _REMEMBERED:
        _known.clear()
    _known[path] = (key, modules)
    return modules


def _read(data: bytes) -> frozenset[str]:
    try:
        with warnings.catch_warnings():
            # About the file's own style; they are not for whoever looks at the project.
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    modules: set[str] = set()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            modules.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.update(f"{node.module}.{name.name}" if name.name != "*" else node.module for name in node.names)
    return frozenset(modules)


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Give all statements; expressions, which are most of a tree, have no imports in them."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, field, ())
            if isinstance(inner, list):
                waiting.extend(inner)
        if isinstance(node, ast.stmt):
            yield node
