"""The versions that a release of Airflow was made with: what a resolution stays with where nothing asks for others.

A release may be installable with what was published after it, and yet not work with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from astro_magic.errors import DependencyError
from astro_magic.resolve.releases import find_release, resolve_at
from astro_magic.sources.constraints import fetch_constraints
from astro_magic.system.files import write_atomic
from astro_magic.system.folders import cache_folder

__all__ = ["versions_of_release"]

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>[^\s;\\]+)", re.MULTILINE)


def versions_of_release(airflow: str, python: str, *, settings: Mapping[str, str]) -> dict[str, str]:
    """Give the versions: those of the constraints where they can be reached, else those of the day of the release.

    They are kept for all projects of this user.

    Parameters
    ----------
    airflow : str
        ``3.3.2``, or ``3.3.*`` for the latest of a line.
    python : str
        The Python, such as ``3.12``.
    settings : Mapping of str to str
        Variables for uv.

    Returns
    -------
    dict of str to str
        Empty where they are not known, such as without a network.
    """
    try:
        release = None
        if airflow.endswith("*"):
            release = find_release(airflow, python, settings=settings)
            airflow = release.version
        kept = cache_folder() / "releases" / f"airflow-{airflow}-python-{python}.txt"
        if kept.exists():
            return _versions(kept.read_text(encoding="utf-8"))
        pins = fetch_constraints(airflow, python)
        if pins is None:
            release = release or find_release(airflow, python, settings=settings)
            pins = resolve_at(release, python, settings=settings)
    except DependencyError:
        return {}
    if pins:
        kept.parent.mkdir(exist_ok=True)
        write_atomic(kept, pins.encode())
    return _versions(pins)


def _versions(pins: str) -> dict[str, str]:
    return {found["name"]: found["version"] for found in _PIN.finditer(pins)}
