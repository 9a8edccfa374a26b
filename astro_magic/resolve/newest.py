"""The newest versions that there are of installed packages, by uv."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from astro_magic.errors import DependencyError, NetworkError
from astro_magic.resolve import uv

__all__ = ["newest_versions"]

_TIME_LIMIT = 180.0
_FIND_LIMIT = 5.0
#: Options of requirements files that say where packages are, and the variables by which uv is told the same.
_VARIABLES = {"--index-url": "UV_DEFAULT_INDEX", "--extra-index-url": "UV_INDEX", "--find-links": "UV_FIND_LINKS"}
_ON = ("1", "true", "yes", "on")


def newest_versions(
    versions: Mapping[str, str],
    *,
    python: str | Path,
    folder: Path,
    options: tuple[tuple[str, str], ...] = (),
) -> dict[str, str]:
    """Ask the package indexes for newer versions.

    uv compares what is installed in a folder with its indexes. The folder is made for it, so that one way serves all
    environments, wherever they are.

    Parameters
    ----------
    versions : mapping of str to str
        The installed version of each package, by name.
    python : str or Path
        The environment's Python, or its version where that is elsewhere. If this machine has none of that version,
        versions are looked for that run on this process's Python.
    folder : Path
        What relative paths are relative to, and where uv looks for its configuration.
    options : tuple of (str, str), optional
        Options of a requirements file that say where packages are, such as ``("--extra-index-url", "...")``.

    Returns
    -------
    dict of str to str
        The newest version of those packages for which there is a newer one, by the name that was given.

    Raises
    ------
    NetworkError
        When an index could not be reached: an answer from the cache would say that all is up to date.
    DependencyError
        When uv cannot tell for another reason.
    """
    settings = uv.uv_environment()
    offline = next((name for name in ("UV_OFFLINE", "UV_NO_INDEX") if settings.get(name, "").lower() in _ON), None)
    if offline:
        raise NetworkError(
            f"Newer versions cannot be looked for: {offline} is set, so no package index may be asked.",
            hint=f"Unset {offline}, then run it again.",
        )
    with tempfile.TemporaryDirectory(prefix="astro-magic-") as temporary:
        for name, version in versions.items():
            about = Path(temporary) / f"{re.sub(r'[-.]+', '_', name)}-{version}.dist-info"
            about.mkdir()
            (about / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8"
            )
        arguments = ["pip", "list", "--outdated", "--format", "json", "--target", temporary]
        # By variables, never on the command line: others can read that, and an address may have a login in it.
        answer = uv.call(
            [*arguments, "--python", _interpreter(python)],
            cwd=folder,
            timeout=_TIME_LIMIT,
            cached=False,
            extra=_variables(options, settings),
        )
    newer = {each["name"]: each["latest_version"] for each in json.loads(answer.output)}
    return {name: newer[_normal(name)] for name in versions if _normal(name) in newer}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _interpreter(python: str | Path) -> str:
    """Give a Python whose version decides which packages are of use."""
    if isinstance(python, Path):
        return str(python)
    line = ".".join(python.split(".")[:2])
    if not line or line == f"{sys.version_info[0]}.{sys.version_info[1]}":
        return sys.executable
    asked = ["python", "find", "--system", "--no-project", "--no-python-downloads", line]
    try:
        return uv.call(asked, timeout=_FIND_LIMIT, offline=True).output.strip()
    except DependencyError:
        return sys.executable


def _variables(options: tuple[tuple[str, str], ...], settings: Mapping[str, str]) -> dict[str, str]:
    """Give the variables that say the same as options of a requirements file, added to what they say already."""
    found: dict[str, str] = {}
    for option, value in options:
        name = _VARIABLES.get(option)
        if name is None:
            continue
        known = re.sub(r"\$\{(\w+)\}", lambda match: settings.get(match[1], match[0]), value)
        before = found.get(name) or settings.get(name, "")
        between = "," if name == "UV_FIND_LINKS" else " "
        found[name] = known if name == "UV_DEFAULT_INDEX" or not before else f"{before}{between}{known}"
    return found
