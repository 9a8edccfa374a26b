"""The environment variables of a project: ``.env``.

One dialect, read the same way by every engine:

- ``KEY=VALUE``, one a line; blanks around the key and the value do not count, and ``export`` may stand in front.
- A value may be quoted with ``'`` or ``"``. The quotes are taken off; nothing inside them has a special meaning.
- A ``#`` at the beginning of a line, after a blank behind a bare value, or behind a closing quote begins a comment.
- A value whose quote is not closed on its line goes on up to the line that closes it, with only a comment behind.
- Nothing is interpolated: ``$HOME`` stays ``$HOME``. There are no escapes.
- The last of several lines with the same key counts. What is no ``KEY=VALUE`` is passed over.

``.env`` may be a folder; then all ``*.env`` files in it are read, in the order of their names, and each is edited as a
file of its own: ``Dotenv(project, ".env/dev.env")``. How other tools read the same lines is in `dialects`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from astro_magic.errors import InvalidContentError, InvalidPathError
from astro_magic.project.changes import Change, FileChange
from astro_magic.project.document import Document
from astro_magic.project.dotenv.dialects import differences
from astro_magic.project.dotenv.lines import Assignment, assignments
from astro_magic.project.location import project_file_name
from astro_magic.system import files

__all__ = ["Dotenv", "DotenvEntry"]

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
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
            found.update({assignment.key: assignment.value for assignment in assignments(file.lines())})
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
            DotenvEntry(assignment.key, assignment.line + 1, file.name)
            for file in self.files()
            for assignment in assignments(file.lines())
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
        _check(raw)
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

    @staticmethod
    def can_hold(key: str, value: str) -> bool:
        """Tell whether a variable can be written on one line of an environment file."""
        try:
            _format(key, value)
        except InvalidContentError:
            return False
        return True

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
        found = assignments([line.rstrip("\r\n") for line in content.lines])
        known = {assignment.key for assignment in found}
        for key in keys:
            if key not in known:
                close = difflib.get_close_matches(key, known, n=1)
                raise InvalidContentError(
                    f"{self.name} does not set {key}.",
                    hint=f"Did you mean {close[0]}?" if close else f"It sets: {', '.join(sorted(known)) or 'nothing'}.",
                )
        lines = list(content.lines)
        for assignment in found:
            if assignment.key in keys:
                lines[assignment.line : assignment.line + assignment.length] = [""] * assignment.length
        return Change(f"remove from {self.name}", (self._plan_lines(before, content, lines),))

    def _plan(self, title: str, new: Sequence[str]) -> Change:
        before = self.read()
        content = self._content(before)
        lines = list(content.lines)
        known = {line.strip() for line in lines if line.lstrip().startswith("#")}
        # The last of several counts.
        places = {found.key: found for found in assignments([line.rstrip("\r\n") for line in lines])}
        above: dict[int, list[str]] = {}
        appended: dict[str, list[str]] = {}
        comments: list[str] = []
        for assignment, text in _parts(new):
            if assignment is None:
                if text.strip() and text.strip() not in known:
                    known.add(text.strip())
                    comments.append(text.rstrip())
                continue
            place = places.get(assignment.key)
            if place is None:
                # The last of several values counts in a cell, too.
                appended[assignment.key] = [*appended.get(assignment.key, [])[:-1], *comments, text]
            else:
                old = "".join(lines[place.line : place.line + place.length])
                merged = _merged(old, place, assignment, text.replace("\n", content.line_end))
                lines[place.line : place.line + place.length] = [merged, *[""] * (place.length - 1)]
                # The same key may come again, with another value.
                there = assignments([line.rstrip("\r") for line in merged.split("\n")])[0]
                places[assignment.key] = replace(there, line=place.line, length=1)
                above.setdefault(place.line, []).extend(comment + content.line_end for comment in comments)
            comments = []
        result = [line for place, old in enumerate(lines) for line in (*above.get(place, ()), old) if line]
        _append(result, [*(text for texts in appended.values() for text in texts), *comments], content.line_end)
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


def _parts(lines: Sequence[str]) -> list[tuple[Assignment | None, str]]:
    """Part lines into those of each variable, joined by line feeds, and single other lines."""
    text = [line for joined in lines for line in joined.split("\n")]
    found = {assignment.line: assignment for assignment in assignments(text)}
    parts: list[tuple[Assignment | None, str]] = []
    number = 0
    while number < len(text):
        assignment = found.get(number)
        length = assignment.length if assignment is not None else 1
        parts.append((assignment, "\n".join(text[number : number + length])))
        number += length
    return parts


def _check(lines: Sequence[str]) -> None:
    """Check lines that are to be brought in. The lines themselves are not shown: they may hold secrets."""
    number = 1
    for assignment, text in _parts(lines):
        if text.strip() and not text.lstrip().startswith("#"):
            if assignment is None or not _KEY.fullmatch(assignment.key):
                why = "its key is not made of letters, digits and '_'" if "=" in text else "it has no '='"
                hint = "Write KEY=VALUE, one a line."
                raise InvalidContentError(f"Line {number} sets no environment variable: {why}.", hint=hint)
            if not assignment.closed:
                raise InvalidContentError(
                    f"Line {number} opens a quote in {assignment.key} and does not close it.",
                    hint="Close it, or quote a value that begins with a quote with the other kind.",
                )
        number += text.count("\n") + 1


def _format(key: str, value: str) -> str:
    if not _KEY.fullmatch(key):
        raise InvalidContentError(
            f"{key!r} is no name of an environment variable.",
            hint="Use letters, digits and '_', with no digit first.",
        )
    if "\n" not in value and "\r" not in value:
        if _PLAIN_VALUE.fullmatch(value):
            return f"{key}={value}"
        candidates = [f"{key}='{value}'", f'{key}="{value}"', f"{key}={value}"]
        right = [
            line for line in candidates if any(found.closed and found.value == value for found in assignments([line]))
        ]
        if right:
            # Of those that are right here, the one that the fewest other tools read otherwise.
            return min(right, key=lambda line: sum(len(found.readings) for found in differences(line)))
    raise InvalidContentError(
        f"The value of {key} cannot stand on one line of an environment file.",
        hint="Put it into a file under include/, or encode it, for instance in base64.",
    )


def _merged(old: str, before: Assignment, assignment: Assignment, text: str) -> str:
    if before.value == assignment.value and assignment.comment in {"", before.comment}:
        return old
    body = old.rstrip("\r\n")
    export = "export " if before.exported and not assignment.exported else ""
    kept = "" if assignment.comment else before.comment
    return f"{export}{text.rstrip()}{'  ' if kept else ''}{kept}{old[len(body) :]}"


def _append(lines: list[str], new: Sequence[str], line_end: str) -> None:
    if new and lines and not lines[-1].endswith("\n"):
        lines[-1] += line_end
    lines += [line.replace("\n", line_end) + line_end for line in new]
