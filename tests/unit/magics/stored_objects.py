"""A stand-in of an Airflow that runs, or does not, and of what its database holds."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from astro_magic.airflow.objects import AirflowObject, ObjectResult
from astro_magic.engines.answers import EngineStatus
from astro_magic.errors import NotRunningError

__all__ = ["FakeEngine", "stand_in"]


@dataclass
class FakeEngine:
    """An engine whose Airflow is a dict of objects."""

    running: bool = False
    stored: dict[str, AirflowObject] = field(default_factory=dict)
    #: By key: why Airflow refuses it.
    refused: dict[str, str] = field(default_factory=dict)
    #: What a script that runs where Airflow is answers.
    answer: Mapping[str, Any] = field(default_factory=dict)
    requests: list[Mapping[str, Any]] = field(default_factory=list)
    name: str = "local"
    title: str = "local processes"
    additive: bool = False

    def api(self):
        if not self.running:
            raise NotRunningError("Airflow is not running.")
        return self

    def client(self):
        return nullcontext(self)

    def status(self):
        return EngineStatus("local", "running" if self.running else "stopped", datetime.now(UTC))

    def secrets(self):
        return ()

    def heeds(self, file):
        return True

    def call(self, script, request, *, stage, event):
        self.requests.append(request)
        yield event({})
        return {"types": ["http", "postgres"]} if request.get("ask") == "types" else dict(self.answer)

    def read(self, kinds):
        return tuple(each for each in self.stored.values() if each.kind in kinds)

    def apply(self, items, known):
        results = []
        for item in items:
            if item.key in self.refused:
                results.append(ObjectResult(item.kind, item.name, "failed", self.refused[item.key], item.place))
                continue
            before = self.stored.get(item.key)
            values = {**(before.values if before else {}), **item.values}
            self.stored[item.key] = replace(item, values=values)
            results.append(ObjectResult(item.kind, item.name, "updated" if before else "created", "", item.place))
        return tuple(results)

    def remove(self, kind, names):
        for name in names:
            self.stored.pop(f"{kind}/{name}", None)
        return tuple(ObjectResult(kind, name, "removed") for name in names)


def stand_in(monkeypatch, engine):
    """Let whoever talks to an Airflow talk to the stand-in."""
    monkeypatch.setattr("astro_magic.airflow.objects.read_objects", lambda client, kinds: client.read(kinds))
    monkeypatch.setattr(
        "astro_magic.airflow.objects.apply_objects",
        lambda client, items, *, known=(), read=None, making=None: client.apply(items, known),
    )
    monkeypatch.setattr(
        "astro_magic.airflow.objects.remove_objects", lambda client, kind, names: client.remove(kind, names)
    )
    return engine
