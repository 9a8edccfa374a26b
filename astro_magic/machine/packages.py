"""Whether uv, the Python of the project and the package indexes can be had."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from astro_magic.errors import CommandFailedError, DependencyError, InvalidContentError
from astro_magic.machine.result import CheckResult
from astro_magic.project.project import Project
from astro_magic.resolve import uv
from astro_magic.system import processes

__all__ = ["check_indexes", "check_python", "check_uv", "index_urls"]

_INDEX = "package index"
_TIMEOUT = 3.0
#: Each index is asked alone, and nothing is answered from elsewhere.
_NOT_FOR_ONE = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_CONSTRAINT",
    "UV_OVERRIDE",
    "UV_EXCLUDE_NEWER",
)
_LATE = "cannot be reached: no answer in time"
#: What uv says, and what is said of it; its own words may have the address with a token in it.
_WORDS = (
    (r"401 Unauthorized", "refuses the login, or wants one (401)"),
    (r"403 Forbidden", "refuses access (403)"),
    (r"407 Proxy Authentication", "cannot be reached: the proxy refuses the login, or wants one (407)"),
    (r"dns error|failed to lookup address", "cannot be reached: its name is not known"),
    (r"UnknownIssuer|invalid peer certificate", "cannot be reached: its certificate is not trusted"),
    (r"connection refused", "cannot be reached: the connection is refused"),
    (r"timed out", _LATE),
    (r"HTTP status (?:client|server) error \((?P<status>\d{3})", "answers with error {status}"),
    (r"proxy|tunnel", "cannot be reached through the proxy"),
)
_LOGIN = "Check the user name and the token of the index."
_HINTS = {"401": _LOGIN, "403": _LOGIN, "trusted": "Set SSL_CERT_FILE to the certificates of your network."}
_ONLY_CACHE = "Packages come from uv's cache only; check the network, the proxy and UV_DEFAULT_INDEX."


def check_uv() -> Iterator[CheckResult]:
    """Ask uv for its version and its cache, and look whether it can write there."""
    version = uv.call(["--version"], timeout=_TIMEOUT, offline=True).output.split()[1]
    cache = Path(uv.call(["cache", "dir"], timeout=_TIMEOUT, offline=True).output.strip())
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        yield CheckResult("uv", "good", f"{version}, cache in {cache}")
    else:
        detail = f"{version}, but its cache {cache} cannot be written"
        yield CheckResult("uv", "bad", detail, "Set UV_CACHE_DIR to a folder that you can write to.")


def check_python(project: Project) -> Iterator[CheckResult]:
    """Look for a Python of the version that the project's image has; nothing is downloaded."""
    try:
        wanted = project.runtime.python
    except InvalidContentError as problem:
        yield CheckResult("Python", "unknown", f"the Dockerfile does not tell which: {problem.message}")
        return
    if sys.version_info[:2] == tuple(int(part) for part in wanted.split(".")):
        yield CheckResult("Python", "good", f"{wanted}, as the notebook's own")
        return
    asked = ["python", "find", "--system", "--no-project", "--no-python-downloads", wanted]
    try:
        found = uv.call(asked, timeout=_TIMEOUT, offline=True).output.strip()
    except DependencyError:
        hint = "%astro_start has uv download it, or takes another that Airflow supports."
        yield CheckResult("Python", "warning", f"{wanted}, which the image has, is not on this machine", hint)
    else:
        yield CheckResult("Python", "good", f"{wanted} at {found}")


def index_urls(environment: dict[str, str]) -> tuple[str, ...]:
    """Give the indexes that uv is told of; an empty one stands for uv's own.

    Parameters
    ----------
    environment : dict of str to str
        What uv is called with.
    """
    default = environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL") or ""
    more = f"{environment.get('UV_INDEX', '')} {environment.get('UV_EXTRA_INDEX_URL', '')}".split()
    return tuple(dict.fromkeys((default, *more)))


def check_indexes(*, folder: Path | None = None, timeout: float = _TIMEOUT) -> Iterator[CheckResult]:
    """Ask each package index for one package, as an installation would.

    Parameters
    ----------
    folder : Path, optional
        Where to look for a configuration of uv.
    timeout : float, optional
        Seconds to wait for each.
    """
    environment = uv.uv_environment()
    for name in ("UV_OFFLINE", "UV_NO_INDEX"):
        if environment.get(name, "").lower() in ("1", "true", "yes", "on"):
            yield CheckResult(_INDEX, "unknown", f"not asked, since {name} is set")
            return
    urls = index_urls(environment)
    with ThreadPoolExecutor(len(urls)) as pool:
        yield from pool.map(lambda url: _asked(url, environment, folder, timeout), urls)


def _asked(url: str, environment: dict[str, str], folder: Path | None, timeout: float) -> CheckResult:
    from uv import find_uv_bin

    place = _place(url)
    if url and "://" not in place and not (folder or Path()).joinpath(place).is_dir():
        # It is not shown: it may be a URL with a login whose scheme was forgotten.
        hint = "Correct UV_DEFAULT_INDEX, UV_INDEX, PIP_INDEX_URL or PIP_EXTRA_INDEX_URL."
        return CheckResult(_INDEX, "bad", "one that is set is neither a URL nor a folder", hint)
    alone = {name: value for name, value in environment.items() if name not in _NOT_FOR_ONE}
    # By a variable, never on the command line: others can read that.
    alone |= {"UV_DEFAULT_INDEX": url} if url else {}
    alone |= {"UV_NO_CACHE": "1", "UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": str(max(1, round(timeout) - 1))}
    argv = [find_uv_bin(), "pip", "compile", "-", "--no-deps", "--no-header", "--quiet", "--python", sys.executable]
    named = _host(url)
    began = time.monotonic()
    try:
        done = processes.run(argv, env=alone, cwd=folder, text="pip\n", timeout=timeout)
    except CommandFailedError:
        return CheckResult(_INDEX, "warning", f"{named}{_LATE}", _ONLY_CACHE)
    said = _said(done.errors)
    # An index of one's own need not have the package: that it says so is an answer.
    if done.code == 0 or (not said and "was not found in the package registry" in done.errors):
        return CheckResult(_INDEX, "good", f"{named}answers in {time.monotonic() - began:.1f} s")
    hint = next((hint for word, hint in _HINTS.items() if word in said), _ONLY_CACHE)
    return CheckResult(_INDEX, "warning", f"{named}{said or 'does not answer as an index'}", hint)


def _place(url: str) -> str:
    """Give an index without the name that it may have, as in ``name=https://...``."""
    return re.sub(r"^[\w-]+=", "", url)


def _host(url: str) -> str:
    """Give the host alone: the login and the path of an index may both be secret."""
    try:
        host = urlsplit(_place(url)).hostname
    except ValueError:
        host = None
    return f"{host} " if host else ""


def _said(errors: str) -> str:
    """Say in words of our own what uv said went wrong; empty when it said nothing that is known."""
    words = re.sub(r"\S+://\S+", "", errors)
    for pattern, meaning in _WORDS:
        found = re.search(pattern, words, re.IGNORECASE)
        if found:
            return meaning.format(**found.groupdict())
    return ""
