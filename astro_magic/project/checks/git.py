"""Checks of where secrets could get out: into git, into the image, or to other users of the machine."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from astro_magic.project.checks.finding import Finding
from astro_magic.project.checks.git_work_tree import find_work_tree
from astro_magic.project.dockerignore import is_excluded
from astro_magic.project.masking import is_environment_file
from astro_magic.project.project import Project
from astro_magic.system.secrets import is_secret_name, mask_credentials, mask_url_credentials

__all__ = ["check_git"]

_PLACES = ("", ".env", "config", "include")
_KEYS = ("id_dsa", "id_ecdsa", "id_ed25519", "id_rsa")
_KEY_ENDS = (".key", ".pem")
# These hold a secret only when there is a login in them.
_WITH_LOGINS = {"pip.conf", "pip.ini", "private-requirements.txt"}
# What has no place in the image: the values that are for this machine, and the state of an Airflow without Docker.
_NOT_FOR_IMAGES = (".env", "airflow_settings.yaml", ".astro/standalone")
_SETTING = re.compile(r"\s*(?:-\s+)*[\"']?(?P<key>[\w-]+)[\"']?\s*:\s+(?P<value>(?![\"']{2})[^\s#].*)")
# More than any file of secrets has.
_READ = 1_000_000


@dataclass(frozen=True)
class _SecretFile:
    """A file that is made for secrets.

    Attributes
    ----------
    name : str
        Its POSIX path relative to the project.
    path : Path
        The file.
    holds : bool
        Whether there is a secret in it now.
    """

    name: str
    path: Path
    holds: bool


def check_git(project: Project) -> Iterator[Finding]:
    """Check that secrets stay out of git, out of the image, and with their owner.

    Parameters
    ----------
    project : Project
        The project.
    """
    files = list(_secret_files(project))
    yield from _in_git(project, files)
    yield from _in_image(project)
    yield from _open_to_others(files)


def _secret_files(project: Project) -> Iterator[_SecretFile]:
    for folder in _PLACES:
        try:
            with os.scandir(project.root / folder) as entries:
                names = sorted(entry.name for entry in entries if entry.is_file())
        except OSError:
            continue
        for name in names:
            found = _look(project.root / folder / name, f"{folder}/{name}".lstrip("/"))
            if found is not None:
                yield found


def _look(path: Path, name: str) -> _SecretFile | None:
    """Look at a file; None when it is none that is made for secrets."""
    last = path.name
    key = last in _KEYS or last.endswith(_KEY_ENDS)
    environment = is_environment_file(name) and not last.endswith((".example", ".sample", ".template"))
    if not (key or environment or last in {*_WITH_LOGINS, ".netrc", "airflow_settings.yaml"}):
        return None
    text = ""
    with contextlib.suppress(OSError), path.open("rb") as stream:
        text = stream.read(_READ).decode("utf-8", "replace")
    if key:
        # A certificate has the same ending, and is for everybody.
        return _SecretFile(name, path, holds=True) if "PRIVATE KEY" in text else None
    if last in _WITH_LOGINS:
        return _SecretFile(name, path, holds=True) if mask_url_credentials(text) != text else None
    if last == "airflow_settings.yaml":
        return _SecretFile(name, path, holds=_sets_secret(text.splitlines()))
    if environment:
        return _SecretFile(name, path, holds=any(map(_is_secret, text.splitlines())))
    return _SecretFile(name, path, holds="password" in text)


def _is_secret(line: str) -> bool:
    """Tell whether a line of an environment file sets a secret."""
    key, _, value = line.partition("=")
    value = value.strip().strip("\"'")
    if not value or key.lstrip().startswith("#"):
        return False
    return is_secret_name(key) or mask_credentials(value) != value


def _sets_secret(lines: list[str]) -> bool:
    """Tell whether a line of ``airflow_settings.yaml`` gives a value to what is secret."""
    variable = ""
    for line in lines:
        found = _SETTING.fullmatch(line)
        if found is None:
            continue
        key, value = found["key"], found["value"]
        if key == "variable_name":
            variable = value
        # A variable is as secret as its name says.
        name = variable if key == "variable_value" else key
        if key == "conn_uri" or is_secret_name(name) or mask_credentials(value) != value:
            return True
    return False


def _in_git(project: Project, files: list[_SecretFile]) -> Iterator[Finding]:
    tree = find_work_tree(project.root) if files else None
    if tree is None:
        return
    names = {file.name: (project.root / file.name).relative_to(tree.root).as_posix() for file in files}
    tracked = tree.tracked(names.values())
    for file in files:
        if names[file.name] in tracked:
            what = "and holds a secret" if file.holds else "so a secret that is written into it later gets out"
            yield Finding(
                check="tracked-secrets",
                severity="error" if file.holds else "warning",
                message=f"{file.name} is tracked by git, {what}.",
                hint=f"Run git rm --cached {file.name}, add it to .gitignore, and change what was secret in it.",
                file=file.name,
            )
        elif not tree.ignored(names[file.name]):
            yield Finding(
                check="unignored-secrets",
                severity="warning",
                message=f"{file.name} is made for secrets, and git does not ignore it.",
                hint=f"Add the line {_ignore_line(file.name)} to .gitignore.",
                file=file.name,
            )


def _ignore_line(name: str) -> str:
    return ".env" if name.startswith(".env/") else name


def _in_image(project: Project) -> Iterator[Finding]:
    file = "Dockerfile.dockerignore"
    if not (project.root / file).is_file():
        file = ".dockerignore"
    lines: list[str] = []
    with contextlib.suppress(OSError):
        lines = (project.root / file).read_text(encoding="utf-8-sig", errors="replace").splitlines()
    for name in _NOT_FOR_IMAGES:
        if (project.root / name).exists() and not is_excluded(lines, name):
            yield Finding(
                check="secrets-in-image",
                severity="warning",
                message=f"{name} gets into the image, since {file} does not name it.",
                hint=f"Add the line {name} to {file}.",
                file=file,
            )


def _open_to_others(files: list[_SecretFile]) -> Iterator[Finding]:
    if sys.platform == "win32":
        return
    for file in files:
        with contextlib.suppress(OSError):
            mode = stat.S_IMODE(file.path.stat().st_mode)
            if file.holds and mode & 0o077:
                yield Finding(
                    check="readable-secrets",
                    severity="warning",
                    message=f"{file.name} holds a secret, and other users of this machine may read it ({mode:o}).",
                    hint=f"Run chmod 600 {file.name}.",
                    file=file.name,
                )
