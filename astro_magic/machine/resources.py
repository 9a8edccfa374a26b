"""Whether memory, processors and disk are enough for an Airflow."""

from __future__ import annotations

import math
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from astro_magic.machine.result import CheckResult, State

__all__ = ["DiskUsage", "Memory", "check_cpu", "check_disk", "check_memory", "disk_usage", "read_cpus", "read_memory"]

_GB = 1_000_000_000
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")
#: An Airflow of four components takes about 1 GB, and what its tasks take comes on top.
_MEMORY_LOCAL = 2 * _GB
_MEMORY_DOCKER = 4 * _GB
_DISK_LITTLE = 2 * _GB
_DISK_LEAST = _GB // 2
_INODES_LITTLE = 50_000


@dataclass(frozen=True)
class Memory:
    """Memory as this process may use it.

    Attributes
    ----------
    available, total : int
        Bytes that can be had without swapping, and bytes that there are.
    limited : bool
        Whether a control group allows less than the machine has, as for a container.
    """

    available: int
    total: int
    limited: bool = False


@dataclass(frozen=True)
class DiskUsage:
    """The disk that a folder is on.

    Attributes
    ----------
    what : str
        What is kept there: ``project``, ``cache``.
    folder : Path
        The folder.
    device : int
        Number of the file system.
    free : int
        Bytes that this user can write.
    inodes : int or None
        Files that can be made; None where the file system does not count them.
    """

    what: str
    folder: Path
    device: int
    free: int
    inodes: int | None = None


def check_memory(memory: Memory, *, docker: bool) -> Iterator[CheckResult]:
    """Judge the memory.

    Parameters
    ----------
    memory : Memory
        What there is.
    docker : bool
        Whether a Docker engine answers, so that Airflow could run there, which takes more.
    """
    limited = " (the limit of this container)" if memory.limited else ""
    seen = f"{_size(memory.available)} of {_size(memory.total)} available{limited}"
    if memory.available < _MEMORY_LOCAL:
        hint = "An Airflow takes about 1 GB, and its tasks come on top: end programs that are not needed."
        yield CheckResult("memory", "warning", seen, hint)
    elif docker and memory.available < _MEMORY_DOCKER:
        hint = "That is little for Airflow in Docker; %astro_start --engine local takes less."
        yield CheckResult("memory", "warning", seen, hint)
    else:
        yield CheckResult("memory", "good", seen)


def check_cpu(cpus: float) -> Iterator[CheckResult]:
    """Judge the number of processors that this process may use."""
    seen = f"{cpus:g} {'processor' if cpus == 1 else 'processors'}"
    if cpus < 2:
        yield CheckResult("CPU", "warning", seen, "Airflow's components start one after the other with less than 2.")
    else:
        yield CheckResult("CPU", "good", seen)


def check_disk(usages: Sequence[DiskUsage]) -> Iterator[CheckResult]:
    """Judge the space that is left; folders on the same file system are told of once."""
    told: dict[int, list[DiskUsage]] = {}
    for usage in usages:
        told.setdefault(usage.device, []).append(usage)
    for same in told.values():
        usage = same[0]
        seen = f"{_size(usage.free)} free for the {' and the '.join(one.what for one in same)}"
        few = usage.inodes is not None and usage.inodes < _INODES_LITTLE
        if few:
            seen += f", but only {usage.inodes:,} more files"
        state: State = "bad" if usage.free < _DISK_LEAST else "warning" if few or usage.free < _DISK_LITTLE else "good"
        yield CheckResult("disk", state, seen, "" if state == "good" else _space_hint(same, few=few))


def _space_hint(same: Sequence[DiskUsage], *, few: bool) -> str:
    if few:
        return (
            f"An environment has about 20,000 files: delete some that are not needed on the disk of {same[0].folder}."
        )
    needs = "An environment takes about 300 MB"
    if any(usage.what == "cache" for usage in same):
        return f"{needs}: free some space; uv cache prune removes packages that are no longer used."
    return f"{needs}: free some space on the disk of {same[0].folder}."


def read_memory(*, cgroups: Path = _CGROUPS, own: Path = _OWN_CGROUP) -> Memory:
    """Read the memory of the machine, and the limits of the control groups that this process is in.

    Parameters
    ----------
    cgroups : Path, optional
        Where control groups are mounted, of version 1 or 2.
    own : Path, optional
        The file that names this process's own groups.
    """
    import psutil

    machine = psutil.virtual_memory()
    memory = Memory(machine.available, machine.total)
    for folder, names in _memory_groups(cgroups, own):
        limit, used = _number(folder / names[0]), _number(folder / names[1])
        if limit is None or limit >= memory.total:
            continue
        # What is cached of files is given back when it is needed.
        cache = _field(folder / "memory.stat", names[2])
        left = max(0, limit - max(0, (used or 0) - cache))
        memory = Memory(min(memory.available, left), limit, limited=True)
    return memory


def read_cpus(*, cgroups: Path = _CGROUPS, own: Path = _OWN_CGROUP) -> float:
    """Give how many processors this process may use, as its affinity and its control groups allow."""
    cpus = float(len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1)
    for folder in _chain(cgroups, _group(own, "")):
        quota, _, period = _text(folder / "cpu.max").partition(" ")
        if quota.isdecimal() and period.strip().isdecimal():
            cpus = min(cpus, int(quota) / int(period))
    for folder in _chain(cgroups / "cpu", _group(own, "cpu")):
        limit, length = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        if limit and length:
            cpus = min(cpus, limit / length)
    return math.floor(cpus * 10) / 10


def disk_usage(what: str, folder: Path) -> DiskUsage:
    """Measure the disk of a folder, or of the nearest one above that is there.

    Raises
    ------
    OSError
        When it cannot be measured.
    """
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    inodes = None
    if sys.platform != "win32":
        about = os.statvfs(folder)
        inodes = about.f_favail if about.f_files else None
    return DiskUsage(what, folder, folder.stat().st_dev, free, inodes)


def _memory_groups(cgroups: Path, own: Path) -> Iterator[tuple[Path, tuple[str, str, str]]]:
    for folder in _chain(cgroups, _group(own, "")):
        yield folder, ("memory.max", "memory.current", "inactive_file")
    for folder in _chain(cgroups / "memory", _group(own, "memory")):
        yield folder, ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _group(own: Path, controller: str) -> str:
    """Give the path of this process's group; that of version 2 has no controller."""
    for line in _text(own).splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controller in controllers.split(","):
            return path.strip("/")
    return ""


def _chain(root: Path, group: str) -> Iterator[Path]:
    """Give a group's folder and those above it: each of them limits. In a container, only the root is to be seen."""
    folder = root / group
    yield folder
    while folder != root:
        folder = folder.parent
        yield folder


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _number(file: Path) -> int | None:
    text = _text(file)
    return int(text) if text.isdecimal() else None


def _field(file: Path, name: str) -> int:
    for line in _text(file).splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdecimal():
            return int(value)
    return 0


def _size(number: int) -> str:
    return f"{number / _GB:.1f} GB" if number >= _GB else f"{number // 1_000_000} MB"
