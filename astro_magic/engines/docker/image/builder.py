"""Find a command on this machine that can build images with BuildKit, or with podman where podman is the engine."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from astro_magic.errors import CommandFailedError, EngineUnavailableError
from astro_magic.system import processes

if TYPE_CHECKING:
    from astro_magic.engines.docker.client.connection import Connection

__all__ = ["Builder", "find_builder"]

_PATIENCE = 10.0
_VERSION = re.compile(r"Docker version (\d+)\.(\d+)")
#: Clients from this one on build with BuildKit only through the plugin; those from the other one on have it built in.
_NEEDS_PLUGIN = (23, 0)
_OLDEST = (18, 9)
#: Whatever the user's terminal is set to, the output is read by a program.
_PLAIN = {"BUILDKIT_PROGRESS": "plain", "NO_COLOR": "1", "DOCKER_CLI_HINTS": "false", "DOCKER_SCAN_SUGGEST": "false"}

_found: dict[tuple[str | None, ...], Builder] = {}


@dataclass(frozen=True)
class Builder:
    """A command that builds images.

    Attributes
    ----------
    argv : tuple of str
        How its command line begins.
    environment : Mapping of str to str
        What it needs on top of the present environment, to build on the engine that is connected to.
    kind : {"buildx", "buildkit", "podman"}
        The plugin of the docker command, an older docker command with BuildKit built in, or podman.
    path : str
        Where the command is.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    kind: Literal["buildx", "buildkit", "podman"]
    path: str


def find_builder(connection: Connection) -> Builder:
    """Find the first command on ``PATH`` that can build with BuildKit.

    Every ``docker`` there is looked at: the first may be a client without the plugin, a later one an older client that
    needs none. What was found holds for the process, as long as ``PATH`` stays what it is.

    Parameters
    ----------
    connection : Connection
        The engine that the image is for.

    Raises
    ------
    EngineUnavailableError
        When none can; it says what to install.
    """
    key = (connection.host, connection.title, *(os.environ.get(name) for name in ("PATH", "DOCKER_CONFIG", "HOME")))
    if key not in _found:
        _found[key] = _find(connection)
    return _found[key]


def _find(connection: Connection) -> Builder:
    environment = connection.environment() | _PLAIN
    podman = connection.title == "Podman"
    commands = tuple(_commands("podman" if podman else "docker"))
    with ThreadPoolExecutor(max(2 * len(commands), 1)) as pool:
        versions = [pool.submit(_words, command, "--version") for command in commands]
        plugins = [pool.submit(_words, command, "buildx", "version") for command in commands if not podman]
        if podman and commands:
            # Docker's client speaks to podman, but podman has no BuildKit that could answer it.
            environment["CONTAINER_HOST"] = connection.host
            return Builder((commands[0], "build", "--format", "docker"), environment, "podman", commands[0])
        for command, version, plugin in zip(commands, versions, plugins, strict=True):
            if "podman" in (version.result() or ""):
                continue
            if plugin.result() is not None:
                return _with_plugin(command, environment)
            match = _VERSION.search(version.result() or "")
            if match and _OLDEST <= (int(match[1]), int(match[2])) < _NEEDS_PLUGIN:
                return Builder((command, "build"), environment | {"DOCKER_BUILDKIT": "1"}, "buildkit", command)
    raise _missing(commands, podman=podman)


def _with_plugin(command: str, environment: Mapping[str, str]) -> Builder:
    # As `docker build` does: a builder chosen with `docker buildx use` is passed over, since it may run in a container
    # of its own, which has no image that is only on the engine.
    chosen = () if os.environ.get("BUILDX_BUILDER") else ("--builder", "default")
    # An image with an attestation is an index of two, which other tools take for an image of several platforms.
    plain = {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    return Builder((command, "buildx", "build", *chosen, "--load"), {**environment, **plain}, "buildx", command)


def _missing(commands: tuple[str, ...], *, podman: bool) -> EngineUnavailableError:
    if podman:
        return EngineUnavailableError(
            "The engine is podman, but there is no podman command on PATH to build the image with.",
            hint="Install podman, or use a prepared image: %astro_start --image-name NAME.",
        )
    if not commands:
        return EngineUnavailableError(
            "There is no docker command on PATH to build the image with.",
            hint="Install the docker command and its buildx plugin (docker-ce-cli and docker-buildx-plugin, or Docker "
            "Desktop), or use a prepared image: %astro_start --image-name NAME.",
        )
    return EngineUnavailableError(
        f"BuildKit, which builds the image, is missing: {commands[0]} has no buildx plugin.",
        hint="Install the plugin (the system's package docker-buildx-plugin or docker-buildx; Docker Desktop brings "
        "it), or use a prepared image: %astro_start --image-name NAME.",
    )


def _commands(name: str) -> Iterator[str]:
    """Give every command of that name on ``PATH``, each program once."""
    names = (f"{name}.exe",) if sys.platform == "win32" else (name,)
    seen = set()
    for folder in os.get_exec_path():
        for candidate in (Path(folder or ".", each) for each in names):
            if candidate.is_file() and os.access(candidate, os.X_OK) and (real := candidate.resolve()) not in seen:
                seen.add(real)
                yield str(candidate.absolute())


def _words(command: str, *arguments: str) -> str | None:
    """Give what a command says; None when it fails."""
    try:
        done = processes.run([command, *arguments], timeout=_PATIENCE)
    except CommandFailedError:
        return None
    return done.output if done.code == 0 else None
