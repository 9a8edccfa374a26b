"""The patterns of ``.airflowignore`` files, and which files under ``dags/`` they keep from Airflow.

The facts are those of ``airflow._shared.module_loading.file_discovery`` (Airflow 3.3). The comment is cut first, in
both syntaxes. A regular expression is searched in the path relative to ``dags/``, wherever its file stands, and the
first one that is found ignores. Of glob patterns the last one that matches decides; one with a slash before its end is
relative to the folder of its file, any other is held against the name alone.
"""

from __future__ import annotations

import functools
import os
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

__all__ = [
    "IGNORE_FILE",
    "BrokenPattern",
    "IgnoreEntry",
    "IgnoredFile",
    "Rule",
    "Syntax",
    "Walk",
    "read_glob",
    "read_rule",
    "walk",
]

_Read = TypeVar("_Read")

Syntax = Literal["glob", "regexp"]

#: The name of these files, in ``dags/`` and in each folder below it.
IGNORE_FILE = ".airflowignore"

# Folders of bytecode hold nothing that Airflow would parse, and as many files as there are modules.
_BYTECODE = "__pycache__"


@dataclass(frozen=True)
class IgnoreEntry:
    """A pattern in an ``.airflowignore`` file.

    Attributes
    ----------
    pattern : str
        The pattern as Airflow sees it: what is left of the line without its comment.
    line : int
        Its line, counted from 1.
    comment : str
        The comment on the same line, with its ``#``; empty when there is none.
    """

    pattern: str
    line: int
    comment: str = ""


@dataclass(frozen=True)
class IgnoredFile:
    """A file or folder under ``dags/`` that Airflow passes over.

    Attributes
    ----------
    file : str
        Its POSIX path relative to ``dags/``. A folder ends in a slash: all that is in it is passed over.
    ignored_by : str
        The ignore file whose pattern it is, as a POSIX path relative to the project.
    line : int
        The pattern's line, counted from 1.
    pattern : str
        The pattern.
    """

    file: str
    ignored_by: str
    line: int
    pattern: str


@dataclass(frozen=True)
class BrokenPattern:
    """A pattern that cannot be read. Airflow leaves out a regular expression; at a glob pattern it gives up.

    Attributes
    ----------
    file : str
        The ignore file, as a POSIX path relative to the project.
    line : int
        The pattern's line, counted from 1.
    pattern : str
        The pattern.
    reason : str
        What is wrong with it.
    """

    file: str
    line: int
    pattern: str
    reason: str


@dataclass(frozen=True)
class Rule:
    """A pattern, ready to be held against paths.

    Attributes
    ----------
    origin : str
        The ignore file, as a POSIX path relative to the project.
    entry : IgnoreEntry
        The pattern as it is written.
    expression : re.Pattern of str
        What is searched.
    ignores : bool
        Whether a match ignores the path, or takes an earlier match back.
    base : int or None
        How many characters of the path relative to ``dags/`` come before what is searched; None: all but the name.
    folders_only : bool
        Whether it is about folders only.
    """

    origin: str
    entry: IgnoreEntry
    expression: re.Pattern[str]
    ignores: bool
    base: int | None
    folders_only: bool


@dataclass(frozen=True)
class Walk:
    """What is under ``dags/``.

    Attributes
    ----------
    files : tuple of str
        The files that are not ignored, as POSIX paths relative to ``dags/``.
    ignored : tuple of IgnoredFile
        The files and folders that are.
    repeated : tuple of str
        Folders, relative to ``dags/``, that were met before under another name: symbolic links in a loop, or two to one
        folder. Airflow gives up on all of ``dags/`` when it meets one; here, they are not entered again.
    broken : tuple of BrokenPattern
        Patterns that count for nothing.
    """

    files: tuple[str, ...]
    ignored: tuple[IgnoredFile, ...]
    repeated: tuple[str, ...]
    broken: tuple[BrokenPattern, ...]


def read_rule(entry: IgnoreEntry, origin: str, syntax: Syntax) -> Rule | None:
    """Make a rule of a pattern.

    Parameters
    ----------
    entry : IgnoreEntry
        The pattern.
    origin : str
        Its file, as a POSIX path relative to the project.
    syntax : {"glob", "regexp"}
        How the pattern is to be read.

    Returns
    -------
    Rule or None
        None when the pattern can match nothing.

    Raises
    ------
    ValueError
        When it cannot be read; the text is the reason.
    """
    if syntax == "regexp":
        expression = _without_warnings(lambda: re.compile(entry.pattern))
        return Rule(origin, entry, expression, ignores=True, base=0, folders_only=False)
    read = read_glob(entry.pattern)
    if read.include is None or read.regex is None:
        return None
    pattern = entry.pattern
    anchored = pattern.startswith("/") or "/" in pattern.rstrip("/")
    return Rule(
        origin=origin,
        entry=entry,
        expression=read.regex,
        ignores=read.include,
        base=len(origin) - len(IGNORE_FILE) - len("dags/") if anchored else None,
        folders_only=pattern.lstrip("!").rstrip().endswith("/"),
    )


@functools.lru_cache(maxsize=8192)
def read_glob(pattern: str) -> GitIgnoreSpecPattern:
    """Read a pattern of git's, which is what Airflow takes for a glob pattern.

    Raises
    ------
    ValueError
        When it cannot be read; the text is the reason.
    """
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    return _without_warnings(lambda: GitIgnoreSpecPattern(pattern))


def walk(dags: Path, syntax: Syntax, read: Callable[[str], Sequence[IgnoreEntry]]) -> Walk:
    """Go through ``dags/`` once, as Airflow does: along symbolic links, and not into ignored folders.

    Parameters
    ----------
    dags : Path
        The folder.
    syntax : {"glob", "regexp"}
        How patterns are read.
    read : callable
        Gives the patterns of an ignore file, named by its POSIX path relative to the project.

    Returns
    -------
    Walk
        Sorted by path. Folders that cannot be listed count as empty.
    """
    walker = _Walker(syntax, read)
    walker.enter(str(dags), "", ())
    return Walk(
        files=tuple(sorted(walker.files)),
        ignored=tuple(sorted(walker.ignored, key=lambda ignored: ignored.file)),
        repeated=tuple(sorted(walker.repeated)),
        broken=tuple(walker.broken),
    )


class _Walker:
    def __init__(self, syntax: Syntax, read: Callable[[str], Sequence[IgnoreEntry]]) -> None:
        self.files: list[str] = []
        self.ignored: list[IgnoredFile] = []
        self.repeated: list[str] = []
        self.broken: list[BrokenPattern] = []
        self._syntax = syntax
        self._read = read
        self._seen: set[str] = set()

    def enter(self, top: str, prefix: str, inherited: tuple[Rule, ...]) -> None:
        """Go through a folder and what is below it; a list instead of calls, since folders may be deep."""
        waiting = [(top, prefix, inherited)]
        while waiting:
            folder, prefix, rules = waiting.pop()
            try:
                with os.scandir(folder) as found:
                    entries = list(found)
            except OSError:
                continue
            if any(entry.name == IGNORE_FILE and entry.is_file() for entry in entries):
                rules = (*rules, *self._rules(f"dags/{prefix}{IGNORE_FILE}"))
            below = []
            for entry in entries:
                name = entry.name
                is_folder = _is_folder(entry)
                if name == IGNORE_FILE or (name == _BYTECODE and is_folder):
                    continue
                path = prefix + name
                rule = self._deciding(rules, path, name, is_folder=is_folder) if rules else None
                if rule is not None:
                    shown = f"{path}/" if is_folder else path
                    self.ignored.append(IgnoredFile(shown, rule.origin, rule.entry.line, rule.entry.pattern))
                elif is_folder:
                    below.append((entry.path, path))
                else:
                    self.files.append(path)
            for entry_path, path in sorted(below):
                real = os.path.realpath(entry_path)
                if real in self._seen:
                    self.repeated.append(path)
                    continue
                self._seen.add(real)
                waiting.append((entry_path, f"{path}/", rules))

    def _rules(self, origin: str) -> list[Rule]:
        rules = []
        for entry in self._read(origin):
            try:
                rule = read_rule(entry, origin, self._syntax)
            except ValueError as error:
                self.broken.append(BrokenPattern(origin, entry.line, entry.pattern, str(error)))
                continue
            if rule is not None:
                rules.append(rule)
        return rules

    def _deciding(self, rules: Sequence[Rule], path: str, name: str, *, is_folder: bool) -> Rule | None:
        """Find the rule that ignores a path."""
        if self._syntax == "regexp":
            return next((rule for rule in rules if rule.expression.search(path)), None)
        end = "/" if is_folder else ""
        path, name = path + end, name + end
        for rule in reversed(rules):
            if rule.folders_only and not is_folder:
                continue
            if rule.expression.search(name if rule.base is None else path[rule.base :]):
                return rule if rule.ignores else None
        return None


def _without_warnings(read: Callable[[], _Read]) -> _Read:
    try:
        with warnings.catch_warnings():
            # Such as that about "[[", which is for whoever writes Python.
            warnings.simplefilter("ignore")
            return read()
    except (re.error, RecursionError, OverflowError) as error:
        # Of glob patterns as well: they become regular expressions, and [z-a] none that can be read.
        raise ValueError(str(error)) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
