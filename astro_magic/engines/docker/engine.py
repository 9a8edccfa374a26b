"""The Docker engine: the project's real image, and containers as the Astro CLI has them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from astro_magic.engines import routes
from astro_magic.engines.additions import tell_added
from astro_magic.engines.answers import ApiAccess, EngineStatus, Preparation, Problem, StopResult
from astro_magic.engines.docker.calls import workplace as work
from astro_magic.engines.docker.client.commands import stream_command
from astro_magic.engines.docker.client.connection import Connection, connect
from astro_magic.engines.docker.image.background import background_build
from astro_magic.engines.docker.image.builder import find_builder
from astro_magic.engines.docker.image.facts import ImageFacts, image_facts, remove_images, tag_image
from astro_magic.engines.docker.image.lint import lint
from astro_magic.engines.docker.image.project_image import end_abandoned, make_image, options_kept
from astro_magic.engines.docker.installation import read_installation, versions_in
from astro_magic.engines.docker.lifecycle import Stack
from astro_magic.engines.docker.names import Names
from astro_magic.engines.docker.planning import Planned, make_plan
from astro_magic.engines.docker.record import Record, forget_record, read_record, write_record
from astro_magic.engines.docker.restart import add_packages, settle
from astro_magic.engines.docker.services.compose import export_compose
from astro_magic.engines.docker.services.stack import POSTGRES, component_names
from astro_magic.engines.docker.watching.listing import ContainerInfo
from astro_magic.engines.docker.watching.logs import read_logs
from astro_magic.engines.docker.watching.status import read_status, watch_status
from astro_magic.engines.engine import Engine
from astro_magic.engines.installation import Installation, InstalledPackage, with_requests
from astro_magic.engines.options import BuildOptions, LogQuery, Stage, StartOptions
from astro_magic.engines.ports import choose_port, choosing_ports
from astro_magic.engines.resolution import resolve_requirements
from astro_magic.errors import AstroMagicError, BuildFailedError, EngineError, NotRunningError, PortInUseError
from astro_magic.machine.ports import is_free
from astro_magic.project.fingerprint import Action, Pending
from astro_magic.project.project import Project
from astro_magic.resolve.resolver import Resolution
from astro_magic.system.events import Event, Operation, OutputLine, Step
from astro_magic.system.locks import hold

__all__ = ["DockerEngine"]

_LOCK_TIMEOUT = 20.0
_UNTOUCHED = "Nothing was restarted: Airflow goes on as it was."
_STOP_GRACE = 10.0
_PATIENCE = 20.0
_MOST_LOST_PORTS = 2
_COMPONENTS = tuple(dict.fromkeys((*component_names(3), *component_names(2))))


class DockerEngine(Engine):
    """Airflow in containers of the project's own image."""

    name: ClassVar[str] = "docker"
    title: ClassVar[str] = "Docker"
    additive: ClassVar[bool] = True

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._names = Names.of(project)

    # -- what runs -----------------------------------------------------------------------------------------------

    def preflight(self) -> tuple[Problem, ...]:
        """Give what stands in the way of a start: no engine, or nothing to build an image with."""
        try:
            find_builder(connect())
        except AstroMagicError as problem:
            return (Problem("Docker cannot be used", problem.message, problem.hint or ""),)
        return ()

    def status(self) -> EngineStatus:
        """Read what runs now."""
        return self._look(connect(), measured=True)

    def watch(self, *, interval: float = 5.0) -> Iterator[EngineStatus]:
        """Give the status now, and again after each event of the engine that concerns the project."""
        for status in watch_status(connect(), self._names, interval=interval):
            yield replace(status, notes=self._notes())

    def _look(self, connection: Connection, *, measured: bool) -> EngineStatus:
        status = read_status(connection, self._names, measured=measured)
        return replace(status, notes=self._notes() if status.running else ())

    def _look_after(self, connection: Connection) -> EngineStatus:
        """Read what runs after a wait until all was healthy; a machine that is busy may be slow to say so again."""
        until = time.monotonic() + _PATIENCE
        while True:
            status = read_status(connection, self._names, measured=False, patience=_PATIENCE)
            if status.state != "starting" or time.monotonic() > until:
                return replace(status, notes=self._notes())
            time.sleep(0.5)

    def _notes(self) -> tuple[str, ...]:
        """Say what containers have beyond their image, and how far the image is that has it too."""
        added = read_record(self.project).added
        build = background_build(self.project).read()
        return tell_added(added, build, where="containers", whole="image", more="%astro_build")

    def api(self) -> ApiAccess:
        """Give access to the running Airflow's REST API; its login is the one that the Astro CLI sets up."""
        access = self._access(Stack(connect(), self._names).containers())
        if access is None:
            raise NotRunningError("Airflow is not running.", hint="Start it with %astro_start.")
        return access

    def _access(self, present: Mapping[str, ContainerInfo]) -> ApiAccess | None:
        for service, major in (("api-server", 3), ("webserver", 2)):
            server = present.get(service)
            port = server.published.get(8080) if server is not None and server.state == "running" else None
            if port is not None:
                return ApiAccess(f"http://127.0.0.1:{port}", "admin", "admin", major)
        return None

    def logs(self, query: LogQuery) -> Iterator[OutputLine]:
        """Give lines of the containers' logs, oldest first."""
        connection = connect()
        present = Stack(connection, self._names).containers()
        wanted = [name.replace(" ", "-") for name in query.components]
        unknown = [name for name in wanted if name not in present]
        if unknown:
            there = ", ".join(present) or "none; start Airflow with %astro_start"
            raise EngineError(f"There is no container of {unknown[0]}.", hint=f"Components: {there}.")
        chosen = wanted or [name for name in present if name in _COMPONENTS]
        return read_logs(connection, [present[name] for name in chosen], query)

    def packages(self) -> tuple[InstalledPackage, ...]:
        """Give the distributions of the image that runs, or was built last, sorted by name."""
        connection = connect()
        facts = self._facts(connection, Stack(connection, self._names).containers())
        found = versions_in(facts, read_record(self.project))
        return with_requests(found, self.project.requested())

    def installation(self) -> Installation:
        """Give what is in the image that runs, or was built last, and in containers beyond it."""
        connection = connect()
        present = Stack(connection, self._names).containers()
        facts = self._facts(connection, present)
        running = [present[name].id for name in _COMPONENTS if name in present and present[name].state == "running"]
        return read_installation(connection, self.project, facts, read_record(self.project), running)

    def _facts(self, connection: Connection, present: Mapping[str, ContainerInfo]) -> ImageFacts:
        """Give what is in the image that runs, else in the one that was built last.

        Raises
        ------
        NotRunningError
            When there is none yet.
        """
        running = [present[name].image_id for name in _COMPONENTS if name in present]
        try:
            return image_facts(connection, running[0] if running else self._names.image)
        except EngineError as problem:
            if connection.api.images(self._names.image):
                raise
            raise NotRunningError("There is no image yet.", hint="%astro_build makes it.") from problem

    def secrets(self) -> tuple[str, ...]:
        """Give the password of the metadata database, when it is not the one that everybody knows."""
        password = self.project.config.get("postgres.password") or ""
        return (password,) if password not in ("", "postgres") else ()

    # -- start and stop ------------------------------------------------------------------------------------------

    def prepare(self, options: BuildOptions | None = None) -> Operation[Preparation]:
        """Build the image; nothing that runs is touched."""
        connection = connect()
        record = read_record(self.project)
        before = {image["Id"] for image in connection.api.images(self._names.image)}
        facts = yield from make_image(connection, self.project, record, options=options)
        if options is not None:
            write_record(self.project, options_kept(read_record(self.project), options))
        requested = sum(name in facts.packages for name in self.project.requested())
        return Preparation(
            python=None,
            airflow_version=facts.airflow_version,
            python_version=facts.python_version,
            packages=len(facts.packages),
            requested=requested,
            created=facts.id not in before,
            notes=lint(self.project) if not record.image_name else (),
        )

    def resolve(self, requirements: str) -> Resolution:
        """Resolve the text of a requirements file for the image's Airflow and Python; nothing is installed."""
        try:
            connection = connect()
            facts = self._facts(connection, Stack(connection, self._names).containers())
        except EngineError:
            return resolve_requirements(self.project, requirements, python=self.project.runtime.python)
        return resolve_requirements(self.project, requirements, python=facts.python_version, installed=facts.packages)

    def start(self, options: StartOptions) -> Operation[EngineStatus]:
        """Build, start, and wait until every component is healthy."""
        with self._lock("starting Airflow"):
            connection = connect()
            present = self._look(connection, measured=False)
            if present.state == "running":
                return present
            return (yield from self._start(connection, options))

    def restart(self, pending: Pending, options: StartOptions) -> Operation[EngineStatus]:
        """Apply what is pending; what runs goes on until its successor is there, and is back if that does not do."""
        with self._lock("restarting Airflow"):
            connection = connect()
            stack = Stack(connection, self._names)
            present = stack.containers()
            if not any(each.state == "running" for name, each in present.items() if name in _COMPONENTS):
                return (yield from self._start(connection, options))
            record = read_record(self.project)
            access = self._access(present)
            if access is not None and not options.image and options.build is None:
                added = yield from add_packages(
                    connection, self.project, pending, present, record, access=access, timeout=options.timeout
                )
                if added is not None:
                    write_record(self.project, added)
                    return self._look_after(connection)
            old = next(present[name].image_id for name in _COMPONENTS if name in present)
            facts = image_facts(connection, old)
            rebuild = pending.action is Action.REBUILD or bool(record.added) or bool(options.image)
            if rebuild:
                try:
                    facts = yield from self._image(connection, record, options)
                except BuildFailedError as problem:
                    problem.hint = "\n".join(part for part in (problem.hint, _UNTOUCHED) if part)
                    raise
            with choosing_ports(record.api_port, record.postgres_port) as choose:
                planned = make_plan(connection, self.project, facts, options, record, present, choose)
                try:
                    yield from stack.switch(planned.plan, settle=lambda: settle(access))
                except BaseException:
                    # The tag is to name what runs: the Astro CLI starts what it names.
                    tag_image(connection, old, self._names.image)
                    raise
            if facts.id != old:
                tag_image(connection, old, self._names.previous_image)
            return self._finish(connection, planned, options, record)

    def add_packages(self, pending: Pending) -> Operation[bool]:
        """Put requirements into the running containers that only add packages; the image is built in the background."""
        with self._lock("adding packages"):
            connection = connect()
            present = Stack(connection, self._names).containers()
            access = self._access(present)
            if access is None:
                return False
            added = yield from add_packages(
                connection, self.project, pending, present, read_record(self.project), access=access
            )
            if added is not None:
                write_record(self.project, added)
            return added is not None

    def _start(self, connection: Connection, options: StartOptions) -> Operation[EngineStatus]:
        record = read_record(self.project)
        facts = yield from self._image(connection, record, options)
        planned = yield from self._bring_up(connection, facts, options, record)
        return self._finish(connection, planned, options, record)

    def _bring_up(
        self, connection: Connection, facts: ImageFacts, options: StartOptions, record: Record
    ) -> Operation[Planned]:
        stack = Stack(connection, self._names)
        losses = 0
        while True:
            with choosing_ports() as choose:
                planned = make_plan(connection, self.project, facts, options, record, stack.containers(), choose)
                try:
                    yield from stack.bring_up(planned.plan)
                except PortInUseError:
                    # Between the choice of a port and its use, somebody else may have taken it.
                    losses += 1
                    free = is_free(planned.api_port) and is_free(planned.postgres_port)
                    if free or options.port is not None or not connection.local or losses > _MOST_LOST_PORTS:
                        raise
                else:
                    return planned

    def _image(self, connection: Connection, record: Record, options: StartOptions) -> Operation[ImageFacts]:
        return make_image(connection, self.project, record, options=options.build, name=options.image)

    def _finish(self, connection: Connection, planned: Planned, options: StartOptions, record: Record) -> EngineStatus:
        """Remember how it was started, and tell the Astro CLI where it is."""
        kept = replace(
            options_kept(record, options.build).without_packages(),
            api_port=planned.api_port,
            postgres_port=planned.postgres_port,
            image_name=options.image or record.image_name,
        )
        write_record(self.project, kept)
        background_build(self.project).forget()
        services = {"postgres": str(planned.postgres_port)}
        notes = (*planned.notes, *routes.announce(self.project.root, planned.api_port, services=services))
        return replace(self._look_after(connection), notes=notes)

    def stop(self) -> Operation[StopResult]:
        """End every container; data and containers are kept."""
        with self._lock("stopping Airflow"):
            stopped, forced = yield from Stack(connect(), self._names).stop(grace=_STOP_GRACE)
            routes.withdraw(self.project.root)
            return StopResult(stopped, forced)

    def kill(self, *, images: bool = False) -> Operation[StopResult]:
        """Remove containers, networks and volumes of this project, and nothing else."""
        with self._lock("removing Airflow's data"):
            connection = connect()
            background_build(self.project).end()
            yield Step("kill", "kill", detail="removing containers, networks and volumes")
            stopped, removed = Stack(connection, self._names).remove()
            yield Step("kill", "kill", "done", f"{len(removed)} things removed", 0.0)
            if images:
                removed += remove_images(connection, (self._names.image, self._names.previous_image))
            background_build(self.project).forget()
            forget_record(self.project)
            routes.withdraw(self.project.root)
            return StopResult(stopped, 0, removed)

    # -- work in the environment ---------------------------------------------------------------------------------

    def exec(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, component: str = "") -> Operation[int]:
        """Run a command in a component's container, or in one of its own when nothing runs and none is asked for."""
        connection = connect()
        present = Stack(connection, self._names).containers()
        wanted = component.replace(" ", "-")
        if wanted and (wanted not in present or present[wanted].state != "running"):
            there = ", ".join(name for name, each in present.items() if each.state == "running") or "none"
            raise NotRunningError(f"No container of {wanted} runs.", hint=f"Those that run: {there}.")
        chosen = present.get(wanted or "scheduler")
        if chosen is not None and chosen.state == "running":
            return (yield from stream_command(connection, chosen.id, argv, environment=env))
        planned = yield from self._planned(connection, present)
        with work.one_off_container(connection, self._names, planned.plan) as container:
            return (yield from stream_command(connection, container, argv, environment=env))

    def call(
        self, script: Path, request: Mapping[str, Any], *, stage: Stage, event: Callable[[dict[str, Any]], Event]
    ) -> Operation[dict[str, Any]]:
        """Run `script` in a container where Airflow is imported; the image is built when there is none."""
        connection = connect()
        present = Stack(connection, self._names).containers()
        planned = yield from self._planned(connection, present)
        up = {name: each.id for name, each in present.items() if each.state == "running"}
        worker = next((up[name] for name in work.WORKERS if name in up), None)
        if worker is not None:
            place = work.Workplace(connection, worker, planned.plan, up.get(POSTGRES))
            return (yield from place.script(script, request, stage=stage, event=event))
        with work.one_off_container(connection, self._names, planned.plan) as container:
            place = work.Workplace(connection, container, planned.plan)
            return (yield from place.script(script, request, stage=stage, event=event))

    def compose_file(self) -> Operation[str]:
        """Give a compose file that runs the same containers."""
        connection = connect()
        planned = yield from self._planned(connection, Stack(connection, self._names).containers())
        return export_compose(planned.plan.model, secrets="env-file")

    def _planned(self, connection: Connection, present: Mapping[str, ContainerInfo]) -> Operation[Planned]:
        """Give the plan for the image that runs or was built last; one is built when there is none."""
        try:
            facts = self._facts(connection, present)
        except NotRunningError:
            facts = yield from self._image(connection, read_record(self.project), StartOptions())
        return make_plan(
            connection, self.project, facts, StartOptions(), read_record(self.project), present, choose_port
        )

    @contextmanager
    def _lock(self, purpose: str) -> Iterator[None]:
        self.project.make_state_dir()
        with hold(self.project.state_dir / "engine.lock", purpose=purpose, timeout=_LOCK_TIMEOUT):
            # What a killed kernel's build makes is not to take the image's name from what is made now.
            end_abandoned(self.project)
            yield
