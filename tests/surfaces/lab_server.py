"""A JupyterLab server with settings of its own."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.surfaces.isolation import isolated_environment

__all__ = ["LabServer", "running_lab"]

START_SECONDS = 60
STOP_SECONDS = 15

#: What makes JupyterLab quiet: no news, no autosave, and every cell in the page, also those out of sight.
SETTINGS: dict[str, dict[str, object]] = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}


@dataclass(frozen=True)
class LabServer:
    """A running JupyterLab.

    Attributes
    ----------
    url : str
        Its address.
    token : str
        What lets a browser in.
    folder : Path
        The folder that it serves.
    log : Path
        What it and its kernels printed.
    """

    url: str
    token: str
    folder: Path
    log: Path


def free_port() -> int:
    """Give a port of this machine that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def write_settings(folder: Path) -> None:
    """Write JupyterLab's user settings into its settings folder."""
    for name, content in SETTINGS.items():
        path = folder / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")


def wait_until_up(server: LabServer, process: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{server.url}/api", timeout=1):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            if process.poll() is not None or time.monotonic() > deadline:
                message = f"JupyterLab did not start:\n{server.log.read_text(encoding='utf-8')[-3000:]}"
                raise RuntimeError(message) from None
            time.sleep(0.1)


def end(process: subprocess.Popen[bytes]) -> None:
    """End the server's process group, and its kernels, which have groups of their own."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    _, alive = psutil.wait_procs(children, timeout=3)
    for child in alive:
        child.kill()


@contextmanager
def running_lab(folder: Path) -> Iterator[LabServer]:
    """Run JupyterLab for as long as the context lasts.

    Parameters
    ----------
    folder : Path
        Holds its settings, data and log; what it serves is the folder ``notebooks`` in it.
    """
    environment = isolated_environment(folder)
    write_settings(Path(environment["JUPYTERLAB_SETTINGS_DIR"]))
    port = free_port()
    server = LabServer(
        url=f"http://127.0.0.1:{port}",
        token=secrets.token_hex(16),
        folder=folder / "notebooks",
        log=folder / "jupyterlab.log",
    )
    server.folder.mkdir()
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={server.folder}",
        "--LabApp.expose_app_in_browser=True",
    ]
    with server.log.open("wb") as log:
        process = subprocess.Popen(
            command,
            # A token on the command line could be read by everyone.
            env=environment | {"JUPYTER_TOKEN": server.token},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_until_up(server, process)
            yield server
        finally:
            end(process)
