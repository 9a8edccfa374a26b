"""Which Airflow and which Python a project's image stands for."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any

from astro_magic.errors import InvalidContentError
from astro_magic.project.dockerfile import base_image

__all__ = ["Runtime"]

_REFERENCE = re.compile(
    r"(?P<repository>(?:[^/@\s]+/)*[^/:@\s]+)(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]*))?(?P<digest>@\S+)?",
)
_VARIANT = r"(?:-(?P<python>python-\d+\.\d+)|-base|-slim)*"
_TAG_3 = re.compile(rf"(?P<line>3\.\d+)-(?P<build>\d+){_VARIANT}")
_TAG_2 = re.compile(rf"(?P<major>\d+)\.\d+\.\d+{_VARIANT}")
_TAG_AIRFLOW = re.compile(r"(?:slim-)?(?P<version>[23]\.\d+\.\d+(?:(?:a|b|rc)\d+)?)(?:-(?P<python>python\d+\.\d+))?")
_HINT = "Use an image such as astrocrpublic.azurecr.io/runtime:3.3-1 or apache/airflow:3.3.2."


@dataclass(frozen=True)
class Runtime:
    """What an image stands for.

    Attributes
    ----------
    image : str
        The image, with its tag, and its digest if it has one.
    tag : str
        The tag alone, such as ``3.3-1``.
    airflow : str
        The Airflow version: a whole one (``3.1.8``) when `exact`, else a line of versions (``3.3``).
    python : str
        The Python version, such as ``3.12``.
    exact : bool
        Whether `airflow` is the version itself. If not, the newest version of that line is meant.
    """

    image: str
    tag: str
    airflow: str
    python: str
    exact: bool

    @property
    def airflow_major(self) -> int:
        """The major version of Airflow: 2 or 3."""
        return int(self.airflow.partition(".")[0])

    @classmethod
    def from_dockerfile(cls, text: str) -> Runtime:
        """Find out the runtime that a Dockerfile builds on.

        Parameters
        ----------
        text : str
            The content of the Dockerfile.

        Returns
        -------
        Runtime
            That of the image which the last build stage is made from.

        Raises
        ------
        InvalidContentError
            When there is no such image, or its tag does not tell an Airflow version. The line is named.
        """
        base = base_image(text)
        return cls.from_image(base.image, place=f"Dockerfile line {base.line}: ")

    @classmethod
    def from_image(cls, image: str, *, place: str = "") -> Runtime:
        """Find out what an image stands for, from its name and tag alone.

        Parameters
        ----------
        image : str
            Such as ``astrocrpublic.azurecr.io/runtime:3.3-1-python-3.12`` or ``apache/airflow:3.1.8``.
        place : str, optional
            Where the image is named, to begin an error with.

        Raises
        ------
        InvalidContentError
            When its tag does not tell an Airflow version.
        """
        reference = _REFERENCE.fullmatch(image)
        if reference is None:
            raise InvalidContentError(f"{place}{image!r} is no name of an image.", hint=_HINT)
        tag = reference["tag"]
        if tag is None:
            raise InvalidContentError(f"{place}{image} has no tag, so its Airflow version is unknown.", hint=_HINT)
        found = _airflow_and_python(reference["repository"], tag)
        if found is None:
            raise InvalidContentError(f"{place}{image} does not tell which Airflow it has.", hint=_HINT)
        version, python = found
        exact = version.count(".") > 1
        return cls(image=image, tag=tag, airflow=version, python=python, exact=exact)


@functools.cache
def _table() -> dict[str, Any]:
    """Read what is known about published tags."""
    text = (resources.files("astro_magic.project") / "runtimes.json").read_text("utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def _airflow_and_python(repository: str, tag: str) -> tuple[str, str] | None:
    table = _table()
    default: str = table["python"]
    if repository.endswith("apache/airflow"):
        match = _TAG_AIRFLOW.fullmatch(tag)
        return (match["version"], (match["python"] or "").removeprefix("python") or default) if match else None
    match = _TAG_3.fullmatch(tag)
    if match:
        known = table["airflow_3"].get(f"{match['line']}-{match['build']}", {})
        named = (match["python"] or "").removeprefix("python-")
        return known.get("airflow", match["line"]), named or known.get("python", default)
    match = _TAG_2.fullmatch(tag)
    if match and repository.endswith("astro-runtime") and match["major"] in table["airflow_2"]:
        known = table["airflow_2"][match["major"]]
        return known["airflow"], (match["python"] or "").removeprefix("python-") or known["python"]
    return None
