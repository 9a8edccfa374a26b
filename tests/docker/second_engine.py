"""A Docker Engine of the tests' own, which may be stopped, killed and made to hang without harm to anybody.

It runs in a network of its own, so that it shares neither addresses nor rules with the machine's engine; what is to
reach the ports that its containers publish goes there, too.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import docker
import psutil
import pytest

from tests.docker.images import AIRFLOW_3, POSTGRES

__all__ = ["SecondEngine", "reason_against", "second_engine"]

_KEY = pytest.StashKey["SecondEngine"]()

_SIZE = "3g"
_LEFT = 2_000_000
_NEW_NETWORK = 0x40000000
_SET_FLAGS, _UP = 0x8914, 0x1


class SecondEngine:
    """An engine with data of its own.

    Parameters
    ----------
    folder : Path
        Where it keeps everything; short, for the sake of its sockets' paths.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "docker.sock"
        self.host = f"unix://{self.socket}"
        self.log = folder / "dockerd.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._network = _new_network()
        self._filler = self.data / "filler"
        self.scratch.mkdir()
        # A file system of its own can be filled without harm to the others.
        self.data.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(self.data)], check=True)

    @property
    def data(self) -> Path:
        """Where images, containers and volumes lie."""
        return self.folder / "data"

    @property
    def scratch(self) -> Path:
        """For temporary files of those who use it."""
        return self.folder / "tmp"

    @property
    def client(self) -> docker.DockerClient:
        """A new client; the caller closes it."""
        return docker.DockerClient(base_url=self.host, timeout=60)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert self._process is None
        command = ["dockerd", "--host", self.host, "--data-root", str(self.data)]
        command += ["--exec-root", str(self.folder / "exec"), "--pidfile", str(self.folder / "docker.pid")]
        # A process id that another process has by now would keep it from starting.
        (self.folder / "docker.pid").unlink(missing_ok=True)
        with self.log.open("ab") as log, self.network():
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 60
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"No second engine: {self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        # The client would leave sockets open that it could not connect.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            try:
                line.connect(str(self.socket))
            except OSError:
                return False
        with contextlib.closing(self.client) as client:
            return bool(client.ping())

    @property
    def running(self) -> bool:
        """Whether it has been started and not been ended."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, and wait for that; by default it ends its containers first."""
        process, self._process = self._process, None
        if process is None:
            return
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        process.wait(60)
        if number == signal.SIGKILL:
            # As a service's manager does, since the next one needs the ports. Containers go on until that one comes.
            for child in children:
                with contextlib.suppress(psutil.Error):
                    child.kill()
            psutil.wait_procs(children, timeout=10)
        self.socket.unlink(missing_ok=True)

    def remove(self) -> None:
        """End it, with all that it has."""
        if self._process is None:
            self.start()
        with contextlib.closing(self.client) as client:
            for container in client.containers.list(all=True):
                with contextlib.suppress(docker.errors.APIError):
                    container.remove(force=True, v=True)
        self.stop()
        subprocess.run(["umount", "--lazy", str(self.data)], check=True)
        os.close(self._network)
        shutil.rmtree(self.folder, ignore_errors=True)

    def load(self, names: Sequence[str]) -> None:
        """Copy images from the machine's engine."""
        with subprocess.Popen(["docker", "save", *names], stdout=subprocess.PIPE) as saving:
            subprocess.run(
                ["docker", "--host", self.host, "load", "--quiet"],
                stdin=saving.stdout,
                stdout=subprocess.DEVNULL,
                check=True,
                timeout=300,
            )
        assert saving.returncode == 0

    @contextlib.contextmanager
    def full_disk(self) -> Iterator[None]:
        """Let there be next to no room left where it keeps everything."""
        about = os.statvfs(self.data)
        with self._filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(about.f_bavail * about.f_frsize - _LEFT, 1))
        try:
            yield
        finally:
            self._filler.unlink()

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Be in its network: this thread, and what it starts meanwhile."""
        libc = ctypes.CDLL(None, use_errno=True)
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            assert libc.setns(self._network, _NEW_NETWORK) == 0, os.strerror(ctypes.get_errno())
            yield
        finally:
            assert libc.setns(here, _NEW_NETWORK) == 0, os.strerror(ctypes.get_errno())
            os.close(here)


def reason_against() -> str | None:
    """Say why no second engine can be run here; None when it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a second Docker Engine needs root on Linux"
    return None if shutil.which("dockerd") else "no dockerd on this machine (on Debian: apt-get install docker.io)"


def second_engine(config: pytest.Config) -> SecondEngine:
    """Give the engine of this run of the tests, running, with the images that an Airflow 3 project needs."""
    engine = config.stash.get(_KEY, None)
    if engine is None:
        engine = SecondEngine(Path(tempfile.mkdtemp(prefix="engine-")))
        config.stash[_KEY] = engine
        config.add_cleanup(engine.remove)
        engine.start()
        engine.load([POSTGRES, AIRFLOW_3])
    if not engine.running:
        engine.start()
    return engine


def _new_network() -> int:
    """Make a network that has nothing but this machine's own address; gives the descriptor that keeps it."""
    made: list[int] = []

    def make() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.unshare(_NEW_NETWORK) == 0, os.strerror(ctypes.get_errno())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            fcntl.ioctl(line, _SET_FLAGS, struct.pack("16sH22x", b"lo", _UP))
        made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))

    # A network is a thread's; so this thread keeps its own.
    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]
