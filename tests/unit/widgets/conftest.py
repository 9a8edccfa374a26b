from __future__ import annotations

import json
import queue
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ipywidgets
import pytest

from astro_magic.airflow.objects import ObjectResult
from astro_magic.dependencies.dependencies import read_dependencies
from astro_magic.engines.answers import Component, EngineStatus, StopResult
from astro_magic.engines.installation import Installation
from astro_magic.objects.asking import ConnectionTest
from astro_magic.objects.drafts import Draft
from astro_magic.objects.editing import ObjectEdit, Target
from astro_magic.objects.table import Definition, ObjectRow, ObjectsTable
from astro_magic.project.changes import Change, FileChange
from astro_magic.project.fingerprint import Pending
from astro_magic.project.project import Project
from astro_magic.results import RestartResult, StartResult
from astro_magic.system.events import run
from astro_magic.widgets.object_editor import ObjectEditor
from tests.unit.widgets.faces import Screen

NOW = datetime(2026, 11, 20, 10, 42, 7, tzinfo=UTC)
STOPPED = EngineStatus("local", "stopped", NOW, "3.3.2")
SCHEDULER = Component("scheduler", "running", healthy=True, since=NOW, cpu_percent=3, memory=160_000_000)
RUNNING = replace(STOPPED, state="running", url="http://localhost:8080", components=(SCHEDULER,))

#: What is to be shown nowhere: a value that is stored, and one that a person types.
SECRET = "planted-4711"
TYPED = "typed-4711"
LAKE = {
    "conn_type": "aws",
    "host": f"https://me:{SECRET}@lake",
    "login": "ana",
    "port": 5432,
    "password": SECRET,
    "extra": json.dumps({"region": "eu", "token": SECRET}),
}


def fake_project():
    return SimpleNamespace(
        name="shop",
        root="shop",
        state_dir=Path("no such folder"),
        settings=SimpleNamespace(path=Path("no such file")),
        dotenv=SimpleNamespace(path=Path("no such file")),
    )


def row(kind, name, values, where="settings", state="same", **more):
    """A row that one place defines."""
    place = {"settings": "airflow_settings.yaml:3", "environment": ".env:1", "database": "Airflow"}.get(where, where)
    return ObjectRow(kind, name, (Definition(where, place, values),), state, **more)


@dataclass
class FakeObjects:
    """Objects as a test puts them there; what is set is written down, and is there from then on."""

    rows: dict = field(default_factory=lambda: {"connection": [], "variable": [], "pool": []})
    reads: list = field(default_factory=list)
    sets: list = field(default_factory=list)
    removed: list = field(default_factory=list)
    tested: list = field(default_factory=list)
    fails: dict = field(default_factory=dict)
    results: tuple = ()
    at_once: int = 0
    most_at_once: int = 0
    may_end: threading.Event = field(default_factory=threading.Event)

    def _fail(self, name):
        if name in self.fails:
            raise self.fails[name]

    def table(self, kind, *, secrets=False):
        self.reads.append(kind)
        self._fail("table")
        return ObjectsTable(kind, tuple(sorted(self.rows[kind], key=lambda row: row.name)), running=True)

    def draft(self, kind, name, *, at=None):
        self._fail("draft")
        [found] = [row for row in self.rows[kind] if row.name == name]
        targets: dict[str, Target] = {"environment": "env", "settings": "settings", "database": "airflow"}
        places = tuple(targets[each.where] for each in found.definitions)
        target = at or places[0]
        [values] = [each.values for each in found.definitions if targets[each.where] == target]
        return Draft(kind, name, target, values, places)

    def connection_types(self, *, listener=None):
        self._fail("types")
        return ("http", "postgres")

    def set(self, kind, name, values, *, to=None, new=False, dry_run=False):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        assert self.may_end.wait(20)
        self.at_once -= 1
        self.sets.append((kind, name, dict(values), to, new))
        self._fail("set")
        self.rows[kind] = [each for each in self.rows[kind] if each.name != name]
        self.rows[kind].append(row(kind, name, dict(values)))
        file = FileChange(Path("airflow_settings.yaml"), "airflow_settings.yaml", b"a\n", b"b\n")
        return ObjectEdit("settings", Change("set", (file,), applied=True), self.results)

    def remove(self, kind, names, *, to=None, dry_run=False):
        self.removed.append((kind, *names))
        self._fail("remove")
        self.rows[kind] = [each for each in self.rows[kind] if each.name not in names]
        return (ObjectEdit("airflow", None, (ObjectResult(kind, names[0], "removed"),)),)

    def test(self, name, *, listener=None):
        self.tested.append(name)
        self._fail("test")
        return ConnectionTest("passed", "Connection successfully tested", "provider", "database")


@dataclass
class FakeEnvironment:
    """What a test says, it is; its watch and its logs wait for what the test puts into them."""

    state: EngineStatus = STOPPED
    waiting: Pending = field(default_factory=Pending)
    project: object = field(default_factory=fake_project)
    objects: FakeObjects = field(default_factory=FakeObjects)
    packages: tuple = ()
    looks: list = field(default_factory=list)
    engine: object = field(default_factory=lambda: SimpleNamespace(title="local processes"))
    watches: int = 0
    queries: list = field(default_factory=list)
    asked: list = field(default_factory=list)
    fails: dict = field(default_factory=dict)
    heard: queue.Queue = field(default_factory=queue.Queue)
    lines: queue.Queue = field(default_factory=queue.Queue)
    may_end: threading.Event = field(default_factory=threading.Event)

    def _fail(self, name):
        if name in self.fails:
            raise self.fails[name]

    def status(self):
        self._fail("status")
        return self.state

    def pending(self, status=None):
        self._fail("pending")
        return self.waiting

    def become(self, status, **changes):
        """Be in another state from now on, and let the watch know."""
        self.state = replace(status, as_of=self.state.as_of + timedelta(seconds=1), **changes)
        self.heard.put(self.state)

    def watch(self):
        self.watches += 1
        yield self.status()
        while True:
            try:
                status = self.heard.get(timeout=0.02)
            except queue.Empty:
                yield self.state
                continue
            if isinstance(status, Exception):
                raise status
            yield status

    def logs(self, query):
        self.queries.append(query)
        while not query.ended:
            try:
                line = self.lines.get(timeout=0.02)
            except queue.Empty:
                continue
            if line is None:
                return
            if isinstance(line, Exception):
                raise line
            yield line

    def _work(self, name, listener, events):
        self.asked.append(name)
        for event in events:
            listener(event)
        assert self.may_end.wait(20)
        self._fail(name)

    def dependencies(self, *, newest=None, listener=None):
        self.looks.append(newest)
        self._fail("dependencies")
        found = Installation(self.packages)
        engine: Any = SimpleNamespace(installation=lambda: found)
        known = run(read_dependencies(Project(Path("shop")), engine), listener)
        if newest is None:
            return known
        newer = {"pandas": "3.0.0"}
        return replace(
            known, packages=tuple(replace(each, newest=newer.get(each.name, each.version)) for each in known.packages)
        )

    def start(self, options=None, *, listener=None):
        self._work("start", listener, self.fails.get("events", ()))
        self.become(RUNNING)
        return StartResult(self.state, already_running=False, seconds=4.1)

    def restart(self, options=None, *, listener=None):
        self._work("restart", listener, ())
        self.become(RUNNING)
        return RestartResult(self.waiting, self.state, 6.0)

    def stop(self, *, listener=None):
        self._work("stop", listener, ())
        self.become(STOPPED)
        return StopResult(4)


@pytest.fixture
def environment():
    return FakeEnvironment()


@pytest.fixture
def running(environment):
    environment.state = RUNNING
    return environment


@pytest.fixture
def objects(running):
    """Objects of each kind in a running environment; what sets one of them waits for nothing."""
    objects = running.objects
    objects.rows["connection"] = [
        row("connection", "lake", LAKE),
        row("connection", "billing", {"conn_type": "http", "host": "billing.example.com", "port": 80}, "environment"),
        row("connection", "warehouse", {"conn_type": "postgres"}, "database", "only in Airflow"),
    ]
    objects.rows["variable"] = [
        row("variable", "region", {"value": "eu"}),
        row("variable", "api_key", {"value": SECRET}),
    ]
    objects.rows["pool"] = [row("pool", "heavy", {"slots": 3}, usage={"occupied": 2, "queued": 1, "open": 1})]
    objects.may_end.set()
    return objects


@pytest.fixture
def displays():
    """What each editor has displayed, and with what that was replaced."""
    return {}


@pytest.fixture
def opened(running, objects, displays):
    """Open an editor of a kind, and close it in the end."""
    editors = []

    def open_editor(kind="connection", **options):
        screen = Screen()
        editor = ObjectEditor(running, kind, display=screen, **options)
        editor.show()
        editors.append(editor)
        displays[editor] = screen.displayed
        return editor

    yield open_editor
    objects.may_end.set()
    for editor in editors:
        editor.close()
        assert editor.model.join(20)
        assert editor.model.repaint.failure is None


@pytest.fixture
def sent(monkeypatch):
    """All that widgets tell the front end."""
    told = []
    real = ipywidgets.Widget._send

    def send(self, msg, buffers=None):
        told.append(repr(msg))
        real(self, msg, buffers)

    monkeypatch.setattr(ipywidgets.Widget, "_send", send)
    return told


@pytest.fixture
def until():
    """Wait until something is so."""

    def wait(holds, *, seconds=20):
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, "it did not become so"
            time.sleep(0.005)

    return wait


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr("astro_magic.widgets.status_watch._PAUSE", 0.01)
    monkeypatch.setattr("astro_magic.widgets.log_feed._PAUSE", 0.01)
