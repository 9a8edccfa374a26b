"""The environment variables of a project: ``.env``.

One dialect, read the same way by every engine:

- ``KEY=VALUE``, one a line; blanks around the key and the value do not count, and ``export`` may stand in front.
- A value may be quoted with ``'`` or ``"``. The quotes are taken off; nothing inside them has a special meaning.
- A ``#`` at the beginning of a line, after a blank behind a bare value, or behind a closing quote begins a comment.
- Nothing is interpolated: ``$HOME`` stays ``$HOME``. There are no escapes, and no values of several lines.
- The last of several lines with the same key counts. What is no ``KEY=VALUE`` is passed over.

``.env`` may be a folder; then all ``*.env`` files in it are read, in the order of their names, and each is edited as a
file of its own: ``Dotenv(project, ".env/dev.env")``. How other tools read the same lines is in `dotenv_dialects`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from astro_magic.errors import InvalidContentError, InvalidPathError
from astro_magic.project.changes import Change, FileChange
from astro_magic.project.document import Document
from astro_magic.project.location import project_file_name
from astro_magic.system import files

__all__ = ["Dotenv", "DotenvEntry", "read_line"]

_ASSIGNMENT = re.compile(r"\s*(?P<export>export\s+)?(?P<key>[A-Za-z_][A-Za-z0-9_.-]*)\s*=(?P<value>.*)", re.DOTALL)
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_AFTER_QUOTE = re.compile(r"\s*(?:#.*)?")
# Bare, these mean something to a shell or to Docker Compose, which read the same file.
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_./:@%+,=?&~^*|<>;()\[\]{}!-]*")


@dataclass(frozen=True)
class DotenvEntry:
    """A variable of an environment file, without its value.

    Attributes
    ----------
    key : str
        Its name.
    line : int
        The line that sets it, from 1.
    file : str
        The file, as a POSIX path relative to the project.
    """

    key: str
    line: int
    file: str


@dataclass(frozen=True)
class _Assignment:
    key: str
    value: str = field(repr=False)
    comment: str = field(repr=False)
    closed: bool
    exported: bool


class Dotenv(Document):
    """The environment variables of a project."""

    def variables(self) -> dict[str, str]:
        """Read the variables.

        Returns
        -------
        dict of str to str
            Values by key, in the order of the file. Empty when there is no file.

        Raises
        ------
        FileAccessError
            When a file cannot be read.
        InvalidContentError
            When it is no UTF-8 text.
        """
        found: dict[str, str] = {}
        for file in self.files():
            assignments = (_parse(line) for line in file.lines())
            found.update({assignment.key: assignment.value for assignment in assignments if assignment is not None})
        return found

    def entries(self) -> tuple[DotenvEntry, ...]:
        """Read where the variables are set, each time that they are.

        Raises
        ------
        FileAccessError
            When a file cannot be read.
        InvalidContentError
            When it is no UTF-8 text.
        """
        return tuple(
            DotenvEntry(assignment.key, number, file.name)
            for file in self.files()
            for number, assignment in enumerate(map(_parse, file.lines()), start=1)
            if assignment is not None
        )

    def files(self) -> tuple[Dotenv, ...]:
        """Give the files that are read: this one, or, when it is a folder, those in it in the order of their names.

        Raises
        ------
        FileAccessError
            When the folder cannot be listed.
        """
        if not self.path.is_dir():
            return (self,)
        with files.guard(self.path, "list"):
            names = sorted(path.name for path in self.path.glob("*.env") if path.is_file())
        return tuple(Dotenv(self.project, f"{self.name}/{name}") for name in names)

    def file(self, name: str) -> Dotenv:
        """Give one of the files of the folder, which need not exist yet.

        Parameters
        ----------
        name : str
            Its name, such as ``dev.env``.

        Raises
        ------
        InvalidPathError
            When the name is none for such a file, or there is a file where the folder would be.
        """
        inner = self._inner_name(name)
        if self.path.is_file():
            raise InvalidPathError(
                f"{self.name} is a file, so there can be no other file in it.",
                hint=f"Make it a folder first: %astro_env move {inner}",
            )
        return Dotenv(self.project, project_file_name(self.project.root, f"{self.name}/{inner}"))

    def plan_folder(self, name: str) -> Change:
        """Plan that the file becomes a folder, with what it holds now as one of the files in it.

        Parameters
        ----------
        name : str
            The name of that file, such as ``dev.env``.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidPathError
            When the name is none for such a file, or it is a folder already.
        """
        inner = self._inner_name(name)
        if self.path.is_dir():
            raise InvalidPathError(f"{self.name} is a folder already.", hint="Write to a file in it with --file.")
        old = self.read()
        new = FileChange(self.path / inner, f"{self.name}/{inner}", None, old or b"")
        return Change(f"move {self.name} to {new.name}", (FileChange(self.path, self.name, old, None), new))

    def _inner_name(self, name: str) -> str:
        inner = name.removeprefix(f"{self.name}/")
        if "/" in inner or not inner.endswith(".env") or inner == ".env":
            raise InvalidPathError(
                f"{name!r} is no name for a file of the folder {self.name}.",
                hint="Give one that ends in .env, such as dev.env.",
            )
        return inner

    def plan_merge(self, text: str, *, replace: bool = False) -> Change:
        """Plan to bring lines into the file.

        A line whose key is already there takes the place of that line; the others are appended. Comments and order
        stay. A variable that has its value already changes nothing.

        Parameters
        ----------
        text : str
            Lines of an environment file.
        replace : bool, optional
            Make the file exactly this text instead.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When a line is no ``KEY=VALUE``.
        InvalidPathError
            When ``.env`` is a folder.
        """
        raw = [line.rstrip("\r") for line in text.removeprefix("\ufeff").split("\n")]
        for number, line in enumerate(raw, start=1):
            _check(line, number)
        self._check_place()
        if replace:
            return Change(f"replace {self.name}", (self.plan_write("\n".join(raw).strip("\n")),))
        return self._plan(f"merge into {self.name}", raw)

    def plan_set(self, values: Mapping[str, str] | None = None, /, **named: str) -> Change:
        """Plan to set variables. Values are quoted where they have to be.

        Parameters
        ----------
        values : Mapping of str to str, optional
            Values by key.
        **named : str
            Values by key, as keyword arguments.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When a key is none, or a value cannot be written in one line.
        InvalidPathError
            When ``.env`` is a folder.
        """
        self._check_place()
        chosen = {**(values or {}), **named}
        return self._plan(f"set in {self.name}", [_format(key, value) for key, value in chosen.items()])

    def plan_remove(self, *keys: str) -> Change:
        """Plan to remove variables.

        Parameters
        ----------
        *keys : str
            Their keys.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When the file does not set one of them.
        InvalidPathError
            When ``.env`` is a folder.
        """
        self._check_place()
        before = self.read()
        content = self._content(before)
        found = [_parse(line.rstrip("\r\n")) for line in content.lines]
        known = {assignment.key for assignment in found if assignment is not None}
        for key in keys:
            if key not in known:
                close = difflib.get_close_matches(key, known, n=1)
                raise InvalidContentError(
                    f"{self.name} does not set {key}.",
                    hint=f"Did you mean {close[0]}?" if close else f"It sets: {', '.join(sorted(known)) or 'nothing'}.",
                )
        lines = [
            line
            for line, assignment in zip(content.lines, found, strict=True)
            if assignment is None or assignment.key not in keys
        ]
        return Change(f"remove from {self.name}", (self._plan_lines(before, content, lines),))

    def _plan(self, title: str, new: Sequence[str]) -> Change:
        before = self.read()
        content = self._content(before)
        lines = list(content.lines)
        known = {line.strip() for line in lines if line.lstrip().startswith("#")}
        places: dict[str, int] = {}
        for place, line in enumerate(lines):
            assignment = _parse(line.rstrip("\r\n"))
            if assignment is not None:
                # The last of several counts.
                places[assignment.key] = place
        above: dict[int, list[str]] = {}
        appended: list[str] = []
        comments: list[str] = []
        for line in new:
            assignment = _parse(line)
            if assignment is None:
                if line.strip() and line.strip() not in known:
                    known.add(line.strip())
                    comments.append(line.rstrip())
                continue
            known_place = places.get(assignment.key)
            if known_place is None:
                places[assignment.key] = len(lines) + len(appended) + len(comments)
                appended += [*comments, line]
            elif known_place < len(lines):
                lines[known_place] = _merged(lines[known_place], assignment, line)
                above.setdefault(known_place, []).extend(comment + content.line_end for comment in comments)
            else:
                appended[known_place - len(lines)] = line
                appended += comments
            comments = []
        result = [line for place, old in enumerate(lines) for line in (*above.get(place, ()), old)]
        _append(result, [*appended, *comments], content.line_end)
        return Change(title, (self._plan_lines(before, content, result),))

    def _check_place(self) -> None:
        if self.path.is_dir():
            raise InvalidPathError(
                f"{self.name} is a folder of several files, so it cannot be edited as one.",
                hint="Edit one of its files: %%astro_env --file dev.env",
            )
        folder, _, _ = self.name.rpartition("/")
        if folder and (self.project.root / folder).is_file():
            raise InvalidPathError(
                f"{folder} is a file, so {self.name} cannot be in it.",
                hint=f"Edit {folder} itself, or move it into a folder of that name.",
            )


def read_line(line: str) -> tuple[str, str] | None:
    """Read a line of an environment file, without its end: the key and the value; None when it sets no variable."""
    assignment = _parse(line)
    return None if assignment is None else (assignment.key, assignment.value)


def _parse(line: str) -> _Assignment | None:
    match = _ASSIGNMENT.fullmatch(line)
    if match is None:
        return None
    exported = match["export"] is not None
    text = match["value"].strip()
    quote = text[:1]
    if quote in {"'", '"'}:
        for end in (position for position in range(1, len(text)) if text[position] == quote):
            if _AFTER_QUOTE.fullmatch(text, end + 1):
                return _Assignment(match["key"], text[1:end], text[end + 1 :].strip(), closed=True, exported=exported)
        return _Assignment(match["key"], text, "", closed=False, exported=exported)
    comment = re.search(r"(?:^|(?<=\s))#.*", match["value"].rstrip(), re.DOTALL)
    if comment:
        value = match["value"].rstrip()[: comment.start()].strip()
        return _Assignment(match["key"], value, comment[0], closed=True, exported=exported)
    return _Assignment(match["key"], text, "", closed=True, exported=exported)


def _check(line: str, number: int) -> None:
    """Check a line that is to be brought in. The line itself is not shown: it may hold a secret."""
    if not line.strip() or line.lstrip().startswith("#"):
        return
    key = line.partition("=")[0].strip().removeprefix("export").strip()
    assignment = _parse(line)
    if assignment is None or not _KEY.fullmatch(assignment.key):
        why = "its key is not made of letters, digits and '_'" if "=" in line else "it has no '='"
        hint = "Write KEY=VALUE, one a line."
        raise InvalidContentError(f"Line {number} sets no environment variable: {why}.", hint=hint)
    if not assignment.closed:
        raise InvalidContentError(
            f"Line {number} opens a quote in {key} and does not close it.",
            hint="A value stands on one line. Quote one that begins with a quote with the other kind.",
        )


def _format(key: str, value: str) -> str:
    if not _KEY.fullmatch(key):
        raise InvalidContentError(
            f"{key!r} is no name of an environment variable.",
            hint="Use letters, digits and '_', with no digit first.",
        )
    candidates = [f"{key}='{value}'", f'{key}="{value}"', f"{key}={value}"]
    if _PLAIN_VALUE.fullmatch(value):
        candidates.insert(0, f"{key}={value}")
    for line in candidates:
        assignment = _parse(line)
        if "\n" in value or "\r" in value or assignment is None:
            break
        if assignment.closed and assignment.value == value:
            return line
    raise InvalidContentError(
        f"The value of {key} cannot stand on one line of an environment file.",
        hint="Put it into a file under include/, or encode it, for instance in base64.",
    )


def _merged(old: str, assignment: _Assignment, line: str) -> str:
    body = old.rstrip("\r\n")
    before = _parse(body)
    if before is None or (before.value == assignment.value and assignment.comment in {"", before.comment}):
        return old
    export = "export " if before.exported and not assignment.exported else ""
    kept = "" if assignment.comment else before.comment
    return f"{export}{line.rstrip()}{'  ' if kept else ''}{kept}{old[len(body) :]}"


def _append(lines: list[str], new: Sequence[str], line_end: str) -> None:
    if new and lines and not lines[-1].endswith("\n"):
        lines[-1] += line_end
    lines += [line + line_end for line in new]
