"""What containers use of processor and memory: from the control groups of this machine, else from the engine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from astro_magic.engines.docker.client.connection import Connection, guard
from astro_magic.errors import AstroMagicError

__all__ = ["Running", "Usage", "measure"]

_PROC = Path("/proc")
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Running:
    """A container that runs, as far as measuring it needs.

    Attributes
    ----------
    id : str
        Its id, in full.
    pid : int
        Its first process, as the engine counts processes.
    started : datetime
        Since when it has run.
    """

    id: str
    pid: int
    started: datetime


@dataclass(frozen=True)
class Usage:
    """What a container uses.

    Attributes
    ----------
    cpu_percent : float or None
        Share of one core over its whole life, 0 to 100 per core.
    memory : int or None
        Bytes, without the pages of files that the system could drop at any time.
    """

    cpu_percent: float | None = None
    memory: int | None = None


def measure(connection: Connection, containers: Iterable[Running], *, ask: bool = False) -> dict[str, Usage]:
    """Give what each container uses, by its id; one that cannot be measured is left out.

    Parameters
    ----------
    connection : Connection
        The engine.
    containers : iterable of Running
        What to measure. On this machine that takes well under a millisecond each.
    ask : bool, optional
        Let the engine measure those that are no processes of this machine. It takes more than a second.
    """
    waiting, found = [], {}
    for container in containers:
        usage = _read(container) if connection.local else None
        if usage is not None:
            found[container.id] = usage
        else:
            waiting.append(container)
    if ask and waiting:
        with ThreadPoolExecutor(len(waiting)) as pool:
            for container, asked in zip(waiting, pool.map(lambda one: _ask(connection, one), waiting), strict=True):
                if asked is not None:
                    found[container.id] = asked
    return found


def _read(container: Running) -> Usage | None:
    """Read a container's control groups; None when its process is none of this machine."""
    try:
        rows = (_PROC / str(container.pid) / "cgroup").read_text(encoding="utf-8").splitlines()
        mounts = _mounts((_PROC / "self" / "mountinfo").read_text(encoding="utf-8"))
    except OSError:
        return None
    groups = {}
    for row in rows:
        _, controllers, path = row.split(":", 2)
        group = _group(path, container.id)
        if group is None:
            # The engine's process ids are not this machine's: the id is some other process here.
            continue
        for controller in controllers.split(","):
            root, mount = mounts.get(controller, ("", Path()))
            if root and (group + "/").startswith(root.rstrip("/") + "/"):
                groups[controller] = mount / group[len(root.rstrip("/")) :].lstrip("/")
    seconds, memory = _seconds(groups), _memory(groups)
    if seconds is None and memory is None:
        return None
    return Usage(_share(seconds, container.started), memory)


def _group(path: str, container_id: str) -> str | None:
    """Give the container's own group, of which its process may be in a part; None when it is not of this container."""
    parts = path.split("/")
    for position, part in enumerate(parts):
        if container_id in part:
            return "/".join(parts[: position + 1])
    return None


def _mounts(text: str) -> dict[str, tuple[str, Path]]:
    """Give the root and the place of each mounted hierarchy, by controller; the unified one has an empty name."""
    found = {}
    for row in text.splitlines():
        before, _, after = row.partition(" - ")
        fields, (kind, *_, options) = before.split(), after.split()
        root, place = (_OCTAL.sub(lambda code: chr(int(code[1], 8)), field) for field in fields[3:5])
        if kind == "cgroup2":
            found[""] = (root, Path(place))
        elif kind == "cgroup":
            found.update(dict.fromkeys(options.split(","), (root, Path(place))))
    return found


def _seconds(groups: Mapping[str, Path]) -> float | None:
    if "cpuacct" in groups:
        used = _number(groups["cpuacct"] / "cpuacct.usage")
        return None if used is None else used / 1e9
    if "" in groups:
        used = _entry(groups[""] / "cpu.stat", "usage_usec")
        return None if used is None else used / 1e6
    return None


def _memory(groups: Mapping[str, Path]) -> int | None:
    if "memory" in groups:
        folder, total, droppable = groups["memory"], "memory.usage_in_bytes", "total_inactive_file"
    elif "" in groups:
        folder, total, droppable = groups[""], "memory.current", "inactive_file"
    else:
        return None
    used = _number(folder / total)
    return None if used is None else max(used - (_entry(folder / "memory.stat", droppable) or 0), 0)


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _entry(file: Path, name: str) -> int | None:
    try:
        rows = file.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(row.split()[1]) for row in rows if row.startswith(f"{name} ")), None)


def _share(seconds: float | None, started: datetime) -> float | None:
    if seconds is None:
        return None
    return 100 * seconds / max((datetime.now(UTC) - started).total_seconds(), 0.1)


def _ask(connection: Connection, container: Running) -> Usage | None:
    """Let the engine measure a container; None when it cannot, as when the container has just ended."""
    try:
        with guard("measuring a container"):
            answer: dict[str, Any] = connection.api.stats(container.id, stream=False)
    except AstroMagicError:
        return None
    memory = answer.get("memory_stats") or {}
    details = memory.get("stats") or {}
    used, total = memory.get("usage"), (answer.get("cpu_stats") or {}).get("cpu_usage", {}).get("total_usage")
    droppable = details.get("total_inactive_file", details.get("inactive_file", 0))
    share = _share(total / 1e9, container.started) if total else None
    return Usage(share, max(used - droppable, 0) if used else None)
