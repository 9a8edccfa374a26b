"""Time things alternately, and print medians with their ratio."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Row", "alternate", "show", "timed"]


@dataclass(frozen=True)
class Row:
    """Values of ours beside values of the baseline, in the same unit."""

    name: str
    ours: Sequence[float]
    baseline: Sequence[float]
    unit: str
    target: str


def timed(work: Callable[[], object]) -> float:
    """Give how long a call takes, in seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def alternate(rounds: int, ours: Callable[[], float], baseline: Callable[[], float]) -> tuple[list[float], list[float]]:
    """Measure both in turn, so that whatever else the machine does falls on both."""
    first: list[float] = []
    second: list[float] = []
    for _ in range(rounds):
        first.append(ours())
        second.append(baseline())
    return first, second


def show(rows: Sequence[Row]) -> None:
    """Print a table: medians, their range, the ratio of the medians, and what is asked for."""
    print(f"{'':34}{'ours':>24}{'otherwise':>26}{'ratio':>8}   target")
    for row in rows:
        ratio = statistics.median(row.ours) / statistics.median(row.baseline)
        ours, baseline = _cell(row.ours, row.unit), _cell(row.baseline, row.unit)
        print(f"{row.name:34}{ours:>24}{baseline:>26}{ratio:8.2f}   {row.target}")


def _cell(values: Sequence[float], unit: str) -> str:
    middle, low, high = statistics.median(values), min(values), max(values)
    digits = 0 if middle >= 100 else 2
    return f"{middle:.{digits}f} {unit} ({low:.{digits}f}-{high:.{digits}f})"
