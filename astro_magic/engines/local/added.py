"""Packages that are added while Airflow runs, without a process that is restarted.

Each instance looks for modules in a folder of its own, after all others: a link, at first to an empty folder. What is
added is installed beside, together with what was added before, and found whole; then the link is renamed into its
place. So whoever looks finds all of it or nothing, and the environment that runs is not touched. The next start takes
an environment that has the packages, which is built in the background meanwhile.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from packaging.utils import canonicalize_name

from astro_magic.engines.additions import added_and_changed, in_words
from astro_magic.engines.background import Background
from astro_magic.engines.local.calls import call_in
from astro_magic.engines.local.environment import LocalEnvironment
from astro_magic.engines.local.environments import resolve_here
from astro_magic.engines.local.generations import read_facts
from astro_magic.engines.local.inside import parse_again
from astro_magic.engines.local.inside.components import generation_of
from astro_magic.engines.local.supervision import Supervisor
from astro_magic.engines.local.verification import find_broken_in, try_imports
from astro_magic.errors import CommandFailedError, FileAccessError, RestartNeededError, StartFailedError
from astro_magic.private.access import settings_for_uv
from astro_magic.project.project import Project
from astro_magic.resolve import uv
from astro_magic.system.events import Operation, Step

__all__ = ["add_packages", "background_build", "read_added"]

_STEP = "packages"
_PARSE_AGAIN = Path(parse_again.__file__)
#: What Airflow asks for once, when it starts.
_ASKED_AT_START = re.compile(r"^\[(?P<group>apache_airflow_provider|airflow\.(plugins|policy))\]", re.MULTILINE)


def background_build(project: Project) -> Background:
    """Give the build in the background of the environment that the next start takes."""
    return Background(project, "local", "astro_magic.engines.local.next_environment")


def read_added(folder: Path) -> dict[str, str]:
    """Give the packages that were added to what runs: version by normalised name."""
    found = {}
    for info in sorted(folder.glob("*.dist-info")):
        name, _, version = info.name.removesuffix(".dist-info").rpartition("-")
        found[str(canonicalize_name(name))] = version
    return found


def add_packages(project: Project, running: Supervisor, environment: LocalEnvironment) -> Operation[bool]:
    """Put the packages into what runs that the requirements have come to ask for.

    Returns
    -------
    bool
        False where something is changed or removed as well, or comes from elsewhere than an index.

    Raises
    ------
    RestartNeededError
        When a package has something that Airflow looks for only when it starts, or does not import in what runs.
    ResolutionError, NetworkError, InstallationError
        When it cannot be resolved or installed. What runs is untouched.
    """
    begun = time.monotonic()
    folder = Path(running.added)
    before = read_added(folder)
    present = {**read_facts(environment.folder).packages, **before}
    resolution = resolve_here(project, project.requirements.text())
    added, changed = added_and_changed(present, resolution.packages)
    if changed or not present.keys() <= resolution.packages.keys() or "" in resolution.packages.values():
        return False
    if added:
        yield Step(_STEP, "packages", detail=f"adding {in_words(added)}")
        options = [line for line in resolution.lock.splitlines() if line.startswith("--")]
        pins = [f"{name}=={version}" for name, version in added.items()]
        _install(project, environment, folder, "\n".join([*options, *pins, ""]), {**before, **added})
        if generation_of(running.airflow_version) > 2:
            # Airflow 2 looks at all files each second here.
            with suppress(CommandFailedError, StartFailedError):
                yield from call_in(running, _PARSE_AGAIN, {}, "core", lambda _: Step(_STEP, "packages"))
    # Of the environment that has them, the next start knows nothing yet.
    background_build(project).start()
    yield Step(_STEP, "packages", "done", in_words(added), time.monotonic() - begun)
    return True


def _install(
    project: Project, environment: LocalEnvironment, folder: Path, requirements: str, packages: Mapping[str, str]
) -> None:
    """Install what is new beside what was added before, look whether it is of use, and put it into its place."""
    made = folder.with_name(secrets.token_hex(4))
    argv = ["pip", "install", "--quiet", "--no-deps", "--compile-bytecode", "--requirements", "-"]
    argv += ["--target", os.fspath(made), "--python", os.fspath(environment.python)]
    try:
        shutil.copytree(folder, made, symlinks=True, copy_function=os.link)
        uv.call(argv, cwd=project.root, text=requirements, extra=settings_for_uv(project))
        _require_usable(made, packages, project.requested(), environment)
        _switch(folder, made)
    except OSError as problem:
        msg = f"The packages cannot be written to {folder.parent}: {problem.strerror}."
        raise FileAccessError(msg, hint="Check the disk and its free space.") from problem
    finally:
        if folder.readlink().name != made.name:
            shutil.rmtree(made, ignore_errors=True)


def _require_usable(
    made: Path, packages: Mapping[str, str], requested: Collection[str], environment: LocalEnvironment
) -> None:
    """Raise an error where what was installed is not whole, or is of no use without a restart."""
    for name, fault in find_broken_in(made, packages).items():
        raise RestartNeededError(f"{name} cannot be added while Airflow runs: it {fault}.")
    for info in made.glob("*.dist-info"):
        name = str(canonicalize_name(info.name.removesuffix(".dist-info").rpartition("-")[0]))
        entries = info / "entry_points.txt"
        asked = _ASKED_AT_START.search(entries.read_text(encoding="utf-8")) if entries.exists() else None
        if asked:
            what = "a provider" if asked["group"] == "apache_airflow_provider" else "a plugin"
            raise RestartNeededError(f"{name} is {what}, which Airflow looks for when it starts.")
    for file in made.glob("*.pth"):
        raise RestartNeededError(f"{file.name} of the new packages is read only when Python starts.")
    failed = try_imports(
        environment.folder,
        airflow=environment.airflow_version,
        requested=[name for name in packages if name in requested],
        also=made,
    )
    for sentence in failed:
        raise RestartNeededError(f"While Airflow runs, {sentence}")


def _switch(folder: Path, made: Path) -> None:
    """Let the folder that Airflow looks in be another one, by one rename; what it was before is removed."""
    # A process that has listed the folder compares its time, which may be as coarse as the clock's tick.
    now = time.time_ns()
    os.utime(made, ns=(now, now))
    before = folder.with_name(folder.readlink().name)
    link = folder.with_name(f"{made.name}.link")
    link.symlink_to(made.name)
    os.replace(link, folder)
    shutil.rmtree(before, ignore_errors=True)
