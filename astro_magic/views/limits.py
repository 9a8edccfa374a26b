"""Keep what is shown small: a saved notebook holds every output, twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from astro_magic.views.report import Block, Diff, Line, Listing, Preformatted, Report, Span, Table
from astro_magic.views.words import count

__all__ = ["LIMIT", "limited"]

#: Bytes that one output may take.
LIMIT = 64_000

#: Kept free for the notes about what was left out.
_RESERVE = 2_000

Item = TypeVar("Item")


def limited(report: Report, setting: Callable[[Block], str], limit: int = LIMIT) -> Report:
    """Give a report that fits, with a note where something was left out.

    Parameters
    ----------
    report : Report
        The whole of it.
    setting : callable
        Sets one block; its output is what has to fit.
    limit : int, optional
        Bytes that all blocks together may take.
    """
    # Lines say what happened; they are kept before any table or output.
    left = limit - _RESERVE - sum(_length(setting, block) for block in report.blocks if isinstance(block, Line))
    blocks: list[Block] = []
    dropped = 0
    for block in report.blocks:
        if isinstance(block, Line):
            blocks.append(block)
            continue
        taken = _length(setting, block)
        if taken <= left:
            blocks.append(block)
            left -= taken
            continue
        part = _fitting(block, partial(_shorter_than, setting, left), share=left / taken)
        if part is None:
            dropped += 1
            continue
        blocks += part
        left -= _length(setting, part[0])
    if dropped:
        blocks.append(_note(f"{count(dropped, 'part')} of this result left out: it is too long to keep in a notebook."))
    return Report(tuple(blocks))


def _length(setting: Callable[[Block], str], block: Block) -> int:
    return len(setting(block).encode("utf-8", errors="replace"))


def _shorter_than(setting: Callable[[Block], str], limit: int, block: Block) -> bool:
    return _length(setting, block) <= limit


def _fitting(block: Block, fits: Callable[[Block], bool], *, share: float) -> list[Block] | None:
    """Give the longest part of a block that fits, about a share of it, and the note about the rest; None for none."""
    noun = "more line"
    match block:
        case Table():
            part, rest = _most(block.rows, lambda rows: replace(block, rows=tuple(rows)), fits, share)
            noun = "more row"
        case Listing():
            part, rest = _most(block.items, lambda items: Listing(tuple(items)), fits, share)
            noun = "more name"
        case Diff():
            part, rest = _most(block.text.split("\n"), lambda lines: Diff("\n".join(lines)), fits, share)
        case Preformatted(keep="end"):
            part, rest = _most(block.lines[::-1], lambda lines: replace(block, lines=tuple(lines[::-1])), fits, share)
            noun = "earlier line"
        case Preformatted():
            part, rest = _most(block.lines, lambda lines: replace(block, lines=tuple(lines)), fits, share)
        case _:
            return None
    return None if part is None else [part, _note(f"{count(rest, noun)} left out")]


def _most(
    items: Sequence[Item],
    make: Callable[[Sequence[Item]], Block],
    fits: Callable[[Block], bool],
    share: float,
) -> tuple[Block | None, int]:
    """Find by bisection how many items fit, beginning close to where it should end."""
    low, high = 0, len(items)
    guesses = [int(len(items) * share * factor) for factor in (0.95, 1.05)]
    while low < high:
        middle = guesses.pop(0) if guesses else (low + high + 1) // 2
        if not low < middle <= high:
            continue
        if fits(make(items[:middle])):
            low = middle
        else:
            high = middle - 1
    return (make(items[:low]) if low else None), len(items) - low


def _note(text: str) -> Line:
    return Line((Span(f"… {text}", "muted"),), indent=1)
