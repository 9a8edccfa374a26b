"""Ask git: fetch a repository, and look into the one that a project is in.

How git is called, and which protocols it may use, is in `git_command.py`.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from astro_magic.errors import CommandFailedError, InvalidPathError, NetworkError
from astro_magic.project.changes import Change, FileChange
from astro_magic.project.project import Project
from astro_magic.sources.git_command import NO_LOGIN, NO_REFERENCE, NO_REPOSITORY, PROTOCOLS, run_git, words
from astro_magic.system import files
from astro_magic.system.secrets import mask_credentials

__all__ = ["changed_files", "clone", "compare", "is_url", "show"]

_URL = re.compile(r"(?P<protocol>[A-Za-z][A-Za-z0-9+.-]*)://.+", re.DOTALL)
_SSH = re.compile(r"[\w.-]+@[\w.-]+:.+", re.DOTALL)
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.-]*::")
#: A hook that the user's git puts into each repository has no business in one that is read once.
_NO_HOOKS = ("-c", "core.hooksPath=/dev/null")
_CLONE_SECONDS = 300.0


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
    run_git(["init", "--quiet"], cwd=folder, instead=", or give a folder instead of a URL")
    fetch = [*_NO_HOOKS, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules"]
    fetched = run_git([*fetch, "--", url, reference or "HEAD"], cwd=folder, timeout=_CLONE_SECONDS)
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
    done = run_git(checkout, cwd=folder, timeout=_CLONE_SECONDS)
    if done.code != 0:
        raise NetworkError(f"The files of {shown} could not be put in place.", detail=words(done.errors))


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
    place = run_git(["rev-parse", "--absolute-git-dir", "--show-prefix"], cwd=root).output.split("\n")
    blob = f"{revision}:{place[1]}{name}"
    kind = run_git(["cat-file", "-t", blob], cwd=root)
    if kind.code != 0 or kind.output.strip() != "blob":
        return None
    # Written to a file by git itself, so that no byte of it passes for text.
    with tempfile.TemporaryDirectory() as folder:
        written = run_git(["unpack-file", blob], cwd=Path(folder), extra={"GIT_DIR": place[0], "GIT_WORK_TREE": folder})
        if written.code != 0:
            raise CommandFailedError(f"git could not read {name} of {revision}.", detail=words(written.errors))
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
        done = run_git(command, cwd=root)
        if done.code != 0:
            raise CommandFailedError(f"git could not compare with {revision}.", detail=words(done.errors))
        found.update(name for name in done.output.split("\0") if name)
    return tuple(sorted(found))


def _check_url(url: str, shown: str) -> None:
    match = _URL.fullmatch(url)
    if match is not None and match["protocol"].lower() in PROTOCOLS:
        return
    if _SSH.fullmatch(url) and not url.startswith("-") and not _HELPER.match(url):
        return
    raise InvalidPathError(
        f"{shown!r} is no address that a repository can be fetched from.",
        hint="Use https://, ssh://, git://, file:// or user@host:path.",
    )


def _check_revision(root: Path, revision: str) -> None:
    inside = run_git(["rev-parse", "--is-inside-work-tree"], cwd=root)
    if inside.code != 0 or inside.output.strip() != "true":
        raise InvalidPathError(f"{root} is in no git repository.", hint="Make one with: git init")
    valid = revision and not revision.startswith("-") and ":" not in revision
    if not valid or run_git(["rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"], cwd=root).code != 0:
        raise InvalidPathError(
            f"The repository has no revision {revision!r}.", hint="Give a branch, a tag or a commit."
        )


def _failure(errors: str, shown: str, reference: str | None) -> InvalidPathError | NetworkError:
    said = words(errors)
    if reference is not None and NO_REFERENCE.search(errors):
        return InvalidPathError(
            f"{shown} has no branch, tag or commit {reference!r}.",
            hint="After '#' stands the name of a branch or tag, or a whole commit id.",
            detail=said,
        )
    if NO_REFERENCE.search(errors):
        return InvalidPathError(f"{shown} is an empty repository.", detail=said)
    if NO_LOGIN.search(errors):
        hint = "Check the address; for a private one, let git know the login (a credential helper, or an SSH key)."
        return NetworkError(f"{shown} does not exist, or asks for a login.", hint=hint, detail=said)
    if NO_REPOSITORY.search(errors):
        return NetworkError(f"There is no git repository at {shown}.", hint="Check the address.", detail=said)
    return NetworkError(f"{shown} could not be reached.", hint="Check the address and the network.", detail=said)
