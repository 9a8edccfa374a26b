"""Where a project is, and which paths belong to it."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path, PurePosixPath, PureWindowsPath

from astro_magic.errors import InvalidPathError, ProjectNotFoundError
from astro_magic.project.config import CONFIG_NAME, home_folder

__all__ = ["absolute", "check_relative", "find_root", "is_home", "project_file_name", "unique_project_name"]

_RESERVED = {".astro", ".git"}


def absolute(path: str | Path) -> Path:
    """Make a path absolute in the way of a shell: a working directory reached by a symbolic link keeps its name.

    The Astro CLI builds a project's unique name from that form of the path.

    Parameters
    ----------
    path : str or Path
        The path; ``~`` is expanded.

    Raises
    ------
    InvalidPathError
        When the path contains a NUL character, or names the home folder of an unknown user.
    """
    if "\0" in str(path):
        raise InvalidPathError("The path contains a NUL character.", hint="Give the path of a folder.")
    try:
        expanded = Path(path).expanduser()
    except RuntimeError as error:
        raise InvalidPathError(f"The home folder in {path} is unknown.", hint="Give the whole path.") from error
    joined = _working_directory() / expanded
    if ".." not in joined.parts:
        return joined
    # Left to the system: behind a symbolic link, '..' is not the folder that was written before it.
    lexical = Path(os.path.normpath(joined))
    physical = Path(os.path.realpath(joined))
    return lexical if _same(lexical, physical) else physical


def find_root(path: str | Path) -> Path:
    """Find the project that a folder or file is in.

    Parameters
    ----------
    path : str or Path
        Where to begin; the search goes up from there.

    Returns
    -------
    Path
        The first folder upwards that has a ``.astro/config.yaml``. The home folder never counts: there, that file is
        the user's own configuration.

    Raises
    ------
    ProjectNotFoundError
        When there is none.
    """
    start = absolute(path)
    for folder in (start, *start.parents):
        if (folder / CONFIG_NAME).is_file() and not is_home(folder):
            return folder
    where = (
        f"{start} does not exist" if not start.exists() else f"Neither {start} nor a folder above it has {CONFIG_NAME}"
    )
    raise ProjectNotFoundError(
        f"No Astro project found: {where[0].lower() if where.startswith('Neither') else where[0]}{where[1:]}.",
        hint="Make one with %astro_init NAME, or choose one with %astro_use DIR.",
    )


def is_home(folder: Path) -> bool:
    """Tell whether a folder is the one that holds the user's own configuration."""
    homes = [home_folder()]
    with contextlib.suppress(RuntimeError):
        homes.append(Path.home())
    return any(home is not None and _same(home, folder) for home in homes)


def project_file_name(root: Path, relative: str | Path) -> str:
    """Check that a path is one of a project's own files.

    Parameters
    ----------
    root : Path
        The project's folder.
    relative : str or Path
        The file, relative to it, with ``/`` between folders.

    Returns
    -------
    str
        The path in its shortest POSIX form.

    Raises
    ------
    InvalidPathError
        When the path is absolute, has ``..``, names a folder, is in ``.astro`` or ``.git``, or leads out of the
        project through a symbolic link.
    """
    name = check_relative(relative.as_posix() if isinstance(relative, Path) else relative)
    path = root / name
    target, base = Path(os.path.realpath(path)), Path(os.path.realpath(root))
    if not target.is_relative_to(base) or _reserved(target.relative_to(base).parts):
        raise InvalidPathError(
            f"{name} leads out of the project's files, to {target}.",
            hint="Edit that file where it is, or replace the symbolic link by a file.",
        )
    if path.is_dir():
        raise InvalidPathError(f"{name} is a folder.", hint=f"Name a file in it, such as {name}/notes.txt.")
    return name


def check_relative(text: str) -> str:
    """Check the form of a path: relative, downwards, and not in ``.astro`` or ``.git``.

    Returns
    -------
    str
        The path in its shortest POSIX form.

    Raises
    ------
    InvalidPathError
        When it has another form.
    """
    problem = _problem(text)
    if problem:
        raise InvalidPathError(
            f"{text!r} is no path of a project file: {problem}.",
            hint="Give a path relative to the project, such as include/query.sql.",
        )
    return PurePosixPath(text).as_posix()


def unique_project_name(name: str, folder: str) -> str:
    """Give the name by which the Astro CLI tells projects of the same name apart.

    Parameters
    ----------
    name : str
        The project's name, as configured.
    folder : str
        The absolute path of its folder, without a slash at the end.

    Returns
    -------
    str
        The name, ``_``, and the first six hexadecimal digits of the MD5 of the folder.
    """
    # No protection is asked of this digest; it has to be the one that the Astro CLI takes.
    suffix = hashlib.md5(folder.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()[:6]
    return f"{name}_{suffix}"


def _problem(text: str) -> str | None:
    parts = PurePosixPath(text).parts
    problems = (
        (not parts, "it is empty"),
        (any(character in text for character in "\0\n\r"), "it has a control character"),
        ("\\" in text, "folders are separated by '/'"),
        (text.startswith(("/", "~")) or PureWindowsPath(text).drive != "", "it is not relative to the project"),
        (":" in text, "a file name with ':' does not work on every system"),
        (".." in parts, "it has '..'"),
        (text.endswith("/"), "it names a folder"),
        (_reserved(parts), ".astro and .git are not edited this way"),
    )
    return next((problem for found, problem in problems if found), None)


def _reserved(parts: tuple[str, ...]) -> bool:
    # Compared without case, since file systems of macOS and Windows do so.
    return bool(parts) and (parts[0].lower() in _RESERVED or any(part.lower() == ".git" for part in parts))


def _working_directory() -> Path:
    try:
        physical = Path.cwd()
    except FileNotFoundError as error:
        raise ProjectNotFoundError(
            "The working directory no longer exists.",
            hint="Change to one that does, with %cd DIR.",
        ) from error
    logical = os.environ.get("PWD")
    if logical and Path(logical).is_absolute() and _same(Path(logical), physical):
        return Path(os.path.normpath(logical))
    return physical


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one == other
