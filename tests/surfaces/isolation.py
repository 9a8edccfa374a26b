"""Settings and kernels of their own for the Jupyter programs that tests start."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

__all__ = ["KERNEL", "isolated_environment"]

KERNEL = "python3"


def isolated_environment(folder: Path) -> dict[str, str]:
    """Give an environment in which Jupyter and IPython know nothing of this machine's user.

    The home folder stays what it is, so that caches of downloads are shared.

    Parameters
    ----------
    folder : Path
        Holds settings, data and the one kernel, which is the Python that runs the tests.
    """
    kernel = folder / "jupyter" / "kernels" / KERNEL
    kernel.mkdir(parents=True, exist_ok=True)
    specification = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python 3",
        "language": "python",
    }
    (kernel / "kernel.json").write_text(json.dumps(specification), encoding="utf-8")
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "JPY_", "IPYTHON"))
    }
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    return inherited | {
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_PATH": str(folder / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        # Colours, and a width of lines that does not depend on who looks on.
        "COLUMNS": "120",
        "NO_COLOR": "1",
        "TERM": "dumb",
    }
