"""The local engine: Airflow as processes of this machine, forked from one that has imported it once."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from astro_magic.engines import ports, routes
from astro_magic.engines.additions import tell_added
from astro_magic.engines.answers import ApiAccess, EngineStatus, Preparation, Problem, StopResult
from astro_magic.engines.engine import Engine
from astro_magic.engines.generations import Generations
from astro_magic.engines.installation import Installation, InstalledPackage
from astro_magic.engines.local import logs, settings
from astro_magic.engines.local.added import add_packages, background_build, read_added
from astro_magic.engines.local.calls import call_in
from astro_magic.engines.local.database.chosen import forget_choice
from astro_magic.engines.local.database.metadata import MetadataDatabase
from astro_magic.engines.local.environment import LocalEnvironment
from astro_magic.engines.local.environments import (
    building,
    current_environment,
    environments_home,
    fitting_environment,
    installation_of,
    prepare_environment,
    resolve_here,
)
from astro_magic.engines.local.generations import LocalGenerations
from astro_magic.engines.local.health import read_status
from astro_magic.engines.local.inside.components import components_of, generation_of
from astro_magic.engines.local.instance import Instance
from astro_magic.engines.local.last_port import remember_port
from astro_magic.engines.local.left_out import left_out
from astro_magic.engines.local.neighbour import Neighbour, find_neighbour, left_secrets
from astro_magic.engines.local.startup import Startup
from astro_magic.engines.local.supervision import Supervisor
from astro_magic.engines.local.way_in import write_way_in
from astro_magic.engines.options import BuildOptions, LogQuery, Stage, StartOptions
from astro_magic.errors import (
    AstroMagicError,
    EngineError,
    EngineUnavailableError,
    NotRunningError,
)
from astro_magic.project.fingerprint import Pending
from astro_magic.project.project import Project
from astro_magic.resolve.resolver import Resolution
from astro_magic.system import processes
from astro_magic.system.events import Event, Operation, OutputLine, Step, run
from astro_magic.system.files import make_folder
from astro_magic.system.locks import hold

__all__ = ["LocalEngine"]

_STOP_GRACE = 5.0
_OF_CONTAINERS = ("packages.txt", "docker-compose.override.yml", "private-known-hosts")
_LOCK_TIMEOUT = 20.0


class LocalEngine(Engine):
    """Airflow as processes of this machine."""

    name: ClassVar[str] = "local"
    title: ClassVar[str] = "local processes"

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._state = project.state_dir
        self._standalone = project.standalone_dir
        self._instance = Instance(project)
        self._logs = self._state / "logs"
        self._database = MetadataDatabase(project)
        self._startup = Startup(project, self._instance, self._database, self._look)

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
        neighbour = self._neighbour()
        if neighbour is not None:
            return neighbour.status(self.name, measured=measured)
        environment = current_environment(self.project)
        supervisor = self._instance.find()
        secret = self._secret() if supervisor is not None else ""
        login = settings.login_words(self.project)
        status = read_status(
            self.name,
            environment,
            supervisor,
            secret=secret,
            database=self._database.file,
            login=login,
            measured=measured,
        )
        if supervisor is None:
            return status
        if not status.running:
            return replace(status, warm_memory=self._instance.warm_memory(supervisor)) if measured else status
        build = background_build(self.project).read()
        added = read_added(Path(supervisor.added))
        return replace(
            status, notes=tell_added(added, build, where="Airflow", whole="environment", more="%astro_restart")
        )

    def api(self) -> ApiAccess:
        """Give access to the running Airflow's REST API."""
        neighbour = self._neighbour()
        if neighbour is not None:
            return neighbour.api()
        supervisor = self._instance.running()
        if supervisor is None:
            raise NotRunningError("Airflow is not running.", hint="Start it with %astro_start.")
        password = settings.read_secrets(self.project).password
        major = generation_of(supervisor.airflow_version)
        return ApiAccess(f"http://127.0.0.1:{supervisor.port}", settings.AIRFLOW_USER, password, major)

    def entrance(self) -> str:
        """Write the page that opens the Airflow UI, logged in, and give its address."""
        supervisor = self._instance.running()
        return super().entrance() if supervisor is None else write_way_in(self.project, supervisor).as_uri()

    def logs(self, query: LogQuery) -> Iterator[OutputLine]:
        """Give lines of the components' logs, oldest first."""
        for name in query.components:
            self._known(name)
        neighbour = self._neighbour()
        if neighbour is not None:
            return logs.read_combined(neighbour.log, query)
        return logs.read_logs(self._logs, query.components or self._components(), query)

    def packages(self) -> tuple[InstalledPackage, ...]:
        """Give the distributions of the environment, sorted by name."""
        return self.installation().packages

    def installation(self) -> Installation:
        """Give what is installed in the environment that runs, else in the one that was made last."""
        running = self._instance.running()
        environment = self._environment_in_use(running)
        if environment is None:
            raise NotRunningError("There is no environment yet.", hint="%astro_start makes it.")
        return installation_of(self.project, environment, Path(running.added) if running is not None else None)

    def generations(self) -> Generations:
        """Give the environments that the project has had."""
        return LocalGenerations(self.project, environments_home(self.project), self._alone)

    def secrets(self) -> tuple[str, ...]:
        """Give the keys and the password of the project's Airflow."""
        known = settings.read_secrets(self.project)
        return known.jwt, known.session, known.password, *self._database.secrets, *left_secrets(self.project)

    # -- start and stop ------------------------------------------------------------------------------------------

    def heeds(self, file: str) -> bool:
        """Tell whether a project file has a meaning here: what only an image or a container has is left aside."""
        return file not in _OF_CONTAINERS

    def prepare(self, options: BuildOptions | None = None) -> Operation[Preparation]:
        """Make the environment for the project's files; nothing that runs is touched."""
        _refuse_image(StartOptions(build=options))
        self._require_possible()
        with self._lock("preparing the environment"):
            environment, created = yield from self._environment()
        return self._preparation(environment, created=created)

    def resolve(self, requirements: str) -> Resolution:
        """Resolve the text of a requirements file; nothing is installed."""
        return resolve_here(self.project, requirements)

    def start(self, options: StartOptions) -> Operation[EngineStatus]:
        """Prepare, start, and wait until every component is healthy."""
        self._require_possible()
        _refuse_image(options)
        with self._lock("starting Airflow"):
            present = self._look(measured=False)
            self.require_startable(options, running=present.running)
            if present.state == "running":
                return present
            if present.started_by:
                msg = f"{present.started_by[:1].upper()}{present.started_by[1:]} is starting Airflow in this project."
                raise EngineError(msg, hint="%astro_status shows how it does; %astro_stop stops it.")
            with self._database.choosing(options.database):
                environment, created = yield from self._environment()
                self._database.require_usable(environment, options.database)
            notes = (*self._preparation(environment, created=created).notes, *self._database.notes)
            status = yield from self._startup.start(environment, options)
            return replace(status, notes=(*notes, *status.notes))

    def require_startable(self, options: StartOptions, *, running: bool) -> None:
        """Refuse another database while Airflow runs on one."""
        if running:
            self._database.require_unchanged(options.database)

    def warm_up(self) -> None:
        """Have a process that has imported Airflow, if the environment for the project's files is there."""
        environment = fitting_environment(self.project)
        if environment is not None and not self.preflight():
            with self._lock("preparing a warm process", timeout=0):
                run(self._instance.warm_up(environment))

    def restart(self, pending: Pending, options: StartOptions) -> Operation[EngineStatus]:
        """Apply what is pending; the environment that runs goes on until the new one is there."""
        self._require_possible()
        _refuse_image(options)
        changed = ", ".join(dict.fromkeys(reason.file for reason in pending.reasons))
        with self._lock(f"restarting Airflow for {changed}" if changed else "restarting Airflow"):
            running = self._instance.running()
            environment, _ = yield from prepare_environment(self.project)
            self._database.require_usable(environment)
            neighbour = self._neighbour()
            own = neighbour or running
            with ports.choosing_ports(own.port if own else None):
                if neighbour is not None:
                    yield from self._stop(_STOP_GRACE)
                    # What runs after it is where it was.
                    remember_port(self._state, neighbour.port)
                return (yield from self._replace(None if neighbour else running, environment, options))

    def _replace(
        self, running: Supervisor | None, environment: LocalEnvironment, options: StartOptions
    ) -> Operation[EngineStatus]:
        """Start Airflow in place of what runs, which comes back where that fails."""
        try:
            if running is not None:
                yield from self._startup.make_room(running, environment)
            status = yield from self._startup.start(environment, options)
            # What somebody did to the environment by hand is worth as much as at a start.
            return replace(status, notes=(*environment.notes, *status.notes))
        except (AstroMagicError, OSError) as failure:
            before = current_environment(self.project, name=running.environment) if running else None
            if running is None or before is None or before.folder == environment.folder:
                raise
            if self._instance.running() is not None:
                # It was not ended yet.
                raise
            yield from self._startup.go_back(failure, before, port=running.port, timeout=options.timeout)
            raise

    def add_packages(self, pending: Pending) -> Operation[bool]:
        """Put packages into what runs that are only added; the next environment is built in the background."""
        with self._lock("adding packages"):
            running = self._instance.running()
            environment = self._environment_in_use(running)
            others = {reason.file for reason in pending.reasons} - {"requirements.txt"}
            if running is None or environment is None or others:
                return False
            return (yield from add_packages(self.project, running, environment))

    def stop(self) -> Operation[StopResult]:
        """End every process; data and environment are kept."""
        with self._lock("stopping Airflow"):
            # Nothing of the project's goes on; the next start builds what was not finished.
            background_build(self.project).end()
            return (yield from self._stop(_STOP_GRACE))

    def kill(self, *, images: bool = False) -> Operation[StopResult]:
        """End every process at once, and remove data and environment."""
        if images:
            raise EngineError("Local processes have no images.", hint="Leave out --images.")
        with self._lock("removing Airflow's data"):
            background_build(self.project).end()
            stopped = yield from self._stop(0)
            kept = ("environments", "locks", "backups")
            folders = [self._standalone, *(self._state / name for name in kept), self._logs]
            removed = [folder for folder in folders if folder.exists()]
            for folder in removed:
                shutil.rmtree(folder)
            forget_choice(self.project)
            background_build(self.project).forget()
            names = tuple(f"{folder.relative_to(self.project.root).as_posix()}/" for folder in removed)
            return StopResult(stopped.stopped, stopped.forced, names)

    # -- work in the environment ---------------------------------------------------------------------------------

    def exec(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, component: str = "") -> Operation[int]:
        """Run a command in the environment, which is one for all components."""
        if component:
            self._known(component)
        running = self._instance.running()
        environment = self._environment_in_use(running)
        if environment is None:
            self._require_possible()
            with self._lock("preparing the environment"):
                environment, _ = yield from prepare_environment(self.project)
        port = running.port if running is not None else None
        variables = settings.command_environment(self.project, environment, port=port)
        make_folder(self._standalone, mode=0o700)
        if running is not None:
            variables = settings.with_added(variables, Path(running.added))
        return (yield from processes.stream(argv, env={**variables, **(env or {})}, cwd=self.project.root))

    def call(
        self, script: Path, request: Mapping[str, Any], *, stage: Stage, event: Callable[[dict[str, Any]], Event]
    ) -> Operation[dict[str, Any]]:
        """Run `script` in a fork of the process that has imported Airflow; it is started when it is not there."""
        supervisor = self._instance.running()
        environment = self._environment_in_use(supervisor)
        if supervisor is None:
            self._require_possible()
            with self._lock("preparing the environment"):
                # Whoever had the lock may have started it.
                supervisor = self._instance.running()
                if supervisor is None:
                    environment, supervisor = yield from self._warm()
                else:
                    environment = self._environment_in_use(supervisor)
        if "database" in request and environment is not None:
            request = {**request, **(yield from self._database.for_runs(environment, supervisor))}
        return (yield from call_in(supervisor, script, request, stage, event))

    # -- parts ---------------------------------------------------------------------------------------------------

    def _warm(self) -> Operation[tuple[LocalEnvironment, Supervisor]]:
        """Give a process that has imported Airflow, and a database that runs can copy."""
        environment, _ = yield from prepare_environment(self.project)
        supervisor = yield from self._instance.obtain(environment, None, ports.choose_port)
        # The database of an Airflow that runs is not replaced by a migrated one.
        if self._neighbour() is None:
            yield from self._database.prepare(environment, supervisor)
        return environment, supervisor

    def _environment(self) -> Operation[tuple[LocalEnvironment, bool]]:
        """Give the environment, and whether it was built now; one that is there is told of, too."""
        environment, created = yield from prepare_environment(self.project)
        if not created:
            yield Step("environment", "environment", "done", environment.described, 0.0)
        return environment, created

    def _preparation(self, environment: LocalEnvironment, *, created: bool) -> Preparation:
        ignored = settings.overridden(self.project, environment.airflow_version)
        note = f"Without effect in .env, since the local engine sets them itself: {', '.join(ignored)}."
        return Preparation(
            python=environment.python,
            airflow_version=environment.airflow_version,
            python_version=environment.python_version,
            packages=environment.packages,
            requested=environment.requested,
            created=created,
            notes=(*environment.notes, *([note] if ignored else []), *left_out(self.project)),
        )

    def _stop(self, grace: float) -> Operation[StopResult]:
        """End what runs, whoever has started it."""
        routes.withdraw(self.project.root)
        neighbour = self._neighbour()
        if neighbour is None:
            return (yield from self._instance.stop(grace))
        started = time.monotonic()
        yield Step("stop", "stop", detail="ending Airflow's processes")
        stopped, forced = neighbour.stop(at_once=not grace)
        yield Step("stop", "stop", "done", f"{stopped} processes ended", time.monotonic() - started)
        ours = yield from self._instance.stop(grace)
        return StopResult(stopped + ours.stopped, forced + ours.forced)

    def _neighbour(self) -> Neighbour | None:
        return find_neighbour(self.project)

    def _known(self, component: str) -> None:
        known = self._components()
        if component.replace("-", " ") not in known:
            raise EngineError(f"There is no component {component}.", hint=f"Components: {', '.join(known)}.")

    def _components(self) -> tuple[str, ...]:
        """Name the components of what runs, else of what the project asks for."""
        supervisor = self._instance.find()
        return components_of(self.project.runtime.airflow if supervisor is None else supervisor.airflow_version)

    def _environment_in_use(self, running: Supervisor | None) -> LocalEnvironment | None:
        """Give the environment that runs, else the one that was made last."""
        return current_environment(self.project, name=running.environment if running is not None else None)

    def _secret(self) -> str:
        return settings.read_secrets(self.project).jwt

    def _require_possible(self) -> None:
        for problem in self.preflight():
            raise EngineUnavailableError(f"{problem.what}. {problem.why}", hint=problem.hint)

    @contextmanager
    def _alone(self, purpose: str) -> Iterator[None]:
        """Keep others from working on the environments, also from building one in the background."""
        with self._lock(purpose), building(self.project, timeout=_LOCK_TIMEOUT):
            yield

    @contextmanager
    def _lock(self, purpose: str, *, timeout: float | None = None) -> Iterator[None]:
        self.project.make_state_dir()
        seconds = _LOCK_TIMEOUT if timeout is None else timeout
        with hold(self._state / "engine.lock", purpose=purpose, timeout=seconds):
            yield


def _refuse_image(options: StartOptions) -> None:
    if options.image:
        raise EngineError("Local processes run no image.", hint="Use --engine docker with --image-name.")
    if options.build is not None:
        raise EngineError("Options of an image build mean nothing to local processes.", hint="Use --engine docker.")
