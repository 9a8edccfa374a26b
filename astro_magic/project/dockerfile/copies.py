"""What a ``COPY`` or ``ADD`` brings into the image."""

from __future__ import annotations

from dataclasses import dataclass

from astro_magic.project.dockerfile.commands import json_words
from astro_magic.project.dockerfile.lines import DockerfileEntry
from astro_magic.project.dockerfile.mounts import split_options
from astro_magic.project.dockerfile.words import plain, words

__all__ = ["Copied", "copied"]


@dataclass(frozen=True)
class Copied:
    """What a ``COPY`` or ``ADD`` brings into the image.

    Attributes
    ----------
    sources : tuple of str
        The files and folders; here-documents are left out.
    target : str
        Where they come to.
    stage : str
        The stage or image that they are taken from; empty when that is the project.
    """

    sources: tuple[str, ...]
    target: str
    stage: str


def copied(entry: DockerfileEntry) -> Copied | None:
    """Read a ``COPY`` or ``ADD``; None when an instruction is neither, or has no target."""
    if entry.keyword not in {"COPY", "ADD"}:
        return None
    options, text = split_options(entry.arguments.partition("\n")[0])
    found = json_words(text)
    if found is None:
        found = [plain(text[start:end], entry.escape) for start, end in words(text, entry.escape)]
    if len(found) < len(("source", "target")):
        return None
    sources = tuple(source for source in found[:-1] if not source.startswith("<<"))
    return Copied(sources, found[-1], dict(options).get("from", ""))
