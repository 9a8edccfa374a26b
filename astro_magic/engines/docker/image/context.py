"""What of the project goes into a build, told to BuildKit without touching a file of the user's.

BuildKit looks for rules of what to leave out beside the Dockerfile that it is given, under that file's name with
``.dockerignore`` behind it, and else takes the project's ``.dockerignore``. So it is given a copy of the Dockerfile in
the state folder, with the user's rules and ours beside it. The copy has the same name and the same lines, so that what
BuildKit says of them holds for the user's file.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from astro_magic.errors import InvalidContentError
from astro_magic.project.dockerfile.dockerfile import DockerfileEntry, instructions
from astro_magic.project.project import Project
from astro_magic.system import files

__all__ = ["BuildContext", "build_context"]

_NAME = "Dockerfile"
#: State that is not part of the project. Nobody can mean to have it in an image; so nothing brings it back.
_STATE = b"\n.astro/magic\n.astro/standalone\n"
#: Secrets. A rule of the user's brings it back, and so does an instruction that names it.
_SECRETS = b".env\n"
_NAMES_SECRETS = re.compile(r"(?<![\w.*-])\.env(?![\w.*-])")
_LEFT_BEHIND = 86_400.0


@dataclass(frozen=True)
class BuildContext:
    """What a build command is pointed at.

    Attributes
    ----------
    dockerfile : Path
        The copy of the Dockerfile.
    ignore : Path
        The rules of what to leave out.
    image_id : Path
        Where the command writes the image's id.
    entries : tuple of DockerfileEntry
        The instructions of the Dockerfile.
    """

    dockerfile: Path
    ignore: Path
    image_id: Path
    entries: tuple[DockerfileEntry, ...]


@contextmanager
def build_context(project: Project) -> Iterator[BuildContext]:
    """Lay out what a build needs, in a folder that is removed afterwards.

    Raises
    ------
    InvalidContentError
        When the project has no Dockerfile, or it is no text.
    FileAccessError
        When a file cannot be read or written.
    """
    content = files.read_optional(project.root / _NAME)
    if content is None:
        raise InvalidContentError(
            "The project has no Dockerfile, from which the image is built.",
            hint="%astro_init . adds what is missing of the project.",
        )
    try:
        entries = tuple(instructions(content.decode()))
    except UnicodeDecodeError as problem:
        raise InvalidContentError("The Dockerfile is not UTF-8 text.", hint="Save it in UTF-8.") from problem
    parent = project.make_state_dir() / "build"
    files.make_folder(parent)
    _remove_left_behind(parent)
    with tempfile.TemporaryDirectory(dir=parent, ignore_cleanup_errors=True) as folder:
        dockerfile = Path(folder, _NAME)
        ignore = dockerfile.with_name(f"{_NAME}.dockerignore")
        with files.guard(dockerfile, "write"):
            dockerfile.write_bytes(content)
            ignore.write_bytes(_rules(project.root, entries))
        yield BuildContext(dockerfile, ignore, Path(folder, "image-id"), entries)


def _rules(root: Path, entries: Sequence[DockerfileEntry]) -> bytes:
    """Give the user's rules with ours around them: the last rule that fits a file decides."""
    own = files.read_optional(root / f"{_NAME}.dockerignore")
    if own is None:
        own = files.read_optional(root / ".dockerignore") or b""
    wanted = any(
        entry.keyword in {"COPY", "ADD", "RUN"} and _NAMES_SECRETS.search(entry.arguments.partition("\n")[0])
        for entry in entries
    )
    return (b"" if wanted else _SECRETS) + own.removeprefix(b"\xef\xbb\xbf") + _STATE


def _remove_left_behind(parent: Path) -> None:
    """Remove the folders of builds whose process was killed."""
    for folder in parent.iterdir():
        if time.time() - folder.stat().st_mtime > _LEFT_BEHIND:
            shutil.rmtree(folder, ignore_errors=True)
