"""Packages that are put into what runs: what makes them additions, and what is told of them."""

from __future__ import annotations

from collections.abc import Mapping

from astro_magic.engines.background import BackgroundBuild

__all__ = ["added_and_changed", "in_words", "tell_added"]

_SHOWN = 4


def added_and_changed(present: Mapping[str, str], wanted: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Give which packages come and which get another version, each with the new one.

    A package that is only added needs no process restarted: new forks find it. What replaces a package that a process
    may have imported is found by that process only when it starts again.

    Parameters
    ----------
    present, wanted : mapping of str to str
        Version by canonical name.
    """
    added = {name: version for name, version in wanted.items() if name not in present}
    changed = {name: version for name, version in wanted.items() if present.get(name, version) != version}
    return added, changed


def in_words(packages: Mapping[str, str]) -> str:
    """Name packages with their versions, and of many the first ones."""
    said = [f"{name} {version}" for name, version in packages.items()]
    return ", ".join(said[:_SHOWN]) + (f" and {len(said) - _SHOWN} more" if len(said) > _SHOWN else "")


def tell_added(
    added: Mapping[str, str], build: BackgroundBuild | None, *, where: str, whole: str, more: str
) -> tuple[str, ...]:
    """Say what runs has beyond what it was started from, and how far that is which has it too.

    Parameters
    ----------
    added : mapping of str to str
        The packages.
    build : BackgroundBuild or None
        What is built with them.
    where : str
        What is running: ``containers``.
    whole : str
        What is built: ``image``.
    more : str
        The magic that says why it could not be built.
    """
    if not added:
        return ()
    said = f"In the running {where}: {in_words(added)}. The {whole}"
    them = "it" if len(added) == 1 else "them"
    if build is None or build.state == "done":
        return (f"{said} has {them}, too; the next restart brings it.",)
    if build.state == "running":
        return (f"{said} with {them} is being built, since {build.started:%H:%M}.",)
    return (f"{said} with {them} could not be built: {build.message} {more} shows more.",)
