"""Resolve a project's requirements together with its Airflow version, which is always pinned."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from packaging.utils import canonicalize_name

from astro_magic.errors import InstallationError, ResolutionError
from astro_magic.resolve import shared_locks, uv
from astro_magic.system.files import write_atomic

__all__ = ["Resolution", "compare_versions", "requirements_key", "resolve"]

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)", re.MULTILINE)
_DIRECT = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])? @ (?P<url>\S+)", re.MULTILINE)
_INCLUDE = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[ =]?\s*(?P<file>\S+)", re.MULTILINE)
#: A resolver that goes back over hundreds of versions would otherwise run for minutes without an answer.
_TIME_LIMIT = 180.0
_KEPT_LOCKS = 20
_FROM_CACHE = "the index could not be reached; this is what uv's cache has"


@dataclass(frozen=True)
class Resolution:
    """What requirements resolve to.

    Attributes
    ----------
    lock : str
        The exact versions, as a requirements file. May hold the login of a private index.
    packages : dict
        Version by canonical name; empty where the package comes from elsewhere than an index.
    airflow : str
        The exact Airflow version.
    seconds : float
        How long it took.
    note : str
        What the user should know; may be empty.
    changes : tuple of str
        The difference to the present environment, such as ``adds polars 1.35.2``.
    """

    lock: str = field(repr=False)
    packages: dict[str, str]
    airflow: str
    seconds: float
    note: str = ""
    changes: tuple[str, ...] = ()

    def compare(self, present: Mapping[str, str], *, additive: bool = False) -> tuple[str, ...]:
        """Say how this differs from versions by name, such as ``adds polars 1.35.2``.

        Parameters
        ----------
        present : Mapping of str to str
            The installed versions by name.
        additive : bool, optional
            Whether what is not asked for stays where it is, as in an image.
        """
        return compare_versions(present, self.packages, additive=additive)


def compare_versions(
    present: Mapping[str, str], wanted: Mapping[str, str], *, additive: bool = False
) -> tuple[str, ...]:
    """Say how versions by name differ, such as ``adds polars 1.35.2``.

    Parameters
    ----------
    present : Mapping of str to str
        The versions that are there, by name.
    wanted : Mapping of str to str
        Those that are to be there, by canonical name; empty where a package comes from elsewhere than an index.
    additive : bool, optional
        Whether what is not wanted stays where it is, as in an image.
    """
    before: dict[str, str] = {canonicalize_name(name): version for name, version in present.items()}
    told = []
    for name in sorted({*before, *wanted}):
        old, new = before.get(name), wanted.get(name)
        if old is None:
            told.append(f"adds {name} {new or 'from its repository'}")
        elif new is None:
            told += [] if additive else [f"removes {name} {old}".rstrip()]
        elif new and old != new:
            told.append(f"changes {name} {old} → {new}")
    return tuple(told)


def resolve(
    text: str,
    *,
    folder: Path,
    airflow: str,
    python: str,
    locks: Path,
    preferred: Mapping[str, str] = MappingProxyType({}),
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Resolution:
    """Resolve the lines of a requirements file.

    Parameters
    ----------
    text : str
        The requirements.
    folder : Path
        What relative paths in them are relative to.
    airflow : str
        Requirement of Airflow's version: ``3.3.2``, or ``3.3.*`` for the latest of a line.
    python : str
        Version of the environment's Python, such as ``3.12``.
    locks : Path
        Folder that keeps results, so that the same question is answered at once.
    preferred : Mapping of str to str, optional
        Versions by name to stay with where the requirements allow it.
    settings : Mapping of str to str, optional
        Variables that tell uv where private packages are, with their logins.

    Raises
    ------
    ResolutionError
        When there is no solution.
    NetworkError
        When an index could not be reached.
    """
    started = time.monotonic()
    note = ""
    whole = f"{text.rstrip()}\napache-airflow=={airflow}\npip\n"
    wishes = "".join(f"{name}=={version}\n" for name, version in sorted(preferred.items()))
    kept = locks / f"{_question_key(whole + wishes, folder, python, settings)}.txt"
    shared = _shared_key(kept.stem, whole, settings)
    if kept.exists():
        lock = kept.read_text(encoding="utf-8")
    elif shared and (lock := shared_locks.read_shared(shared)):
        locks.mkdir(parents=True, exist_ok=True)
        write_atomic(kept, lock.encode(), mode=0o600)
    else:
        question = _Question(folder, airflow, python, wishes, settings)
        locks.mkdir(parents=True, exist_ok=True)
        lock = question.answer_quickly(text, whole) or question.answer(whole)
        if question.away:
            note = _FROM_CACHE
        else:
            write_atomic(kept, lock.encode(), mode=0o600)
            _forget_old(locks)
            if shared:
                shared_locks.share(shared, lock)
    packages = {name: "" if "/" in version else version for name, version in _versions(lock).items()}
    return Resolution(lock, packages, packages["apache-airflow"], time.monotonic() - started, note)


@dataclass
class _Question:
    """What is asked of uv beside the requirements."""

    folder: Path
    airflow: str
    python: str
    wishes: str
    settings: Mapping[str, str]
    #: Whether the index could not be reached for the last answer, and uv's cache had it.
    away: bool = False

    def answer(self, requirements: str) -> str:
        """Give exact versions, as the index has them now, or else uv's cache."""
        self.away = False
        lock = self._compile(requirements)
        if not self.away:
            shared_locks.note_asked(self._foundation)
        return lock

    def answer_quickly(self, text: str, whole: str) -> str:
        """Give exact versions where the index need not be asked for all that Airflow itself needs.

        That is more than a hundred packages, of which it was asked a moment ago. It is asked for what the project
        adds; if that with Airflow comes to the same versions as by itself, they are the answer. Else there is none.
        """
        # What depends on Airflow would ask for all that this needs.
        if "apache-airflow" in text.lower() or not shared_locks.asked_lately(self._foundation):
            return ""
        try:
            added = self._compile(text)
            lock = self._compile(whole, offline=True)
        except (ResolutionError, InstallationError):
            # Whether that is so, and why, the index tells.
            return ""
        return lock if _versions(added).items() <= _versions(lock).items() else ""

    @property
    def _foundation(self) -> str:
        asked = (self.airflow, self.python, self.wishes, uv.index_settings(self.settings))
        return hashlib.sha256(repr(asked).encode()).hexdigest()[:20]

    def _compile(self, requirements: str, *, offline: bool = False) -> str:
        arguments = ["pip", "compile", "-", "--python", sys.executable, "--python-version", self.python, "--quiet"]
        arguments += ["--no-header", "--no-annotate", "--emit-index-url", "--emit-find-links", "--no-strip-extras"]
        with tempfile.TemporaryDirectory(prefix="astro-magic-") as temporary:
            # What stands in the file that it is to write is what uv stays with.
            output = Path(temporary) / "lock.txt"
            output.write_text(self.wishes, encoding="utf-8")
            arguments += ["--output-file", os.fspath(output)]
            uv.call(
                arguments,
                cwd=self.folder,
                text=requirements,
                timeout=_TIME_LIMIT,
                offline=offline,
                on_cache=self._note_away,
                extra=self.settings,
            )
            return output.read_text(encoding="utf-8")

    def _note_away(self) -> None:
        self.away = True


def _versions(lock: str) -> dict[str, str]:
    """Give the version of each package in a lock, or where else it comes from, by canonical name."""
    found: dict[str, str] = {}
    for pattern, what in ((_PIN, "version"), (_DIRECT, "url")):
        found |= {canonicalize_name(each["name"]): each[what] for each in pattern.finditer(lock)}
    return found


def requirements_key(requirements: str, *, folder: Path, python: str) -> str:
    """Name what is asked for: the requirements, the files that they include, and the Python."""
    digest = hashlib.sha256(f"{python}\n{requirements}".encode())
    for found in _INCLUDE.finditer(requirements):
        included = folder / found["file"]
        if included.is_file():
            digest.update(included.read_bytes())
    return digest.hexdigest()[:20]


def _question_key(requirements: str, folder: Path, python: str, settings: Mapping[str, str]) -> str:
    """Name a question to the resolver: what is asked for, and of which index."""
    index = uv.index_settings(settings)
    asked = requirements_key(requirements, folder=folder, python=python)
    return hashlib.sha256("\n".join([asked, *index]).encode()).hexdigest()[:20]


def _shared_key(question: str, requirements: str, settings: Mapping[str, str]) -> str:
    """Name a question that another project may have asked, too; empty where it is about files of this one."""
    if _INCLUDE.search(requirements):
        return ""
    places = re.split(r"[\s,]+", uv.uv_environment(settings).get("UV_FIND_LINKS", ""))
    named = "\n".join([requirements, *(f"--find-links {place}" for place in places)])
    wheels = shared_locks.wheels_named(named)
    return hashlib.sha256(repr((question, places, wheels)).encode()).hexdigest()[:20]


def _forget_old(locks: Path) -> None:
    for old in sorted(locks.glob("*.txt"), key=lambda file: file.stat().st_mtime)[:-_KEPT_LOCKS]:
        old.unlink(missing_ok=True)
