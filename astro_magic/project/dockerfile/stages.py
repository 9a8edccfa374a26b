"""The stages of a Dockerfile: which are built, and what holds in each of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from astro_magic.project.dockerfile.images import stage_parents
from astro_magic.project.dockerfile.lines import DockerfileEntry
from astro_magic.project.dockerfile.words import plain

__all__ = ["Stages", "needed_stages"]

_TAKEN = re.compile(r"(?:--from=|\bfrom=)([\w.-]+)")


class Stages:
    """How the stages of a Dockerfile build on each other.

    Parameters
    ----------
    entries : sequence of DockerfileEntry
        The Dockerfile.

    Attributes
    ----------
    names : dict of str to int
        The stages, counted from 0, by their names in lower case.
    final : tuple of int
        The last stage and those that it builds on: what is done in them is in the image.
    """

    def __init__(self, entries: Sequence[DockerfileEntry]) -> None:
        self._entries = entries
        self._parents = stage_parents(entries)
        begun = [entry for entry in entries if entry.keyword == "FROM" and entry.stage is not None]
        self.names = {entry.stage_name: entry.stage for entry in begun if entry.stage_name and entry.stage is not None}
        self.final = self.line(begun[-1].stage) if begun else ()

    def line(self, stage: int | None) -> tuple[int, ...]:
        """Give a stage and those that it builds on, itself first."""
        found: list[int] = []
        while stage is not None:
            found.append(stage)
            stage = self._parents.get(stage)
        return tuple(found)

    def before(self, entry: DockerfileEntry) -> list[DockerfileEntry]:
        """Give what is done before an instruction in its stage, and in those that this builds on."""
        own = entry.stage
        line = set(self.line(own))
        return [
            each
            for each in self._entries
            if each.stage in line and each.keyword != "FROM" and (each.stage != own or each.line < entry.line)
        ]

    def after(self, entry: DockerfileEntry) -> list[DockerfileEntry]:
        """Give what is done after an instruction in its stage, and in those that build on this."""
        own = entry.stage
        if own is None:
            return []
        return [
            each
            for each in self._entries
            if each.keyword != "FROM"
            and (each.line > entry.line if each.stage == own else own in self.line(each.stage))
        ]

    def user(self, entry: DockerfileEntry) -> DockerfileEntry | None:
        """Give the ``USER`` that holds for an instruction; None where it is that of the image."""
        users = [each for each in self.before(entry) if each.keyword == "USER"]
        return users[-1] if users else None

    def last_user(self) -> DockerfileEntry | None:
        """Give the ``USER`` that the image ends with; None where it is that of the base image."""
        users = [each for each in self._entries if each.keyword == "USER" and each.stage in self.final]
        return max(users, key=lambda each: (each.stage or 0, each.line), default=None)

    def source(self, name: str) -> int | None:
        """Give the stage that ``--from=NAME`` means; None when that is an image."""
        if name.isdecimal():
            return int(name) if any(entry.stage == int(name) for entry in self._entries) else None
        return self.names.get(plain(name, "\\").lower())


def needed_stages(entries: Sequence[DockerfileEntry]) -> set[int]:
    """Give the stages that BuildKit runs: the last one and those that it takes something from."""
    parents = stage_parents(entries)
    names: dict[str, int] = {}
    uses: dict[int, list[str]] = {}
    for entry in entries:
        if entry.stage is None:
            continue
        if entry.keyword == "FROM":
            # A stage can only build on one above it.
            uses[entry.stage] = [str(parents[entry.stage])] if entry.stage in parents else []
            if entry.stage_name:
                names[entry.stage_name] = entry.stage
        for match in _TAKEN.finditer(entry.arguments):
            number = names.get(match[1].lower(), match[1])
            uses[entry.stage].append(str(number))
    found: set[int] = set()
    waiting = [max(uses)] if uses else []
    while waiting:
        stage = waiting.pop()
        if stage not in found and stage in uses:
            found.add(stage)
            waiting += [int(each) for each in uses[stage] if each.isdecimal()]
    return found
