"""What each view says; magics' tests have more of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from astro_magic.dags.results import DagSummary, ImportFailure, ParseResult, TaskNode, TaskResult, TestRun
from astro_magic.dependencies.os_packages import OsPackage
from astro_magic.dependencies.packages import Package
from astro_magic.dependencies.requests import Request
from astro_magic.dependencies.tree import DependencyTree, Link, MetNeed, Way
from astro_magic.engines.answers import Component, EngineStatus, StopResult
from astro_magic.machine.result import CheckResult
from astro_magic.project.changes import Change, FileChange
from astro_magic.project.checks.finding import Finding
from astro_magic.project.fingerprint import Action, Pending, Reason
from astro_magic.project.project import Project
from astro_magic.results import StartResult
from astro_magic.system.events import OutputLine, Step
from astro_magic.system.history import HistoryEntry, HistoryFile
from astro_magic.views import (
    ChangeView,
    CommandView,
    DependencyTreeView,
    DifferenceView,
    DoctorView,
    EntriesView,
    HistoryView,
    LogView,
    OsPackagesView,
    OverviewView,
    PackagesView,
    ParseView,
    RunView,
    StartView,
    StatusView,
    StopView,
)
from astro_magic.views.dags import failure_lines

EVIL = "<script>alert(1)</script>"
FINDING = Finding(EVIL, "error", EVIL, EVIL, EVIL, 1)
PACKAGE = Package(EVIL, EVIL, EVIL, EVIL, 1, EVIL, (EVIL,), (EVIL,), EVIL)
NOW = datetime(2026, 11, 20, 10, 42, 7, tzinfo=UTC)


def evil_views(root):
    change = Change(EVIL, (FileChange(root / EVIL, EVIL, b"a\n", EVIL.encode()),), applied=True)
    pending = Pending((Reason(EVIL, EVIL, Action.REBUILD),))
    component = Component(EVIL, "failed", detail=EVIL)
    status = EngineStatus(EVIL, "running", NOW, EVIL, EVIL, EVIL, NOW, (component,))
    failure = ImportFailure(EVIL, EVIL, 1, 1, 2, EVIL, EVIL)
    dag = DagSummary(EVIL, EVIL, NOW, (TaskNode(EVIL, EVIL, ("b",)), TaskNode("b", EVIL)))
    task = TaskResult(EVIL, EVIL, 1, 0.1, EVIL, EVIL, (EVIL,))
    return [
        ChangeView(change, pending=pending, running=True, notes=[EVIL]),
        StatusView(EVIL, status, pending),
        StartView(
            EVIL, StartResult(status, already_running=False, seconds=1, notes=(EVIL,)), [Step("a", EVIL, "done", EVIL)]
        ),
        StopView(EVIL, StopResult(1, 1, (EVIL,)), seconds=1, killed=True),
        LogView([OutputLine(EVIL, EVIL), OutputLine("b", EVIL)], as_of=NOW, selection=EVIL),
        CommandView(EVIL, 1, [OutputLine("stdout", EVIL)], seconds=1),
        PackagesView([PACKAGE], pattern=EVIL, missing=[Request(EVIL, EVIL, 1)], note=EVIL, outdated=True),
        DependencyTreeView(
            DependencyTree(PACKAGE, (Way(EVIL, (Link(EVIL, EVIL, EVIL),)),), (MetNeed(EVIL, EVIL, EVIL, EVIL),), 1)
        ),
        OsPackagesView([OsPackage(EVIL, EVIL, 1, EVIL)], has_image=True, where=EVIL),
        ParseView(ParseResult(EVIL, 0.1, (dag,), failure, (EVIL,)), change),
        RunView(TestRun(EVIL, EVIL, EVIL, 0.1, NOW, (task,))),
        EntriesView(EVIL, (EVIL,), [(EVIL,)], EVIL),
        HistoryView([HistoryEntry(EVIL, (HistoryFile(EVIL, None, b""),), NOW)]),
        DifferenceView(pending, replace(status, components=(Component(EVIL, "running"),))),
        DoctorView([FINDING], [CheckResult(EVIL, "bad", EVIL, EVIL)], project_name=EVIL),
        OverviewView(Project.create(root / "shop").project, status, pending, findings=[FINDING]),
    ]


def test_no_value_gets_into_the_html_as_markup(tmp_path):
    for view in evil_views(tmp_path):
        html = view._repr_mimebundle_()["text/html"]
        assert "<script" not in html
        assert "&lt;script&gt;" in html
        assert "src=" not in html
        assert "url(" not in html


def test_include_and_exclude():
    view = StopView("shop", StopResult(4), seconds=1.3)
    assert set(view._repr_mimebundle_()) == {"text/plain", "text/html"}
    assert set(view._repr_mimebundle_(include={"text/plain"})) == {"text/plain"}
    assert set(view._repr_mimebundle_(exclude={"text/plain"})) == {"text/html"}


def test_long_logs_fit():
    lines = [OutputLine("scheduler", f"{number} " + "<" * 100) for number in range(50_000)]
    bundle = LogView(lines, as_of=NOW)._repr_mimebundle_()
    assert all(len(content.encode()) <= 64_000 for content in bundle.values())
    assert "49999 " in bundle["text/html"]


def test_stop_says_what_is_kept():
    assert repr(StopView("shop", StopResult(4), seconds=1.3)) == (
        "Stopped shop in 1.3 s.\nData and environment are kept; %astro_kill removes them."
    )
    assert repr(StopView("shop", StopResult(0), seconds=0)).startswith("shop was not running.")


def test_start_that_was_no_start():
    status = EngineStatus("local", "running", NOW, url="http://localhost:8080", started_at=NOW)
    text = repr(StartView("shop", StartResult(status, already_running=True, seconds=0.1)))
    assert text == "shop · Airflow was up already, since 0 s · http://localhost:8080"


def test_place_of_a_failure():
    failure = ImportFailure("SyntaxError", "invalid syntax", 3, 9, 10, "    x = = 1", "")
    assert failure_lines(failure) == ["  line 3   x = = 1", "               ^", "SyntaxError: invalid syntax"]
    assert failure_lines(ImportFailure("ValueError", "", None, None, None, "", "")) == ["ValueError"]


def test_run_with_a_failed_task():
    task = TaskResult("clean", "failed", 2, 0.9, error="ValueError: x", log=("a", "b"))
    text = repr(RunView(TestRun("orders", "r", "failed", 1.9, NOW, (task,))))
    assert text.splitlines() == [
        "orders · run on 2026-11-20 10:42 · failed in 1.9 s",
        "  task    state    tries    time   result",
        "  clean   failed       2   0.9 s   ValueError: x",
        "last lines of clean",
        "  a",
        "  b",
    ]


def test_a_dag_without_a_schedule():
    dag = DagSummary("priced", "None", None, (TaskNode("price", "@task"),))
    text = repr(ParseView(ParseResult("dags/priced.py", 0.1, (dag,))))
    assert "priced   no schedule · 1 task" in text
