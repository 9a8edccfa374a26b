"""Projects whose Airflow is one small wheel, so that an environment is built in a moment, and by the real uv."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from astro_magic.engines.local import environments
from astro_magic.engines.local.environment import LocalEnvironment
from astro_magic.engines.local.interpreter import Interpreter
from astro_magic.project.project import Project
from astro_magic.system.events import run
from tests.servers.backend import write_wheel

__all__ = ["AIRFLOW", "IMAGE", "Small", "child", "here", "make_small"]

AIRFLOW = "3.3.2"
IMAGE = f"apache/airflow:{AIRFLOW}"
#: What a process of its own does before it builds: it takes this Python, whatever the image has.
_CHILD = """
import sys
from pathlib import Path
from astro_magic.engines.local import environments
from astro_magic.engines.local.interpreter import Interpreter
from astro_magic.project.project import Project
from astro_magic.system.events import run
here = Interpreter(Path(getattr(sys, "_base_executable", sys.executable)), ".".join(map(str, sys.version_info[:3])))
environments.find_interpreter = lambda *_, **__: here
project = Project(Path(sys.argv[1]))
"""


@dataclass
class Small:
    """An index in a folder, a cache of uv's own, and projects that know no other."""

    folder: Path

    @property
    def index(self) -> Path:
        """The folder that is the index."""
        return self.folder / "index"

    @property
    def cache(self) -> Path:
        """The cache that uv uses."""
        return self.folder / "cache"

    @property
    def known(self) -> Path:
        """Where this process keeps what it has found out."""
        return self.folder / "known"

    def settings(self) -> dict[str, str]:
        """Give the variables that lead there."""
        return {
            "UV_CACHE_DIR": str(self.cache),
            "UV_DEFAULT_INDEX": self.index.as_uri(),
            "UV_LINK_MODE": "hardlink",
            "ASTRO_MAGIC_CACHE": str(self.known),
        }

    def publish(self, name: str, version: str, files: Mapping[str, str], *, requires: Iterable[str] = ()) -> None:
        """Put a wheel into the index."""
        place = self.index / name
        place.mkdir(parents=True, exist_ok=True)
        wheel = write_wheel(place, name, version, list(requires), dict(files))
        with (place / "index.html").open("a") as page:
            page.write(f'<a href="{wheel.name}">{wheel.name}</a>\n')

    def project(self, name: str, *requirements: str) -> Project:
        """Make a project with these requirements."""
        made = Project.create(self.folder / name).project
        (made.root / "Dockerfile").write_text(f"FROM {IMAGE}\n")
        (made.root / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements))
        return made

    def prepare(self, project: Project) -> tuple[LocalEnvironment, bool]:
        """Give the project's environment, and whether it was built now."""
        return run(environments.prepare_environment(project))

    def cached(self, name: str) -> Path:
        """Give a file of a package in uv's cache."""
        (found,) = self.cache.glob(f"archive-v*/*/{name}/data.txt")
        return found

    def forget_environments(self) -> None:
        """Remove the environments that are kept for further projects."""
        shutil.rmtree(self.known / "environments", ignore_errors=True)


def here() -> Interpreter:
    """Give the Python of these tests."""
    return Interpreter(Path(getattr(sys, "_base_executable", sys.executable)), ".".join(map(str, sys.version_info[:3])))


def child(project: Project, code: str) -> subprocess.Popen[str]:
    """Start a process that works on a project; the code sees ``project``, ``environments`` and ``run``."""
    argv = [sys.executable, "-c", f"{_CHILD}{code}", str(project.root)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def make_small(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """Make the index with Airflow, pip and two packages, and let this process know no other."""
    small = Small(folder)
    for name in ("UV_INDEX", "UV_FIND_LINKS", "UV_OFFLINE", "PIP_FIND_LINKS", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in small.settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(environments, "find_interpreter", lambda *_, **__: here())
    # What a release was made with is known to be nothing, and asked of nobody.
    (small.known / "releases").mkdir(parents=True)
    for version in (AIRFLOW, "3.3.3"):
        (small.known / "releases" / f"airflow-{version}-python-{here().line}.txt").touch()
    small.publish("apache-airflow", AIRFLOW, {"airflow/__init__.py": ""})
    small.publish("pip", "25.0", {"pip/__init__.py": ""})
    for version in ("1.0", "2.0"):
        small.publish("alpha", version, {"alpha/__init__.py": "", "alpha/data.txt": version * 2000})
    small.publish("beta", "1.0", {"beta/__init__.py": "", "beta/data.txt": "b" * 2000, "beta/deep/__init__.py": ""})
    return small
