from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import astro_magic
from astro_magic.airflow.configuration import ConfigOption
from astro_magic.dags.results import DagSummary, ParseResult, TaskNode, TaskResult, TestRun
from astro_magic.dependencies.dependencies import read_dependencies
from astro_magic.engines.answers import Component, EngineStatus, Preparation, StopResult
from astro_magic.engines.installation import Installation, InstalledPackage
from astro_magic.project.fingerprint import Pending
from astro_magic.project.project import Project
from astro_magic.resolve.resolver import Resolution
from astro_magic.results import OpenedUi, RestartResult, StartResult
from astro_magic.system.events import OutputLine, Step, run

NOW = datetime(2026, 11, 20, 10, 42, 7, tzinfo=UTC)

STOPPED = EngineStatus("local", "stopped", NOW)
RUNNING = EngineStatus(
    "local",
    "running",
    NOW,
    "3.3.2",
    "3.12.7",
    "http://localhost:8080",
    NOW - timedelta(minutes=4),
    (
        Component(
            "scheduler", "running", healthy=True, since=NOW - timedelta(minutes=4), cpu_percent=3, memory=160_000_000
        ),
    ),
)


@dataclass
class FakeEnvironment:
    """Does what a test tells it, and writes down what it was asked."""

    project: Project
    state: EngineStatus = STOPPED
    waiting: Pending = field(default_factory=Pending)
    results: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    engine: object = field(default_factory=lambda: SimpleNamespace(title="local processes"))
    objects: object = None

    def _answer(self, name, default, **asked):
        self.asked.append((name, asked))
        result = self.results.get(name, default)
        if isinstance(result, BaseException):
            raise result
        return result

    def preflight(self):
        return self._answer("preflight", ())

    def status(self):
        return self._answer("status", self.state)

    def pending(self, status=None):
        return self._answer("pending", self.waiting)

    def prepare(self, options=None, *, listener=None):
        return self._answer("prepare", Preparation(None, "3.3.2", "3.12", 131, 2, created=True), options=options)

    def start(self, options=None, *, listener=None):
        listener(Step("environment", "environment", "done", "131 packages", 2.6))
        return self._answer("start", StartResult(RUNNING, False, 4.1), options=options)

    def stop(self, *, listener=None):
        return self._answer("stop", StopResult(4))

    def restart(self, options=None, *, force=False, listener=None):
        return self._answer("restart", RestartResult(self.waiting, RUNNING, 6.0), options=options, force=force)

    def add_packages(self, *, listener=None):
        return self._answer("add_packages", False)

    def kill(self, *, images=False, listener=None):
        return self._answer("kill", StopResult(4, 1, (".astro/standalone",)), images=images)

    def open_ui(self):
        return self._answer("open_ui", OpenedUi("http://localhost:8080", opened=True, login="user admin"))

    def task_logs(self, choice, query):
        return iter(self._answer("task_logs", [OutputLine("clean[2]", "cleaned")], choice=choice, query=query))

    def watch(self):
        yield from self._answer("watch", (self.state,))

    def compose_file(self, *, listener=None):
        return self._answer("compose_file", "services: {}\n")

    def airflow_configuration(self, *, listener=None):
        return self._answer("airflow_configuration", (ConfigOption("core", "parallelism", "4"),))

    def logs(self, query):
        lines = [OutputLine("scheduler", "started"), OutputLine("triggerer", "<script>alert(1)</script>")]
        return iter(self._answer("logs", lines, query=query))

    def run(self, argv, *, component="", listener=None):
        lines, exit_code = self._answer("run", (["hello"], 0), argv=argv, component=component)
        for line in lines:
            listener(OutputLine("stdout", line))
        return exit_code

    def packages(self):
        return self._answer(
            "packages",
            (InstalledPackage("apache-airflow", "3.3.2"), InstalledPackage("pandas", "2.3.1", "pandas>=2")),
        )

    def dependencies(self, *, newest=None, listener=None):
        found = Installation(self.packages(), os_packages=self.results.get("os_packages"))
        engine: Any = SimpleNamespace(installation=lambda: found)
        return run(read_dependencies(self.project, engine, newest=newest), listener)

    def check_requirements(self, text, *, listener=None):
        resolution = Resolution("", {"polars": "1.35.2"}, "3.3.2", 0.2, changes=("adds polars 1.35.2",))
        return self._answer("check", resolution, text=text)

    def parse(self, file, *, listener=None):
        tasks = (TaskNode("extract", "@task", ("load",)), TaskNode("load", "@task"))
        dag = DagSummary("orders", "daily at 06:00", NOW.replace(hour=6, minute=0), tasks)
        return self._answer("parse", ParseResult(f"dags/{file}", 0.1, (dag,)), file=file)

    def test_dag(self, dag_id, *, conf=None, listener=None):
        task = TaskResult("clean", "success", 1, 0.9, "DataFrame 790 × 6", _value={"rows": 790})
        return self._answer("test_dag", TestRun(dag_id, "run", "success", 1.9, NOW, (task,)), dag_id=dag_id, conf=conf)

    def trigger(self, dag_id, *, conf=None, wait=False, timeout=600.0, listener=None):
        return self._answer("trigger", None, dag_id=dag_id, conf=conf, wait=wait, timeout=timeout)

    @staticmethod
    def masked(text):
        return text

    def dag_ids(self):
        return self._answer("dag_ids", ("orders", "refunds"))


class RaisingShell(InteractiveShell):
    """A shell whose cells raise what a notebook would show, and which remembers what was displayed."""

    def cell(self, source):
        result = self.run_cell(source)
        result.raise_error()
        return result.result


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("HOME", str(tmp_path))
    # What runtimes are published is asked over the network.
    monkeypatch.setattr("astro_magic.sources.runtimes.refresh", lambda: False)
    config = Config()
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    InteractiveShell.clear_instance()
    RaisingShell.clear_instance()
    shell = RaisingShell.instance(config=config)
    astro_magic.load_ipython_extension(shell)
    yield shell
    astro_magic.unload_ipython_extension(shell)
    RaisingShell.clear_instance()


@pytest.fixture
def project(tmp_path, monkeypatch):
    project = Project.create(tmp_path / "shop").project
    monkeypatch.chdir(project.root)
    return project


@pytest.fixture
def environment(project, monkeypatch):
    fake = FakeEnvironment(project)

    def opened(asked, *, engine="auto"):
        fake.project = asked
        fake.asked.append(("open", {"engine": engine}))
        return fake

    monkeypatch.setattr("astro_magic.environment.open_environment", opened)
    return fake


@pytest.fixture
def running(environment):
    environment.state = replace(RUNNING)
    return environment


@pytest.fixture
def seen(shell, capsys):
    """Give all that a cell puts on the screen or keeps: its result as text and as HTML, its error, what it prints."""

    def run(source):
        result = shell.run_cell(source)
        parts = [capsys.readouterr().out]
        if result.error_in_exec is not None:
            parts += [str(result.error_in_exec), repr(result.error_in_exec)]
        elif hasattr(result.result, "_repr_mimebundle_"):
            parts += [repr(result.result), *result.result._repr_mimebundle_().values()]
        return "\n".join(parts)

    return run


@pytest.fixture
def asked(monkeypatch):
    """Answer what is asked for without an echo with `planted-asked`, and give what was asked for."""
    prompts = []

    def answer(prompt):
        prompts.append(prompt)
        return "planted-asked"

    monkeypatch.setattr("getpass.getpass", answer)
    return prompts
