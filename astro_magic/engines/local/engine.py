"""The local engine: Airflow as processes of this machine, forked from one that has imported it once."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from astro_magic.engines.engine import (
    ApiAccess,
    Engine,
    EngineStatus,
    InstalledPackage,
    LogQuery,
    Preparation,
    Problem,
    Stage,
    StartOptions,
    StopResult,
)
from astro_magic.engines.local import database, logs, ports, settings, supervision
from astro_magic.engines.local.environments import (
    LocalEnvironment,
    current_environment,
    installed_packages,
    prepare_environment,
    resolve_requirements,
)
from astro_magic.engines.local.health import read_status
from astro_magic.engines.local.inside import migrate
from astro_magic.engines.local.inside.components import COMPONENTS
from astro_magic.engines.local.startup import await_health
from astro_magic.engines.local.supervision import Supervisor
from astro_magic.errors import (
    CommandFailedError,
    EngineError,
    EngineUnavailableError,
    NotRunningError,
    StartFailedError,
)
from astro_magic.machine.ports import is_free
from astro_magic.project.config import Config
from astro_magic.project.fingerprint import Action
from astro_magic.project.project import Project
from astro_magic.resolve.resolver import Resolution
from astro_magic.system import processes
from astro_magic.system.events import Event, Operation, OutputLine, Step
from astro_magic.system.locks import hold

__all__ = ["LocalEngine"]

_STOP_GRACE = 5.0
_LOCK_TIMEOUT = 20.0


class LocalEngine(Engine):
    """Airflow as processes of this machine."""

    name: ClassVar[str] = "local"
    title: ClassVar[str] = "local processes"

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._state = project.state_dir
        self._standalone = project.standalone_dir
        self._record = self._state / "run" / "supervisor.json"
        self._logs = self._state / "logs"

    # -- what runs -----------------------------------------------------------------------------------------------

    def preflight(self) -> tuple[Problem, ...]:
        """Give what stands in the way of running Airflow as local processes."""
        if sys.platform == "win32":
            why = "Airflow needs a POSIX system: it forks, and locks files in ways that Windows does not know."
            hint = "Editing the project works here; run it in WSL, or on Linux or macOS."
            return (Problem("Airflow does not run on Windows", why, hint),)
        free = shutil.disk_usage(self.project.root).free
        if free < 1_000_000_000:
            why = f"The disk has {free // 1_000_000} MB left; an environment takes about 300 MB."
            return (Problem("The disk is nearly full", why, "Free some space, then run it again."),)
        return ()

    def status(self) -> EngineStatus:
        """Read what runs now."""
        return self._look(measured=True)

    def _look(self, *, measured: bool) -> EngineStatus:
        """Read what runs now; what it uses only when asked, since that costs more than all the rest."""
        environment = current_environment(self.project)
        supervisor = supervision.find_supervisor(self._record)
        secret = self._secret() if supervisor is not None else ""
        login = settings.login_words(self.project)
        return read_status(
            self.name,
            environment,
            supervisor,
            secret=secret,
            standalone=self._standalone,
            login=login,
            measured=measured,
        )

    def api(self) -> ApiAccess:
        """Give access to the running Airflow's REST API."""
        supervisor = self._running()
        if supervisor is None:
            raise NotRunningError("Airflow is not running.", hint="Start it with %astro_start.")
        password = settings.read_secrets(self.project).password
        return ApiAccess(f"http://127.0.0.1:{supervisor.port}", settings.AIRFLOW_USER, password)

    def logs(self, query: LogQuery) -> Iterator[OutputLine]:
        """Give lines of the components' logs, oldest first."""
        unknown = [name for name in query.components if name not in COMPONENTS]
        if unknown:
            raise EngineError(f"There is no component {unknown[0]}.", hint=f"Components: {', '.join(COMPONENTS)}.")
        return logs.read_logs(self._logs, query.components or COMPONENTS, query)

    def packages(self) -> tuple[InstalledPackage, ...]:
        """Give the distributions of the environment, sorted by name."""
        environment = self._environment_in_use(self._running())
        if environment is None:
            raise NotRunningError("There is no environment yet.", hint="%astro_start makes it.")
        return installed_packages(self.project, environment)

    def secrets(self) -> tuple[str, ...]:
        """Give the keys and the password of the project's Airflow."""
        known = settings.read_secrets(self.project)
        return known.jwt, known.session, known.password

    # -- start and stop ------------------------------------------------------------------------------------------

    def prepare(self) -> Operation[Preparation]:
        """Make the environment for the project's files; nothing that runs is touched."""
        self._require_possible()
        with self._lock("preparing the environment"):
            environment, created = yield from prepare_environment(self.project)
        if not created:
            yield Step("environment", "environment", "done", environment.described, 0.0)
        return self._preparation(environment, created=created)

    def resolve(self, requirements: str) -> Resolution:
        """Resolve the text of a requirements file; nothing is installed."""
        return resolve_requirements(self.project, requirements)

    def start(self, options: StartOptions) -> Operation[EngineStatus]:
        """Prepare, start, and wait until every component is healthy."""
        self._require_possible()
        with self._lock("starting Airflow"):
            present = self._look(measured=False)
            if present.state == "running":
                return present
            environment, _ = yield from prepare_environment(self.project)
            return (yield from self._start(environment, options))

    def restart(self, action: Action, options: StartOptions) -> Operation[EngineStatus]:
        """Apply what `action` says; the environment that runs goes on until the new one is there."""
        self._require_possible()
        with self._lock("restarting Airflow"):
            running = self._running()
            environment, _ = yield from prepare_environment(self.project)
            if running is not None and action is not Action.NONE:
                yield from self._stop(_STOP_GRACE)
            try:
                return (yield from self._start(environment, options))
            except StartFailedError as failure:
                before = current_environment(self.project, name=running.environment) if running else None
                if running is None or before is None or before.folder == environment.folder:
                    raise
                yield Step("fallback", "fallback", detail="starting the environment that ran before")
                yield from self._start(before, StartOptions(running.port, options.timeout))
                failure.hint = f"Airflow runs again with the environment from before. {failure.hint or ''}".strip()
                raise

    def stop(self) -> Operation[StopResult]:
        """End every process; data and environment are kept."""
        with self._lock("stopping Airflow"):
            return (yield from self._stop(_STOP_GRACE))

    def kill(self) -> Operation[StopResult]:
        """End every process at once, and remove data and environment."""
        with self._lock("removing Airflow's data"):
            stopped = yield from self._stop(0)
            folders = [self._standalone, self._state / "environments", self._state / "locks", self._logs]
            removed = [folder for folder in folders if folder.exists()]
            for folder in removed:
                shutil.rmtree(folder)
            names = tuple(f"{folder.relative_to(self.project.root).as_posix()}/" for folder in removed)
            return StopResult(stopped.stopped, stopped.forced, names)

    # -- work in the environment ---------------------------------------------------------------------------------

    def exec(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Operation[int]:
        """Run a command in the environment."""
        running = self._running()
        environment = self._environment_in_use(running)
        if environment is None:
            self._require_possible()
            with self._lock("preparing the environment"):
                environment, _ = yield from prepare_environment(self.project)
        port = running.port if running is not None else None
        variables = settings.command_environment(self.project, environment, port=port)
        self._standalone.mkdir(mode=0o700, parents=True, exist_ok=True)
        return (yield from processes.stream(argv, env={**variables, **(env or {})}, cwd=self.project.root))

    def call(
        self, script: Path, request: Mapping[str, Any], *, stage: Stage, event: Callable[[dict[str, Any]], Event]
    ) -> Operation[dict[str, Any]]:
        """Run `script` in a fork of the process that has imported Airflow; it is started when it is not there."""
        supervisor = self._running()
        if supervisor is None:
            self._require_possible()
            with self._lock("preparing the environment"):
                environment, _ = yield from prepare_environment(self.project)
                supervisor = yield from self._warm(environment, None)
                yield from self._prepare_database(supervisor)
        return (yield from _call(supervisor, script, request, stage, event))

    # -- parts ---------------------------------------------------------------------------------------------------

    def _preparation(self, environment: LocalEnvironment, *, created: bool) -> Preparation:
        ignored = settings.overridden(self.project)
        note = f"Without effect in .env, since the local engine sets them itself: {', '.join(ignored)}."
        return Preparation(
            python=environment.python,
            airflow_version=environment.airflow_version,
            python_version=environment.python_version,
            packages=environment.packages,
            requested=environment.requested,
            created=created,
            notes=(*environment.notes, note) if ignored else environment.notes,
        )

    def _start(self, environment: LocalEnvironment, options: StartOptions) -> Operation[EngineStatus]:
        finished = False
        try:
            supervisor = yield from self._warm(environment, options.port)
            yield from self._prepare_database(supervisor)
            supervisor.ask({"do": "start"})
            (self._state / "port").write_text(str(supervisor.port), encoding="utf-8")
            yield from await_health(lambda: self._look(measured=False), supervisor, options.timeout, self._logs)
            finished = True
        finally:
            # An interrupted or failed start leaves nothing half started behind.
            if not finished:
                self._end()
        return self.status()

    def _warm(self, environment: LocalEnvironment, asked: int | None) -> Operation[Supervisor]:
        """Give a supervisor for this environment: the one that is there if it fits, else a new one."""
        present = supervision.find_supervisor(self._record)
        if present is not None and asked in (None, present.port) and self._fits(present, environment):
            return present
        if present is not None:
            yield from self._stop(_STOP_GRACE)
        supervision.end_leftovers(self._record)
        remembered = self._remembered_port()
        port = ports.choose_port(asked, remembered, Config.load(self.project.root).api_server_port)
        if remembered is not None and port != remembered and asked is None:
            taken = f"{remembered} is taken{ports.owner_of(remembered)}; {port} is used"
            yield Step("port", "port", "done", taken, 0.0)
        logs.rotate(self._logs)
        return supervision.launch(
            environment.python,
            environment=settings.command_environment(self.project, environment, port=port),
            project_root=self.project.root,
            record=self._record,
            pid_file=self._standalone / "airflow.pid",
            logs=self._logs,
            secret=self._secret(),
            public={
                "port": port,
                "environment": environment.folder.name,
                "variables": self._digest(port),
                "airflow_version": environment.airflow_version,
                "python_version": environment.python_version,
            },
        )

    def _fits(self, supervisor: Supervisor, environment: LocalEnvironment) -> bool:
        same = supervisor.environment == environment.folder.name
        if not same or supervisor.variables != self._digest(supervisor.port):
            return False
        state = supervisor.ask({"do": "status"})
        healthy = not state["failure"] and all(part["state"] != "failed" for part in state["components"])
        return healthy and (bool(state["components"]) or is_free(supervisor.port))

    def _prepare_database(self, supervisor: Supervisor) -> Operation[None]:
        version = supervisor.airflow_version
        if database.is_current(self._standalone, version):
            return
        started = time.monotonic()
        yield Step("database", "database", detail=f"making the schema of Airflow {version}")
        fresh = not database.database_file(self._standalone).exists()
        if not database.use_template(self._standalone, version):
            yield from _call(supervisor, Path(migrate.__file__), {}, "core", lambda _: Step("database", "database"))
            database.database_file(self._standalone).chmod(0o600)
            if fresh:
                database.keep_template(self._standalone, version)
        database.mark_current(self._standalone, version)
        detail = f"SQLite, Airflow {version} schema"
        yield Step("database", "database", "done", detail, time.monotonic() - started)

    def _stop(self, grace: float) -> Operation[StopResult]:
        supervisor = supervision.find_supervisor(self._record)
        if supervisor is None:
            return StopResult(*supervision.end_leftovers(self._record))
        started = time.monotonic()
        yield Step("stop", "stop", detail="ending Airflow's processes")
        stopped, forced = supervisor.stop(grace=grace)
        yield Step("stop", "stop", "done", f"{stopped} processes ended", time.monotonic() - started)
        return StopResult(stopped, forced)

    def _end(self) -> None:
        supervisor = supervision.find_supervisor(self._record)
        if supervisor is not None:
            supervisor.stop(grace=1.0)
        supervision.end_leftovers(self._record)

    def _running(self) -> Supervisor | None:
        """Give the supervisor when it runs components; None when it is only warm, or not there."""
        supervisor = supervision.find_supervisor(self._record)
        return supervisor if supervisor is not None and supervisor.ask({"do": "status"})["components"] else None

    def _environment_in_use(self, running: Supervisor | None) -> LocalEnvironment | None:
        """Give the environment that runs, else the one that was made last."""
        return current_environment(self.project, name=running.environment if running is not None else None)

    def _remembered_port(self) -> int | None:
        try:
            return int((self._state / "port").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def _digest(self, port: int) -> str:
        """Name the variables that Airflow is started with; a change of ``.env`` needs a new process."""
        variables = json.dumps(settings.airflow_environment(self.project, port=port), sort_keys=True)
        return hashlib.sha256(variables.encode()).hexdigest()

    def _secret(self) -> str:
        return settings.read_secrets(self.project).jwt

    def _require_possible(self) -> None:
        for problem in self.preflight():
            raise EngineUnavailableError(f"{problem.what}. {problem.why}", hint=problem.hint)

    @contextmanager
    def _lock(self, purpose: str) -> Iterator[None]:
        self.project.make_state_dir()
        with hold(self._state / "engine.lock", purpose=purpose, timeout=_LOCK_TIMEOUT):
            yield


def _call(
    supervisor: Supervisor,
    script: Path,
    request: Mapping[str, Any],
    stage: Stage,
    event: Callable[[dict[str, Any]], Event],
) -> Operation[dict[str, Any]]:
    call = {"do": "call", "script": str(script), "request": dict(request), "stage": stage}
    for answer in supervisor.talk(call):
        if "event" in answer:
            yield event(answer["event"])
        elif "result" in answer:
            result: dict[str, Any] = answer["result"]
            return result
        else:
            detail = "\n".join(str(answer.get("error", "")).strip().splitlines()[-15:])
            raise CommandFailedError(f"{script.stem} failed in Airflow's process.", detail=detail)
    msg = f"{script.stem} ended without a result: its process was killed or ran out of memory."
    raise CommandFailedError(msg, hint="%astro_logs shows what was written last.")
