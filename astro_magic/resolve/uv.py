"""Call uv, which resolves and installs, and say in words what it could not do."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from astro_magic.errors import DependencyError, InstallationError, NetworkError, ResolutionError
from astro_magic.system import processes
from astro_magic.system.secrets import mask_credentials

__all__ = ["call", "index_settings", "uv_environment"]

#: pip's settings that uv has under another name; uv reads none of pip's own.
_FROM_PIP = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_CERT": "SSL_CERT_FILE",
}
#: What belongs to the kernel's own environment and would mislead uv; in a narrow terminal, it would tear its sentences.
_KERNEL_ONLY = (
    "COLUMNS",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONDONTWRITEBYTECODE",
    "UV_PYTHON",
)
_NETWORK = re.compile(
    r"error sending request|dns error|failed to lookup address|tcp connect error|network was disabled|"
    r"operation timed out|connection (refused|reset)|HTTP status (client|server) error|UnknownIssuer",
    re.IGNORECASE,
)

_FULL = re.compile(r"^.*\(os error (?:28|122)\).*$", re.MULTILINE)
_NO_CACHE = re.compile(r"Failed to initialize cache at `(?P<folder>[^`]+)`(?:.*: (?P<why>.+) \(os error)?", re.DOTALL)

_REACH = "Check the network, the proxy (HTTPS_PROXY) and the index (UV_DEFAULT_INDEX), then run it again."


@cache
def _binary() -> str:
    import uv

    return os.fspath(uv.find_uv_bin())


def uv_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the environment that uv is called with: this process's, with pip's settings under uv's names."""
    environment = {name: value for name, value in os.environ.items() if name not in _KERNEL_ONLY}
    for pip_name, uv_name in _FROM_PIP.items():
        value = environment.get(pip_name)
        if value and uv_name not in environment and _usable(pip_name, value):
            environment[uv_name] = value
    environment.update({"UV_NO_PROGRESS": "1", "UV_NO_CONFIG": environment.get("UV_NO_CONFIG", "0"), "NO_COLOR": "1"})
    return environment | dict(extra or {})


def index_settings(extra: Mapping[str, str]) -> tuple[str, ...]:
    """Give the variables that say where packages come from, each with its value, but no passwords."""
    known = uv_environment(extra)
    named = [name for name in sorted(known) if name.startswith("UV_") and "INDEX" in name]
    return tuple(f"{name}={known[name]}" for name in named if not name.endswith("_PASSWORD"))


def _usable(name: str, value: str) -> bool:
    """Tell whether uv can do with a value; a folder of wheels that is not there is an error for it, not for pip."""
    return name != "PIP_FIND_LINKS" or "://" in value or Path(value).is_dir()


def call(
    arguments: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path | None = None,
    text: str | None = None,
    timeout: float = 900.0,
    offline: bool = False,
    cached: bool = True,
    on_cache: Callable[[], object] | None = None,
    extra: Mapping[str, str] | None = None,
) -> processes.Completed:
    """Call uv; when the network fails, call it once more with what the cache has.

    Parameters
    ----------
    arguments : sequence of str
        What follows ``uv``.
    cwd : Path, optional
        Folder that relative paths are relative to.
    text : str, optional
        Given on standard input.
    timeout : float
        Seconds until the call is given up.
    offline : bool
        Use only the cache.
    cached : bool
        Whether what the cache has will do when the network fails.
    on_cache : callable, optional
        Called when it did.
    extra : mapping of str to str, optional
        More variables than this process has.

    Raises
    ------
    ResolutionError
        When the requirements cannot be installed together, or one does not exist.
    NetworkError
        When an index could not be reached and the cache is not enough.
    InstallationError
        When anything else goes wrong; the detail has uv's own words.
    """
    environment = uv_environment({**(extra or {}), **({"UV_OFFLINE": "1"} if offline else {})})
    started = time.monotonic()
    done = processes.run([_binary(), *arguments], env=environment, cwd=cwd, text=text, timeout=timeout)
    if done.code == 0:
        return done
    if _NETWORK.search(done.errors) and not offline:
        if not cached:
            raise NetworkError("The package index could not be reached.", hint=_REACH, detail=_words(done.errors))
        try:
            remaining = max(timeout - (time.monotonic() - started), 10.0)
            answer = call(arguments, cwd=cwd, text=text, timeout=remaining, offline=True, extra=extra)
        except DependencyError as missing:
            msg = "The package index could not be reached, and what is needed is not in uv's cache."
            raise NetworkError(msg, hint=_REACH, detail=_words(done.errors)) from missing
        if on_cache is not None:
            on_cache()
        return answer
    raise _failure(_words(done.errors))


def _failure(words: str) -> DependencyError:
    return _failure_of_disk(words) or _failure_of_requirements(words)


def _failure_of_disk(words: str) -> DependencyError | None:
    full = _FULL.search(words)
    if full:
        # Which package it was that had no room is no news, and nothing is wrong with that one.
        hint = "Make room on the disk, then run this again. uv cache prune removes what uv no longer needs."
        return InstallationError("The packages could not be installed: the disk is full.", hint=hint, detail=full[0])
    cache = _NO_CACHE.search(words)
    if cache:
        msg = f"uv's cache folder {cache['folder']} cannot be made: {cache['why'] or 'see below'}."
        return InstallationError(msg, hint="Set UV_CACHE_DIR to a folder that you can write to.", detail=words)
    return None


def _failure_of_requirements(words: str) -> DependencyError:
    missing = re.search(r"Because (?:only )?([\w.\[\]-]+) was not found in the (?:package registry|cache)", words)
    if missing:
        return ResolutionError(
            f"There is no package named {missing[1]} on the package index.",
            hint="Check its spelling; if it is on a private index, name that first: %astro_private_index URL.",
            detail=words,
        )
    version = re.search(r"there (?:is|are) no versions? of ([^\s,]+)", words)
    if version and "No solution found" in words:
        return ResolutionError(
            f"There is no version {version[1]} on the package index.",
            hint="Loosen the version, or look which ones exist.",
            detail=words,
        )
    if "No solution found" in words:
        sides = re.search(r"you require (.+?), we can conclude that your requirements are unsatisfiable", words)
        named = f": {sides[1]}" if sides else ""
        hint = "Loosen or remove one of them; the version of Airflow comes from the Dockerfile."
        return ResolutionError(f"These requirements cannot be installed together{named}.", hint=hint, detail=words)
    if "parse" in words.lower() and "requirement" in words.lower():
        return ResolutionError("A line of the requirements cannot be read.", detail=words)
    return InstallationError("The packages could not be installed.", detail=words)


def _words(errors: str) -> str:
    """Give what uv said, without its ornaments and without any login."""
    lines = [line for line in errors.splitlines() if not line.startswith(("warning:", "Using Python "))]
    text = "\n".join(lines)
    text = re.sub(r"^error: |^\s*cause: |^\s*[×╰─▶]+\s*", "", text, flags=re.MULTILINE)
    text = re.sub(r"\n {4,}", "\n", text).strip()
    return mask_credentials("\n".join(text.splitlines()[-30:]))
