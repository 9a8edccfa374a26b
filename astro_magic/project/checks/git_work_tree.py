"""What git knows about the files of a project: which are tracked, and which are ignored. Git itself is not started."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from astro_magic.project.changes import split_lines
from astro_magic.project.dags.ignore_rules import read_glob

if TYPE_CHECKING:
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

__all__ = ["WorkTree", "find_work_tree", "tracked_names"]

_GIT_FOLDER = re.compile(r"gitdir:\s*(?P<path>.+)")
_EXCLUDES_FILE = re.compile(r"^\s*excludesfile\s*=\s*\"?(?P<path>[^\"\n]+?)\"?\s*$", re.IGNORECASE | re.MULTILINE)
_SHA_256 = re.compile(r"^\s*objectformat\s*=\s*sha256\s*$", re.IGNORECASE | re.MULTILINE)
# An entry of the index: ten 32-bit numbers about the file, the object's name, and 16 bits of flags.
_STATUS_BYTES = 40
_EXTENDED = 0x4000


@dataclass(frozen=True)
class WorkTree:
    """A work tree of git.

    Attributes
    ----------
    root : Path
        Its topmost folder.
    git : Path
        The folder of this work tree's own state, with its index.
    common : Path
        The folder that all work trees of the repository share.
    """

    root: Path
    git: Path
    common: Path

    def tracked(self, names: Collection[str]) -> set[str]:
        """Find which files are tracked.

        Parameters
        ----------
        names : collection of str
            Files, as POSIX paths relative to the work tree.

        Returns
        -------
        set of str
            Those that the index has.
        """
        data = _read(self.git / "index")
        sha_256 = _SHA_256.search(_text(self.common / "config")) is not None
        return tracked_names(data, names, hash_bytes=32 if sha_256 else 20)

    def ignored(self, name: str) -> bool:
        """Tell whether git ignores a file, by a ``.gitignore``, ``info/exclude`` or the user's own file of patterns.

        Parameters
        ----------
        name : str
            The file, as a POSIX path relative to the work tree.
        """
        sources = [(PurePosixPath(), patterns) for patterns in self._general()]
        parts = PurePosixPath(name).parts
        for depth in range(len(parts)):
            folder = PurePosixPath(*parts[:depth])
            sources.append((folder, _patterns(_text(self.root / folder / ".gitignore"))))
            path = PurePosixPath(*parts[: depth + 1])
            # What is in an ignored folder is ignored, whatever later patterns say.
            if _decide(sources, path, is_folder=depth + 1 < len(parts)):
                return True
        return False

    def _general(self) -> list[Sequence[GitIgnoreSpecPattern]]:
        """Give the patterns that stand in no ``.gitignore``, those that count least first."""
        home = Path.home()
        configured = os.environ.get("XDG_CONFIG_HOME")
        settings = (Path(configured) if configured else home / ".config") / "git"
        chosen = settings / "ignore"
        for config in (settings / "config", home / ".gitconfig", self.common / "config"):
            found = _EXCLUDES_FILE.search(_text(config))
            if found is not None:
                chosen = Path(found["path"]).expanduser()
        return [_patterns(_text(chosen)), _patterns(_text(self.common / "info" / "exclude"))]


def find_work_tree(folder: Path) -> WorkTree | None:
    """Find the work tree that a folder is in; None when it is in none.

    Parameters
    ----------
    folder : Path
        An absolute path.
    """
    for root in (folder, *folder.parents):
        git = root / ".git"
        if git.is_file():
            # A linked work tree or a submodule: the file names the folder.
            found = _GIT_FOLDER.match(_text(git))
            if found is None:
                return None
            git = root / found["path"].strip()
        if (git / "HEAD").is_file():
            common = _text(git / "commondir").strip()
            return WorkTree(root, git, git / common if common else git)
    return None


def tracked_names(index: bytes, names: Collection[str], *, hash_bytes: int = 20) -> set[str]:
    """Find names in git's index (``gitformat-index``, versions 2 to 4).

    Parameters
    ----------
    index : bytes
        Its content.
    names : collection of str
        What to look for.
    hash_bytes : int, optional
        How long an object's name is: 20 for SHA-1, 32 for SHA-256.

    Returns
    -------
    set of str
        Those that the index has; none when it is damaged or of another version.
    """
    wanted = {name.encode("utf-8", "surrogateescape") for name in names}
    version = int.from_bytes(index[4:8], "big")
    # Only version 4 shortens names; in the others, most searches end here.
    if index[:4] != b"DIRC" or version not in {2, 3, 4}:
        return set()
    if version < 4 and not any(name + b"\0" in index for name in wanted):
        return set()
    try:
        found = wanted.intersection(_index_names(index, version, hash_bytes))
    except (IndexError, ValueError):
        return set()
    return {name.decode("utf-8", "surrogateescape") for name in found}


def _index_names(index: bytes, version: int, hash_bytes: int) -> Iterator[bytes]:
    position = 12
    name = b""
    for _ in range(int.from_bytes(index[8:12], "big")):
        start = position
        flags_at = start + _STATUS_BYTES + hash_bytes
        flags = int.from_bytes(index[flags_at : flags_at + 2], "big")
        position = flags_at + (4 if flags & _EXTENDED else 2)
        if version == 4:
            cut, position = _offset(index, position)
            end = index.index(b"\0", position)
            name = name[: len(name) - cut] + index[position:end]
            position = end + 1
        else:
            end = index.index(b"\0", position)
            name = index[position:end]
            # One to eight NULs, so that the length of the entry is a multiple of eight.
            position = start + (end - start + 8) // 8 * 8
        yield name


def _offset(index: bytes, position: int) -> tuple[int, int]:
    """Read a number of variable length, as in the offsets of a pack file."""
    byte = index[position]
    value = byte & 0x7F
    while byte & 0x80:
        position += 1
        byte = index[position]
        value = ((value + 1) << 7) | (byte & 0x7F)
    return value, position + 1


def _patterns(text: str) -> Sequence[GitIgnoreSpecPattern]:
    found = []
    for line in split_lines(text.removeprefix("\ufeff")):
        body = line.rstrip("\r\n")
        # Git passes over a pattern that cannot be read as well.
        with contextlib.suppress(ValueError):
            if body and not body.startswith("#"):
                found.append(read_glob(body))
    return found


def _decide(
    sources: Sequence[tuple[PurePosixPath, Sequence[GitIgnoreSpecPattern]]], path: PurePosixPath, *, is_folder: bool
) -> bool:
    """Find the last pattern that matches a path, of the last source that has one."""
    for base, patterns in reversed(sources):
        relative = f"{path.relative_to(base)}{'/' if is_folder else ''}"
        for pattern in reversed(patterns):
            if pattern.include is not None and pattern.match_file(relative) is not None:
                return pattern.include
    return False


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _text(path: Path) -> str:
    return _read(path).decode("utf-8", "surrogateescape")
