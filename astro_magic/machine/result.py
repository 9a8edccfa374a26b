"""What a check of the machine says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Check", "CheckResult", "State"]

State = Literal["good", "warning", "bad", "unknown"]


@dataclass(frozen=True)
class CheckResult:
    """What a check of the machine says, also when all is well.

    Attributes
    ----------
    name : str
        What was looked at, such as ``memory``.
    state : {"good", "warning", "bad", "unknown"}
        ``bad`` keeps Airflow from starting, or work from being done; a ``warning`` is about what will surprise;
        ``unknown`` is what is not there and need not be, or could not be found out.
    detail : str
        What was seen, in a few words, with numbers where they help.
    hint : str
        What to do about it; empty when there is nothing to do.
    """

    name: str
    state: State
    detail: str
    hint: str = ""


#: Looks at one thing and changes nothing; gives one result, or one for each part that has something wrong.
Check: TypeAlias = Callable[[], Iterable[CheckResult]]
