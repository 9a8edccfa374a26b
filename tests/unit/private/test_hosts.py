from __future__ import annotations

import socket
import subprocess
import threading

import pytest

from astro_magic.errors import CommandFailedError, InvalidContentError, NetworkError
from astro_magic.private.hosts import (
    PUBLISHED,
    HostKey,
    HostKeyChoice,
    choose,
    published,
    read_known_hosts,
    scan,
    trusted_by_user,
)

GITHUB = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
GITLAB = "AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf"
GITHUB_SHOWN = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"
GITLAB_SHOWN = "SHA256:eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8"


@pytest.fixture
def known_hosts(home):
    def write(*lines):
        (home / ".ssh").mkdir(exist_ok=True)
        (home / ".ssh" / "known_hosts").write_text("".join(f"{line}\n" for line in lines))
        return home / ".ssh" / "known_hosts"

    return write


@pytest.mark.parametrize("entry", PUBLISHED, ids=lambda entry: f"{entry.host}-{entry.kind}")
def test_a_published_key_has_the_published_fingerprint(entry, tmp_path):
    assert HostKey(entry.host, entry.port, entry.kind, entry.key).fingerprint == entry.fingerprint
    (tmp_path / "key.pub").write_text(f"{entry.kind} {entry.key}\n")
    shown = subprocess.run(["ssh-keygen", "-lf", tmp_path / "key.pub"], capture_output=True, text=True, check=True)
    assert shown.stdout.split()[1] == entry.fingerprint
    assert entry.source.startswith("https://")


def test_published_keys_are_found_by_host_and_port():
    assert [key.kind for key in published("GitHub.com")] == ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"]
    assert published("github.com", 22)[0].line == f"github.com ssh-ed25519 {GITHUB}"
    assert published("ssh.github.com", 443)[0].line == f"[ssh.github.com]:443 ssh-ed25519 {GITHUB}"
    assert published("github.com", 443) == ()
    assert published("git.example.com") == ()
    assert {entry.host for entry in PUBLISHED} >= {"github.com", "gitlab.com", "bitbucket.org"}


def test_a_known_hosts_file_is_read():
    text = f"""\
# a comment ssh-ed25519 {GITLAB}

one.example,[two.example]:2222 ssh-ed25519 {GITHUB} and a comment
[2001:db8::1]:22,::1 ssh-ed25519 {GITHUB}
|1|GHBCONB14Atr671xuXZPzfCI+ow=|CROx+l1I0R1eyNpiW2ycxYQGOs0= ssh-ed25519 {GITHUB}
*.example,!three.example ssh-ed25519 {GITHUB}
@revoked one.example ssh-ed25519 {GITLAB}
@cert-authority one.example ssh-ed25519 {GITLAB}
one.example ssh-ed25519
one.example ssh-ed25519 AAAA=AAA
"""
    assert [(key.host, key.port) for key in read_known_hosts(text)] == [
        ("one.example", 22),
        ("two.example", 2222),
        ("2001:db8::1", 22),
        ("::1", 22),
    ]
    assert {key.key for key in read_known_hosts(text)} == {GITHUB}
    keys = read_known_hosts(text)
    assert read_known_hosts("\n".join(key.line for key in keys)) == keys


def test_what_the_user_trusts(known_hosts):
    assert trusted_by_user("one.example") == ()
    file = known_hosts(
        f"one.example ssh-ed25519 {GITHUB}",
        f"[one.example]:2222 ssh-ed25519 {GITLAB}",
        f"*.company.example ssh-ed25519 {GITLAB}",
        f"bad.example ssh-ed25519 {GITHUB}",
        f"@revoked bad.example ssh-ed25519 {GITHUB}",
        f"@cert-authority signed.example ssh-ed25519 {GITHUB}",
    )
    for _ in ("plain", "hashed"):
        assert trusted_by_user("one.example") == (HostKey("one.example", 22, "ssh-ed25519", GITHUB),)
        assert trusted_by_user("one.example", 2222) == (HostKey("one.example", 2222, "ssh-ed25519", GITLAB),)
        assert trusted_by_user("two.example") == ()
        assert trusted_by_user("bad.example") == ()
        assert trusted_by_user("signed.example") == ()
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
    assert "one.example" not in file.read_text()
    assert trusted_by_user("git.company.example")[0].key == GITLAB
    assert trusted_by_user("-oProxyCommand=x") == ()


def test_a_scan_gives_what_the_server_says(fake_tool):
    words = "# git.example:2222 SSH-2.0-OpenSSH_9.2p1\n[git.example]:2222 ssh-rsa AAAAB3NzaC1yc2E=\n"
    tool = fake_tool("ssh-keyscan", output=f"{words}[git.example]:2222 ssh-ed25519 {GITHUB}\n")
    found = scan("git.example", 2222, timeout=3)
    assert found == (
        HostKey("git.example", 2222, "ssh-ed25519", GITHUB),
        HostKey("git.example", 2222, "ssh-rsa", "AAAAB3NzaC1yc2E="),
    )
    called = tool.with_suffix(".arguments").read_text().split()
    assert called == ["-T", "3", "-p", "2222", "-t", "ed25519,ecdsa,rsa", "--", "git.example"]


def hang_up(listening, times):
    for _ in range(times):
        listening.accept()[0].close()


def test_a_scan_of_no_ssh_server():
    with pytest.raises(NetworkError, match=r"No server is known by the name nosuch\.invalid") as caught:
        scan("nosuch.invalid", timeout=1)
    assert caught.value.hint
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        with pytest.raises(NetworkError, match=rf"\[127\.0\.0\.1\]:{port} refuses connections"):
            scan("127.0.0.1", port, timeout=1)
        listening.listen()
        threading.Thread(target=hang_up, args=(listening, 4), daemon=True).start()
        with pytest.raises(NetworkError, match="answers, but not as an SSH server"):
            scan("127.0.0.1", port, timeout=1)
    with pytest.raises(InvalidContentError, match="no host"):
        scan("-oProxyCommand=x")


def test_without_openssh(monkeypatch, known_hosts):
    known_hosts("x")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CommandFailedError, match="ssh-keyscan is not installed") as caught:
        scan("git.example")
    assert "openssh-client" in caught.value.hint
    with pytest.raises(CommandFailedError, match="ssh-keygen is not installed"):
        trusted_by_user("git.example")


def test_auto_prefers_what_others_vouch_for(fake_tool, known_hosts):
    tool = fake_tool("ssh-keyscan", output=f"git.example ssh-ed25519 {GITLAB}\n")
    assert choose("github.com", None, wanted="auto") == HostKeyChoice(published("github.com"), "published")
    known = HostKey("git.example", 22, "ssh-ed25519", GITHUB)
    known_hosts(known.line)
    assert choose("git.example", None, wanted="auto") == HostKeyChoice((known,), "known")
    assert not tool.with_suffix(".arguments").exists()
    known_hosts()
    scanned = HostKey("git.example", 22, "ssh-ed25519", GITLAB)
    assert choose("git.example", 22, wanted="auto") == HostKeyChoice((scanned,), "scanned")


def test_a_fingerprint_is_compared_with_the_server(fake_tool):
    fake_tool("ssh-keyscan", output=f"x ssh-ed25519 {GITLAB}\nx ssh-ed25519 {GITHUB}\n")
    assert choose("git.example", None, wanted=GITHUB_SHOWN + "=").keys[0].key == GITHUB
    assert choose("git.example", None, wanted=GITHUB_SHOWN) == HostKeyChoice(
        (HostKey("git.example", 22, "ssh-ed25519", GITHUB),), "given"
    )
    assert choose("github.com", None, wanted=GITHUB_SHOWN).source == "given"
    with pytest.raises(NetworkError) as caught:
        choose("github.com", None, wanted=GITLAB_SHOWN)
    assert GITHUB_SHOWN in caught.value.message
    assert GITLAB_SHOWN in caught.value.message


@pytest.mark.parametrize("wanted", ["", "no", "16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48", "SHA256:abc", "AUTO"])
def test_what_is_no_fingerprint(wanted):
    with pytest.raises(InvalidContentError, match="no fingerprint") as caught:
        choose("github.com", None, wanted=wanted)
    assert "SHA256:" in caught.value.hint
