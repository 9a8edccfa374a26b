"""What the engine keeps in the project from call to call: ports, build options, packages put into containers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from astro_magic.project.project import Project
from astro_magic.system.files import write_atomic

__all__ = ["Record", "forget_record", "read_record", "write_record"]


@dataclass(frozen=True)
class Record:
    """What is kept.

    Attributes
    ----------
    api_port, postgres_port : int or None
        The ports that were used last.
    image_name : str
        The prepared image that was asked for instead of the Dockerfile's; empty for the Dockerfile's.
    added : mapping of str to str
        Packages that the running containers have beyond their image: version by canonical name.
    added_at : str
        When they were put there, ISO 8601; empty when there are none.
    options : mapping
        The build options that were given last, without any secret's value.
    """

    api_port: int | None = None
    postgres_port: int | None = None
    image_name: str = ""
    added: Mapping[str, str] = field(default_factory=dict)
    added_at: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def with_packages(self, packages: Mapping[str, str]) -> Record:
        """Give the record with packages that the containers have beyond their image."""
        return replace(self, added={**self.added, **packages}, added_at=datetime.now(UTC).isoformat())

    def without_packages(self) -> Record:
        """Give the record for containers that have what their image has."""
        return replace(self, added={}, added_at="")


def read_record(project: Project) -> Record:
    """Read what was kept; nothing when there is nothing, or it cannot be read."""
    try:
        known = json.loads(_file(project).read_text(encoding="utf-8"))
        return Record(**known)
    except (OSError, ValueError, TypeError, AttributeError):
        return Record()


def write_record(project: Project, record: Record) -> None:
    """Keep it."""
    project.make_state_dir()
    write_atomic(_file(project), json.dumps(asdict(record)).encode(), mode=0o600)


def _file(project: Project) -> Path:
    return project.state_dir / "docker.json"


def forget_record(project: Project) -> None:
    """Forget it."""
    _file(project).unlink(missing_ok=True)
