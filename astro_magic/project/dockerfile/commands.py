"""The commands of a ``RUN`` as words, and which of them install Python packages.

A shell's whole language is not read: what stands in substitutions and loops is a command like any other, and what
is only known while it runs stays as it is written.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from astro_magic.project.dockerfile.lines import DockerfileEntry
from astro_magic.project.dockerfile.mounts import split_options
from astro_magic.project.dockerfile.words import here_documents, plain

__all__ = ["Install", "commands", "installs", "json_words"]

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\f\v]+|\\\r?\n)
    |(?P<comment>\#[^\n]*)
    |(?P<redirect>\d*(?:<<-?|>>|<>|>\||[<>]&?)|&>>?)
    |(?P<end>\n|&&|\|\|?|[;&()])
    |(?P<word>(?:[^\s'"\\;&|()<>]++|\\.|'[^']*+(?:'|\Z)|"(?:[^"\\]++|\\.)*+(?:"|\Z))++)""",
    re.VERBOSE | re.DOTALL,
)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
#: Words in front of a command.
_BEFORE = {"{", "!", "if", "then", "elif", "else", "do", "while", "until", "time", "exec", "command", "sudo", "env"}
_SHELLS = {"sh", "bash", "dash", "ash"}
_SCRIPT_OPTION = re.compile(r"-[a-z]*c")
_PIP = re.compile(r"pip(?:\d+(?:\.\d+)?)?")
_PYTHON = re.compile(r"python(?:\d+(?:\.\d+)?)?")
_NESTED = 4


@dataclass(frozen=True)
class Install:
    """A command that installs Python packages.

    Attributes
    ----------
    program : str
        As it is written: ``pip``, ``/opt/venv/bin/pip``, ``python -m pip`` or ``uv pip``.
    arguments : tuple of str
        What follows ``install``.
    """

    program: str
    arguments: tuple[str, ...]

    @property
    def requirements(self) -> tuple[str, ...]:
        """The requirements files that it names."""
        found = []
        for word, after in zip(self.arguments, [*self.arguments[1:], ""], strict=True):
            name, equals, value = word.partition("=")
            if name in {"-r", "--requirement", "--requirements"}:
                found.append(value if equals else after)
            elif re.match(r"-r[^-=]", word):
                found.append(word.removeprefix("-r"))
        return tuple(value for value in found if value)


def commands(entry: DockerfileEntry) -> Sequence[tuple[str, ...]]:
    """Give the commands of a ``RUN``, each as its words without quotes; redirections are words as well."""
    return _commands(entry.arguments) if entry.keyword == "RUN" else ()


def installs(entry: DockerfileEntry) -> list[Install]:
    """Give the commands of a ``RUN`` that install Python packages with pip or uv."""
    return [found for command in commands(entry) if (found := _install(command)) is not None]


def json_words(text: str) -> list[str] | None:
    """Read the words of an instruction that is written as a JSON list; None when it is not."""
    if not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, list) and all(isinstance(word, str) for word in found) else None


@functools.lru_cache(maxsize=256)
def _commands(arguments: str) -> Sequence[tuple[str, ...]]:
    head, _, rest = arguments.partition("\n")
    text = split_options(head)[1]
    listed = json_words(text)
    if listed is not None:
        return tuple(_inner(tuple(listed), 0)) if listed else ()
    documents = _documents(rest.split("\n"), head)
    found: list[tuple[str, ...]] = []
    for command in _split(text):
        bodies = [next(documents, "") for word in command if word in {"<<", "<<-"}]
        found += _inner(command, 0)
        # A here-document is run where it is all there is, or a shell reads it; else it is only data.
        program = command[0] if command else ""
        if bodies and (program in {"<<", "<<-"} or PurePosixPath(program).name in _SHELLS):
            found += _script("\n".join(body for body in bodies if _is_shell(body)), 0)
    return tuple(found)


def _documents(lines: Sequence[str], head: str) -> Iterator[str]:
    position = 0
    for word, strip in here_documents("RUN", head):
        body = []
        while position < len(lines) and (lines[position].lstrip("\t") if strip else lines[position]) != word:
            body.append(lines[position])
            position += 1
        position += 1
        yield "\n".join(body)


def _is_shell(body: str) -> bool:
    first = body.partition("\n")[0]
    return not first.startswith("#!") or any(re.search(rf"\b{shell}\b", first) for shell in _SHELLS)


def _script(text: str, depth: int) -> Iterator[tuple[str, ...]]:
    for command in _split(text):
        yield from _inner(command, depth)


def _split(text: str) -> Iterator[tuple[str, ...]]:
    found: list[str] = []
    for match in _TOKEN.finditer(text):
        if match["end"]:
            yield from _bare(found)
            found = []
        elif match["word"] or match["redirect"]:
            found.append(plain(match[0], "\\"))
    yield from _bare(found)


def _bare(command: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Take off what stands in front of a command: variables for it, and words of the shell."""
    position = 0
    while position < len(command) and (command[position] in _BEFORE or _ASSIGNMENT.match(command[position])):
        position += 1
    if command[position:]:
        yield tuple(command[position:])


def _inner(command: tuple[str, ...], depth: int) -> Iterator[tuple[str, ...]]:
    """Give a command, or those of the script that it hands to a shell."""
    if command and PurePosixPath(command[0]).name in _SHELLS and depth < _NESTED:
        for word, script in itertools.pairwise(command):
            if _SCRIPT_OPTION.fullmatch(word):
                yield from _script(script, depth + 1)
                return
    yield command


def _install(command: tuple[str, ...]) -> Install | None:
    name = PurePosixPath(command[0]).name
    length = 1
    if _PYTHON.fullmatch(name) and command[1:3] == ("-m", "pip"):
        length = 3
    elif name == "uv" and command[1:2] == ("pip",):
        length = 2
    elif not _PIP.fullmatch(name):
        return None
    options = [place for place, word in enumerate(command) if place >= length and not word.startswith("-")]
    if not options or command[options[0]] != "install":
        return None
    return Install(" ".join(command[:length]), command[options[0] + 1 :])
