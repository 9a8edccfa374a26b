"""Check the machine: every check at the same time, each for itself."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from astro_magic.errors import AstroMagicError
from astro_magic.machine.certificates import check_certificates
from astro_magic.machine.docker import check_docker
from astro_magic.machine.git import check_git
from astro_magic.machine.packages import check_indexes, check_python, check_uv
from astro_magic.machine.ports import check_port
from astro_magic.machine.proxies import check_proxies
from astro_magic.machine.resources import check_cpu, check_disk, check_memory, disk_usage, read_cpus, read_memory
from astro_magic.machine.result import Check, CheckResult
from astro_magic.machine.storage import check_folder, check_runtime_folder
from astro_magic.project.project import Project
from astro_magic.system.events import Operation, Step
from astro_magic.system.folders import cache_folder
from astro_magic.system.secrets import mask_url_credentials

__all__ = ["check_machine", "machine_checks"]

_TIMEOUT = 8.0


def machine_checks(project: Project | None = None) -> dict[str, Check]:
    """Give the checks by name, in the order in which they are told.

    Parameters
    ----------
    project : Project, optional
        Its folder, its port and its Python are looked at as well.
    """
    checks: dict[str, Check] = {"Docker and memory": _docker_and_memory, "CPU": lambda: check_cpu(read_cpus())}
    checks["disk"] = partial(_disk, project)
    if project is not None:
        checks["folder"] = partial(check_folder, project.root)
    checks["temporary folder"] = check_runtime_folder
    checks["port"] = partial(check_port, project)
    checks["uv"] = check_uv
    if project is not None:
        checks["Python"] = partial(check_python, project)
    checks["package index"] = partial(check_indexes, folder=project.root if project else None)
    checks["proxy"] = check_proxies
    checks["certificates"] = check_certificates
    checks["git"] = check_git
    return checks


def check_machine(
    project: Project | None = None, *, checks: Mapping[str, Check] | None = None, timeout: float = _TIMEOUT
) -> Operation[tuple[CheckResult, ...]]:
    """Check the machine; nothing is changed.

    Parameters
    ----------
    project : Project, optional
        A project to check the machine for.
    checks : mapping of str to callable, optional
        The checks by name; those of `machine_checks` by default.
    timeout : float, optional
        Seconds after which what has not ended is told as unknown.

    Returns
    -------
    tuple of CheckResult
        At least one for each check, in the order of the checks. No login of a URL is in it.
    """
    checks = machine_checks(project) if checks is None else checks
    ended: queue.Queue[tuple[str, tuple[CheckResult, ...]]] = queue.Queue()

    def work(name: str, check: Check) -> None:
        ended.put((name, _guarded(name, check)))

    began = time.monotonic()
    for name, check in checks.items():
        yield Step(name, name)
        # A check can hang, as on a dead network file system; a daemon thread keeps nobody waiting for it.
        threading.Thread(target=work, args=(name, check), daemon=True).start()
    results: dict[str, tuple[CheckResult, ...]] = {}
    while len(results) < len(checks):
        try:
            name, found = ended.get(timeout=max(0.0, began + timeout - time.monotonic()))
        except queue.Empty:
            break
        results[name] = found
        yield Step(name, name, "done", seconds=time.monotonic() - began)
    for name in checks:
        if name not in results:
            results[name] = (CheckResult(name, "unknown", f"no answer within {timeout:g} s"),)
            yield Step(name, name, "skipped", seconds=timeout)
    return tuple(result for name in checks for result in results[name])


def _guarded(name: str, check: Check) -> tuple[CheckResult, ...]:
    """Do a check; one that fails says so, and takes none of the others with it."""
    try:
        found = tuple(check())
    except AstroMagicError as problem:
        found = (CheckResult(name, "unknown", f"could not be checked: {problem.message}", problem.hint or ""),)
    except Exception as problem:  # noqa: BLE001 - whatever is odd about a machine is no reason to say nothing of it
        found = (CheckResult(name, "unknown", f"could not be checked: {type(problem).__name__}"),)
    return tuple(
        replace(result, detail=mask_url_credentials(result.detail), hint=mask_url_credentials(result.hint))
        for result in found
    )


def _docker_and_memory() -> Iterator[CheckResult]:
    """Airflow in Docker takes more memory, which only counts where an engine answers."""
    docker = tuple(check_docker())
    yield from docker
    yield from check_memory(read_memory(), docker=any(result.state == "good" for result in docker))


def _disk(project: Project | None) -> Iterator[CheckResult]:
    folders: list[tuple[str, Path]] = [("project", project.root)] if project else []
    folders.append(("cache", cache_folder()))
    return check_disk([disk_usage(what, folder) for what, folder in folders])
