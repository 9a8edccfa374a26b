"""The steps that the documentation tells people to write into a Dockerfile by hand.

The source is the Astro documentation, 'Install Python packages from private sources' and 'Add a CA certificate to an
Astro Runtime image'. Steps in a managed block are not among those that are found: somebody else takes care of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from astro_magic.project.dockerfile.commands import commands, installs
from astro_magic.project.dockerfile.copies import copied
from astro_magic.project.dockerfile.lines import DockerfileEntry, assignments
from astro_magic.project.dockerfile.mounts import mounts
from astro_magic.project.dockerfile.stages import Stages

__all__ = [
    "CERTIFICATES",
    "INDEX_VARIABLES",
    "Documented",
    "DocumentedCertificate",
    "DocumentedGit",
    "DocumentedIndex",
    "find_documented",
    "runs_update",
]

#: Where the image takes the certificates of its own from.
CERTIFICATES = "/usr/local/share/ca-certificates"
#: The variables that give pip and uv the address of an index.
INDEX_VARIABLES = frozenset(
    ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_INDEX", "UV_INDEX_URL")
)

_PACKAGES = re.compile(r"/usr/local/lib/python(?P<python>\d+\.\d+)/site-packages")
#: A line of a file of known hosts: the host, the kind of its key, and the key.
_KEY_LINE = re.compile(
    r"(?<![^\s\"'])(?P<hosts>[^\s\"'|@#]+)[ \t]+(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-[\w-]+|sk-[\w.@-]+)[ \t]+AAAA"
)
#: Options of ssh-keyscan that a value follows.
_SCAN_VALUES = {"-f", "-O", "-p", "-T", "-t"}


@dataclass(frozen=True)
class DocumentedGit:
    """Packages from private git repositories: a ``RUN --mount=type=ssh`` that installs a requirements file.

    Attributes
    ----------
    line : int
        The line of that ``RUN``, counted from 1; the first of several.
    ids : tuple of str
        The SSH keys or agents that are mounted; ``default`` where none is named.
    hosts : tuple of str
        The hosts whose keys were written into a file of known hosts before; ``[HOST]:PORT`` where a port is named.
    requirements : str
        The requirements file, as it is written.
    """

    line: int
    ids: tuple[str, ...]
    hosts: tuple[str, ...]
    requirements: str


@dataclass(frozen=True)
class DocumentedIndex:
    """Packages from a private index, whose address with its login is given to the build as an ``ARG``.

    Attributes
    ----------
    line : int
        The line of the ``ARG``, counted from 1.
    argument : str
        Its name, such as ``PIP_EXTRA_INDEX_URL``.
    python : str
        The Python in the path of the packages that another step copies or removes; empty when there is none.
    python_line : int
        The first line that names it; 0 when there is none.
    """

    line: int
    argument: str
    python: str
    python_line: int


@dataclass(frozen=True)
class DocumentedCertificate:
    """Certificates of authorities that are copied into the image, which is then told of them.

    Attributes
    ----------
    line : int
        The line of the first ``COPY``, counted from 1.
    files : tuple of str
        The files of the project, as they are written.
    """

    line: int
    files: tuple[str, ...]


@dataclass(frozen=True)
class Documented:
    """The documented steps that stand in a Dockerfile; None where they do not.

    Attributes
    ----------
    git : DocumentedGit or None
        Packages from private git repositories.
    index : DocumentedIndex or None
        Packages from a private index.
    certificate : DocumentedCertificate or None
        Certificates of authorities.
    """

    git: DocumentedGit | None = None
    index: DocumentedIndex | None = None
    certificate: DocumentedCertificate | None = None


def find_documented(entries: Sequence[DockerfileEntry]) -> Documented:
    """Find the steps in a Dockerfile that the documentation tells people to write.

    The source is the Astro documentation, 'Install Python packages from private sources'.

    Parameters
    ----------
    entries : sequence of DockerfileEntry
        The whole Dockerfile. What is in a managed block does not count.
    """
    stages = Stages(entries)
    steps = [entry for entry in entries if entry.keyword and entry.stage is not None and not entry.block]
    return Documented(_git(steps, stages), _index(steps), _certificate(steps, stages))


def runs_update(entry: DockerfileEntry) -> bool:
    """Tell whether a ``RUN`` tells the image of new certificates."""
    return any(command[0].endswith("update-ca-certificates") for command in commands(entry))


def _git(steps: Sequence[DockerfileEntry], stages: Stages) -> DocumentedGit | None:
    found: list[tuple[DockerfileEntry, str]] = []
    ids: list[str] = []
    hosts: list[str] = []
    for entry in steps:
        mounted = [mount.get("id") or "default" for mount in mounts(entry.arguments) if mount.get("type") == "ssh"]
        files = [file for install in installs(entry) for file in install.requirements]
        if mounted and files:
            found.append((entry, files[0]))
            ids += mounted
            earlier = [each for each in stages.before(entry) if not each.block]
            hosts += [host for each in (*earlier, entry) for host in _known_hosts(each)]
    if not found:
        return None
    # There is a step for each key where there are several.
    first, file = found[0]
    return DocumentedGit(first.line, tuple(dict.fromkeys(ids)), tuple(dict.fromkeys(hosts)), file)


def _known_hosts(entry: DockerfileEntry) -> Iterator[str]:
    """Give the hosts that an instruction makes known: by their keys, or by asking them."""
    if entry.keyword not in {"RUN", "COPY"} or "known_hosts" not in entry.arguments:
        return
    for match in _KEY_LINE.finditer(entry.arguments):
        yield from match["hosts"].split(",")
    for command in commands(entry):
        if command[0].endswith("ssh-keyscan"):
            yield from _scanned(command[1:])


def _scanned(arguments: Sequence[str]) -> Iterator[str]:
    port = ""
    position = 0
    while position < len(arguments):
        word = arguments[position]
        if word in _SCAN_VALUES:
            position += 1
            port = arguments[position] if word == "-p" and position < len(arguments) else port
        elif word.startswith("-p"):
            port = word.removeprefix("-p")
        elif re.match(r"\d*[<>]", word):
            # A redirection, and where it goes.
            position += 1
        elif not word.startswith("-"):
            yield from (f"[{host}]:{port}" if port not in {"", "22"} else host for host in word.split(","))
        position += 1


def _index(steps: Sequence[DockerfileEntry]) -> DocumentedIndex | None:
    arguments = [
        (entry.line, found.key)
        for entry in steps
        for found in assignments(entry)
        if entry.keyword == "ARG" and found.key in INDEX_VARIABLES
    ]
    if not arguments:
        return None
    for entry in steps:
        match = _PACKAGES.search(entry.arguments) if entry.keyword in {"RUN", "COPY"} else None
        if match is not None:
            return DocumentedIndex(*arguments[0], match["python"], entry.line)
    return DocumentedIndex(*arguments[0], "", 0)


def _certificate(steps: Sequence[DockerfileEntry], stages: Stages) -> DocumentedCertificate | None:
    found = []
    for entry in steps:
        copy = copied(entry)
        if copy is None or copy.stage or not copy.target.startswith(CERTIFICATES):
            continue
        if any(runs_update(each) and not each.block for each in stages.after(entry)):
            found.append((entry.line, copy.sources))
    if not found:
        return None
    files = [file for _, sources in found for file in sources]
    return DocumentedCertificate(found[0][0], tuple(dict.fromkeys(files)))
