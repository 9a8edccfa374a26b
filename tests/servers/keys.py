"""Keys for SSH, and an agent that holds those with a passphrase."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.processes import end

__all__ = ["Key", "make_key", "ssh_agent"]

_START_SECONDS = 10
_ASKPASS = """#!/bin/sh
printf '%s\\n' "$KEY_PASSPHRASE"
"""


@dataclass(frozen=True)
class Key:
    """A key pair.

    Attributes
    ----------
    path : Path
        The private key; the public one lies beside it.
    passphrase : str
        What the private key is encrypted with; empty for one that is not.
    """

    path: Path
    passphrase: str = ""

    @property
    def name(self) -> str:
        """What the key is called."""
        return self.path.name

    @property
    def public(self) -> str:
        """The public key: its type and its content."""
        return " ".join(self.path.with_suffix(".pub").read_text().split()[:2])


def make_key(folder: Path, name: str, passphrase: str = "") -> Key:
    """Make an ed25519 key."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-a", "1", "-N", passphrase, "-C", f"{name}@acme.test"]
    subprocess.run([*command, "-f", str(folder / name)], stdin=subprocess.DEVNULL, check=True)
    return Key(folder / name, passphrase)


@contextlib.contextmanager
def ssh_agent(*keys: Key) -> Iterator[str]:
    """Run an agent that holds keys; give its socket, which is for ``SSH_AUTH_SOCK``."""
    # A socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="agent-") as name, contextlib.ExitStack() as ending:
        folder = Path(name)
        socket, log = folder / "socket", folder / "log"
        # It runs with another group, and so the kernel forgets whom it was to end with. But it ends with the command
        # that it is given, and that one with its input, which only this process can write to.
        command = ["ssh-agent", "-a", str(socket), "cat"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        ending.enter_context(process)
        ending.callback(end, process)
        deadline = time.monotonic() + _START_SECONDS
        while not socket.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"ssh-agent did not start: {log.read_text(errors='replace')}")
            time.sleep(0.01)
        askpass = folder / "askpass"
        askpass.write_text(_ASKPASS)
        askpass.chmod(0o700)
        told = {"SSH_AUTH_SOCK": str(socket), "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"}
        for key in keys:
            subprocess.run(
                ["ssh-add", "-q", str(key.path)],
                env=os.environ | told | {"KEY_PASSPHRASE": key.passphrase},
                stdin=subprocess.DEVNULL,
                check=True,
            )
        yield str(socket)
