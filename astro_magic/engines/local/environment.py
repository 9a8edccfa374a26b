"""A Python environment on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["LocalEnvironment"]


@dataclass(frozen=True)
class LocalEnvironment:
    """An environment that is there and whole.

    Attributes
    ----------
    folder : Path
        The virtual environment.
    airflow_version, python_version : str
        Exact versions.
    packages, requested : int
        Number of distributions, and how many of them the project's requirements ask for.
    notes : tuple of str
        What the user should know of it.
    """

    folder: Path
    airflow_version: str
    python_version: str
    packages: int
    requested: int
    notes: tuple[str, ...] = ()

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.folder / "bin" / "python"

    @property
    def site_packages(self) -> tuple[Path, ...]:
        """Where its packages are."""
        return tuple(self.folder.glob("lib/python*/site-packages"))

    @property
    def described(self) -> str:
        """What is in it, in a few words."""
        return f"{self.packages} packages, {self.requested} from requirements.txt"
