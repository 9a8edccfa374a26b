"""Which installed packages need which, with extras and environment markers."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from astro_magic.engines.installation import InstalledPackage
from astro_magic.system.secrets import mask_credentials

__all__ = ["DependencyGraph", "Need"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Need:
    """One requirement of an installed package that holds in its environment.

    Attributes
    ----------
    name : str
        The normalised name of what is needed.
    requirement : str
        As the package says it, without its marker: ``numpy>=1.26``.
    extra : str
        The extra of the package that brings it; empty when it is always needed.
    """

    name: str
    requirement: str
    extra: str = ""


class DependencyGraph:
    """Installed packages and their needs.

    An extra counts where the project's requirements ask for it, or another package that is installed does.

    Parameters
    ----------
    packages : mapping of str to InstalledPackage
        What is installed, by normalised name.
    extras : mapping of str to iterable of str
        The extras that the project asks for, by normalised name.
    markers : mapping of str to str
        Values of environment markers that differ from those of this process.
    """

    def __init__(
        self,
        packages: Mapping[str, InstalledPackage],
        extras: Mapping[str, Iterable[str]],
        markers: Mapping[str, str],
    ) -> None:
        self._packages = packages
        self._markers = dict(markers)
        self._extras: dict[str, set[str]] = {name: {""} for name in packages}
        self._needs: dict[str, dict[str, Need]] = {name: {} for name in packages}
        waiting = deque((name, "") for name in packages)
        for name, asked in extras.items():
            waiting += self._ask_for(name, asked)
        while waiting:
            name, extra = waiting.popleft()
            for need, further in self._read(name, extra, installed=True):
                self._needs[name].setdefault(need.name, need)
                waiting += self._ask_for(need.name, further)
        self._needed_by: dict[str, list[str]] = {name: [] for name in packages}
        for name, needs in self._needs.items():
            for needed in needs:
                if needed != name:
                    self._needed_by[needed].append(name)

    def needed_by(self, name: str) -> tuple[str, ...]:
        """Give the normalised names of the installed packages that need one, sorted."""
        return tuple(sorted(self._needed_by[name]))

    def need(self, name: str, needed: str) -> Need:
        """Give the requirement by which one package needs another."""
        return self._needs[name][needed]

    def needs(self, name: str) -> tuple[Need, ...]:
        """Give what a package needs in its environment, installed or not, sorted by name."""
        found = {
            need.name: need
            for extra in sorted(self._extras[name], reverse=True)
            for need, _ in self._read(name, extra, installed=False)
            if need.name != name
        }
        return tuple(found[each] for each in sorted(found))

    def reached_from(self, roots: Iterable[str]) -> dict[str, str]:
        """Give all that some packages bring, each with the one on the shortest way to it that needs it.

        Parameters
        ----------
        roots : iterable of str
            Normalised names; those that are not installed are passed over. They are in the result with an empty name.
        """
        reached = {name: "" for name in roots if name in self._packages}
        waiting = deque(reached)
        while waiting:
            name = waiting.popleft()
            for needed in sorted(self._needs[name]):
                if needed not in reached:
                    reached[needed] = name
                    waiting.append(needed)
        return reached

    def _ask_for(self, name: str, extras: Iterable[str]) -> list[tuple[str, str]]:
        """Note extras that are asked for; gives those that are new."""
        if name not in self._packages:
            return []
        new = {str(canonicalize_name(extra)) for extra in extras} - self._extras[name]
        self._extras[name] |= new
        return [(name, extra) for extra in sorted(new)]

    def _read(self, name: str, extra: str, *, installed: bool) -> list[tuple[Need, set[str]]]:
        """Give what a package needs with an extra, and the extras that it asks for with each."""
        found = []
        for text in self._packages[name].requires:
            # To parse a requirement takes long, and most are of extras that nobody asked for.
            if extra == "" and "extra" in text and _only_with_extra(text):
                continue
            match = _NAME.match(text)
            needed = str(canonicalize_name(match[0])) if match else ""
            if not needed or (installed and needed not in self._packages):
                continue
            requirement = _parsed(text)
            if requirement is not None and self._holds(requirement, extra):
                only = extra if extra and not self._holds(requirement, "") else ""
                need = Need(needed, _without_marker(requirement), only)
                found.append((need, requirement.extras))
        return found

    def _holds(self, requirement: Requirement, extra: str) -> bool:
        if requirement.marker is None:
            return True
        try:
            return requirement.marker.evaluate({**self._markers, "extra": extra})
        except (UndefinedComparison, UndefinedEnvironmentName):
            return False


_EXTRA_LAST = re.compile(r"""(?:;|\band)\s*\(?extra\s*==\s*["'][^"']*["']\)?\s*$""")


def _only_with_extra(text: str) -> bool:
    """Tell whether a requirement plainly holds with an extra only; False when that takes a closer look."""
    return " or " not in text and _EXTRA_LAST.search(text) is not None


@lru_cache(maxsize=8192)
def _parsed(text: str) -> Requirement | None:
    """Read a requirement; None for what older tools wrote and nobody can read."""
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def _without_marker(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    place = f" @ {mask_credentials(requirement.url)}" if requirement.url else ""
    return f"{requirement.name}{extras}{requirement.specifier}{place}"
