from __future__ import annotations

import os
import subprocess

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    """A home folder, and no agent, proxy or certificates of whoever runs the tests."""
    folder = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("SSH_", "SSL_CERT")) or "PROXY" in name.upper():
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    return folder


@pytest.fixture
def make_key(tmp_path):
    """Make a key with ssh-keygen, without a passphrase."""

    def make(name="key", *options, passphrase=""):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = () if "-t" in options else ("-t", "ed25519")
        subprocess.run(["ssh-keygen", "-q", *kind, "-N", passphrase, *options, "-f", path], check=True)
        return path

    return make


@pytest.fixture
def fake_tool(tmp_path, monkeypatch):
    """Put a program in front of the others that says what it is told to and keeps what it was called with."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def fake(name, *, output="", errors="", code=0):
        (folder / f"{name}.out").write_text(output)
        (folder / f"{name}.err").write_text(errors)
        tool = folder / name
        tool.write_text(
            f'#!/bin/sh\nprintf "%s\\n" "$@" > "$0.arguments"; env > "$0.environment"\n'
            f'cat "$0.out"; cat "$0.err" >&2; exit {code}\n'
        )
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        return tool

    return fake
