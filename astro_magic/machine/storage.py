"""Whether the folders that Astro Magic writes to are fit for it: what they are on, and what they are called."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from astro_magic.errors import FileAccessError
from astro_magic.machine.result import CheckResult
from astro_magic.project.config import CONFIG_NAME
from astro_magic.system.folders import runtime_folder

__all__ = ["check_folder", "check_runtime_folder", "file_system", "synced_by"]

#: File systems of another machine, or of the host of a virtual one: locks, renames and change times differ there.
_REMOTE = re.compile(
    r"nfs\d?|cifs|smb\w*|9p|afpfs|webdav|davfs|drvfs|vboxsf|vmhgfs|prl_fs|ncpfs|afs|ceph|glusterfs|lustre|beegfs|"
    r"fuse\.(?:sshfs|s3fs|rclone|gcsfuse|vmhgfs-fuse|glusterfs|davfs\d?|gvfsd-fuse|portal|grpcfuse|osxfs)|osxfs|grpcfuse",
)
_SYNCED = re.compile(
    r"(?P<name>OneDrive|Dropbox|Google ?Drive|Nextcloud|ownCloud|Box Sync|iCloud ?Drive|pCloud ?Drive)(?: .*)?"
)
_MACOS_SYNCED = {"CloudStorage": "a cloud service", "Mobile Documents": "iCloud Drive"}
#: Seconds that a file's time may be off before Airflow takes a changed file for an unchanged one.
_CLOCK = 2.0
#: A Unix socket's path has at most 104 bytes on macOS and 108 on Linux; its name here takes 22 of them.
_SOCKET_PATH = 104
_SOCKET_NAME = 22


def check_folder(root: Path) -> Iterator[CheckResult]:
    """Look at a project's folder.

    Parameters
    ----------
    root : Path
        The folder.
    """
    name = "folder"
    good = True
    for problem in _problems(root):
        good = False
        yield CheckResult(name, "warning", *problem)
    if good:
        kind = file_system(root)
        details = [kind or "a local disk"]
        if _ignores_case(root):
            details.append("file names are not told apart by case")
        yield CheckResult(name, "good", ", ".join(details))


def _problems(root: Path) -> Iterator[tuple[str, str]]:
    kind = file_system(root)
    if _REMOTE.fullmatch(kind):
        yield (
            f"{root} is on {kind}, which is slow and may not lock files",
            "Work on a copy on a disk of this machine; under WSL, in the home folder of Linux.",
        )
    service = synced_by(root)
    if service:
        yield (
            f"{root} is synchronised by {service}, which may hold files and make copies of those that change",
            "Move the project out of it, and keep it in git.",
        )
    if ":" in root.as_posix().removeprefix(root.drive):
        yield f"{root} has a colon in it, which Docker cannot mount and PATH cannot hold", "Rename the folder."
    off = _clock_difference(root)
    if off is None:
        yield f"no file can be made in {root}", "Give your user the right to write there."
    elif abs(off) > _CLOCK:
        yield (
            f"the clock of its file system is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} this machine's",
            "Set both clocks by the network: changed files may pass for unchanged ones.",
        )


def check_runtime_folder() -> Iterator[CheckResult]:
    """Look at the folder for sockets, which must be this user's alone and have a short path."""
    name = "temporary folder"
    try:
        folder = runtime_folder()
    except FileAccessError as problem:
        yield CheckResult(name, "bad", problem.message, problem.hint or "")
        return
    except OSError as problem:
        detail = f"the folder for sockets cannot be made in {tempfile.gettempdir()}: {problem.strerror}"
        yield CheckResult(name, "bad", detail, "Set TMPDIR to a folder that you can write to.")
        return
    length = len(os.fsencode(folder)) + _SOCKET_NAME
    if length > _SOCKET_PATH and sys.platform != "win32":
        detail = f"{folder} is too long: a socket's path would have {length} bytes, {_SOCKET_PATH} are allowed"
        yield CheckResult(name, "bad", detail, "Set TMPDIR to a folder with a short path, such as /tmp.")
    else:
        yield CheckResult(name, "good", str(folder))


def file_system(folder: Path, mounts: Sequence[tuple[str, str]] | None = None) -> str:
    """Give the type of the file system that a folder is on, such as ``ext4``; empty when unknown.

    Parameters
    ----------
    folder : Path
        The folder.
    mounts : sequence of tuple, optional
        Where file systems are mounted, and their types, the latest last; those of this machine by default.
    """
    if mounts is None:
        import psutil

        mounts = [(partition.mountpoint, partition.fstype) for partition in psutil.disk_partitions(all=True)]
    resolved = folder.resolve()
    best, kind = -1, ""
    for mount, its_kind in mounts:
        # Of two at the same place, the later one hides the other.
        if resolved.is_relative_to(mount) and len(mount) >= best:
            best, kind = len(mount), its_kind
    return kind.lower()


def synced_by(folder: Path) -> str:
    """Give the service that synchronises a folder, as the names on its path tell; empty when none does."""
    for part in folder.parts:
        if part in _MACOS_SYNCED:
            return _MACOS_SYNCED[part]
        found = _SYNCED.fullmatch(part)
        if found:
            return found["name"]
    return ""


def _ignores_case(root: Path) -> bool:
    swapped = root / CONFIG_NAME.swapcase()
    return swapped.exists()


def _clock_difference(root: Path) -> float | None:
    """Give how far the file system's clock is ahead, in seconds; None when no file can be made there.

    The file has no name where the system knows such files, and else is gone at once.
    """
    before = time.time()
    try:
        with tempfile.TemporaryFile(dir=root) as file:
            file.write(b"\0")
            file.flush()
            changed = os.fstat(file.fileno()).st_mtime
    except OSError:
        return None
    after = time.time()
    # File systems count time in steps of their own, so a little early is no difference.
    return changed - after if changed > after else min(0.0, changed - before)
