"""Instructions being brought into a stage of a Dockerfile or one of its managed blocks, and taken out."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from astro_magic.errors import InvalidContentError
from astro_magic.project.dockerfile.cell import suggestion
from astro_magic.project.dockerfile.edit import DockerfileEdit, Part, same_value
from astro_magic.project.dockerfile.lines import (
    Assignment,
    DockerfileEntry,
    LogicalLine,
    assignments,
    block_mark,
    parse,
)
from astro_magic.project.dockerfile.words import from_words, words
from astro_magic.system.secrets import mask_credentials

__all__ = ["KEYED", "merge", "take_out"]

# What holds for the instructions below it, until the next of its kind.
_CONTEXT = ("USER", "WORKDIR", "SHELL")
# Of these, the last one of a stage counts.
_LAST_COUNTS = (*_CONTEXT, "CMD", "ENTRYPOINT", "HEALTHCHECK", "STOPSIGNAL")
#: Instructions that give values to keys.
KEYED = ("ENV", "LABEL", "ARG")


def merge(edit: DockerfileEdit, cell: Sequence[DockerfileEntry], *, block: str | None = None) -> None:
    """Bring instructions into the last stage of a Dockerfile.

    Parameters
    ----------
    edit : DockerfileEdit
        The Dockerfile.
    cell : sequence of DockerfileEntry
        The instructions, with their comments.
    block : str, optional
        Bring them into this managed block, which is there, instead.

    Raises
    ------
    InvalidContentError
        When the file has no such stage, or cannot be read.
    """
    top = list(itertools.takewhile(lambda entry: entry.kind == "comment", cell))
    for entry in parse([entry.raw for entry in top]):
        if entry.kind == "directive":
            _check_directive(edit, entry.raw)
            cell = cell[1:]
    if block is None:
        _merge_blocks(edit, cell)
    rest = [entry for entry in cell if not entry.block]
    if any(entry.keyword == "FROM" for entry in rest):
        _merge_from(edit, rest)
        rest = [entry for entry in rest if entry.stage is not None and entry.keyword != "FROM"]
    _refuse_twice(rest, {part.entry.meaning for part in edit.parts})
    if any(entry.kind in {"comment", "instruction"} for entry in rest):
        _Stage(edit, block, {entry.keyword for entry in rest}).bring(rest)


def take_out(edit: DockerfileEdit, keyword: str, key: str) -> None:
    """Remove each instruction of a keyword that has this key, or these arguments.

    Raises
    ------
    InvalidContentError
        When there is none.
    """
    same = [part for part in edit.parts if part.entry.keyword == keyword]
    if keyword in KEYED:
        by_key: dict[str, list[Part]] = {}
        for part in same:
            for found in assignments(part.entry):
                by_key.setdefault(found.key, []).append(part)
        known = list(by_key)
        wanted = by_key.get(key, [])
    else:
        text = f"{keyword} {key}"
        meant = next((entry.meaning for entry in parse(text.split("\n"), escape=edit.escape)), "")
        known = [part.entry.arguments for part in same]
        wanted = [part for part in same if part.entry.meaning == meant]
    if not wanted:
        raise InvalidContentError(
            f"The Dockerfile has no {keyword} {mask_credentials(key)}.", hint=suggestion(key, known)
        )
    for part in wanted:
        if keyword in KEYED and any(found.key != key for found in assignments(part.entry)):
            edit.drop(part, key)
        else:
            edit.remove_parts([part])


def _merge_blocks(edit: DockerfileEdit, cell: Sequence[DockerfileEntry]) -> None:
    """Give the blocks that are written out in the cell their content."""
    content: dict[str, list[str]] = {}
    for entry in cell:
        if entry.block:
            lines = content.setdefault(entry.block, [])
            lines += [] if block_mark(entry.raw) else entry.raw.split("\n")
    for name, lines in content.items():
        edit.put_block(name, lines)


def _merge_from(edit: DockerfileEdit, cell: Sequence[DockerfileEntry]) -> None:
    """Bring in the ``FROM`` of the cell and what stands above it."""
    place = next(place for place, entry in enumerate(cell) if entry.keyword == "FROM")
    options, image, name = from_words(cell[place].arguments)
    if not any(part.entry.keyword == "FROM" for part in edit.parts):
        raise InvalidContentError(
            "The Dockerfile has no FROM, so there is no stage that could be edited.",
            hint="Replace the Dockerfile as a whole.",
        )
    first = next(part for part in edit.parts if part.entry.keyword == "FROM")
    keys = _index(edit.head(), {"ARG"})
    comments: list[str] = []
    for entry in cell[:place]:
        if entry.kind == "comment":
            comments.append(entry.raw)
        if entry.keyword != "ARG":
            continue
        for new in assignments(entry):
            targets = keys.get(("ARG", new.key), [])
            if targets:
                edit.comment(targets[-1], comments)
                _replace(edit, entry, targets[-1], new)
            else:
                first.above += edit.make([*comments, f"ARG {_text(entry, new)}"])
            comments = []
    last = edit.last_stage()[0]
    # The FROM that the last stage has already need not be understood: it may name another stage, or take its image
    # from an ARG without a default.
    target = last if last.entry.meaning == cell[place].meaning else edit.set_base(image, options, name)
    edit.comment(target, comments)


def _refuse_twice(cell: Sequence[DockerfileEntry], there: AbstractSet[str]) -> None:
    """Refuse a cell that gives a key two values, unless the file has both: only one could take the place of another."""
    first: dict[tuple[str, str], DockerfileEntry] = {}
    for entry in cell:
        for found in assignments(entry):
            earlier = first.setdefault((entry.keyword, found.key), entry)
            both_there = {earlier.meaning, entry.meaning} <= there
            if earlier.meaning != entry.meaning and not both_there and not _adds_to_itself(found):
                raise InvalidContentError(
                    f"Line {entry.line} sets {entry.keyword} {found.key}, as line {earlier.line} of the cell does.",
                    hint="Keep one of the two, or write both into a block with --block NAME.",
                )


def _adds_to_itself(found: Assignment) -> bool:
    """Tell whether a value is made longer, such as ``$PATH:/opt/bin``."""
    key = re.escape(found.key)
    return found.value is not None and re.search(rf"\$(?:{key}\b|\{{{key}\b)", found.value) is not None


class _Stage:
    """A stage, or a block in it, that instructions are brought into."""

    def __init__(self, edit: DockerfileEdit, block: str | None, keywords: AbstractSet[str]) -> None:
        self._edit = edit
        stage = edit.last_stage()
        parts, self._anchor = stage, edit.anchor(stage)
        place = None if block is None else edit.block(block)
        if place is not None:
            parts, self._anchor = edit.parts[place[0] + 1 : place[1]], edit.parts[place[1] - 1]
        self._keys = _index(parts, keywords)
        self._head = _index(edit.head(), keywords)
        # What holds at the end, by keyword, and which instruction stands where under which user, folder and shell.
        self._running: dict[str, str] = {}
        # How often the rest of the cell gives a key a value.
        self._to_come: Counter[tuple[str, str]] = Counter()
        self._known: dict[str, list[tuple[Part, dict[str, str]]]] = {}
        context: dict[str, str] = {}
        inside = set(map(id, parts))
        for part in stage if place is None else edit.parts[edit.parts.index(stage[0]) : place[1]]:
            entry = part.entry
            if entry.keyword in _LAST_COUNTS:
                self._running[entry.keyword] = entry.meaning
            if entry.keyword in _CONTEXT:
                context = {**context, entry.keyword: entry.meaning}
            elif entry.keyword in keywords and id(part) in inside:
                self._known.setdefault(entry.meaning, []).append((part, context))

    def bring(self, cell: Iterable[DockerfileEntry]) -> None:
        """Bring instructions in, each with the comments above it."""
        comments: list[str] = []
        context: dict[str, str] = {}
        waiting: dict[str, tuple[DockerfileEntry, list[str]]] = {}
        last: set[str] = set()
        cell = list(cell)
        self._to_come = Counter((entry.keyword, new.key) for entry in cell for new in assignments(entry))
        for entry in cell:
            if entry.kind == "comment":
                comments.append(entry.raw.strip())
            elif entry.keyword in _LAST_COUNTS:
                waiting[entry.keyword] = (entry, comments)
                last.add(entry.keyword)
                if entry.keyword in _CONTEXT:
                    context[entry.keyword] = entry.meaning
                comments = []
            elif entry.keyword:
                if entry.keyword in KEYED:
                    self._assign(entry, comments)
                else:
                    self._add(entry, comments, context, waiting)
                    # A user or folder that an instruction needed has done its work.
                    last -= set(_CONTEXT)
                comments = []
        for keyword in last:
            self._state(*waiting[keyword])
        unknown = [comment for comment in comments if comment not in self._edit.comments]
        if unknown:
            self._append(unknown)

    def _add(
        self,
        entry: DockerfileEntry,
        comments: Sequence[str],
        context: dict[str, str],
        waiting: dict[str, tuple[DockerfileEntry, list[str]]],
    ) -> None:
        for part, known in self._known.get(entry.meaning, []):
            if context.items() <= known.items():
                self._edit.comment(part, comments)
                return
        for state in waiting.values():
            self._state(*state)
        self._append([*comments, *entry.raw.split("\n")])

    def _state(self, entry: DockerfileEntry, comments: Sequence[str]) -> None:
        """Add an instruction that holds for those below it, unless it holds already."""
        if self._running.get(entry.keyword) != entry.meaning:
            self._running[entry.keyword] = entry.meaning
            self._append([*comments, *entry.raw.split("\n")])

    def _assign(self, entry: DockerfileEntry, comments: Sequence[str]) -> None:
        """Give the keys of an instruction their values where they are set already, and append the others."""
        found = assignments(entry)
        missing = []
        for new in found:
            self._to_come[entry.keyword, new.key] -= 1
            part = self._target(entry, new)
            if part is None:
                missing.append(new)
                continue
            self._edit.comment(part, comments)
            comments = []
            _replace(self._edit, entry, part, new)
        if len(missing) == len(found):
            self._append([*comments, *entry.raw.split("\n")])
        elif missing:
            self._append([*comments, f"{entry.keyword} {' '.join(_text(entry, new) for new in missing)}"])

    def _target(self, entry: DockerfileEntry, new: Assignment) -> Part | None:
        """Find the instruction in which a key gets its value; None when there is none yet."""
        key = (entry.keyword, new.key)
        parts = self._keys.get(key, [])
        if self._to_come[key]:
            # The cell gives the key another value further down; this one may stand further up in the file as well.
            earlier = [part for part in parts if same_value(_find(part, new.key), new, self._edit.escape)]
            parts = earlier or parts
        valued = [part for part in parts if _find(part, new.key).value is not None]
        if entry.keyword == "ARG" and not valued:
            # Without a default, an ARG in a stage stands for the one above the first FROM.
            parts = self._head.get(key) or parts
        if _adds_to_itself(new):
            # A value that is made longer, such as PATH, adds to those before it.
            same = (part for part in parts if same_value(_find(part, new.key), new, self._edit.escape))
            return next(same, None)
        return parts[-1] if parts else None

    def _append(self, lines: Sequence[str]) -> None:
        parts = self._edit.make(lines)
        self._edit.append(parts, below=self._anchor)
        for key, found in _index(parts, set(KEYED)).items():
            self._keys.setdefault(key, []).extend(found)


def _check_directive(edit: DockerfileEdit, raw: str) -> None:
    """Check that the file has a directive that a cell begins with: it counts only above everything else."""
    name = _directive_name(raw)
    same = [part.entry for part in edit.parts if part.entry.kind == "directive"]
    if not any("".join(entry.raw.split()) == "".join(raw.split()) for entry in same):
        raise InvalidContentError(
            f"The cell begins with a {name} directive that the Dockerfile does not have.",
            hint="Write it into the first line of the file by hand, or replace the Dockerfile as a whole.",
        )


def _index(parts: Iterable[Part], keywords: AbstractSet[str]) -> dict[tuple[str, str], list[Part]]:
    """Tell which instructions, of some keywords, set which keys."""
    found: dict[tuple[str, str], list[Part]] = {}
    for part in parts:
        if part.entry.keyword not in keywords:
            continue
        for assignment in assignments(part.entry):
            found.setdefault((part.entry.keyword, assignment.key), []).append(part)
    return found


def _find(part: Part, key: str) -> Assignment:
    return [found for found in assignments(part.entry) if found.key == key][-1]


def _replace(edit: DockerfileEdit, entry: DockerfileEntry, part: Part, new: Assignment) -> None:
    """Write a key of a new instruction in the place of the old one, unless it says the same."""
    old = _find(part, new.key)
    if new.value is None or same_value(old, new, edit.escape):
        return
    alone = len(assignments(part.entry)) == 1
    legacy = f"{new.key} {new.value}"
    edit.put(part, old, legacy if new.legacy and old.legacy and alone else _text(entry, new))
    if not same_value(_find(part, new.key), new, edit.escape):
        raise InvalidContentError(
            f"{new.key} would not get its value in Dockerfile line {part.entry.line}.",
            hint=f"Write {entry.keyword} {new.key}=VALUE, with the value in quotes.",
        )


def _text(entry: DockerfileEntry, new: Assignment) -> str:
    """Give a key and its value as one word, as the cell writes them where it can."""
    if new.value is None:
        return new.key
    if not new.legacy:
        return LogicalLine(entry.raw.split("\n"), entry.escape).text[new.start : new.end]
    return f"{new.key}={new.value}" if len(words(new.value, entry.escape)) == 1 else f'{new.key}="{new.value}"'


def _directive_name(raw: str) -> str:
    return raw.strip().lstrip("# \t").partition("=")[0].strip().lower()
