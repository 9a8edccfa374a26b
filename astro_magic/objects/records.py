"""What was imported into a project's Airflow last; no value of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from astro_magic.airflow.comparison import record_fields, record_matches
from astro_magic.project.fingerprint import Fingerprint
from astro_magic.project.project import Project
from astro_magic.system.files import write_atomic
from astro_magic.system.locks import hold

if TYPE_CHECKING:
    from astro_magic.airflow.objects import AirflowObject, ObjectResult

__all__ = ["Records", "alone", "is_imported", "note_as_imported", "records_file"]

_SETTINGS = "airflow_settings.yaml"
#: How long an import waits for another one of the same project.
_PATIENCE = 120.0


@dataclass(frozen=True)
class Records:
    """What was imported into a project's Airflow last.

    Attributes
    ----------
    known : Mapping of str to str
        By `ObjectResult.key`: what `apply_objects` takes as ``known``.
    made : frozenset of str
        The keys of those that were not there before: these may be removed again.
    """

    known: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    made: frozenset[str] = frozenset()

    @classmethod
    def of(cls, project: Project) -> Records:
        """Read what is known; a file that cannot be read knows nothing."""
        try:
            stored: Any = json.loads(records_file(project).read_text(encoding="utf-8"))
            known = {str(key): str(value) for key, value in stored["known"].items()}
            return cls(known, frozenset(map(str, stored["made"])))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def store(self, project: Project) -> None:
        """Keep it.

        Raises
        ------
        FileAccessError
            When it cannot be written.
        """
        content = {"known": dict(self.known), "made": sorted(self.made)}
        write_atomic(records_file(project), json.dumps(content).encode(), mode=0o600)

    def making(self, records: Mapping[str, str]) -> Records:
        """Give what is known once objects are about to be made: an import that is interrupted may have made them."""
        return Records({**self.known, **records}, self.made | records.keys())

    def without(self, keys: Iterable[str]) -> Records:
        """Give what is known when objects are there no more."""
        gone = set(keys)
        return Records({key: record for key, record in self.known.items() if key not in gone}, self.made - gone)

    def has_as_imported(self, item: AirflowObject) -> bool:
        """Tell whether an object, with all its values, is just what an import made."""
        record = self.known.get(item.key, "")
        fields = set(record_fields(record))
        empty = (None, "", "{}", False)
        beside = any(value not in empty for name, value in item.values.items() if name not in fields)
        if beside or not fields <= item.values.keys():
            return False
        values = {name: item.values[name] for name in fields}
        # An extra that is empty stands in several ways for Airflow; none of them is written over another.
        emptied = [{**values, "extra": "{}"}] if "extra" in fields and values["extra"] in empty else []
        return any(record_matches(record, each) for each in (values, *emptied))

    def after(self, results: Iterable[ObjectResult]) -> Records:
        """Give what is known after an import; what it was not about stays.

        This is what was known before: an object that was about to be made and was not is none that an import made.
        """
        known, made = dict(self.known), set(self.made)
        for result in results:
            if result.record:
                known[result.key] = result.record
            # One that failed and has a record may have been made all the same.
            if result.outcome == "created" or (result.outcome == "failed" and result.record):
                made.add(result.key)
            elif result.outcome == "removed":
                known.pop(result.key, None)
                made.discard(result.key)
        return Records(known, frozenset(made))


@contextlib.contextmanager
def alone(project: Project) -> Iterator[None]:
    """Keep others from importing, and from changing what is noted of it, as long as the context lasts.

    Raises
    ------
    ProjectBusyError
        When another process takes too long.
    FileAccessError
        When the folder for it cannot be made.
    """
    folder = project.make_state_dir()
    with hold(folder / "objects.lock", purpose="importing airflow_settings.yaml", timeout=_PATIENCE):
        yield


def records_file(project: Project) -> Path:
    """Give the file that it is kept in."""
    return project.state_dir / "objects.json"


def is_imported(project: Project) -> bool:
    """Tell whether the running Airflow was given all that the settings file says."""
    before = Fingerprint.stored(project)
    if before is None:
        return False
    return all(reason.file != _SETTINGS for reason in before.pending(Fingerprint.take(project)).reasons)


def note_as_imported(project: Project) -> None:
    """Note that the running Airflow has what the settings file says now; what else is pending stays so."""
    before = Fingerprint.stored(project)
    if before is not None:
        before.updated(Fingerprint.take(project), _SETTINGS).store(project)
