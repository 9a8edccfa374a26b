"""Python processes that work on a project, as a second notebook's kernel does, and are ended in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import docker
import psutil

from astro_magic.engines.docker.names import Names
from astro_magic.project.project import Project
from astro_magic.system.locks import hold
from tests.docker.living import containers_of

__all__ = ["Kernel", "builds_of", "kernel", "strays"]

#: So long it may take to write down where each thread stands.
_TRACE_SECONDS = 2.0
_PRELUDE = """
import faulthandler, signal
faulthandler.register(signal.SIGUSR1, all_threads=True)
from astro_magic.engines.options import StartOptions
from astro_magic.environment import open_environment
from astro_magic.project.project import Project

environment = open_environment(Project.find({root!r}))
tell = lambda event: print(event, flush=True)
"""


class Kernel:
    """A Python process that sees ``environment``, ``StartOptions`` and ``tell``, which prints events.

    Parameters
    ----------
    project : Project
        The project that it works on.
    code : str
        What it does.
    environment : mapping, optional
        More variables than this process has.
    """

    def __init__(self, project: Project, code: str, *, environment: Mapping[str, str] | None = None) -> None:
        program = textwrap.dedent(_PRELUDE).format(root=str(project.root)) + textwrap.dedent(code)
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(environment or {})},
        )

    def until(self, mark: str) -> None:
        """Read what it says until a line has `mark` in it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if mark in line:
                return
        raise AssertionError(f"{mark!r} was not said:\n{''.join(self.said)}")

    def end(self, number: int) -> str:
        """Send a signal; gives all that the process has said when it is gone."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self, seconds: float = 120) -> str:
        """Wait for its end; gives all that it has said. One that does not end is asked where it stands."""
        try:
            rest, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGUSR1)
            time.sleep(_TRACE_SECONDS)
            self.process.kill()
            rest, _ = self.process.communicate()
            raise AssertionError(f"It did not end within {seconds} s:\n{''.join(self.said)}{rest}") from None
        self.said.append(rest)
        return "".join(self.said)


@contextmanager
def kernel(project: Project, code: str, *, environment: Mapping[str, str] | None = None) -> Iterator[Kernel]:
    """Start a kernel, and kill it in the end if it has not ended."""
    started = Kernel(project, code, environment=environment)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.communicate()


def strays(client: docker.DockerClient, project: Project) -> list[str]:
    """Give what an operation that was ended may have left: containers of other names, networks, builds, a held lock."""
    names = Names.of(project)
    found = [
        f"container {container.name}"
        for container in containers_of(client, project)
        if container.name != names.container(str(container.labels.get("com.docker.compose.service")))
    ]
    networks = [network.name for network in client.networks.list() if str(network.name).startswith(f"{names.compose}_")]
    found += [f"network {name}" for name in networks if name != names.network or networks.count(name) > 1]
    found += [f"build {' '.join(build.cmdline()[:6])}" for build in builds_of(project)]
    for lock in ("engine.lock", "image.lock"):
        # It raises when somebody holds it.
        with hold(project.state_dir / lock, purpose="looking", timeout=0):
            continue
    return found


def builds_of(project: Project) -> list[psutil.Process]:
    """Give the processes that build the image of a project."""
    tag = Names.of(project).image
    found = []
    for process in psutil.process_iter():
        try:
            if tag in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found
