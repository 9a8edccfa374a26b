"""The tags of runtime images, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

__all__ = ["Tag"]

#: Where the images are: those of Airflow 3, and those of Airflow 2.
_AIRFLOW_3_REPOSITORY = "astrocrpublic.azurecr.io/runtime"
_AIRFLOW_2_REPOSITORY = "quay.io/astronomer/astro-runtime"

# The publisher orders them so: Python, slim, base; in Dockerfiles, other orders stand as well.
_VARIANTS = r"(?:-python-(?P<python>\d+\.\d+)|-slim|-base)*"
_BUILD_3 = r"(?P<line>[3-9]\.\d+)-(?P<build>\d+)"
_FLOATING_3 = r"(?P<floating>3(?:\.\d+)?)"
_BUILD_2 = r"(?P<major>\d+)\.\d+\.\d+"
_TAG = re.compile(rf"(?P<base>{_BUILD_3}|{_FLOATING_3}|{_BUILD_2}){_VARIANTS}", re.ASCII)


@dataclass(frozen=True)
class Tag:
    """A tag of a runtime image, taken apart.

    Attributes
    ----------
    text : str
        The whole tag, such as ``3.1-2-python-3.11-base``.
    base : str
        The tag without what follows the version: ``3.1-2``.
    line : str
        Its line in the table: ``3.1-`` for Airflow 3, the first number for Airflow 2; empty for the tag ``3``.
    python : str
        The Python that it names; empty when it names none.
    floating : bool
        Whether it stands for the newest of a line: ``3.1``, ``3``. Only Airflow 3's images have such tags.
    """

    text: str
    base: str
    line: str
    python: str
    floating: bool

    @classmethod
    def parse(cls, text: str) -> Tag | None:
        """Take a tag apart; None when it has not the form of one."""
        match = _TAG.fullmatch(text)
        if match is None:
            return None
        floating = match["floating"] or ""
        line = match["line"] or (floating if "." in floating else "")
        return cls(
            text, match["base"], f"{line}-" if line else match["major"] or "", match["python"] or "", bool(floating)
        )

    @property
    def airflow_major(self) -> int:
        """The major version of Airflow: 2 or 3."""
        return 3 if self.floating or self.line.endswith("-") else 2

    @property
    def image(self) -> str:
        """The image, in the repository for its Airflow."""
        return f"{_AIRFLOW_2_REPOSITORY if self.airflow_major == 2 else _AIRFLOW_3_REPOSITORY}:{self.text}"

    def with_python(self, python: str) -> Tag:
        """Give the tag of the image with another Python; the publisher's order is Python, slim, base."""
        rest = "".join(part for part in ("-slim", "-base") if part in self.text)
        text = f"{self.base}-python-{python}{rest}"
        return replace(self, text=text, python=python)
