"""When a release of Airflow was published, and what it resolved to on that day."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from astro_magic.resolve import uv

__all__ = ["Release", "find_release", "resolve_at"]

_NONE: Mapping[str, str] = MappingProxyType({})
_TIME_LIMIT = 180.0
#: Airflow and its providers are uploaded one after the other.
_MARGIN = timedelta(days=1)


@dataclass(frozen=True)
class Release:
    """A version of Airflow on the package index.

    Attributes
    ----------
    version : str
        Which.
    uploaded : datetime or None
        When it got there; None where the index does not tell.
    """

    version: str
    uploaded: datetime | None


def find_release(airflow: str, python: str, *, settings: Mapping[str, str] = _NONE) -> Release:
    """Ask the index for a release.

    Parameters
    ----------
    airflow : str
        ``3.3.2``, or ``3.3.*`` for the latest of a line.
    python : str
        The Python that it is for, such as ``3.12``.
    settings : Mapping of str to str, optional
        Variables for uv.

    Raises
    ------
    DependencyError
        When there is none, or the index could not be reached.
    """
    arguments = [*_compile(python), "--no-deps", "--format", "pylock.toml"]
    answer = uv.call(arguments, text=f"apache-airflow=={airflow}\n", timeout=_TIME_LIMIT, extra=settings)
    (found,) = tomllib.loads(answer.output)["packages"]
    files = [found.get("sdist"), *found.get("wheels", ())]
    times = [file["upload-time"] for file in files if file and "upload-time" in file]
    return Release(found["version"], max(times, default=None))


def resolve_at(release: Release, python: str, *, settings: Mapping[str, str] = _NONE) -> str:
    """Resolve Airflow alone with nothing that is younger than its release.

    Parameters
    ----------
    release : Release
        The release.
    python : str
        The Python that it is for, such as ``3.12``.
    settings : Mapping of str to str, optional
        Variables for uv.

    Returns
    -------
    str
        The exact versions, one a line; empty where the index does not tell when the release was published.

    Raises
    ------
    DependencyError
        When there is no solution, or the index could not be reached.
    """
    if release.uploaded is None:
        return ""
    latest = (release.uploaded + _MARGIN).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    arguments = [*_compile(python), "--no-header", "--no-annotate", "--exclude-newer", latest]
    asked = f"apache-airflow=={release.version}\n"
    return uv.call(arguments, text=asked, timeout=_TIME_LIMIT, extra=settings).output


def _compile(python: str) -> list[str]:
    return ["pip", "compile", "-", "--python", sys.executable, "--python-version", python, "--quiet"]
