"""Durations and sizes as Compose writes them."""

from __future__ import annotations

import re

__all__ = ["nanoseconds", "octets"]

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[bkmgt]?)(?:i?b)?", re.IGNORECASE)


def nanoseconds(text: object) -> int:
    """Read a duration such as ``1m30s``; a bare number counts seconds.

    Raises
    ------
    ValueError
        When it is none.
    """
    written = str(text).strip()
    if re.fullmatch(r"\d+(\.\d+)?", written):
        return round(float(written) * 10**9)
    parts = _DURATION.findall(written)
    if not parts or "".join(number + unit for number, unit in parts) != written:
        raise ValueError(written)
    return sum(round(float(number) * _UNITS[unit]) for number, unit in parts)


def octets(text: object) -> int:
    """Read a size such as ``512m`` or ``2gb``, in bytes; a bare number counts bytes.

    Raises
    ------
    ValueError
        When it is none.
    """
    match = _SIZE.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(text)
    return int(float(match["number"]) * 1024 ** "bkmgt".index(match["unit"].lower() or "b"))
