"""How numbers, times and states are said."""

from __future__ import annotations

from datetime import datetime

from astro_magic.system.events import Step
from astro_magic.views.report import Role, Span

__all__ = ["clock", "count", "duration", "percent", "seconds_long", "size", "span_of_time", "state", "when"]

_GOOD = frozenset({"success", "healthy", "done", "ready"})
_BAD = frozenset({"failed", "unhealthy", "upstream_failed", "error", "interrupted"})


def count(number: int, noun: str, plural: str = "") -> str:
    """Say how many there are: ``1 task``, ``3 tasks``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float | None) -> str:
    """Say how long something took: ``0.4 s``, ``14 s``, ``2 min 5 s``; empty for None."""
    if seconds is None:
        return ""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def span_of_time(start: datetime | None, end: datetime) -> str:
    """Say roughly how long ago something was: ``40 s``, ``4 min``, ``3 h``, ``2 d``; empty when unknown."""
    if start is None:
        return ""
    seconds = max(0.0, (end - start).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"


def seconds_long(start: datetime | None, end: datetime | None) -> float | None:
    """Give the seconds from one moment to another; None when one is unknown."""
    return None if start is None or end is None else (end - start).total_seconds()


def clock(moment: datetime) -> str:
    """Say the time of day, in the local time zone."""
    return f"{moment.astimezone():%H:%M:%S}"


def when(moment: datetime | None) -> str:
    """Say a date, and the time of day unless it is midnight, in the moment's own time zone."""
    if moment is None:
        return ""
    return f"{moment:%Y-%m-%d}" if (moment.hour, moment.minute) == (0, 0) else f"{moment:%Y-%m-%d %H:%M}"


def size(number: int | None) -> str:
    """Say a number of bytes: ``150 MB``, ``1.2 GB``; empty for None."""
    if number is None:
        return ""
    if number < 1_000_000:
        return f"{number} B" if number < 1_000 else f"{number / 1_000:.0f} kB"
    if number < 1_000_000_000:
        return f"{number / 1_000_000:.0f} MB"
    return f"{number / 1_000_000_000:.1f} GB"


def percent(number: float | None) -> str:
    """Say a share: ``3 %``; empty for None."""
    return "" if number is None else f"{number:.0f} %"


def step_words(step: Step) -> tuple[str, str]:
    """Give a step's detail and the word for its state; a component's health is both, and is said once."""
    if step.state == "done" and step.detail in _GOOD:
        return "", step.detail
    return step.detail, step.state


def state(word: str) -> Span:
    """Give a state the role that its word stands for."""
    role: Role = "good" if word in _GOOD else "bad" if word in _BAD else "plain"
    return Span(word, role)
