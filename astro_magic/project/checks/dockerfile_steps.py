"""Checks of the Dockerfile's steps: what has no effect, comes too late, or is for another image."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence

from astro_magic.errors import InvalidContentError
from astro_magic.project.checks.finding import Finding
from astro_magic.project.dockerfile.commands import commands, installs
from astro_magic.project.dockerfile.copies import copied
from astro_magic.project.dockerfile.images import BaseImage
from astro_magic.project.dockerfile.lines import DockerfileEntry, assignments
from astro_magic.project.dockerfile.mounts import mounts
from astro_magic.project.dockerfile.stages import Stages
from astro_magic.project.recipes.documented import CERTIFICATES, INDEX_VARIABLES, runs_update
from astro_magic.project.runtime.runtime import Runtime

__all__ = ["check_steps"]

_FILE = "Dockerfile"
#: Where the Python of the image has its packages; environments of their own may have any Python.
_LIBRARY = re.compile(r"(?:/usr(?:/local)?|/home/(?:astro|airflow)/\.local)/lib/python(?P<python>\d+\.\d+)(?!\d)")
_NOT_LOCAL = re.compile(r"/(?:usr/lib|home)/")
#: What makes a host known, or the question unnecessary.
_KNOWN_HOST = re.compile(r"known_?hosts|ssh-keyscan|StrictHostKeyChecking", re.IGNORECASE)


def check_steps(entries: Sequence[DockerfileEntry], stages: Stages, images: Sequence[BaseImage]) -> Iterator[Finding]:
    """Check the steps of a Dockerfile.

    Parameters
    ----------
    entries : sequence of DockerfileEntry
        The Dockerfile.
    stages : Stages
        How its stages build on each other.
    images : sequence of BaseImage
        The image of each stage.
    """
    runtimes: dict[int, Runtime] = {}
    for number, base in enumerate(images):
        with contextlib.suppress(InvalidContentError):
            runtimes[number] = Runtime.from_image(base.image)
    yield from _too_late(entries, stages, runtimes)
    brought = _brought_pythons(entries, stages, runtimes)
    for entry in entries:
        if entry.stage is None:
            continue
        yield from _another_python(entry, stages, runtimes, images, brought)
        yield from _no_known_host(entry, stages)
        yield from _unused_certificate(entry, stages)


def _too_late(entries: Sequence[DockerfileEntry], stages: Stages, runtimes: Mapping[int, Runtime]) -> Iterator[Finding]:
    for entry in entries:
        runtime = runtimes.get(entry.stage) if entry.stage is not None else None
        if runtime is None or not runtime.onbuild or entry.keyword not in {"ARG", "ENV"}:
            continue
        key = next((found.key for found in assignments(entry) if found.key in INDEX_VARIABLES), "")
        if not key or _is_for_others(entry, stages):
            continue
        name = runtime.image.partition("@")[0]
        yield Finding(
            "default-image-installs-first",
            "warning",
            f"{key} comes too late for requirements.txt, which this image installs before the lines below FROM.",
            f"Use the image {name}-base, as the documentation says, or %astro_private_index.",
            _FILE,
            entry.line,
        )
        return


def _is_for_others(entry: DockerfileEntry, stages: Stages) -> bool:
    """Tell whether all that is installed after an instruction are other packages than those of requirements.txt."""
    found = [install for each in stages.after(entry) for install in installs(each)]
    files = {file.removeprefix("./") for install in found for file in install.requirements}
    return bool(found) and not any(file.rpartition("/")[2] == "requirements.txt" for file in files)


def _brought_pythons(entries: Sequence[DockerfileEntry], stages: Stages, runtimes: Mapping[int, Runtime]) -> str:
    """Give all that is said beside the paths of packages; a Python that is named there may have been brought along."""
    found = []
    for entry in entries:
        copy = copied(entry)
        foreign = copy is not None and copy.stage and stages.source(copy.stage) not in runtimes
        text = entry.arguments if foreign else _LIBRARY.sub("", entry.arguments)
        found.append(f"{entry.keyword} {text}" if entry.keyword != "LABEL" else "")
    return "\n".join(found)


def _another_python(
    entry: DockerfileEntry,
    stages: Stages,
    runtimes: Mapping[int, Runtime],
    images: Sequence[BaseImage],
    brought: str,
) -> Iterator[Finding]:
    for stage, path, python in _libraries(entry, stages):
        runtime = runtimes.get(stage)
        known = runtime.known_python if runtime is not None else ""
        if not known or known == python:
            continue
        if re.search(rf"(?i)py(?:thon|env)\D{{0,30}}{re.escape(python)}(?!\d)", brought):
            continue
        yield Finding(
            "another-python",
            "error",
            f"{entry.keyword} names {path}, and the image of line {images[stage].line} has Python {known}: that folder"
            " is not there, and its Python does not look into it.",
            f"Write python{known} in line {entry.line}, wherever it says python{python}.",
            _FILE,
            entry.line,
        )
        return


def _libraries(entry: DockerfileEntry, stages: Stages) -> Iterator[tuple[int, str, str]]:
    """Give the folders of packages that a step names, each with the stage that it is in and its Python."""
    if entry.stage is None:
        return
    copy = copied(entry)
    texts: list[tuple[int | None, str]] = []
    if copy is not None:
        source = stages.source(copy.stage) if copy.stage else None
        texts += [(source, path) for path in copy.sources]
        texts += [(entry.stage, copy.target)] if source is not None or not copy.stage else []
    elif entry.keyword == "RUN":
        texts += [(entry.stage, word) for command in commands(entry) for word in command]
    elif entry.keyword == "ENV":
        texts += [(entry.stage, found.value or "") for found in assignments(entry)]
    for stage, text in texts:
        for match in _LIBRARY.finditer(text):
            local = _NOT_LOCAL.match(match[0]) is None or text.startswith("/site-packages", match.end())
            if stage is not None and local:
                yield stage, match[0], match["python"]


def _no_known_host(entry: DockerfileEntry, stages: Stages) -> Iterator[Finding]:
    if entry.keyword != "RUN":
        return
    mounted = any(mount.get("type") == "ssh" for mount in mounts(entry.arguments))
    installed = any("git+ssh://" in word for install in installs(entry) for word in install.arguments)
    if not (mounted or installed) or any(_makes_known(each) for each in (*stages.before(entry), entry)):
        return
    yield Finding(
        "no-known-host",
        "warning",
        "SSH knows no host here, and asks whether it may connect, which nobody can answer during a build.",
        "Write the host's key before it: RUN mkdir -p -m 0700 ~/.ssh && echo 'HOST KEY' >> ~/.ssh/known_hosts.",
        _FILE,
        entry.line,
    )


def _makes_known(entry: DockerfileEntry) -> bool:
    if _KNOWN_HOST.search(entry.arguments):
        return True
    copy = copied(entry)
    # The whole folder has such a file in it, as a rule; so has a system's.
    return copy is not None and (copy.target.rstrip("/").endswith("/.ssh") or copy.target.startswith("/etc/ssh"))


def _unused_certificate(entry: DockerfileEntry, stages: Stages) -> Iterator[Finding]:
    copy = copied(entry)
    if copy is None or not copy.target.startswith(CERTIFICATES):
        return
    # A variable or a command may name the file itself.
    if any(
        runs_update(each) or (each.keyword in {"ENV", "RUN"} and CERTIFICATES in each.arguments)
        for each in stages.after(entry)
    ):
        return
    yield Finding(
        "certificate-unused",
        "warning",
        f"{entry.keyword} brings a certificate that the image does not use: no RUN update-ca-certificates follows.",
        "Write RUN update-ca-certificates below it, as user root.",
        _FILE,
        entry.line,
    )
