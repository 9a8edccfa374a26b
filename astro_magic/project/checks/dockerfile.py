"""Checks of the Dockerfile: what keeps the image from being built, and what will surprise in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from astro_magic.errors import InvalidContentError
from astro_magic.project.checks.dockerfile_secrets import check_secrets
from astro_magic.project.checks.dockerfile_steps import check_steps
from astro_magic.project.checks.dockerfile_user import check_user
from astro_magic.project.checks.finding import Finding
from astro_magic.project.dockerfile.cell import suggestion
from astro_magic.project.dockerfile.dockerfile import Dockerfile
from astro_magic.project.dockerfile.images import BaseImage, stage_images
from astro_magic.project.dockerfile.lines import DockerfileEntry, has_other_frontend
from astro_magic.project.dockerfile.stages import Stages
from astro_magic.project.dockerfile.words import KEYWORDS
from astro_magic.project.project import Project
from astro_magic.project.runtime.runtime import Runtime

__all__ = ["check_dockerfile"]

_FILE = "Dockerfile"


def check_dockerfile(project: Project) -> Iterator[Finding]:
    """Check the Dockerfile of a project.

    Parameters
    ----------
    project : Project
        The project.
    """
    document = Dockerfile(project, _FILE)
    if document.read() is None:
        yield Finding(
            "no-dockerfile",
            "error",
            "The project has no Dockerfile, which names the image and so the Airflow version.",
            "%astro_init . adds what is missing of the project.",
            _FILE,
        )
        return
    entries = document.entries()
    yield from _unreadable(entries)
    stages = Stages(entries)
    yield from check_secrets(entries, stages)
    yield from check_user(entries, stages)
    if not any(entry.keyword == "FROM" for entry in entries):
        yield Finding(
            "no-base-image",
            "error",
            "The Dockerfile has no FROM, so it builds on no image.",
            "Begin it with a line such as FROM astrocrpublic.azurecr.io/runtime:3.3-1.",
            _FILE,
        )
        return
    try:
        images = stage_images(entries)
    except InvalidContentError as error:
        yield Finding("no-base-image", "error", error.message, error.hint or "Name an image in it.", _FILE)
        return
    yield from _images(images)
    yield from check_steps(entries, stages, images)


def _unreadable(entries: Sequence[DockerfileEntry]) -> Iterator[Finding]:
    other_frontend = has_other_frontend(entries)
    for entry in entries:
        if entry.left_open and "<<" not in entry.arguments:
            # The builder reads it all the same.
            message = (
                f"{entry.keyword} ends the file with a line that is to go on: what is added would become part of it."
            )
            hint = f"Remove the {entry.escape} at the end."
            yield Finding("open-instruction", "warning", message, hint, _FILE, entry.line)
        elif entry.left_open:
            message = f"{entry.keyword} cannot be read: {entry.problem}."
            yield Finding("open-instruction", "error", message, "Write the line that is missing.", _FILE, entry.line)
        elif entry.problem:
            hint = "Begin each block with a line '# >>> NAME' and end it with a line '# <<< NAME', once."
            message = f"{entry.problem[:1].upper()}{entry.problem[1:]}."
            yield Finding("open-block", "warning", message, hint, _FILE, entry.line)
        elif entry.kind == "instruction" and entry.keyword not in KEYWORDS and not other_frontend:
            word = entry.keyword.partition("=")[0]
            message = f"{word} is no instruction of a Dockerfile."
            yield Finding("unknown-instruction", "error", message, suggestion(word, KEYWORDS), _FILE, entry.line)


def _images(images: Sequence[BaseImage]) -> Iterator[Finding]:
    known: dict[int, Runtime] = {}
    final = images[-1]
    for base in dict.fromkeys(images):
        try:
            known[base.line] = Runtime.from_image(base.image)
        except InvalidContentError as error:
            # Stages that only build something may begin from any image.
            if base == final:
                hint = error.hint or "Use an image such as astrocrpublic.azurecr.io/runtime:3.3-1."
                yield Finding("unknown-image", "warning", error.message, hint, _FILE, base.line)
    lines = sorted(known)
    first, last = known.get(images[0].line), known.get(final.line)
    for line in lines:
        if last is not None and not _same(known[line], last):
            yield Finding(
                "several-airflows",
                "warning",
                f"The image of line {line} has Airflow {known[line].airflow}, and that of line {final.line}, on which"
                f" the last stage builds, {last.airflow}.",
                "Let all stages build on one Airflow version.",
                _FILE,
                line,
            )
    if last is None or images[0].line == final.line:
        return
    if first is None or not _same(first, last):
        yield Finding(
            "first-image-counts",
            "note",
            f"The Astro CLI's standalone mode takes its Airflow from the first FROM, in line {images[0].line}, not from"
            f" line {final.line}.",
            "Use the Docker mode there, or put the stage with Airflow first.",
            _FILE,
            images[0].line,
        )


def _same(first: Runtime, second: Runtime) -> bool:
    """Tell whether two images may have the same Airflow; of an inexact one only the line of versions is known."""
    pairs = zip(first.airflow.split("."), second.airflow.split("."), strict=False)
    return all(one == other for one, other in pairs)
