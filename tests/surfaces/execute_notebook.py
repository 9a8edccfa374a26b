"""Execute the notebook named first, save it as what is named second, and fail when a cell failed."""

from __future__ import annotations

import sys

import nbformat
from nbclient import NotebookClient

source, target = sys.argv[1:]
notebook = nbformat.read(source, as_version=4)
try:
    NotebookClient(notebook).execute()
finally:
    nbformat.write(notebook, target)
