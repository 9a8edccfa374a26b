"""Bring the packages of running containers to what ``requirements.txt`` says, while the image is built anew."""

from __future__ import annotations

import json
import re
import shlex
import tempfile
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from packaging.utils import canonicalize_name

from astro_magic.engines.additions import added_and_changed, in_words
from astro_magic.engines.docker.client.commands import (
    SCRATCH,
    Completed,
    put_archive,
    put_files,
    run_command,
    start_command,
)
from astro_magic.engines.docker.client.connection import Connection
from astro_magic.engines.docker.containers import in_parallel
from astro_magic.engines.docker.image.facts import ImageFacts
from astro_magic.errors import EngineError, InstallationError

__all__ = ["PackageChange", "install", "plan"]

_FILE = "astro-magic-requirements.txt"
_CONSTRAINTS = "astro-magic-constraints.txt"
_PATHS = tuple(f"{SCRATCH}/{name}" for name in (_FILE, _CONSTRAINTS))
#: Runs a command and removes the files it was given, which may name an index with its login.
_ONCE = f'{{ "$@" %s; code=$?; rm -f {" ".join(_PATHS)}; [ $code = 0 ] || exit $code; }}'
#: Who runs a DAG may not be allowed to write what Python compiles, and would compile it each time.
_COMPILE = """
import compileall, importlib.metadata, sys
for name in sys.argv[1:]:
    for file in importlib.metadata.files(name) or ():
        if file.suffix == ".py":
            compileall.compile_file(str(file.locate()), quiet=2)
"""
#: Writes the files of packages as a tar archive.
_ARCHIVE = """
import importlib.metadata, os, sys, tarfile
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
    for name in sys.argv[1:]:
        for file in importlib.metadata.files(name) or ():
            path = os.path.realpath(file.locate())
            if os.path.exists(path):
                tar.add(path, recursive=False)
"""
_UV_LINE = re.compile(r"^ (?P<sign>[+~-]) (?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>\S+)", re.MULTILINE)
#: What components share: to change it under a running Airflow is no matter of seconds.
_CORE = re.compile(r"apache-airflow(-core|-task-sdk)?|sqlalchemy|alembic|pydantic(-core)?|fastapi|flask|uv|pip")


@dataclass(frozen=True)
class PackageChange:
    """What an installation would do, and how it is done.

    Attributes
    ----------
    added : mapping of str to str
        Packages that come: version by canonical name.
    changed : mapping of str to str
        Packages that get another version: the new one, by canonical name.
    facts : ImageFacts
        What is in the containers' image, where uv may be; else pip does it.
    constraints : str
        What must stay as it is.
    direct : bool
        Whether something comes from elsewhere than an index.
    """

    added: Mapping[str, str]
    changed: Mapping[str, str]
    facts: ImageFacts
    constraints: str
    direct: bool = False

    @property
    def described(self) -> str:
        """What it does, in a few words."""
        return in_words({**self.added, **self.changed}) or "nothing that is not there already"


def plan(
    connection: Connection, container: str, requirements: str, present: Mapping[str, str], facts: ImageFacts
) -> PackageChange | None:
    """Find out what the requirements would install in a running container; nothing is changed.

    Parameters
    ----------
    connection : Connection
        The engine.
    container : str
        A running Airflow container.
    requirements : str
        The text of the requirements file; without lines that name other files.
    present : mapping of str to str
        The version of each installed package, by canonical name.
    facts : ImageFacts
        What is in the container's image.

    Returns
    -------
    PackageChange or None
        None when this way is closed: the packages cannot be resolved there, or Airflow itself would change.
    """
    try:
        constraints = "".join(f"{name}=={version}\n" for name, version in present.items() if _CORE.fullmatch(name))
        way = PackageChange({}, {}, facts, constraints)
        _put(connection, container, requirements, way)
        argv = ["sh", "-c", _ONCE % "", "sh", *_command(way, dry_run=True)]
        done = run_command(connection, container, argv, user=str(facts.installer))
    except (EngineError, ValueError):
        return None
    if done.code:
        return None
    found = _by_uv(done) if facts.uv else _by_pip(done)
    added, changed = added_and_changed(present, found)
    direct = " @ " in requirements or " (from " in done.errors
    return PackageChange(added, changed, facts, constraints, direct)


def install(connection: Connection, containers: Iterable[str], requirements: str, change: PackageChange) -> None:
    """Install the requirements in several running containers.

    What is only added is installed in one of them, and the others get its files: each container that resolves and
    downloads for itself costs as much again.

    Raises
    ------
    InstallationError
        When one of them refuses; what the others have by now is not taken away.
    """
    first, *others = containers
    with tempfile.TemporaryFile() as archive:
        if change.changed:
            in_parallel(lambda container: _install(connection, container, requirements, change, None), (first, *others))
        else:
            _install(connection, first, requirements, change, archive)
            archive.seek(0)
            content = archive.read()
            in_parallel(lambda container: put_archive(connection, container, "/", content), others)
    argv = [change.facts.python, "-c", _COMPILE, *change.added, *change.changed]

    def compile_all() -> None:
        with suppress(EngineError):
            for container in (first, *others):
                start_command(connection, container, argv, user=str(change.facts.installer))

    # Nobody waits for it.
    threading.Thread(target=compile_all, daemon=True).start()


def _install(
    connection: Connection, container: str, requirements: str, change: PackageChange, archive: IO[bytes] | None
) -> None:
    """Install in one container; the files of what is added go into an archive, if one is given."""
    exact = not change.changed and not change.direct and "--hash" not in requirements
    # Nothing has to be resolved again where it is known what comes.
    _put(connection, container, _pinned(requirements, change) if exact else requirements, change)
    command = [*_command(change, dry_run=False), *(["--no-deps"] if exact else [])]
    files = shlex.join([change.facts.python, "-c", _ARCHIVE, *change.added]) if archive is not None else "true"
    argv = ["sh", "-c", f"{_ONCE % '>&2'} && {files}", "sh", *command]
    done = run_command(connection, container, argv, user=str(change.facts.installer), output=archive)
    if done.code:
        detail = "\n".join(done.errors.strip().splitlines()[-10:])
        raise InstallationError("The packages could not be installed in the running containers.", detail=detail)


def _pinned(requirements: str, change: PackageChange) -> str:
    """Give the options of the requirements, and exactly what comes."""
    options = [line for line in requirements.splitlines() if line.lstrip().startswith("-")]
    pins = [f"{name}=={version}" for name, version in change.added.items()]
    return "\n".join([*options, *pins, ""])


def _command(way: PackageChange, *, dry_run: bool) -> list[str]:
    facts = way.facts
    if facts.uv:
        argv = [facts.uv, "pip", "install", "--python", facts.python, "--color", "never", "--no-progress"]
        argv += ["--dry-run"] if dry_run else ["--link-mode", "copy"]
    else:
        argv = [facts.python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"]
        argv += ["--dry-run", "--report", "-"] if dry_run else ["--root-user-action", "ignore"]
    return [*argv, "-r", _PATHS[0], "-c", _PATHS[1]]


def _by_uv(done: Completed) -> dict[str, str]:
    """Read uv's list, on which a changed package stands twice: the old one with a minus, the new one with a plus."""
    lines = _UV_LINE.finditer(done.errors)
    return {canonicalize_name(line["name"]): line["version"] for line in lines if line["sign"] != "-"}


def _by_pip(done: Completed) -> dict[str, str]:
    installed = json.loads(done.output or "{}").get("install", ())
    return {canonicalize_name(each["metadata"]["name"]): each["metadata"]["version"] for each in installed}


def _put(connection: Connection, container: str, requirements: str, way: PackageChange) -> None:
    files = {_FILE: requirements.encode(), _CONSTRAINTS: way.constraints.encode()}
    put_files(connection, container, files, owner=way.facts.installer)
