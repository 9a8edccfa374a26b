"""Find a template and read its files: one that comes with the package, a folder, or a git repository."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from astro_magic.errors import InvalidContentError, InvalidPathError
from astro_magic.project.location import absolute
from astro_magic.project.scaffold import Template, TemplateFile
from astro_magic.sources import git
from astro_magic.system import files
from astro_magic.system.secrets import mask_credentials

__all__ = ["BUILT_IN", "find_template"]

#: The templates that come with the package, and what each is.
BUILT_IN = {
    "dbt": "a dbt project on DuckDB, each model a task",
    "empty": "no example DAG",
    "etl": "extract from a CSV file, transform, load into SQLite",
    "ml": "train a model with scikit-learn, evaluate it, and use it",
}

_SKIPPED_NAMES = {".git", ".venv", "__pycache__", ".ipynb_checkpoints", ".DS_Store"}
_SKIPPED_PATHS = {".astro/magic", ".astro/standalone", ".astro/worktrees", ".astro/config.yaml.lock"}
#: What may hold secrets is for its owner's eyes only.
_PRIVATE = {".env", "airflow_settings.yaml"}
_MOST_FILES = 5000
_MOST_BYTES = 50_000_000


def find_template(source: str) -> Template:
    """Find a template and read its files.

    Parameters
    ----------
    source : str
        The name of one in `BUILT_IN`; or a folder; or the address of a git repository, which may be followed by
        ``//`` and a folder in it, and by ``#`` and a branch, a tag or a commit:
        ``https://github.com/me/templates.git//etl#v2``.

    Returns
    -------
    Template
        Its files, byte for byte, without what belongs to a machine: ``.git``, ``.venv``, caches, the state of Airflow.

    Raises
    ------
    InvalidPathError
        When there is no such template, folder, or reference; or the address is not allowed.
    InvalidContentError
        When it has too many or too large files, or links that lead out of it.
    NetworkError
        When the repository cannot be read.
    CommandFailedError
        When git is not installed, or does not end.
    FileAccessError
        When a file cannot be read.
    """
    if source in BUILT_IN:
        return Template(source, tuple(_built_in(source)), rendered=True)
    if source.startswith("-"):
        raise InvalidPathError(f"{source!r} is no template.", hint=f"Built in are {_names()}.")
    if git.is_url(source):
        return _from_git(source)
    folder = absolute(source)
    if not folder.is_dir():
        raise InvalidPathError(
            f"There is no template {source!r}: it is neither built in nor a folder.",
            hint=f"Built in are {_names()}. A folder or the address of a git repository can be given as well.",
        )
    return Template(folder.name, tuple(_from_folder(folder)))


def _names() -> str:
    return ", ".join(sorted(BUILT_IN))


def _built_in(name: str) -> Iterator[TemplateFile]:
    folder = resources.files("astro_magic.project") / "templates" / name
    if folder.is_dir():
        yield from _resources(folder, "")


def _resources(folder: Traversable, prefix: str) -> Iterator[TemplateFile]:
    for entry in sorted(folder.iterdir(), key=lambda found: found.name):
        if entry.is_dir():
            yield from _resources(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".template"):
            yield TemplateFile(f"{prefix}{entry.name.removesuffix('.template')}", entry.read_bytes())


def _from_git(source: str) -> Template:
    address, _, reference = source.partition("#")
    scheme, colons, rest = address.partition("://")
    start = f"{scheme}{colons}" if colons else ""
    repository, _, inner = (
        (rest if colons else address).lstrip("/" if colons and scheme != "file" else "").partition("//")
    )
    with tempfile.TemporaryDirectory(prefix="astro-magic-") as temporary:
        folder = Path(temporary)
        git.clone(f"{start}{repository}", folder, reference=reference or None)
        root = folder / inner
        if not _is_inside(folder, root):
            shown = mask_credentials(f"{start}{repository}")
            raise InvalidPathError(f"{shown} has no folder {inner!r}.", hint="After '//' stands a folder in it.")
        return Template(mask_credentials(source), tuple(_from_folder(root)))


def _is_inside(folder: Path, inner: Path) -> bool:
    """Tell whether a path is a folder of a repository's files, or all of them."""
    real = inner.resolve()
    base = folder.resolve()
    return real.is_dir() and real.is_relative_to(base) and ".git" not in real.relative_to(base).parts


def _from_folder(root: Path) -> Iterator[TemplateFile]:
    """Read the files of a folder, within limits."""
    count = size = 0
    for path in _walk(root):
        name = path.relative_to(root).as_posix()
        with files.guard(path, "read"):
            about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            continue
        count += 1
        size += about.st_size
        if count > _MOST_FILES or size > _MOST_BYTES:
            raise InvalidContentError(
                f"The template {root.name} has more than {_MOST_FILES} files or {_MOST_BYTES // 1_000_000} MB.",
                hint="Name a folder that has only what a new project is to begin with.",
            )
        yield TemplateFile(name, files.read_bytes(path), _mode(name, about.st_mode))
    if not count:
        raise InvalidPathError(f"The template {root.name} has no files.", hint="Name a folder with files.")


def _walk(root: Path) -> Iterator[Path]:
    real_root = Path(os.path.realpath(root))

    def refuse(error: OSError) -> None:
        with files.guard(Path(error.filename), "read"):
            raise error

    for folder, folders, names in os.walk(root, onerror=refuse):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if not _skipped(root, here / name))
        for name in [*folders, *sorted(names)]:
            path = here / name
            if _skipped(root, path):
                continue
            if path.is_symlink():
                _check_link(path, root, real_root)
            if name not in folders:
                yield path


def _skipped(root: Path, path: Path) -> bool:
    return path.name in _SKIPPED_NAMES or path.relative_to(root).as_posix() in _SKIPPED_PATHS


def _check_link(path: Path, root: Path, real_root: Path) -> None:
    """Refuse a link that leads out of the template, or to nothing, or to a folder."""
    target = Path(os.path.realpath(path))
    if not target.is_relative_to(real_root):
        what = "leads out of it"
    elif ".git" in target.relative_to(real_root).parts:
        what = "leads into .git"
    elif not target.is_file():
        what = "leads to no file"
    else:
        return
    raise InvalidContentError(
        f"The template has a link, {path.relative_to(root).as_posix()}, that {what}.",
        hint="Replace it by what it is to stand for.",
    )


def _mode(name: str, mode: int) -> int | None:
    if name in _PRIVATE:
        return 0o600
    return 0o755 if mode & stat.S_IXUSR else None
