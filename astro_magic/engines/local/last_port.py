"""The port that a project's Airflow had last, which its next start takes again."""

from __future__ import annotations

from pathlib import Path

from astro_magic.system.files import write_atomic

__all__ = ["last_port", "remember_port"]


def remember_port(state: Path, port: int) -> None:
    """Keep it in the project's state folder."""
    write_atomic(state / "port", str(port).encode(), durable=False)


def last_port(state: Path) -> int | None:
    """Give it; None where none is known."""
    try:
        return int((state / "port").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
