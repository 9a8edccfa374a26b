"""Fetch the versions that the Airflow project tested a release with: its constraints files."""

from __future__ import annotations

import os
import re

from astro_magic.sources.fetching import fetch

__all__ = ["DEFAULT_URL", "fetch_constraints"]

#: Where the Airflow project publishes them (its documentation on installing from PyPI).
DEFAULT_URL = "https://raw.githubusercontent.com/apache/airflow/constraints-{airflow}/constraints-{python}.txt"
_VARIABLE = "ASTRO_MAGIC_CONSTRAINTS"
_PIN = re.compile(r"^[A-Za-z0-9][\w.-]*==[^\s;]+", re.MULTILINE)
_MOST_BYTES = 1_000_000


def fetch_constraints(airflow: str, python: str, *, timeout: float = 3.0) -> str | None:
    """Fetch the constraints of a release.

    Parameters
    ----------
    airflow : str
        The exact version of Airflow.
    python : str
        The Python that they are for, such as ``3.12``.
    timeout : float, optional
        Seconds after which the answer is given up.

    Returns
    -------
    str or None
        The pins, one a line; None where they cannot be reached. The variable ``ASTRO_MAGIC_CONSTRAINTS`` names another
        place, with ``{airflow}`` and ``{python}`` in it; where it is empty, nothing is asked.
    """
    place = os.environ.get(_VARIABLE, DEFAULT_URL)
    if not place:
        return None
    content = fetch(
        place.replace("{airflow}", airflow).replace("{python}", python), timeout=timeout, most_bytes=_MOST_BYTES
    )
    pins = _PIN.findall(content.decode("utf-8", errors="replace")) if content else []
    # A page that says that there is nothing is none of it.
    return "".join(f"{pin}\n" for pin in pins) or None
