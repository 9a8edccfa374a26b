"""The files under ``dags/`` that Airflow is to pass over: ``dags/.airflowignore``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence

from astro_magic.errors import InvalidContentError
from astro_magic.project.changes import Change
from astro_magic.project.dags.ignore_rules import IGNORE_FILE, IgnoredFile, IgnoreEntry, Syntax, Walk, read_rule, walk
from astro_magic.project.dags.option import airflow_major, airflow_option
from astro_magic.project.document import EntriesDocument
from astro_magic.project.project import Project

__all__ = ["AirflowIgnore", "IgnoreEntry", "IgnoredFile"]

_COMMENT = re.compile(r"\s*#.*", re.DOTALL)
# The same folder, as a person may write it who looks at the project, the machine or the image from outside.
_FROM_OUTSIDE = re.compile(
    r"(?P<sign>[!^]*)(?:\./|/?dags/|/usr/local/airflow/(?:dags/)?|~/|[A-Za-z]:[\\/])(?P<rest>.*)"
)


class AirflowIgnore(EntriesDocument):
    """An ``.airflowignore`` file. Lines that an edit is not about stay byte for byte what they were.

    Parameters
    ----------
    project : Project
        The project.
    name : str, optional
        The file, as a POSIX path relative to the project; one in a folder below ``dags/`` counts as well.
    """

    def __init__(self, project: Project, name: str = f"dags/{IGNORE_FILE}") -> None:
        super().__init__(project, name)

    def syntax(self) -> Syntax:
        """Find out how Airflow reads the patterns.

        Returns
        -------
        {"glob", "regexp"}
            What ``AIRFLOW__CORE__DAG_IGNORE_FILE_SYNTAX`` says in ``.env``, else in the Dockerfile; else Airflow's
            default, which is ``regexp`` for Airflow 2 and ``glob`` since.

        Raises
        ------
        FileAccessError
            When ``.env`` or the Dockerfile cannot be read.
        InvalidContentError
            When the variable has another value.
        """
        chosen = airflow_option(self.project, "core", "dag_ignore_file_syntax")
        if chosen == "regexp":
            return "regexp"
        if chosen in {"glob", ""}:
            return "glob"
        if chosen is not None:
            raise InvalidContentError(
                f"AIRFLOW__CORE__DAG_IGNORE_FILE_SYNTAX is {chosen!r}, which Airflow does not know.",
                hint="Set it to glob or regexp.",
            )
        return "regexp" if airflow_major(self.project) == 2 else "glob"

    def entries(self) -> tuple[IgnoreEntry, ...]:
        """Read the patterns, in the order of the file.

        Raises
        ------
        FileAccessError
            When it cannot be read.
        InvalidContentError
            When it is no UTF-8 text.
        """
        content = self._content(self.read())
        return tuple(_entries(content.lines, mark=content.mark))

    def plan_merge(self, text: str, *, replace: bool = False) -> Change:
        """Plan to bring patterns into the file.

        Patterns that the file has change nothing; the others are appended, each with the comments above it.

        Parameters
        ----------
        text : str
            Lines of an ``.airflowignore`` file. Blanks at their ends are taken off.
        replace : bool, optional
            Make the file exactly this text instead.

        Raises
        ------
        FileAccessError
            When the file, or one that tells the syntax, cannot be read.
        InvalidContentError
            When a pattern cannot be read, can match nothing, or is not relative to ``dags/``. Its line is named.
        """
        new = [line.rstrip() for line in re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff"))]
        self._check(_entries(new))
        if replace:
            return Change(f"replace {self.name}", (self.plan_write("\n".join(new).strip("\n")),))
        before = self.read()
        content = self._content(before)
        known = {entry.pattern for entry in _entries(content.lines)}
        comments = {line.strip() for line in content.lines}
        appended: list[str] = []
        above: list[str] = []
        for line in new:
            pattern = _cut(line).rstrip()
            if pattern and pattern not in known:
                known.add(pattern)
                appended += [*above, line]
                above = []
            elif pattern:
                above = []
            elif line and line.strip() not in comments:
                comments.add(line.strip())
                above.append(line)
        appended += above
        lines = list(content.lines)
        if appended and lines and not lines[-1].endswith("\n"):
            lines[-1] += content.line_end
        lines += [line + content.line_end for line in appended]
        return Change(f"merge into {self.name}", (self._plan_lines(before, content, lines),))

    def plan_remove(self, *patterns: str) -> Change:
        """Plan to remove all lines that hold the patterns.

        Parameters
        ----------
        *patterns : str
            Patterns as the file has them, without their comments.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When it does not have one of them.
        """
        before = self.read()
        content = self._content(before)
        known = {entry.pattern.strip(): None for entry in _entries(content.lines)}
        wanted = {pattern.strip() for pattern in patterns}
        for pattern in sorted(wanted - set(known)):
            close = difflib.get_close_matches(pattern, known, n=1)
            raise InvalidContentError(
                f"{self.name} has no pattern {pattern!r}.",
                hint=f"Did you mean {close[0]}?" if close else f"It has: {', '.join(known) or 'none'}.",
            )
        lines = [_without(line, wanted) for line in content.lines]
        return Change(f"remove from {self.name}", (self._plan_lines(before, content, lines),))

    def ignored(self) -> tuple[IgnoredFile, ...]:
        """Find what is passed over now, by this and all other ignore files under ``dags/``.

        Returns
        -------
        tuple of IgnoredFile
            Sorted by path. Of an ignored folder only the folder itself is given, with a slash at its end.

        Raises
        ------
        FileAccessError
            When an ignore file, or one that tells the syntax, cannot be read.
        InvalidContentError
            When one of them is no UTF-8 text.
        """
        return self.walk().ignored

    def walk(self) -> Walk:
        """Go through ``dags/`` as Airflow does.

        Raises
        ------
        FileAccessError
            When an ignore file, or one that tells the syntax, cannot be read.
        InvalidContentError
            When one of them is no UTF-8 text.
        """
        return walk(
            self.project.root / "dags",
            self.syntax(),
            lambda name: AirflowIgnore(self.project, name).entries(),
        )

    def _check(self, entries: Sequence[IgnoreEntry]) -> None:
        """Check patterns that are to be brought in."""
        if not entries:
            return
        syntax = self.syntax()
        for entry in entries:
            if entry.pattern.startswith("%%"):
                raise InvalidContentError(
                    f"Line {entry.line} is a magic, not a pattern: {entry.pattern!r}.",
                    hint="A magic stands in the first line of a cell; write patterns such as sql/ below it.",
                )
            self._check_place(entry)
            try:
                rule = read_rule(entry, self.name, syntax)
            except ValueError as error:
                kind = "glob pattern" if syntax == "glob" else "regular expression"
                message = f"Line {entry.line} is no {kind}: {entry.pattern!r}: {error}."
                raise InvalidContentError(message, hint=_hint(entry.pattern, syntax)) from error
            if rule is None:
                raise InvalidContentError(
                    f"Line {entry.line} can match nothing: {entry.pattern!r}.",
                    hint="Name a file or folder, such as sql/ or report_*.py.",
                )

    def _check_place(self, entry: IgnoreEntry) -> None:
        outside = _FROM_OUTSIDE.fullmatch(entry.pattern)
        root = f"{self.project.root.as_posix()}/"
        if entry.pattern.startswith(root):
            rest = entry.pattern.removeprefix(root).removeprefix("dags/")
        elif outside is not None and not (self.project.root / "dags" / "dags").is_dir():
            rest = outside["sign"] + outside["rest"]
        else:
            return
        raise InvalidContentError(
            f"Line {entry.line} would match nothing: {entry.pattern!r}; patterns are relative to dags/.",
            hint=f"Write {rest}" if rest.strip("!^") else "Name a file or folder in dags/.",
        )


def _hint(pattern: str, syntax: Syntax) -> str:
    if syntax == "glob":
        return "Write patterns as .gitignore has them, such as sql/ or report_*.py."
    translated = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return f"Airflow reads regular expressions here; for the glob pattern, write {translated}"


def _cut(line: str) -> str:
    """Take the comment off a line; a ``#`` cannot be escaped."""
    return _COMMENT.sub("", line, count=1)


def _without(line: str, wanted: Collection[str]) -> str:
    """Take patterns off a line; empty when nothing is left of it."""
    body = line.rstrip("\r\n")
    parts = body.split("\r")
    kept = [part for part in parts if _cut(part).strip() not in wanted]
    return "\r".join(kept) + line[len(body) :] if kept else ""


def _entries(lines: Sequence[str], *, mark: bool = False) -> list[IgnoreEntry]:
    found = []
    for number, line in enumerate(lines, start=1):
        # Airflow does not know the byte order mark, so it becomes a part of the first pattern.
        body = ("\ufeff" if mark and number == 1 else "") + line.rstrip("\r\n")
        # Python's text files end a line at a lone carriage return as well.
        for part in body.split("\r"):
            pattern = _cut(part)
            if pattern:
                found.append(IgnoreEntry(pattern, number, part[len(pattern) :].strip()))
    return found
