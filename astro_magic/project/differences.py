"""How two versions of a text differ, line by line, and how two edits of the same text come together."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Hunk", "differences", "merge_lines"]

#: Above this many pairs of lines, a search for the smallest difference would take seconds, and one hunk is given.
_MOST_PAIRS = 40_000_000


@dataclass(frozen=True)
class Hunk:
    """Lines that were replaced: those from `start` to `end` by those from `new_start` to `new_end`, counted from 0."""

    start: int
    end: int
    new_start: int
    new_end: int


def differences(before: Sequence[str], after: Sequence[str]) -> list[Hunk]:
    """Find the lines in which two texts differ.

    Parameters
    ----------
    before, after : sequence of str
        The lines of the two texts.

    Returns
    -------
    list of Hunk
        In order. What lies between two of them is the same in both texts.
    """
    shorter = min(len(before), len(after))
    head = 0
    while head < shorter and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < shorter - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    if not old and not new:
        return []
    if len(old) * len(new) > _MOST_PAIRS:
        return [Hunk(head, head + len(old), head, head + len(new))]
    return [
        Hunk(head + start, head + end, head + new_start, head + new_end)
        for tag, start, end, new_start, new_end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        if tag != "equal"
    ]


def merge_lines(base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> list[str] | None:
    """Bring two edits of one text together.

    Parameters
    ----------
    base : sequence of str
        The lines that both edits began with.
    ours, theirs : sequence of str
        What each of them made of it.

    Returns
    -------
    list of str or None
        The lines with both edits. None when the edits touch: they change the same line, lines next to each other, or
        add at the same place, and do not do the same.
    """
    pending = differences(base, ours)
    other = differences(base, theirs)
    merged: list[str] = []
    position = 0
    while pending or other:
        # The edit that comes first; the same edit on both sides counts once.
        from_ours = bool(pending) and (not other or pending[0].start <= other[0].start)
        hunk = pending.pop(0) if from_ours else other.pop(0)
        text = (ours if from_ours else theirs)[hunk.new_start : hunk.new_end]
        rest, its_text = (other, theirs) if from_ours else (pending, ours)
        if rest and rest[0].start <= hunk.end:
            twin = rest.pop(0)
            same = (twin.start, twin.end) == (hunk.start, hunk.end)
            if not same or list(text) != list(its_text[twin.new_start : twin.new_end]):
                return None
        merged += [*base[position : hunk.start], *text]
        position = hunk.end
    return [*merged, *base[position:]]
