"""Build a project's image with BuildKit, through the docker command."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from astro_magic.engines.docker.client.connection import guard, require_engine
from astro_magic.engines.docker.image.builder import Builder, find_builder
from astro_magic.engines.docker.image.context import BuildContext, build_context
from astro_magic.engines.docker.image.failures import explain
from astro_magic.engines.docker.image.inputs import BuildInputs, prepare_inputs
from astro_magic.engines.docker.image.output import BuildOutput, BuildStep, worth_showing
from astro_magic.engines.options import BuildOptions
from astro_magic.errors import EngineUnavailableError
from astro_magic.project.project import Project
from astro_magic.system import files, processes
from astro_magic.system.events import Event, Operation, OutputLine, Step
from astro_magic.system.known import mask
from astro_magic.system.secrets import mask_credentials

if TYPE_CHECKING:
    from astro_magic.engines.docker.client.connection import Connection

__all__ = ["BuildOptions", "build_image"]

_KEY = "build"
#: Seconds below which a step that says nothing is not worth a row.
_BRIEF = 1.0
_LONGEST_TITLE = 72
#: Lines of output that are passed on at once, and how many a second after that. BuildKit gives its lines in bursts of
#: tenths of a second; the last one of a burst is what a person wants to see, since it may stay for a while.
_BURST = 30
_PER_SECOND = 10.0
_ENDS: dict[str, Literal["done", "failed", "skipped"]] = {"done": "done", "failed": "failed", "canceled": "skipped"}


def build_image(
    connection: Connection,
    project: Project,
    *,
    tag: str,
    options: BuildOptions | None = None,
    labels: Mapping[str, str] | None = None,
    log: Path,
) -> Operation[str]:
    """Build the image of a project. Nothing of the user's files is changed; closing the operation ends the build.

    Parameters
    ----------
    connection : Connection
        The engine that gets the image.
    project : Project
        The project.
    tag : str
        The image's name with its tag. It goes over to the new image only when that is complete.
    options : BuildOptions, optional
        Secrets, build arguments, and how to build.
    labels : Mapping of str to str, optional
        Labels of the image.
    log : Path
        The file that gets the whole output; secrets that are known are hidden in it.

    Returns
    -------
    str
        The image's id, ``sha256:...``.

    Raises
    ------
    EngineUnavailableError
        When there is no command that can build, or the engine is gone.
    InvalidContentError
        When the Dockerfile is missing, or a secret or key that it needs.
    BuildFailedError
        When a step fails; it names the line, the cause and what to do.
    """
    builder = find_builder(connection)
    started = time.monotonic()
    with build_context(project) as context:
        inputs = prepare_inputs(project, options or BuildOptions(), context.entries)
        yield Step(_KEY, _KEY, detail="reading the project")
        argv = _command_line(builder, project, context, inputs, tag=tag, labels=labels or {})
        environment = {**os.environ, **builder.environment, **inputs.environment}
        output = BuildOutput()

        def shown(text: str) -> str:
            return mask_credentials(mask(text, inputs.hidden))

        code = yield from _run(argv, environment, project.root, output, log, shown)
        if code != 0:
            yield Step(_KEY, _KEY, "failed", seconds=time.monotonic() - started)
            error = explain(project, output, context.entries, log=_relative(log, project), shown=shown)
            if not isinstance(error, EngineUnavailableError):
                # What the command says of an engine that is gone differs by version; whether it answers does not.
                require_engine(connection, "building the image")
            raise error
        described = _described(connection, context.image_id, tag)
    yield Step(_KEY, _KEY, "done", _summary(output, int(described.get("Size") or 0)), time.monotonic() - started)
    return str(described["Id"])


def _command_line(
    builder: Builder,
    project: Project,
    context: BuildContext,
    inputs: BuildInputs,
    *,
    tag: str,
    labels: Mapping[str, str],
) -> list[str]:
    # Relative to the project, where the command runs: a path with any character in it then needs no thought.
    dockerfile = _relative(context.dockerfile, project)
    argv = [*builder.argv, "--file", dockerfile, "--tag", tag, "--iidfile", _relative(context.image_id, project)]
    if builder.kind == "podman":
        argv += ["--ignorefile", _relative(context.ignore, project)]
    else:
        argv += ["--progress", "plain"]
    for name, value in labels.items():
        argv += ["--label", f"{name}={value}"]
    return [*argv, *inputs.arguments, "."]


def _run(
    argv: list[str],
    environment: Mapping[str, str],
    folder: Path,
    output: BuildOutput,
    log: Path,
    shown: Callable[[str], str],
) -> Operation[int]:
    """Run the build command, and tell what it does."""
    files.make_folder(log.parent)
    with _private(log) as record, contextlib.closing(processes.stream(argv, env=environment, cwd=folder)) as command:
        display = _Display(shown)
        code: int | None = None
        while code is None:
            try:
                line = next(command)
            except StopIteration as stop:
                code = int(stop.value)
                continue
            if isinstance(line, OutputLine):
                record.write(f"{shown(line.text)}\n")
                about = output.feed(line.text)
                if about is not None:
                    yield from display.events(*about)
        output.finish(succeeded=code == 0)
    return code


@contextlib.contextmanager
def _private(log: Path) -> Iterator[IO[str]]:
    """Open a file that only its owner can read, by the line, so that it can be followed."""

    def opener(path: str, flags: int) -> int:
        return os.open(path, flags, 0o600)

    with files.guard(log, "write"):
        record = open(log, "w", encoding="utf-8", errors="replace", buffering=1, opener=opener)  # noqa: SIM115
    with record:
        yield record


@dataclass
class _Display:
    """Turns the steps of a build into events: enough to follow it, not so many as to drown in them."""

    shown: Callable[[str], str]
    _begun: set[int] = field(default_factory=set)
    _announced: set[int] = field(default_factory=set)
    _credit: float = _BURST
    _last: float = field(default_factory=time.monotonic)

    def events(self, step: BuildStep, text: str | None) -> Iterator[Event]:
        """Give the events for a line of the output."""
        # A step that is begun may turn out to be in the cache, by the next line: it gets a row when it says something
        # or has taken its time, and until then stands beside the build as a whole. What the builder does by itself
        # gets none.
        if step.number not in self._begun:
            self._begun.add(step.number)
            fraction = (step.index - 1) / step.total if step.total >= step.index > 0 else None
            yield Step(_KEY, _KEY, detail=self._title(step), fraction=fraction)
        if not step.instruction or step.instruction.startswith("FROM "):
            return
        key = f"{_KEY}:#{step.number}"
        if text is not None:
            if step.number not in self._announced:
                self._announced.add(step.number)
                yield Step(key, _KEY, detail=self._title(step))
            if worth_showing(text) and self._affordable():
                yield OutputLine(_KEY, self.shown(text))
        elif (state := _ENDS.get(step.state)) and self._is_row(step):
            yield Step(key, _KEY, state, self._title(step), step.seconds)

    def _is_row(self, step: BuildStep) -> bool:
        return step.number in self._announced or step.state != "done" or (step.seconds or 0) >= _BRIEF

    def _title(self, step: BuildStep) -> str:
        title = self.shown(step.title).replace("[internal] ", "")
        return title if len(title) <= _LONGEST_TITLE else f"{title[: _LONGEST_TITLE - 2]} …"

    def _affordable(self) -> bool:
        now = time.monotonic()
        self._credit = min(_BURST, self._credit + (now - self._last) * _PER_SECOND)
        self._last = now
        if self._credit < 1:
            return False
        self._credit -= 1
        return True


def _described(connection: Connection, image_id: Path, tag: str) -> dict[str, Any]:
    """Look at the image that was built."""
    from docker.errors import NotFound

    built = (files.read_optional(image_id) or b"").decode(errors="replace").strip()
    with guard("looking at the image that was built"):
        if built:
            # Where images are kept another way, the command and the engine mean different things by an image's id.
            with contextlib.suppress(NotFound):
                return dict(connection.api.inspect_image(built))
        return dict(connection.api.inspect_image(tag))


def _summary(output: BuildOutput, size: int) -> str:
    if not output.ran:
        return "nothing changed"
    total = len(output.instructions)
    return f"{len(output.ran)} of {total} steps run, image {size / 1e6:.0f} MB"


def _relative(path: Path, project: Project) -> str:
    return path.relative_to(project.root).as_posix() if path.is_relative_to(project.root) else str(path)
