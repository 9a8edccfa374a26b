"""Write notebooks, and read what is in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from astro_magic.project.project import Project
from tests.surfaces.isolation import KERNEL

__all__ = [
    "assert_no_secret",
    "code_cell",
    "errors_in",
    "output_data",
    "output_text",
    "read_notebook",
    "write_notebook",
]


def code_cell(source: str, *, tags: Sequence[str] = ()) -> NotebookNode:
    """Make a code cell, for instance with the tag ``parameters`` or ``raises-exception``."""
    cell: NotebookNode = nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)} if tags else {})
    return cell


def write_notebook(path: Path, *cells: str | NotebookNode) -> Path:
    """Write a notebook of code cells; give its path."""
    notebook = nbformat.v4.new_notebook(
        cells=[code_cell(cell) if isinstance(cell, str) else cell for cell in cells],
        metadata={"kernelspec": {"name": KERNEL, "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(notebook, path)
    return path


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook."""
    notebook: NotebookNode = nbformat.read(path, as_version=4)
    return notebook


def output_data(cell: NotebookNode) -> list[dict[str, Any]]:
    """Give the MIME bundles that a cell displayed or returned."""
    return [dict(output.data) for output in cell.get("outputs", []) if "data" in output]


def output_text(cell: NotebookNode) -> str:
    """Give what a cell printed, displayed and raised, as text."""
    parts = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            parts.append(output.text)
        elif output.output_type == "error":
            parts.append("\n".join(output.traceback))
        else:
            parts.append(output.data.get("text/plain", ""))
    return "\n".join(parts)


def errors_in(notebook: NotebookNode) -> list[tuple[str, str]]:
    """Give name and message of each error that stands in a notebook's outputs."""
    return [
        (output.ename, output.evalue)
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]


def assert_no_secret(project: Project, notebook: Path) -> None:
    """Neither the password nor a key of the running Airflow stands in the notebook."""
    text = notebook.read_text(encoding="utf-8")
    for secret in json.loads((project.state_dir / "secrets.json").read_text()).values():
        assert secret not in text
