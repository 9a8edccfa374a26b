"""What of a project's own code this process has imported, and whether the files still say the same.

A fork has what its parent imported. Airflow imports plugins and local settings early, so a process that did so before
they were changed gives its components the old ones.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Sources"]

_Stamp = tuple[int, int] | None

_SUFFIXES = (".py", ".zip", ".airflowignore")
#: Some versions write these while they are imported, where there are none.
_WRITTEN_BY_AIRFLOW = ("airflow.cfg", "webserver_config.py")


class Sources:
    """The files that were there when the imports began, and those that were imported.

    Parameters
    ----------
    project : Path
        The project's folder.
    """

    def __init__(self, project: Path) -> None:
        self._project = project
        self._home = Path(os.environ["AIRFLOW_HOME"])
        self._plugins = Path(os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"])
        self._begun = time.time()
        self._early = {path: _stamp(path) for path in self._looked_for()}
        self._imported: dict[Path, _Stamp] = {}

    def note(self) -> None:
        """Note the files of the project that have been imported by now."""
        packages = Path(sys.prefix)
        for name in _WRITTEN_BY_AIRFLOW:
            self._imported.setdefault(self._home / name, _stamp(self._home / name))
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if not isinstance(file, str) or not file.startswith(f"{self._project}{os.sep}"):
                continue
            path = Path(file)
            if path not in self._imported and packages not in path.parents:
                stamp = _stamp(path)
                # One that was written meanwhile may have been imported as it was before.
                late = stamp is not None and stamp[0] >= self._begun * 1e9
                self._imported[path] = (0, 0) if late else stamp

    def changed(self) -> bool:
        """Whether something that was imported would be imported otherwise now."""
        if {path: _stamp(path) for path in self._looked_for()} != self._early:
            return True
        return any(_stamp(path) != stamp for path, stamp in self._imported.items())

    def _looked_for(self) -> Iterator[Path]:
        """Give the files that Airflow looks for by itself, in places where new ones count as well."""
        yield self._project / "airflow_local_settings.py"
        for folder in (self._plugins, self._home / "config"):
            for place, _, names in os.walk(folder, followlinks=True):
                yield from (Path(place, name) for name in names if name.endswith(_SUFFIXES))


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
