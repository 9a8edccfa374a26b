"""Check ``airflow_settings.yaml`` for what the Astro CLI ignores or changes without a word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from astro_magic.errors import InvalidContentError
from astro_magic.project.checks.finding import Finding, Severity
from astro_magic.project.settings.objects import KINDS, check_field, suggest_field
from astro_magic.project.settings.rows import ROOT, Row, Rows
from astro_magic.project.settings.settings import Settings
from astro_magic.project.yaml.text import YamlText
from astro_magic.project.yaml.values import Scalar, Tree, changes_in_go

if TYPE_CHECKING:
    from astro_magic.project.project import Project

__all__ = ["check_settings"]

_FILE = "airflow_settings.yaml"
_PLACE = re.compile(r" \(line ([0-9]+)(?:, column ([0-9]+))?\)")


def check_settings(project: Project) -> Iterator[Finding]:
    """Check the connections, pools and variables of a project.

    Parameters
    ----------
    project : Project
        The project.

    Yields
    ------
    Finding
        What was found, in order of the file. Values are never told.

    Raises
    ------
    FileAccessError
        When the file cannot be read.
    """
    settings = Settings(project, _FILE)
    try:
        document = settings.parsed()
        rows = Rows(document)
        found = [*_keys(document, rows), *_duplicates(rows.rows)]
        for row in rows.rows:
            found += _row(rows, row)
    except InvalidContentError as error:
        yield _finding(
            "settings-unreadable",
            "error",
            f"{_PLACE.sub('', error.message)} The Astro CLI ignores such a file without a word.",
            error.hint or "Correct it.",
            (int(place[1]), int(place[2]) if place[2] else None) if (place := _PLACE.search(error.message)) else None,
        )
        return
    yield from sorted(found, key=lambda finding: (finding.line or 0, finding.column or 0))


def _finding(check: str, severity: Severity, message: str, hint: str, place: tuple[int, int | None] | None) -> Finding:
    line, column = place or (None, None)
    return Finding(check=check, severity=severity, message=message, hint=hint, file=_FILE, line=line, column=column)


def _keys(document: YamlText, rows: Rows) -> Iterator[Finding]:
    """Find keys above the rows that the Astro CLI does not read."""
    sections = [kind.section for kind in KINDS.values()]
    for mapping, known in ((document.root, [ROOT]), (rows.parent, sections)):
        for key, _ in mapping.pairs if mapping is not None else []:
            name = key.text.lower()
            if name in known or name == "<<":
                continue
            if known == [ROOT] and name in sections:
                hint = f"Put it under {ROOT}:, indented by two spaces."
            else:
                hint = _did_you_mean(difflib.get_close_matches(name, known, n=1), known)
            yield _unknown(f"There is the key {key.text[:40]!r}, which", hint, document.place(key.start))


def _duplicates(rows: Iterable[Row]) -> Iterator[Finding]:
    seen: dict[tuple[str, str], int] = {}
    for row in rows:
        if not row.name:
            continue
        earlier = seen.get((row.kind.name, row.name))
        if earlier is not None:
            yield _finding(
                "settings-duplicate",
                "warning",
                f"The {row.kind.name} {row.name[:60]!r} is on line {earlier} as well; the Astro CLI takes the last.",
                "Keep one of the two.",
                (row.line, row.column),
            )
        seen[row.kind.name, row.name] = row.line


def _row(rows: Rows, row: Row) -> Iterator[Finding]:
    """Find what is wrong with one row."""
    if row.blank:
        return
    kind = row.kind
    where = f"The {kind.name} {row.name[:60]!r}" if row.name else f"This {kind.name}"
    meant = set()
    for key in row.tree:
        if key.lower() not in kind.fields:
            suggestion = suggest_field(kind, key)
            meant.add(suggestion)
            hint = _did_you_mean([suggestion] if suggestion else [], kind.fields)
            yield _unknown(f"{where} has the field {key[:40]!r}, which", hint, rows.place(row, key.lower()))
        elif key == row.keys[key.lower()]:
            yield from _field(row, key.lower(), where, rows.place(row, key.lower()))
    # Where a field has another name, that was told; and what has no id is skipped, whatever else it lacks.
    if not row.name and kind.id not in meant:
        yield _finding(
            "settings-no-id",
            "warning",
            f"{where} has no {kind.id}, so the Astro CLI skips it without a word.",
            f"Give it a {kind.id}, or remove it.",
            (row.line, row.column),
        )
    own = [name for name in kind.own if row.get(name) is not None]
    if own:
        yield _finding(
            "settings-own-field",
            "note",
            f"{where} has a {own[0]}, which Astro Magic brings into Airflow, and the Astro CLI does not.",
            "Nothing is to be done where the project is only started with Astro Magic.",
            rows.place(row, own[0]),
        )
    lacking = all(row.get(name) in (None, Scalar("")) for name in kind.required)
    if lacking and row.name and not meant.intersection(kind.required):
        yield _finding(
            "settings-incomplete",
            "warning",
            f"{where} has no {' or '.join(kind.required)}, so the Astro CLI does not make one of it.",
            f"Give it a {kind.required[0]}, or remove it.",
            (row.line, row.column),
        )
    others = [name for name in kind.fields if name not in {kind.id, "conn_uri"} and row.get(name) is not None]
    if row.get("conn_uri") is not None and others:
        yield _finding(
            "settings-uri-ignored",
            "warning",
            f"{where} has a conn_uri and {others[0]}, so the Astro CLI ignores the conn_uri.",
            "Keep either the conn_uri or the single fields.",
            rows.place(row, "conn_uri"),
        )


def _field(row: Row, name: str, where: str, place: tuple[int, int]) -> Iterator[Finding]:
    """Find what is wrong with the value of a known field."""
    tree = row.get(name)
    if tree is None:
        return
    try:
        check_field(row.kind, name, tree, f"{name} of {where[0].lower()}{where[1:]}")
    except InvalidContentError as error:
        yield _finding("settings-bad-value", "error", error.message, error.hint or "Correct it.", place)
        return
    if isinstance(tree, Scalar) and changes_in_go(tree):
        yield _finding(
            "settings-changed-value",
            "warning",
            f"{where} has a {name} that is not in quotes, and of which the Astro CLI makes another text.",
            "Put it in quotes.",
            place,
        )
    if isinstance(tree, dict) and (capital := next(_capitals(tree), None)):
        yield _finding(
            "settings-extra-case",
            "note",
            f"{where} has the key {capital[:40]!r} in its {name}; the Astro CLI makes small letters of all its keys.",
            f"Where that matters, write {name} as JSON in quotes.",
            place,
        )


def _capitals(tree: Tree) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key != key.lower():
                yield key
            yield from _capitals(value)
    elif isinstance(tree, list):
        for item in tree:
            yield from _capitals(item)


def _unknown(subject: str, hint: str, place: tuple[int, int]) -> Finding:
    return _finding("settings-unknown-key", "warning", f"{subject} the Astro CLI does not read.", hint, place)


def _did_you_mean(close: Sequence[str], known: Iterable[str]) -> str:
    return f"Did you mean {close[0]}?" if close else f"It reads there: {', '.join(known)}."
