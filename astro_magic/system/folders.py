"""Folders outside a project: the user's cache, and the runtime folder for sockets."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path

import platformdirs

from astro_magic.errors import FileAccessError

__all__ = ["cache_folder", "runtime_folder"]


def cache_folder() -> Path:
    """Give the folder for what can be made again; ``ASTRO_MAGIC_CACHE`` moves it."""
    configured = os.environ.get("ASTRO_MAGIC_CACHE")
    folder = Path(configured) if configured else Path(platformdirs.user_cache_dir("astro-magic", appauthor=False))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        msg = f"The cache folder {folder} cannot be made: {problem.strerror}."
        hint = "Set ASTRO_MAGIC_CACHE, and for uv UV_CACHE_DIR, to folders that you can write to."
        raise FileAccessError(msg, hint=hint) from problem
    return folder


def runtime_folder() -> Path:
    """Give the folder for sockets: short, since a socket's path must be, and open to its owner alone.

    Raises
    ------
    FileAccessError
        When the folder exists but belongs to someone else or is open to others.
    """
    folder = Path(tempfile.gettempdir()) / f"astro-magic-{os.getuid() if sys.platform != 'win32' else 0}"
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    foreign = sys.platform != "win32" and about.st_uid != os.getuid()
    if foreign or not stat.S_ISDIR(about.st_mode) or stat.S_IMODE(about.st_mode) & 0o077:
        msg = f"The runtime folder {folder} is not this user's alone, so no socket can be put there safely."
        raise FileAccessError(msg, hint=f"Remove {folder}, or set TMPDIR to a folder of your own.")
    return folder
