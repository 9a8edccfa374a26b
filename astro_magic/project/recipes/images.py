"""What the steps of recipes have to know of the image that a Dockerfile builds on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from astro_magic.errors import InvalidContentError
from astro_magic.project.dockerfile.dockerfile import BaseImage, DockerfileEntry
from astro_magic.project.dockerfile.images import base_of
from astro_magic.project.dockerfile.stages import Stages
from astro_magic.project.dockerfile.words import plain
from astro_magic.project.recipes.blocks import BLOCKS

__all__ = ["ImageKind", "own_users"]

_REFERENCE = re.compile(r"(?P<name>[^@]+?)(?::(?P<tag>[^:/@]+))?(?P<digest>@.+)?")
_RUNTIME = re.compile(r"(?:^|/)(?:astro-runtime|runtime)$")
_APACHE = re.compile(r"(?:^|/)apache/airflow$")
_ROOT = {"root", "0"}
#: Who runs Airflow in Apache's own image, by name and by number.
_APACHE_USERS = {"airflow", "50000"}


@dataclass(frozen=True)
class ImageKind:
    """The image that a Dockerfile builds on, seen from one place of the file.

    Attributes
    ----------
    base : BaseImage
        The image, and the line that names it.
    user : str
        Who runs the steps at that place; empty when that is not known.
    installer : str
        Who installs Python packages: ``root``, but for Apache's image, whose pip refuses that. Empty when that is not
        known, so that whoever runs the steps does it.
    owner : str
        Whom the project's files belong to; empty when that is not known.
    installs : bool
        Whether it installs ``packages.txt`` and ``requirements.txt`` by itself, before any step of the Dockerfile: the
        default distribution of Astro Runtime.
    known : bool
        Whether it is Astro Runtime or Apache's image.
    """

    base: BaseImage
    user: str
    installer: str
    owner: str
    installs: bool
    known: bool

    @classmethod
    def of(cls, entries: Sequence[DockerfileEntry], *, above: int | None = None) -> ImageKind:
        """Tell it from a Dockerfile.

        Parameters
        ----------
        entries : sequence of DockerfileEntry
            The Dockerfile.
        above : int, optional
            The line, from 1, that the place is above; by default it is the end.

        Raises
        ------
        InvalidContentError
            When the file names no image.
        """
        base = base_of(entries)
        name, tag, _ = _parts(base.image)
        runtime, apache = bool(_RUNTIME.search(name)), bool(_APACHE.search(name))
        of_image = "astro" if runtime else "airflow" if apache else ""
        users = own_users([each for each in entries if above is None or each.line < above])
        user = plain(users[-1].arguments, users[-1].escape) if users else of_image
        who = user.partition(":")[0]
        installer = "airflow" if apache or (not runtime and who in _APACHE_USERS) else "root" if user else ""
        return cls(base, user, installer, of_image or who, runtime and not tag.endswith("-base"), runtime or apache)

    def without_steps(self) -> str:
        """Name the same image in the distribution that installs nothing by itself.

        Raises
        ------
        InvalidContentError
            When it is named by its digest, or has no tag.
        """
        if not self.installs:
            return self.base.image
        name, tag, digest = _parts(self.base.image)
        tagged = f"{name}:{tag}-base" if tag else f"{name}:TAG-base"
        if digest or not tag:
            what = "named by a digest, which stands for that image alone" if digest else "named without a tag"
            raise InvalidContentError(
                f"A private index needs the -base distribution of the image, which is {what} (line {self.base.line}).",
                hint=f"Write FROM {tagged} there; then run this again.",
            )
        return tagged

    def as_root(self, steps: Iterable[str]) -> list[str]:
        """Give steps that are run as root, with what switches to it and back.

        Raises
        ------
        InvalidContentError
            When it is not known whom to switch back to.
        """
        if not self.user:
            raise InvalidContentError(
                f"Who runs Airflow in {self.base.image} is not known, and these steps need root for a while.",
                hint="Write USER and that user's name into the Dockerfile, below its last FROM; then run this again.",
            )
        return self._as("root", steps)

    def as_installer(self, steps: Iterable[str]) -> list[str]:
        """Give steps that install Python packages, as the user who may."""
        return self._as(self.installer, steps)

    def _as(self, user: str, steps: Iterable[str]) -> list[str]:
        now = self.user.partition(":")[0]
        same = not user or now == user or (now in _ROOT and user in _ROOT) or {now, user} <= _APACHE_USERS
        return list(steps) if same else [f"USER {user}", *steps, f"USER {self.user}"]


def own_users(entries: Sequence[DockerfileEntry]) -> list[DockerfileEntry]:
    """Find the ``USER`` lines that hold for what comes behind these entries, in the stages that it builds on."""
    final = Stages(entries).final
    return [each for each in entries if each.keyword == "USER" and each.block not in BLOCKS and each.stage in final]


def _parts(image: str) -> tuple[str, str, str]:
    match = _REFERENCE.fullmatch(image)
    return (match["name"], match["tag"] or "", match["digest"] or "") if match else (image, "", "")
