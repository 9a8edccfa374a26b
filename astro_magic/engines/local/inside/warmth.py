"""How long a process is kept that has imported Airflow and runs nothing."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["WARM", "is_kept", "kept_seconds"]

#: The variable that switches off what is kept and prepared for a later start.
WARM = "ASTRO_MAGIC_WARM"
_OFF = ("0", "false", "no", "off")
_SECONDS = 900.0
_SHORT_SECONDS = 60.0


def is_kept(variables: Mapping[str, str]) -> bool:
    """Whether these variables let a process be kept for later."""
    return variables.get(WARM, "").strip().lower() not in _OFF


def kept_seconds(variables: Mapping[str, str]) -> float:
    """Give after how many seconds without use it ends."""
    return _SECONDS if is_kept(variables) else _SHORT_SECONDS
