from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys

import pytest

from astro_magic.errors import CommandFailedError, InvalidContentError, NetworkError
from astro_magic.private.hosts import HostKey
from astro_magic.private.repositories import check_access, ssh_command
from astro_magic.project.recipes.repository import Repository, parse_repository

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are shell scripts")

GITHUB = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
GITLAB = "AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf"
GITHUB_SHOWN = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"
GITLAB_SHOWN = "SHA256:eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8"
END = (
    "fatal: Could not read from remote repository.\n\n"
    "Please make sure you have the correct access rights\nand the repository exists.\n"
)


@pytest.fixture
def known_hosts(tmp_path):
    path = tmp_path / "known hosts"
    path.write_text(HostKey("git.example", 22, "ssh-ed25519", GITHUB).line + "\n")
    return path


@pytest.fixture
def run_git():
    def run(folder, *arguments):
        identity = {f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        command = ["git", *arguments]
        done = subprocess.run(
            command, cwd=folder, env=os.environ | identity, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    return run


@pytest.fixture
def repository(tmp_path, fake_tool, run_git):
    """A repository that a stand-in for ssh reaches: it runs here what ssh is to run there."""
    folder = tmp_path / "repo.git"
    folder.mkdir()
    run_git(folder, "init", "--quiet", "--initial-branch=main")
    for name, tag in (("one", "v1"), ("two", "v2"), ("three", None)):
        run_git(folder, "commit", "--quiet", "--allow-empty", "-m", name)
        if tag:
            run_git(folder, "tag", tag)
    run_git(folder, "tag", "-a", "noted", "-m", "noted", "v1")
    run_git(folder, "branch", "feature/v1", "v2")
    run_git(folder, "branch", "both", "v1")
    run_git(folder, "tag", "both", "v2")
    tool = fake_tool("ssh")
    tool.write_text(tool.read_text().replace("exit 0", 'for last; do :; done; eval "$last"'))
    return Repository("git.example", str(folder).strip("/"))


def test_the_command_uses_one_key_and_asks_nobody(tmp_path, known_hosts):
    key = tmp_path / "my key"
    command = shlex.split(ssh_command(known_hosts, key=key))
    assert command[:3] == ["ssh", "-F", "none"]
    options = command[4::2]
    assert set(command[3::2]) == {"-o"}
    assert f'IdentityFile="{key}"' in options
    assert {"BatchMode=yes", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "IdentityAgent=none"} < set(options)
    assert "GlobalKnownHostsFile=/dev/null" in options
    assert any(option.startswith("ConnectTimeout=") for option in options)


def settings(command):
    done = subprocess.run([*shlex.split(command), "-G", "git.example"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", ["key", "my key", 'my "key"', "my 'key'", "100%d", "a\\b", "$HOME"])
def test_ssh_understands_the_paths(tmp_path, name):
    found = settings(ssh_command(tmp_path / name, key=tmp_path / name))
    assert f"userknownhostsfile {tmp_path / name}" in found
    # What will be expanded is shown before that.
    assert [line for line in found if line.startswith("identityfile")] == [
        f"identityfile {tmp_path / name}".replace("%", "%%")
    ]


def test_the_agent_is_used_without_the_keys_of_the_folder(known_hosts, home):
    (home / ".ssh").mkdir()
    (home / ".ssh" / "id_ed25519").touch()
    found = settings(ssh_command(known_hosts, key=None))
    assert "identityfile none" in found
    assert not any(line.startswith("identityagent") for line in found)


def test_a_configuration_can_be_given(known_hosts, tmp_path):
    (tmp_path / "config").write_text("Host git.example\n    Port 2222\n")
    assert "port 2222" in settings(ssh_command(known_hosts, key=None, config=tmp_path / "config"))


def test_relative_paths_are_those_of_the_caller(known_hosts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = type(tmp_path)("key")
    assert ssh_command(known_hosts, key=name) == ssh_command(known_hosts, key=tmp_path / "key")


@pytest.mark.parametrize(
    ("reference", "commit"),
    [
        ("", "main"),
        ("main", "main"),
        ("v1", "v1"),
        ("noted", "v1"),
        ("feature/v1", "v2"),
        ("both", "v1"),
        ("refs/tags/v2", "v2"),
        ("refs/heads/main", "main"),
    ],
)
def test_the_commit_of_a_reference(repository, known_hosts, run_git, tmp_path, reference, commit):
    asked = Repository(repository.host, repository.path, reference=reference)
    found = check_access(asked, known_hosts=known_hosts, key=tmp_path / "key")
    assert found == run_git(f"/{repository.path}", "rev-parse", f"{commit}^{{commit}}")


def test_a_commit_is_believed(repository, known_hosts):
    asked = Repository(repository.host, repository.path, reference="0123456789abcdef0123456789abcdef01234567")
    assert check_access(asked, known_hosts=known_hosts, key=None) == asked.reference


@pytest.mark.parametrize("reference", ["nothing", "v", "heads/main", "feature", "v*"])
def test_a_missing_reference_is_named(repository, known_hosts, reference):
    asked = Repository(repository.host, repository.path, reference=reference)
    with pytest.raises(InvalidContentError) as caught:
        check_access(asked, known_hosts=known_hosts, key=None)
    assert caught.value.message == f"git.example/{repository.path} has no branch and no tag {reference!r}."


def test_an_empty_repository(repository, known_hosts, tmp_path, run_git):
    run_git(tmp_path, "init", "--quiet", "--bare", "empty.git")
    asked = Repository(repository.host, f"{tmp_path}/empty.git".strip("/"))
    with pytest.raises(InvalidContentError, match="is empty"):
        check_access(asked, known_hosts=known_hosts, key=None)


def test_no_repository_in_that_place(repository, known_hosts, tmp_path):
    asked = Repository(repository.host, f"{tmp_path}/nothing.git".strip("/"))
    with pytest.raises(NetworkError, match="no git repository at git") as caught:
        check_access(asked, known_hosts=known_hosts, key=None)
    assert "/~/" in caught.value.hint


def test_nothing_of_the_users_configuration_counts(repository, known_hosts, home, fake_tool, tmp_path):
    """Addresses may be rewritten by it, and ssh replaced; a build has none of that."""
    (home / ".gitconfig").write_text(
        f'[url "file://{tmp_path}/nothing"]\n    insteadOf = ssh://git@git.example/\n[core]\n    sshCommand = false\n'
    )
    assert check_access(repository, known_hosts=known_hosts, key=tmp_path / "key")
    called = (tmp_path / "bin" / "ssh.arguments").read_text()
    assert str(tmp_path / "key") in called
    assert "git@git.example" in called.splitlines()
    environment = (tmp_path / "bin" / "ssh.environment").read_text()
    assert "GIT_ALLOW_PROTOCOL=ssh\n" in environment


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        (
            "ssh: Could not resolve hostname git.example: Name or service not known",
            "No server is known by the name git.example.",
            "alias",
        ),
        ("ssh: connect to host git.example port 22: Connection refused", "git.example refuses connections.", "port"),
        ("ssh: connect to host git.example port 22: Connection timed out", "git.example cannot be reached.", "network"),
        ("ssh: connect to host git.example port 22: No route to host", "git.example cannot be reached.", "network"),
        (
            "kex_exchange_identification: Connection closed by remote host\nConnection closed by 10.0.0.1 port 22",
            "git.example answers, but not as an SSH server does.",
            "port",
        ),
        (
            "git@git.example: Permission denied (publickey).",
            "git.example refuses the key /keys/mine as a login of git.",
            "deploy key",
        ),
        (
            "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures",
            "git.example refuses the key /keys/mine as a login of git.",
            "another key",
        ),
        (
            "remote: Public key authentication failed.",
            "git.example refuses the key /keys/mine as a login of git.",
            "account",
        ),
        (
            "ERROR: Repository not found.",
            "git.example/org/repo.git does not exist, or the key /keys/mine may not read it.",
            "account",
        ),
        (
            "ERROR: The project you were looking for could not be found or you don't have permission to view it.",
            "git.example/org/repo.git does not exist, or the key /keys/mine may not read it.",
            "account",
        ),
        (
            "repository access denied. access via a deployment key is read-only.",
            "git.example/org/repo.git does not exist, or the key /keys/mine may not read it.",
            "account",
        ),
        (
            "fatal: '/org/repo.git' does not appear to be a git repository",
            "There is no git repository at git.example/org/repo.git.",
            "path",
        ),
        ("something else", "git.example/org/repo.git could not be read.", "address"),
    ],
)
def test_what_others_say_becomes_a_sentence(fake_tool, known_hosts, said, message, hint):
    fake_tool("ssh", errors=f"{said}\n", code=255)
    asked = parse_repository("git@git.example:org/repo.git@v1")
    with pytest.raises(NetworkError) as caught:
        check_access(asked, known_hosts=known_hosts, key=type(known_hosts)("/keys/mine"))
    assert caught.value.message == message
    assert hint in caught.value.hint
    assert said.splitlines()[0] in caught.value.detail


def test_single_sign_on_names_the_page(fake_tool, known_hosts):
    page = "https://github.com/orgs/acme/sso?authorization_request=A2B"
    said = (
        "ERROR: The 'acme' organization has enabled or enforced SAML SSO.\nTo access this repository, you must use "
        f"SSH with an SSH key that has been authorized for this organization.\nVisit {page}.\n\n"
    )
    fake_tool("git", errors=said + END, code=128)
    with pytest.raises(NetworkError, match="single sign-on") as caught:
        check_access(Repository("github.com", "acme/repo.git"), known_hosts=known_hosts, key=None)
    assert caught.value.hint.endswith(f": {page}")


CHANGED = f"""\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Someone could be eavesdropping on you right now (man-in-the-middle attack)!
It is also possible that a host key has just been changed.
The fingerprint for the ED25519 key sent by the remote host is
{GITLAB_SHOWN}.
Please contact your system administrator.
Add correct host key in /x/known_hosts to get rid of this message.
Offending ED25519 key in /x/known_hosts:1
Host key for git.example has changed and you have requested strict checking.
Host key verification failed.
"""
UNKNOWN = """\
No ED25519 host key is known for git.example and you have requested strict checking.
Host key verification failed.
"""


def test_a_changed_host_key_is_told_with_the_one_expected(fake_tool, known_hosts):
    fake_tool("ssh", errors=CHANGED, code=255)
    with pytest.raises(NetworkError) as caught:
        check_access(Repository("git.example", "org/repo.git"), known_hosts=known_hosts, key=None)
    assert caught.value.message == (
        f"git.example is to be known by the host key {GITHUB_SHOWN} (ssh-ed25519), but the server has {GITLAB_SHOWN}."
    )


def test_an_unknown_host_key_is_looked_up(fake_tool, known_hosts, tmp_path):
    fake_tool("ssh", errors=UNKNOWN, code=255)
    fake_tool("ssh-keyscan", output=f"git.example ssh-ed25519 {GITLAB}\n")
    with pytest.raises(NetworkError, match="is to be known by") as caught:
        check_access(Repository("git.example", "org/repo.git"), known_hosts=known_hosts, key=None)
    assert GITHUB_SHOWN in caught.value.message
    assert GITLAB_SHOWN in caught.value.message
    with pytest.raises(NetworkError, match="not known") as caught:
        check_access(Repository("git.example", "org/repo.git"), known_hosts=tmp_path / "none", key=None)
    assert GITLAB_SHOWN in caught.value.message
    assert "--host-key" in caught.value.hint


def test_a_server_that_never_answers(fake_tool, known_hosts):
    tool = fake_tool("ssh")
    tool.write_text("#!/bin/sh\nsleep 60\n")
    with pytest.raises(NetworkError, match="did not answer within"):
        check_access(Repository("git.example", "a"), known_hosts=known_hosts, key=None, timeout=0.2)


def test_without_git_or_ssh(known_hosts, tmp_path, monkeypatch):
    asked = Repository("git.example", "org/repo.git")
    folder, git = tmp_path / "path", shutil.which("git")
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(CommandFailedError, match="git is not installed") as caught:
        check_access(asked, known_hosts=known_hosts, key=None)
    assert caught.value.hint
    (folder / "git").symlink_to(git)
    with pytest.raises(CommandFailedError, match="ssh is not installed") as caught:
        check_access(asked, known_hosts=known_hosts, key=None)
    assert "openssh-client" in caught.value.hint
