"""How much room environments take: most of their files are also in a cache, or in another environment."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

__all__ = ["files_in", "read_sizes", "size_together"]


def read_sizes(folder: Path) -> tuple[int, int, int]:
    """Give the bytes on disk, how many of them others have too, and how many come free with the folder's removal."""
    seen: dict[tuple[int, int], tuple[int, int, int]] = {}
    for place in files_in(folder):
        about = place.stat(follow_symlinks=False)
        inode = (about.st_dev, about.st_ino)
        seen[inode] = (_bytes(about), about.st_nlink, seen.get(inode, (0, 0, 0))[2] + 1)
    size = sum(length for length, _, _ in seen.values())
    shared = sum(length for length, links, inside in seen.values() if links > inside)
    return size, shared, size - shared


def size_together(folders: Collection[Path]) -> int:
    """Give the bytes that several folders take on disk; a file that several have counts once."""
    found: dict[tuple[int, int], int] = {}
    for folder in folders:
        for place in files_in(folder):
            about = place.stat(follow_symlinks=False)
            found[about.st_dev, about.st_ino] = _bytes(about)
    return sum(found.values())


def _bytes(about: os.stat_result) -> int:
    # Windows does not tell how many blocks a file takes.
    return about.st_blocks * 512 if hasattr(about, "st_blocks") else about.st_size


def files_in(folder: Path) -> list[os.DirEntry[str]]:
    """Give the files in a folder and in those below it."""
    found: list[os.DirEntry[str]] = []
    waiting = [os.fspath(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    found.append(entry)
    return found
