"""The Astro CLI's registry of what runs, ``~/.astro/proxy/routes.json``: read by its proxy and by other tools.

It is written as the CLI writes it: under the same lock, by a temporary file, and with what others put there kept.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from astro_magic.errors import AstroMagicError, InvalidContentError, ProjectBusyError
from astro_magic.project.config import home_folder
from astro_magic.system import files

__all__ = ["Route", "add_route", "announce", "hostname_of", "read_routes", "remove_route", "routes_file", "withdraw"]

_TIMEOUT = 5.0
_POLL_SECONDS = 0.02
_SUFFIX = ".localhost"
_LONGEST_LABEL = 63


@dataclass(frozen=True)
class Route:
    """An environment that runs.

    Attributes
    ----------
    hostname : str
        The name under which the CLI's proxy serves it, such as ``shop.localhost``.
    port : int
        The port of this machine at which its UI is.
    project_dir : str
        The project's folder.
    pid : int
        Its process; 0 for containers, which the CLI then never takes for dead.
    services : Mapping of str to str
        Ports of other services by their names, such as ``{"postgres": "5432"}``.
    mode : str
        ``docker``; ``standalone`` or empty for local processes.
    """

    hostname: str
    port: int
    project_dir: str
    pid: int = 0
    services: Mapping[str, str] = field(default_factory=dict)
    mode: str = "docker"


def routes_file() -> Path | None:
    """Give the registry's file; None when the home folder is unknown."""
    home = home_folder()
    return None if home is None else home / ".astro" / "proxy" / "routes.json"


def hostname_of(root: Path) -> str:
    """Give the name by which the Astro CLI's proxy serves a project: its folder's, and its repository's in a work tree.

    Parameters
    ----------
    root : Path
        The project's folder.
    """
    label = _label(root.name)
    repository = _main_repository(root)
    above = _label(repository.name) if repository is not None else ""
    # The CLI gives up on a name with no letter or digit in it; it needs no more than one that is its own.
    return f"{label}.{above}{_SUFFIX}" if label and above else f"{label or 'airflow'}{_SUFFIX}"


def read_routes() -> tuple[Route, ...]:
    """Read what is registered. Entries that are none are passed over.

    Raises
    ------
    InvalidContentError
        When the file is damaged.
    FileAccessError
        When it cannot be read.
    """
    path = routes_file()
    return () if path is None else tuple(_routes(_load(path)))


def add_route(route: Route) -> Route:
    """Register an environment, in place of what is registered for the same project.

    Parameters
    ----------
    route : Route
        The environment. Where another project has the hostname, this one gets a number behind its own.

    Returns
    -------
    Route
        What was registered.

    Raises
    ------
    InvalidContentError
        When the file is damaged; it is left as it is.
    FileAccessError
        When it cannot be read or written.
    ProjectBusyError
        When another process keeps it locked.
    """
    registered = route

    def put(entries: list[Any]) -> list[Any]:
        nonlocal registered
        taken = {entry.hostname for entry in _routes(entries) if entry.project_dir != route.project_dir}
        registered = replace(route, hostname=_free(route.hostname, taken))
        place = next((number for number, entry in enumerate(entries) if _is_of(entry, route.project_dir)), len(entries))
        known = entries[place] if place < len(entries) else {}
        others = [entry for entry in entries if not _is_of(entry, route.project_dir)]
        return [*others[:place], _entry(registered, known), *others[place:]]

    _edit(put)
    return registered


def remove_route(project_dir: str) -> bool:
    """Remove what is registered for a project, and nothing that another has under the same hostname.

    Parameters
    ----------
    project_dir : str
        The project's folder.

    Returns
    -------
    bool
        Whether there was something.

    Raises
    ------
    InvalidContentError, FileAccessError, ProjectBusyError
        As `add_route`.
    """
    path = routes_file()
    if path is None or not path.exists():
        return False
    removed = False

    def drop(entries: list[Any]) -> list[Any]:
        nonlocal removed
        kept = [entry for entry in entries if not _is_of(entry, project_dir)]
        removed = len(kept) < len(entries)
        return kept

    _edit(drop)
    return removed


def announce(
    root: Path, port: int, *, pid: int = 0, services: Mapping[str, str] | None = None, mode: str = "docker"
) -> tuple[str, ...]:
    """Register a project's environment; where that fails, say so, since Airflow runs all the same.

    Parameters
    ----------
    root : Path
        The project's folder.
    port, pid, services, mode
        As those of a `Route`.
    """
    try:
        add_route(Route(hostname_of(root), port, str(root), pid, services or {}, mode))
    except AstroMagicError as problem:
        return (f"The Astro CLI was not told of it: {problem.message}",)
    return ()


def withdraw(root: Path) -> None:
    """Remove what is registered for a project; a file of another tool that cannot be read is no reason to fail."""
    with suppress(AstroMagicError):
        remove_route(str(root))


def _edit(change: Callable[[list[Any]], list[Any]]) -> None:
    path = routes_file()
    if path is None:
        return
    files.make_folder(path.parent, mode=0o755)
    with _locked(path.with_name("routes.lock")):
        entries = _load(path)
        changed = change(entries)
        if changed != entries:
            # As Go's encoder writes it, which escapes what a browser could take for markup.
            text = json.dumps(changed, indent=2, ensure_ascii=False)
            escaped = text.translate({ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"})
            files.write_atomic(path, escaped.encode("utf-8", "surrogatepass"), mode=0o600)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock that the Astro CLI holds (flock); the file stays, since to remove it would split the lock."""
    lock = FileLock(path, mode=stat.S_IRUSR | stat.S_IWUSR)
    with files.guard(path, "lock"):
        try:
            lock.acquire(timeout=_TIMEOUT, poll_interval=_POLL_SECONDS)
        except Timeout as problem:
            raise ProjectBusyError(
                f"Another process keeps {path} locked, so this environment could not be registered.",
                hint="Airflow itself is not concerned. Look for an astro command that hangs.",
            ) from problem
    try:
        yield
    finally:
        lock.release()


def _load(path: Path) -> list[Any]:
    if not path.exists():
        return []
    content = files.read_bytes(path)
    try:
        entries = json.loads(content) if content.strip() else []
    except (ValueError, RecursionError):
        entries = None
    # A list that was never filled is null in Go.
    if entries is None and content.strip() == b"null":
        return []
    if not isinstance(entries, list):
        raise InvalidContentError(
            f"{path} is damaged, so the Astro CLI's proxy does not learn of this environment.",
            hint="Airflow itself is not concerned. Remove the file; the astro command makes a new one.",
        )
    return entries


def _routes(entries: list[Any]) -> Iterator[Route]:
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("hostname"), str):
            continue
        try:
            services = {str(name): str(port) for name, port in (entry.get("services") or {}).items()}
            port, pid = int(entry.get("port") or 0), int(entry.get("pid") or 0)
        except (AttributeError, TypeError, ValueError):
            continue
        mode = str(entry.get("mode") or "")
        yield Route(entry["hostname"], port, str(entry.get("projectDir") or ""), pid, services, mode)


def _entry(route: Route, known: Mapping[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        **known,
        "hostname": route.hostname,
        "port": str(route.port),
        "projectDir": route.project_dir,
        "pid": route.pid,
    }
    for key, value in (("services", dict(route.services)), ("mode", route.mode)):
        entry.pop(key, None)
        if value:
            entry[key] = value
    return entry


def _is_of(entry: Any, project_dir: str) -> bool:
    return isinstance(entry, dict) and entry.get("projectDir") == project_dir


def _free(hostname: str, taken: set[str]) -> str:
    stem = hostname.removesuffix(_SUFFIX)
    number = 1
    found = hostname
    while found in taken:
        number += 1
        first, dot, rest = stem.partition(".")
        found = f"{first[: _LONGEST_LABEL - len(str(number)) - 1]}-{number}{dot}{rest}{_SUFFIX}"
    return found


def _label(name: str) -> str:
    """Make a folder's name a part of a host's."""
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:_LONGEST_LABEL].rstrip("-")


def _main_repository(root: Path) -> Path | None:
    """Give the folder of the repository that a linked work tree belongs to; None when the project is none."""
    try:
        pointer = (root / ".git").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
    if not pointer.startswith("gitdir: "):
        return None
    # REPOSITORY/.git/worktrees/NAME; with the path's dots taken out as the CLI does, links not followed.
    folder = Path(os.path.normpath(root / pointer.removeprefix("gitdir: ")))
    return folder.parent.parent.parent
