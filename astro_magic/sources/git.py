"""Ask git: fetch a repository, and look into the one that a project is in.

Git never asks for a password here, since nobody could answer. Only protocols that move files are allowed; of the
others, some run commands.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from astro_magic.errors import CommandFailedError, InvalidPathError, NetworkError
from astro_magic.project.changes import Change, FileChange
from astro_magic.project.project import Project
from astro_magic.system import files, processes
from astro_magic.system.secrets import mask_credentials

__all__ = ["changed_files", "clone", "compare", "is_url", "show"]

_PROTOCOLS = ("file", "git", "http", "https", "ssh")
_URL = re.compile(r"(?P<protocol>[A-Za-z][A-Za-z0-9+.-]*)://.+", re.DOTALL)
_SSH = re.compile(r"[\w.-]+@[\w.-]+:.+", re.DOTALL)
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.-]*::")
# Where a process of git started us, as a hook does, its own repository stands in these.
_OTHER_REPOSITORY = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
    "GIT_PREFIX",
)
#: A hook that the user's git puts into each repository has no business in one that is read once.
_NO_HOOKS = ("-c", "core.hooksPath=/dev/null")
_CLONE_SECONDS = 300.0
_LOOK_SECONDS = 60.0

_NO_REPOSITORY = re.compile(r"not found|does not exist|not a git repository|does not appear to be", re.IGNORECASE)
_NO_REFERENCE = re.compile(r"couldn't find remote ref|not our ref|unadvertised object", re.IGNORECASE)
_NO_LOGIN = re.compile(
    r"could not read (Username|Password)|Authentication failed|Permission denied|terminal prompts disabled|"
    r"Host key verification failed|access denied",
    re.IGNORECASE,
)


def is_url(text: str) -> bool:
    """Tell whether a text has the form of a repository's address, allowed or not."""
    return any(form.match(text) for form in (_URL, _SSH, _HELPER))


def clone(url: str, folder: Path, *, reference: str | None = None) -> None:
    """Fetch one state of a repository, without its history.

    Parameters
    ----------
    url : str
        Its address.
    folder : Path
        An empty folder, in which the files are put.
    reference : str, optional
        A branch, a tag, or a whole commit id; the repository's default branch otherwise.

    Raises
    ------
    InvalidPathError
        When the address is none or not allowed, or it has no such reference.
    NetworkError
        When the repository cannot be read.
    CommandFailedError
        When git is not installed, or does not end.
    """
    shown = mask_credentials(url)
    _check_url(url, shown)
    if reference is not None and (not reference or reference.startswith(("-", "+")) or ":" in reference):
        raise InvalidPathError(f"{reference!r} is no branch, tag or commit.", hint="Give one after '#'.")
    _git(["init", "--quiet"], cwd=folder)
    fetch = [*_NO_HOOKS, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules"]
    fetched = _git([*fetch, "--", url, reference or "HEAD"], cwd=folder, timeout=_CLONE_SECONDS)
    if fetched.code != 0:
        raise _failure(fetched.errors, shown, reference)
    checkout = [
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "advice.detachedHead=false",
        "checkout",
        "--quiet",
        "FETCH_HEAD",
    ]
    done = _git(checkout, cwd=folder, timeout=_CLONE_SECONDS)
    if done.code != 0:
        raise NetworkError(f"The files of {shown} could not be put in place.", detail=_words(done.errors))


def compare(project: Project, revision: str, *, paths: Sequence[str] = ()) -> Change:
    """Compare the files of a project with a revision.

    Parameters
    ----------
    project : Project
        The project; the repository may begin above it.
    revision : str
        Such as ``HEAD`` or ``main``.
    paths : sequence of str, optional
        Only these files and folders, relative to the project.

    Returns
    -------
    Change
        What was done to the files since; those that git does not know and does not ignore count as created.

    Raises
    ------
    InvalidPathError
        When the project is in no repository, or that has no such revision.
    CommandFailedError
        When git is not installed, or does not end.
    FileAccessError
        When a file cannot be read.
    """
    wanted = tuple(f"{path.rstrip('/')}/" for path in paths)
    changed = []
    for name in changed_files(project.root, revision):
        if wanted and not f"{name}/".startswith(wanted):
            continue
        path = project.root / name
        before = show(project.root, revision, name)
        changed.append(FileChange(path, name, before, files.read_optional(path) if path.is_file() else None))
    return Change(f"since {revision}", tuple(changed))


def show(root: Path, revision: str, name: str) -> bytes | None:
    """Read a file as it was in a revision.

    Parameters
    ----------
    root : Path
        The project's folder; the repository may begin above it.
    revision : str
        Such as ``HEAD`` or ``main``.
    name : str
        The file, as a POSIX path relative to `root`.

    Returns
    -------
    bytes or None
        The content as git stores it; None when the revision has no such file.

    Raises
    ------
    InvalidPathError
        When `root` is in no repository, or that has no such revision.
    CommandFailedError
        When git is not installed, or does not end.
    """
    _check_revision(root, revision)
    place = _git(["rev-parse", "--absolute-git-dir", "--show-prefix"], cwd=root).output.split("\n")
    blob = f"{revision}:{place[1]}{name}"
    kind = _git(["cat-file", "-t", blob], cwd=root)
    if kind.code != 0 or kind.output.strip() != "blob":
        return None
    # Written to a file by git itself, so that no byte of it passes for text.
    with tempfile.TemporaryDirectory() as folder:
        written = _git(["unpack-file", blob], cwd=Path(folder), extra={"GIT_DIR": place[0], "GIT_WORK_TREE": folder})
        if written.code != 0:
            raise CommandFailedError(f"git could not read {name} of {revision}.", detail=_words(written.errors))
        return files.read_bytes(Path(folder) / written.output.strip())


def changed_files(root: Path, revision: str) -> tuple[str, ...]:
    """Give the files of a folder that differ from a revision, with those that git does not know and does not ignore.

    Parameters
    ----------
    root : Path
        The project's folder; the repository may begin above it.
    revision : str
        Such as ``HEAD`` or ``main``.

    Returns
    -------
    tuple of str
        POSIX paths relative to `root`, sorted.

    Raises
    ------
    InvalidPathError
        When `root` is in no repository, or that has no such revision.
    CommandFailedError
        When git is not installed, or fails.
    """
    _check_revision(root, revision)
    found: set[str] = set()
    for command in (
        ["diff", "--name-only", "--no-renames", "--no-ext-diff", "--relative", "-z", revision, "--"],
        ["ls-files", "--others", "--exclude-standard", "-z"],
    ):
        done = _git(command, cwd=root)
        if done.code != 0:
            raise CommandFailedError(f"git could not compare with {revision}.", detail=_words(done.errors))
        found.update(name for name in done.output.split("\0") if name)
    return tuple(sorted(found))


def _check_url(url: str, shown: str) -> None:
    match = _URL.fullmatch(url)
    if match is not None and match["protocol"].lower() in _PROTOCOLS:
        return
    if _SSH.fullmatch(url) and not url.startswith("-") and not _HELPER.match(url):
        return
    raise InvalidPathError(
        f"{shown!r} is no address that a repository can be fetched from.",
        hint="Use https://, ssh://, git://, file:// or user@host:path.",
    )


def _check_revision(root: Path, revision: str) -> None:
    inside = _git(["rev-parse", "--is-inside-work-tree"], cwd=root)
    if inside.code != 0 or inside.output.strip() != "true":
        raise InvalidPathError(f"{root} is in no git repository.", hint="Make one with: git init")
    valid = revision and not revision.startswith("-") and ":" not in revision
    if not valid or _git(["rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"], cwd=root).code != 0:
        raise InvalidPathError(
            f"The repository has no revision {revision!r}.", hint="Give a branch, a tag or a commit."
        )


def _git(
    arguments: Sequence[str], *, cwd: Path, timeout: float = _LOOK_SECONDS, extra: Mapping[str, str] | None = None
) -> processes.Completed:
    environment = {name: value for name, value in os.environ.items() if name not in _OTHER_REPOSITORY}
    environment |= {
        "GIT_ALLOW_PROTOCOL": ":".join(_PROTOCOLS),
        # Empty rather than missing: then no window asks either.
        "GIT_ASKPASS": "",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C.UTF-8",
        "LANGUAGE": "",
        "SSH_ASKPASS_REQUIRE": "never",
    }
    try:
        return processes.run(["git", *arguments], env=environment | dict(extra or {}), cwd=cwd, timeout=timeout)
    except CommandFailedError as problem:
        if isinstance(problem.__cause__, FileNotFoundError):
            message = "git is not installed, or not on the PATH."
            raise CommandFailedError(message, hint="Install git, or give a folder instead of a URL.") from problem
        raise


def _failure(errors: str, shown: str, reference: str | None) -> InvalidPathError | NetworkError:
    words = _words(errors)
    if reference is not None and _NO_REFERENCE.search(errors):
        return InvalidPathError(
            f"{shown} has no branch, tag or commit {reference!r}.",
            hint="After '#' stands the name of a branch or tag, or a whole commit id.",
            detail=words,
        )
    if _NO_REFERENCE.search(errors):
        return InvalidPathError(f"{shown} is an empty repository.", detail=words)
    if _NO_LOGIN.search(errors):
        hint = "Check the address; for a private one, let git know the login (a credential helper, or an SSH key)."
        return NetworkError(f"{shown} does not exist, or asks for a login.", hint=hint, detail=words)
    if _NO_REPOSITORY.search(errors):
        return NetworkError(f"There is no git repository at {shown}.", hint="Check the address.", detail=words)
    return NetworkError(f"{shown} could not be reached.", hint="Check the address and the network.", detail=words)


def _words(errors: str) -> str:
    """Give what git said, without any login."""
    return mask_credentials("\n".join(errors.strip().splitlines()[-8:]))
