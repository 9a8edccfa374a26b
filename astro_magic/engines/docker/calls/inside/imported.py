"""Import what calls need of Airflow, and notice when that is out of date."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
import sysconfig
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from astro_magic.engines.inside import loading
else:
    from . import loading

__all__ = ["Imported", "load", "renew_database", "stamp"]

_STANDARD = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}


_STAGES = {"core": loading.load_parsing, "execution": loading.load_test_run}


def load(stage: str, loaded: set[str]) -> None:
    """Import what a stage needs and is not there yet; no connection stays open, and no page is written for counting."""
    for name, import_stage in _STAGES.items():
        if name not in loaded:
            import_stage()
            loaded.add(name)
            renew_database()
        if name == stage:
            break
    gc.collect()
    gc.freeze()


def renew_database() -> None:
    """Use the database that the environment names from now on; nothing is connected."""
    from airflow import settings

    settings.dispose_orm()
    settings.configure_vars()
    settings.configure_orm()


class Imported:
    """What the imported code depends on, as it was when it was imported."""

    def __init__(self) -> None:
        self.folders = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        self.times = self._times()
        self.packages = self._packages()
        self.sources: dict[str, tuple[int, int]] = {}

    def note_sources(self) -> None:
        """Note what is no package: modules of the project, such as its plugins, and Airflow's configuration."""
        fixed = tuple(path + os.sep for path in (*_STANDARD, *self.folders))
        paths = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
        paths.append(os.path.join(os.environ.get("AIRFLOW_HOME", os.path.expanduser("~/airflow")), "airflow.cfg"))
        for path in paths:
            if path and not path.startswith(fixed) and path not in self.sources:
                self.sources[path] = stamp(path)

    def is_outdated(self) -> bool:
        """Whether a package was changed or removed, or came with something that is only read at the start."""
        if any(stamp(path) != noted for path, noted in self.sources.items()):
            return True
        times = self._times()
        if times == self.times:
            return False
        packages = self._packages()
        if self.packages - packages or any(_counts(path) for path in packages - self.packages):
            return True
        # Packages that were only added are found by those who look for them.
        self.times, self.packages = times, packages
        importlib.invalidate_caches()
        return False

    def _times(self) -> list[tuple[int, int]]:
        return [stamp(folder) for folder in self.folders]

    def _packages(self) -> set[str]:
        found = set()
        for folder in self.folders:
            with contextlib.suppress(OSError):
                for name in os.listdir(folder):
                    if name.endswith((".dist-info", ".egg-info", ".pth", ".egg-link")):
                        found.add(os.path.join(folder, name))
        return found


def _counts(path: str) -> bool:
    """Whether something new among the packages has a part in starting Python or Airflow."""
    if path.endswith((".pth", ".egg-link")):
        return True
    try:
        with open(os.path.join(path, "entry_points.txt"), encoding="utf-8") as file:
            return "airflow" in file.read()
    except OSError:
        return False


def stamp(path: str) -> tuple[int, int]:
    """Give what changes when a file or folder does, or is replaced; zeros when it is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_ino)
