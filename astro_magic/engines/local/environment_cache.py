"""Environments that were built and found whole, kept in the user's cache for the next project that needs the same.

Nearly all the time that an environment takes to build is spent on compiling it. Its files, bytecode included, are
linked into the cache, with a digest of each; another project gets links of them, compared with those digests. Links of
a file are one file: who edits it in place in one project edits it in the cache, too, which the comparison finds. An
entry that is not as it was noted is removed, and the environment is built as if there were none.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from astro_magic.engines.local.disk import files_in, read_sizes
from astro_magic.errors import FileAccessError
from astro_magic.resolve.shared_locks import holds_everywhere, wheels_named
from astro_magic.system.files import write_atomic
from astro_magic.system.folders import cache_folder

__all__ = [
    "CacheKey",
    "Kept",
    "cached_environments",
    "forget_environment",
    "forget_unused",
    "keep_environment",
    "take_environment",
]

#: To be raised when what an environment consists of changes.
_LAYOUT = 1
_FILES = "files.json"
_TREE = "tree"
_PARTIAL = ".partial"
_KEPT = 6
_KEPT_SECONDS = 30 * 86400.0
_ABANDONED_SECONDS = 3600.0
#: With files in memory, more than there are processors wait for the interpreter's lock alone.
_THREADS = min(4, os.cpu_count() or 1)
#: Where links pay; what lies elsewhere is copied.
_SHARED = "lib/"
#: What another project wrote about its environment, its requirements among it.
_OURS = "astro-magic"


@dataclass(frozen=True)
class CacheKey:
    """What decides which environment it is.

    Attributes
    ----------
    lock : str
        The exact versions, as a requirements file.
    python : Path
        The Python that it is made of.
    python_version : str
        Its exact version.
    index : tuple of str
        The settings that say where packages come from.
    """

    lock: str
    python: Path
    python_version: str
    index: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of its folder; empty where the versions do not say all, as of a folder or a repository."""
        if not holds_everywhere(self.lock):
            return ""
        asked = [
            _LAYOUT,
            self.lock,
            wheels_named(self.lock),
            os.path.realpath(self.python),
            self.python_version,
            self.index,
        ]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Kept:
    """What is known of an environment in the cache.

    Attributes
    ----------
    imported : frozenset of str
        The packages whose import was tried in it, and went well.
    notes : tuple of str
        What the user should know of it.
    """

    imported: frozenset[str]
    notes: tuple[str, ...]


class _DifferentError(Exception):
    """A file in the cache is not what it was."""


def take_environment(key: CacheKey, folder: Path) -> Kept | None:
    """Link an environment from the cache, each file of it compared with what was noted.

    Parameters
    ----------
    key : CacheKey
        Which one.
    folder : Path
        Where it is to be; not there yet, and removed by the caller where this fails.

    Returns
    -------
    Kept or None
        None when it is not there, or cannot be linked from there.
    """
    if not key.name:
        return None
    try:
        entry = _home() / key.name
        text = (entry / _FILES).read_bytes()
    except (OSError, FileAccessError):
        return None
    try:
        known = json.loads(text)
        _clone(entry / _TREE, folder, known["folders"], known["links"], known["files"])
        kept = Kept(frozenset(known["imported"]), tuple(known["notes"]))
        os.utime(entry)
    except (_DifferentError, FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        _discard(entry)
        return None
    except OSError:
        # Another file system, or no room.
        return None
    return kept


def keep_environment(key: CacheKey, folder: Path, known: Kept) -> None:
    """Link an environment that has just been found whole into the cache; where that cannot be done, it is left.

    Parameters
    ----------
    key : CacheKey
        Which one.
    folder : Path
        The environment.
    known : Kept
        What is known of it.
    """
    if not key.name:
        return
    partial = None
    try:
        home = _home()
        home.mkdir(mode=0o700, exist_ok=True)
        _forget(home, but=key.name)
        if (home / key.name).exists():
            return
        partial = home / f"{key.name}.{secrets.token_hex(4)}{_PARTIAL}"
        folders, links, files = _list(folder)
        partial.mkdir()
        digests = _clone(folder, partial / _TREE, folders, links, dict.fromkeys(files, ""))
        noted = {"folders": folders, "links": links, "files": digests}
        noted |= {"imported": sorted(known.imported), "notes": known.notes}
        write_atomic(partial / _FILES, json.dumps(noted).encode(), mode=0o600)
        os.replace(partial, home / key.name)
    except (OSError, FileAccessError):
        # It is only a cache: the disk may be another one, full, or closed to this user.
        pass
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def forget_environment(key: CacheKey) -> None:
    """Remove an environment from the cache."""
    try:
        _discard(_home() / key.name)
    except FileAccessError:
        # Without a cache there is nothing to forget.
        return


def cached_environments() -> tuple[Path, ...]:
    """Give the folders of the environments in the cache, the one first that was used last."""
    try:
        found = [each for each in _home().iterdir() if each.suffix != _PARTIAL]
        return tuple(sorted(found, key=lambda each: each.stat().st_mtime_ns, reverse=True))
    except (OSError, FileAccessError):
        return ()


def forget_unused() -> int:
    """Remove the environments in the cache that no project has one of; gives the bytes that the disk has got back."""
    freed = 0
    for entry in cached_environments():
        # Of what was compiled, uv has no links.
        compiled = (file for file in files_in(entry) if file.name.endswith(".pyc"))
        if all(file.stat(follow_symlinks=False).st_nlink == 1 for file in compiled):
            freed += read_sizes(entry)[2]
            _discard(entry)
    return freed


def _home() -> Path:
    return cache_folder() / "environments"


def _list(folder: Path) -> tuple[list[str], dict[str, str], list[str]]:
    """Give the folders, the symbolic links with where they lead, and the files of an environment."""
    folders: list[str] = []
    links: dict[str, str] = {}
    files: list[str] = []
    waiting = [""]
    while waiting:
        within = waiting.pop()
        with os.scandir(folder / within) as entries:
            for entry in entries:
                path = f"{within}/{entry.name}" if within else entry.name
                if not within and entry.name.startswith(_OURS):
                    continue
                if entry.is_symlink():
                    links[path] = os.fspath(Path(entry.path).readlink())
                elif entry.is_dir():
                    folders.append(path)
                    waiting.append(path)
                else:
                    files.append(path)
    return folders, links, files


def _clone(
    source: Path, target: Path, folders: Sequence[str], links: dict[str, str], files: dict[str, str]
) -> dict[str, str]:
    """Link all files into a new folder, and give their digests; one that differs from a digest that is told ends it."""
    target.mkdir()
    for within in folders:
        (target / within).mkdir()
    for path, leads in links.items():
        (target / path).symlink_to(leads)
    # There are many thousand files, so that paths are plain text here.
    begin, end = f"{source}{os.sep}", f"{target}{os.sep}"

    def link(paths: Sequence[str]) -> list[tuple[str, str]]:
        return [(path, _link(begin + path, end + path, files[path], shared=path.startswith(_SHARED))) for path in paths]

    with ThreadPoolExecutor(_THREADS) as threads:
        return dict(pair for done in threads.map(link, _portions(list(files))) for pair in done)


def _link(source: str, target: str, digest: str, *, shared: bool) -> str:
    """Link a file, and give its digest; the one that is told must be the same.

    Settings and scripts are small, and somebody may edit them in place, so that each environment has its own.
    """
    if shared:
        os.link(source, target)
    else:
        shutil.copy2(source, target)
    with FileIO(target) as file:
        found = hashlib.sha256(file.readall(), usedforsecurity=False).hexdigest()
    if digest and found != digest:
        raise _DifferentError
    return found


def _portions(paths: Sequence[str], size: int = 200) -> Iterator[Sequence[str]]:
    for first in range(0, len(paths), size):
        yield paths[first : first + size]


def _forget(home: Path, *, but: str) -> None:
    """Remove entries that have not been used for long, and what was left by a process that was killed."""
    now = time.time()
    for left in home.glob(f"*{_PARTIAL}"):
        if now - left.stat().st_mtime > _ABANDONED_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    for number, entry in enumerate(cached_environments()):
        if entry.name != but and (number >= _KEPT - 1 or now - entry.stat().st_mtime > _KEPT_SECONDS):
            _discard(entry)


def _discard(entry: Path) -> None:
    """Remove an entry; one that is removed by half is never taken for a whole one."""
    doomed = entry.with_name(f"{entry.name}.{secrets.token_hex(4)}{_PARTIAL}")
    try:
        os.replace(entry, doomed)
    except OSError:
        # Another process has done so, or it may only be read.
        return
    shutil.rmtree(doomed, ignore_errors=True)
