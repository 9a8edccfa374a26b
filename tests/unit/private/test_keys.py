from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from astro_magic.errors import CommandFailedError, FileAccessError, InvalidContentError
from astro_magic.private.keys import SshKey, agent_keys, default_key, read_key

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes and agents are others there")


def fingerprint(path):
    shown = subprocess.run(["ssh-keygen", "-l", "-E", "sha256", "-f", path], capture_output=True, text=True, check=True)
    return shown.stdout.split()[1]


def write(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    path.chmod(0o600)
    return path


def refused(path, reason):
    """Read a key that is refused; none of its lines may be told."""
    with pytest.raises((InvalidContentError, FileAccessError), match=reason) as caught:
        read_key(path)
    assert caught.value.hint
    if path.is_file():
        lines = [line for line in path.read_text(errors="replace").splitlines() if len(line) > 40 and line.isalnum()]
        assert not any(line in str(caught.value) for line in lines)
    return caught.value


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (("-t", "ed25519"), "ssh-ed25519"),
        (("-t", "rsa", "-b", "2048"), "ssh-rsa"),
        (("-t", "rsa", "-b", "2048", "-m", "PEM"), "ssh-rsa"),
        (("-t", "ecdsa"), "ecdsa-sha2-nistp256"),
        (("-t", "ecdsa", "-b", "521", "-m", "PEM"), "ecdsa-sha2-nistp521"),
        (("-t", "ecdsa", "-b", "384", "-m", "PKCS8"), "ecdsa-sha2-nistp384"),
    ],
)
def test_a_key_in_each_form_that_ssh_has(make_key, options, kind):
    path = make_key("key", *options)
    assert read_key(path) == SshKey(path, kind, fingerprint(path))


def test_a_key_below_the_home_folder(make_key, home):
    path = make_key("key")
    path.rename(home / "key")
    assert read_key(type(path)("~/key")).path == home / "key"


@pytest.mark.parametrize("options", [(), ("-t", "rsa", "-m", "PEM"), ("-t", "ecdsa", "-m", "PKCS8")])
def test_a_passphrase_cannot_be_asked_for(make_key, options):
    path = make_key("my key", *options, passphrase="hunter22")
    problem = refused(path, "protected by a passphrase")
    assert f"ssh-add '{path}'; then use --agent" in problem.hint


def test_a_public_key_is_no_key(make_key, tmp_path):
    path = make_key("key")
    assert str(path) in refused(path.with_suffix(".pub"), "a public key").hint.split()
    other = write(tmp_path / "other", path.with_suffix(".pub").read_bytes())
    refused(other, "a public key")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "no private key"),
        ("hello\n", "no private key"),
        (b"\xff\x00\xfe", "no private key"),
        ("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", "PuTTY"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no private key"),
        ("-----BEGIN PRIVATE KEY-----\nbm8ga2V5IGF0IGFsbA==\n-----END PRIVATE KEY-----\n", "damaged"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "damaged"),
        ("x" * 200_000, "too long"),
    ],
)
def test_what_is_no_key(tmp_path, data, reason):
    refused(write(tmp_path / "key", data), reason)


def test_the_form_of_putty_is_converted_to_another_file(tmp_path):
    problem = refused(write(tmp_path / "key.ppk", "PuTTY-User-Key-File-2: ssh-rsa\n"), "PuTTY")
    assert f"puttygen {tmp_path}/key.ppk -O private-openssh -o {tmp_path}/key_openssh" in problem.hint


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.rstrip(b"\n"),
        lambda data: b"\n" + data,
        lambda data: b"# mine\n" + data,
        lambda data: data[: len(data) // 2],
        lambda data: b"\n".join(b"  " + line for line in data.splitlines()),
    ],
    ids=["CRLF", "no last line feed", "blank line", "comment", "cut", "indented"],
)
def test_what_was_damaged_by_copying_is_refused_as_ssh_refuses_it(make_key, tmp_path, damage):
    path = write(tmp_path / "copy", damage(make_key("key").read_bytes()))
    judged = subprocess.run(["ssh-keygen", "-y", "-P", "", "-f", path], capture_output=True, check=False)
    assert judged.returncode != 0
    refused(path, "ssh cannot read")


def test_kinds_that_ssh_cannot_use(tmp_path):
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    edwards = ed25519.Ed25519PrivateKey.generate().private_bytes(*form)
    refused(write(tmp_path / "edwards", edwards), r"OpenSSH 9\.6")
    curve = ec.generate_private_key(ec.SECP256K1()).private_bytes(*form)
    refused(write(tmp_path / "curve", curve), "curve")


def test_a_key_that_others_may_read(make_key):
    path = make_key("my key")
    path.chmod(0o640)
    problem = refused(path, "Others may read .* 0640")
    assert problem.hint == f"chmod 600 '{path}'"


def test_what_is_no_file(tmp_path):
    refused(tmp_path / "none", "does not exist")
    refused(tmp_path, "a folder")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "no file")


def test_the_default_key_is_the_first_that_is_there(home, make_key):
    assert default_key() is None
    (home / ".ssh").mkdir()
    assert default_key() is None
    for name in ("id_rsa", "id_ecdsa", "id_ed25519"):
        (home / ".ssh" / name).touch()
        assert default_key() == home / ".ssh" / name
    assert default_key(home / "other") is None


@pytest.fixture
def agent(tmp_path, monkeypatch):
    socket = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE, start_new_session=True)
    try:
        process.stdout.readline()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=10)


def test_the_keys_of_an_agent(agent, make_key):
    with pytest.raises(CommandFailedError, match="has no keys") as caught:
        agent_keys()
    assert "ssh-add" in caught.value.hint
    keys = [make_key("one"), make_key("two words", "-t", "ecdsa", "-C", "a comment (x)")]
    for key in keys:
        subprocess.run(["ssh-add", "-q", key], check=True)
    assert agent_keys() == tuple(fingerprint(key) for key in keys)


def test_no_agent(tmp_path, monkeypatch):
    with pytest.raises(CommandFailedError, match="SSH_AUTH_SOCK is not set") as caught:
        agent_keys()
    assert "ssh-agent" in caught.value.hint
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    with pytest.raises(CommandFailedError, match="does not answer"):
        agent_keys()


def test_without_openssh(monkeypatch, tmp_path):
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CommandFailedError, match="ssh-add is not installed") as caught:
        agent_keys()
    assert "openssh-client" in caught.value.hint
