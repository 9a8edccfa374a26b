"""Work that goes on in a process of its own when the kernel ends, and how far it is: what the next restart brings."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import psutil

from astro_magic.engines.inside.processes import lives_since, machine_start, start_of
from astro_magic.project.project import Project
from astro_magic.system import processes
from astro_magic.system.files import write_atomic

__all__ = ["Background", "BackgroundBuild", "end_processes"]


@dataclass(frozen=True)
class BackgroundBuild:
    """A build in the background.

    Attributes
    ----------
    state : {"running", "done", "failed"}
        Where it stands.
    started : datetime
        When it was started.
    message : str
        Why it failed; else empty.
    """

    state: Literal["running", "done", "failed"]
    started: datetime
    message: str = ""


class Background:
    """The build of one project in the background.

    Parameters
    ----------
    project : Project
        The project.
    engine : str
        The engine's name.
    module : str
        The module that is run; its argument is the project's folder.
    """

    def __init__(self, project: Project, engine: str, module: str) -> None:
        self._project = project
        self._module = module
        self._file = project.state_dir / f"{engine}-build.json"
        self._result = project.state_dir / f"{engine}-build-result.json"

    def start(self) -> None:
        """Start it. One that is running is ended first: it builds from files that have changed since."""
        self.end()
        folder = self._project.make_state_dir() / "logs"
        folder.mkdir(mode=0o700, exist_ok=True)
        self._result.unlink(missing_ok=True)
        argv = [sys.executable, "-m", self._module, os.fspath(self._project.root)]
        pid = processes.spawn(argv, env=os.environ, cwd=self._project.root, log=folder / "build-background.log")
        known = {
            "pid": pid,
            "created": start_of(pid),
            "machine": machine_start(),
            "started": datetime.now().astimezone().isoformat(),
        }
        write_atomic(self._file, json.dumps(known).encode(), mode=0o600)

    def read(self) -> BackgroundBuild | None:
        """Tell of the build that was started last; None when there is none."""
        known = self._known()
        if known is None:
            return None
        started = datetime.fromisoformat(str(known["started"]))
        if _process(known) is not None:
            return BackgroundBuild("running", started)
        try:
            result = json.loads(self._result.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return BackgroundBuild("failed", started, "It was ended.")
        failure = str(result.get("failure", ""))
        return BackgroundBuild("failed" if failure else "done", started, failure)

    def end(self) -> None:
        """End the build if it runs, and what it started."""
        known = self._known()
        process = _process(known) if known else None
        if process is None:
            return
        with suppress(psutil.Error):
            end_processes([*process.children(recursive=True), process])

    def forget(self) -> None:
        """Forget the build: what it made is run, or it is of no more interest."""
        self._file.unlink(missing_ok=True)
        self._result.unlink(missing_ok=True)

    def note_result(self, failure: str) -> None:
        """Note how the build went.

        Parameters
        ----------
        failure : str
            Why it failed; empty when it did not.
        """
        write_atomic(self._result, json.dumps({"failure": failure}).encode(), mode=0o600)

    def _known(self) -> dict[str, object] | None:
        try:
            known = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return known if isinstance(known, dict) and {"pid", "created", "machine", "started"} <= set(known) else None


def end_processes(members: Iterable[psutil.Process]) -> None:
    """Ask processes to end, and end those that do not."""
    asked = list(members)
    for member in asked:
        with suppress(psutil.Error):
            member.terminate()
    for member in psutil.wait_procs(asked, timeout=5)[1]:
        with suppress(psutil.Error):
            member.kill()


def _process(known: dict[str, object]) -> psutil.Process | None:
    """Give the building process while it lives; a process id counts only together with its start."""
    with suppress(psutil.Error, ValueError):
        pid = int(str(known["pid"]))
        if known["machine"] == machine_start() and lives_since(pid, float(str(known["created"]))):
            return psutil.Process(pid)
    return None
