"""Which Airflow and which Python a project's image stands for, by its name and tag and the table of runtimes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from astro_magic.errors import InvalidContentError
from astro_magic.project.dockerfile.dockerfile import base_image
from astro_magic.project.runtime.table import read_table
from astro_magic.project.runtime.tag import Tag
from astro_magic.system.secrets import mask_credentials

__all__ = ["Runtime"]

_REFERENCE = re.compile(
    r"(?P<repository>(?:[^/@\s]+/)*[^/:@\s]+)(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]*))?(?P<digest>@\S+)?",
)
_TAG_AIRFLOW = re.compile(r"(?:slim-)?(?P<version>[23]\.\d+\.\d+(?:(?:a|b|rc)\d+)?)(?:-(?P<python>python\d+\.\d+))?")
#: The Python of apache/airflow images whose tag names none.
_APACHE_PYTHON = "3.12"
#: What astronomer/ap-airflow, the images before the runtime, were mostly built with; their tags do not name it.
_CERTIFIED_PYTHON = "3.9"
_TAG_CERTIFIED = re.compile(r"(?P<version>2\.\d+\.\d+)(?:-[\w.-]+)?")
_HINT = "Use an image such as astrocrpublic.azurecr.io/runtime:3.3-8 or apache/airflow:3.3.2."


@dataclass(frozen=True)
class Runtime:
    """What an image stands for.

    Attributes
    ----------
    image : str
        The image, with its tag, and its digest if it has one.
    tag : str
        The tag alone, such as ``3.3-8``.
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

    @property
    def onbuild(self) -> bool:
        """Whether the image installs a project's packages and copies its files before the Dockerfile's first line."""
        return "airflow:" not in self.image and "-base" not in self.tag

    @property
    def known_python(self) -> str:
        """The Python version where name and tag tell it for certain; else empty."""
        guessed = "airflow:" in self.image and f"python{self.python}" not in self.tag
        return "" if guessed else self.python

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
            Such as ``astrocrpublic.azurecr.io/runtime:3.3-8-python-3.12`` or ``apache/airflow:3.1.8``.
        place : str, optional
            Where the image is named, to begin an error with.

        Raises
        ------
        InvalidContentError
            When its tag does not tell an Airflow version.
        """
        reference = _REFERENCE.fullmatch(image)
        if reference is None:
            raise InvalidContentError(f"{place}{mask_credentials(image)!r} is no name of an image.", hint=_HINT)
        tag = reference["tag"]
        if tag is None:
            raise InvalidContentError(f"{place}{image} has no tag, so its Airflow version is unknown.", hint=_HINT)
        found = _airflow_and_python(reference["repository"], tag)
        if found is None:
            raise InvalidContentError(f"{place}{image} does not tell which Airflow it has.", hint=_HINT)
        version, python = found
        exact = version.count(".") > 1
        return cls(image=image, tag=tag, airflow=version, python=python, exact=exact)


def _airflow_and_python(repository: str, text: str) -> tuple[str, str] | None:
    if repository.endswith("apache/airflow"):
        match = _TAG_AIRFLOW.fullmatch(text)
        return (match["version"], (match["python"] or "").removeprefix("python") or _APACHE_PYTHON) if match else None
    if repository.endswith("astronomer/ap-airflow"):
        match = _TAG_CERTIFIED.fullmatch(text)
        return (match["version"], _CERTIFIED_PYTHON) if match else None
    tag = Tag.parse(text)
    # A tag such as 3.1-2 is known anywhere, in a mirror as well; 3.12 and 12.1.0 are tags of other images, too.
    own_name = "runtime" if tag is not None and tag.floating else "astro-runtime"
    if tag is None or ((tag.floating or tag.airflow_major == 2) and repository.rpartition("/")[2] != own_name):
        return None
    release = read_table().find(tag)
    return (release.airflow, tag.python or release.python) if release is not None else None
