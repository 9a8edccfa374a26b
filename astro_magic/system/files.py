"""Reading and writing files: whole or not at all, with errors that say what is in the way."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from astro_magic.errors import FileAccessError

__all__ = [
    "Staged",
    "guard",
    "make_folder",
    "read_bytes",
    "read_optional",
    "remove",
    "remove_leftovers",
    "stage",
    "write_atomic",
]

_CAUSES: dict[int, tuple[str, str]] = {
    errno.EACCES: ("no permission", "Check who owns the file and its folder, and their permissions."),
    errno.EPERM: ("no permission", "Check who owns the file and its folder, and their permissions."),
    errno.ENOSPC: ("the disk is full", "Make room on the disk, then run this again."),
    errno.EROFS: ("the file system is read-only", "Work in a folder that can be written."),
    errno.EEXIST: ("something else stands in its place", "Move that elsewhere, or choose another name."),
    errno.EISDIR: ("it is a folder", "Name a file."),
    errno.ENOTEMPTY: ("the folder in its place is not empty", "Move what is in that folder elsewhere first."),
    errno.ENOTDIR: ("a part of its path is a file, not a folder", "Check the path."),
    errno.ENOENT: ("it does not exist", "Check the path."),
    errno.ENAMETOOLONG: ("its name is too long", "Choose a shorter name."),
    errno.ELOOP: ("its symbolic links form a loop", "Check where the link points."),
}
#: How file systems say that they cannot rename a file over this one.
_NO_RENAME = {errno.EBUSY, errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, getattr(errno, "ENOTSUP", errno.EOPNOTSUPP)}
if hasattr(errno, "EDQUOT"):
    _CAUSES[errno.EDQUOT] = ("the disk quota is used up", "Make room on the disk, then run this again.")


@contextlib.contextmanager
def guard(path: Path, deed: str) -> Iterator[None]:
    """Turn an operating system error into one that names the file and the cause.

    Parameters
    ----------
    path : Path
        The file that is worked on.
    deed : str
        What is being done, to follow "cannot": ``read``, ``write``.

    Raises
    ------
    FileAccessError
        In place of any `OSError` raised inside.
    """
    try:
        yield
    except OSError as error:
        cause, hint = _CAUSES.get(error.errno or 0, (error.strerror or str(error), "Check the file and its folder."))
        message = f"Cannot {deed} {path}: {cause}."
        raise FileAccessError(message, hint=hint) from error


def read_bytes(path: Path) -> bytes:
    """Read a whole file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    bytes
        Its content.

    Raises
    ------
    FileAccessError
        When it does not exist, is a folder or cannot be read.
    """
    with guard(path, "read"):
        # Windows answers "no permission" for a folder, which would send the reader the wrong way.
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        return path.read_bytes()


def read_optional(path: Path) -> bytes | None:
    """Read a whole file; None when it does not exist.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    FileAccessError
        When it is a folder or cannot be read.
    """
    with guard(path, "read"):
        exists = path.exists()
    return read_bytes(path) if exists else None


def write_atomic(path: Path, data: bytes, *, mode: int | None = None, durable: bool = True) -> None:
    """Write a whole file so that a reader sees either the old content or the new one, even after a crash.

    A symbolic link stays one: the file that it points to is replaced. An existing file keeps its permissions, and its
    owner where that can be kept.

    A few places cannot replace a file by renaming another one: a file that is mounted by itself into a container, some
    network file systems. There the file is written in place. A crash in the middle of that leaves the whole new
    content beside it, in the temporary file.

    Parameters
    ----------
    path : Path
        The file. Its folder must exist.
    data : bytes
        The new content.
    mode : int, optional
        The permissions of a file that does not exist yet, such as ``0o600``. Default: what the umask leaves.
    durable : bool, optional
        Wait until the content is on the disk, so that it is still there after the power fails.

    Raises
    ------
    FileAccessError
        When it cannot be written; the old content is then untouched and nothing is left behind.
    """
    with stage(path, data, mode=mode, durable=durable) as staged:
        staged.commit()


class Staged:
    """A new content that lies beside its file, and takes its place with `commit`.

    Parameters
    ----------
    path : Path
        The file, as it was named.
    target : Path
        The file itself, behind symbolic links.
    temporary : Path
        Where the new content lies.
    durable : bool
        Whether to wait for the disk.
    """

    def __init__(self, path: Path, target: Path, temporary: Path, *, durable: bool) -> None:
        self._path = path
        self._target = target
        self._temporary = temporary
        self._durable = durable

    def commit(self) -> None:
        """Let the new content take the file's place.

        Raises
        ------
        FileAccessError
            When it cannot; the file then is as it was.
        """
        with guard(self._path, "write"):
            try:
                # The full call, not Path.replace: the tests make exactly this step fail.
                os.replace(self._temporary, self._target)
            except OSError as error:
                if error.errno not in _NO_RENAME or not self._target.exists():
                    raise
                self._write_in_place()
            if self._durable:
                _sync_folder(self._target.parent)

    def discard(self) -> None:
        """Remove the new content, if it has not taken the file's place."""
        with guard(self._path, "clean up"):
            self._temporary.unlink(missing_ok=True)

    def _write_in_place(self) -> None:
        before = self._target.read_bytes()
        with self._target.open("r+b") as stream:
            try:
                _put(stream, self._temporary.read_bytes(), durable=self._durable)
            except BaseException:
                stream.seek(0)
                _put(stream, before, durable=self._durable)
                raise


@contextlib.contextmanager
def stage(path: Path, data: bytes, *, mode: int | None = None, durable: bool = True) -> Iterator[Staged]:
    """Write a new content beside a file. What may fail for want of room fails here; `Staged.commit` only renames.

    The parameters are those of `write_atomic`. At the end of the block, a content that was not committed is removed.

    Raises
    ------
    FileAccessError
        When it cannot be written; nothing is left behind.
    """
    with guard(path, "write"):
        target = Path(os.path.realpath(path))
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        existing = _status(target)
        temporary = target.with_name(f".{target.name[:80]}.{secrets.token_hex(6)}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        # Created with the final permissions where it is new, and private where they are set only afterwards.
        creation_mode = 0o600 if existing is not None else (0o666 if mode is None else mode)
        descriptor = os.open(temporary, flags, creation_mode)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                _put(stream, data, durable=durable)
            if existing is not None:
                _take_after(temporary, existing)
            elif mode is not None:
                temporary.chmod(mode)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    staged = Staged(path, target, temporary, durable=durable)
    try:
        yield staged
    finally:
        staged.discard()


def remove_leftovers(path: Path) -> None:
    """Remove what a process that was killed while it wrote a file left beside it.

    Call it only where no other process can be writing the file: with the lock held that all its writers take.

    Parameters
    ----------
    path : Path
        The file, which need not exist.

    Raises
    ------
    FileAccessError
        When the folder cannot be read, or something in it cannot be removed.
    """
    target = Path(os.path.realpath(path))
    leftover = re.compile(rf"\.{re.escape(target.name[:80])}\.[0-9a-f]{{12}}\.tmp")
    with guard(target.parent, "clean up"), contextlib.suppress(FileNotFoundError):
        for other in target.parent.iterdir():
            if leftover.fullmatch(other.name):
                other.unlink(missing_ok=True)


def remove(path: Path, *, durable: bool = True) -> None:
    """Remove a file; one that does not exist is no error.

    Parameters
    ----------
    path : Path
        The file. A symbolic link is removed itself, not what it points to.
    durable : bool, optional
        Wait until the disk knows it.

    Raises
    ------
    FileAccessError
        When it cannot be removed.
    """
    with guard(path, "remove"):
        if path.is_dir() and not path.is_symlink():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.unlink(missing_ok=True)
        if durable:
            _sync_folder(path.parent)


def make_folder(path: Path, *, mode: int = 0o777) -> None:
    """Make a folder and those above it; one that exists is left as it is.

    Parameters
    ----------
    path : Path
        The folder.
    mode : int, optional
        Permissions of the folder itself, when it is new.

    Raises
    ------
    FileAccessError
        When it cannot be made, or a file stands in its place.
    """
    with guard(path, "make the folder"):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_dir():
            try:
                path.mkdir(mode=mode)
            except FileExistsError as error:
                # Another process may have made it just now; only a file in its place is an error.
                if not path.is_dir():
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error


def _put(stream: BinaryIO, data: bytes, *, durable: bool) -> None:
    stream.write(data)
    stream.truncate()
    stream.flush()
    if durable:
        os.fsync(stream.fileno())


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _take_after(path: Path, existing: os.stat_result) -> None:
    """Give a file the permissions of another, and its owner where this process may."""
    if hasattr(os, "chown") and (existing.st_uid, existing.st_gid) != (os.geteuid(), os.getegid()):
        with contextlib.suppress(OSError):
            os.chown(path, existing.st_uid, existing.st_gid)
    # Last, since a change of the owner takes some of them away.
    path.chmod(existing.st_mode & 0o7777)


def _sync_folder(folder: Path) -> None:
    """Make a new or removed name durable, where the system can do that for a folder."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
