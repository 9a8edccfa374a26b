"""The servers are what the tests of private packages take them for: real ones, which refuse as real ones do."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest
import uv

from tests.servers.git_ssh import SSO_REFUSAL
from tests.servers.index import Request
from tests.servers.keys import ssh_agent
from tests.servers.packages import make_sdist, make_wheel

SETTINGS = ("GIT_", "PIP_", "SSH_", "SSL_", "UV_", "REQUESTS_", "CURL_")

STARTER = """
import pathlib, sys
from tests.servers.index import PrivateIndex
index = PrivateIndex(pathlib.Path(sys.argv[1]), "127.0.0.1")
index.start()
print(index.url, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path):
    """Give what runs a command with no settings of this machine's user."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    own = {"HOME": str(tmp_path), "UV_CACHE_DIR": str(tmp_path / "cache"), "PIP_CONFIG_FILE": os.devnull}

    def run(*command, cwd=tmp_path, **environment):
        return subprocess.run(
            [str(word) for word in command],
            env=inherited | own | environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def install(run, tmp_path):
    """Give what installs into a folder by uv; what it says is given, and what is installed."""

    def install(*words, **environment):
        target = tmp_path / "installed"
        command = [uv.find_uv_bin(), "pip", "install", "--no-config", "--python", sys.executable, "--target", target]
        done = run(*command, *words, **environment)
        return done, sorted(path.stem for path in target.glob("*.py"))

    return install


def ask(url, authority, login=None):
    """Give the status by which a request is answered."""
    trusted = ssl.create_default_context(cafile=authority)
    return httpx.get(url, auth=login, verify=trusted, trust_env=False).status_code


class TestPackages:
    def test_a_wheel_and_an_sdist_are_installed_without_any_index(self, install, tmp_path):
        make_wheel(tmp_path, "acme-base", "1.0")
        sdist = make_sdist(tmp_path, "acme-top", "2.0", requires=["acme-base>=1"])

        done, installed = install("--offline", "--no-index", "--find-links", tmp_path, sdist)

        assert done.returncode == 0, done.stdout
        assert installed == ["acme_base", "acme_top"]


class TestIndex:
    def test_pip_gets_a_package_with_the_login_and_the_authority(self, private_index, authority, run, tmp_path):
        private_index.forget_requests()

        pip = [sys.executable, "-m", "pip", "download", "--no-cache-dir", "--dest", tmp_path / "got"]
        done = run(*pip, "--index-url", private_index.login_url, "shop-reports", PIP_CERT=str(authority.pem))

        assert done.returncode == 0, done.stdout
        got = sorted(path.name for path in (tmp_path / "got").iterdir())
        assert got == ["shop_pricing-1.1.0-py3-none-any.whl", "shop_reports-2.0.0.tar.gz"]
        downloads = [request for request in private_index.requests() if request.path.endswith(".whl")]
        assert downloads
        assert all(request.login and request.status == 200 for request in downloads)

    def test_uv_installs_from_it(self, private_index, authority, install):
        done, installed = install(
            "--default-index", private_index.login_url, "shop-reports", SSL_CERT_FILE=str(authority.pem)
        )

        assert done.returncode == 0, done.stdout
        assert installed == ["shop_pricing", "shop_reports"]

    def test_no_login_is_refused(self, private_index, authority, install):
        private_index.forget_requests()

        done, _ = install("--default-index", private_index.url, "shop-pricing", SSL_CERT_FILE=str(authority.pem))

        assert done.returncode
        assert "401 Unauthorized" in done.stdout
        assert {(request.login, request.status) for request in private_index.requests()} == {(False, 401)}

    def test_a_wrong_login_is_refused_in_one_of_two_ways(self, private_index, authority):
        wrong = (private_index.user, private_index.password[:-1])

        assert ask(private_index.url, authority.pem, wrong) == 403
        with private_index.answering_wrong_logins(401):
            assert ask(private_index.url, authority.pem, wrong) == 401
            assert ask(private_index.url, authority.pem, (private_index.user, private_index.password)) == 200

    def test_what_it_is_asked_is_noted_without_the_login(self, private_index, authority):
        private_index.forget_requests()

        ask(private_index.url, authority.pem, (private_index.user, private_index.password))
        ask(f"{private_index.url}shop-pricing/", authority.pem)

        assert private_index.requests() == [
            Request("GET", "/simple/", login=True, status=200),
            Request("GET", "/simple/shop-pricing/", login=False, status=401),
        ]
        kept = [path for path in private_index.folder.rglob("*") if path.is_file()]
        assert not [path for path in kept if private_index.password.encode() in path.read_bytes()]

    def test_its_certificate_is_good_by_its_authority_alone(self, private_index, authority):
        for trusted in (authority.stranger, authority.no_authority, authority.expired):
            with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
                ask(private_index.url, trusted)
        with pytest.raises(ssl.SSLError):
            ssl.create_default_context(cafile=authority.der)
        assert ask(private_index.url, authority.pem) == 401

    def test_uv_does_not_trust_it_by_itself(self, private_index, install):
        done, _ = install("--default-index", private_index.login_url, "shop-pricing", UV_HTTP_RETRIES="0")

        assert done.returncode
        assert "UnknownIssuer" in done.stdout

    def test_it_shows_another_certificate(self, private_index, authority):
        expired = authority.expired_certificate(private_index.host)
        with private_index.presenting(expired), pytest.raises(httpx.ConnectError, match="certificate has expired"):
            ask(private_index.url, authority.pem)
        other = authority.certificate("elsewhere.test")
        with private_index.presenting(other), pytest.raises(httpx.ConnectError, match="IP address mismatch"):
            ask(private_index.url, authority.pem)
        with private_index.presenting(None):
            assert private_index.url.startswith("http:")
            assert ask(private_index.url, authority.pem) == 401

    def test_it_is_started_again_where_it_was(self, private_index, authority):
        url = private_index.url
        with private_index.stopped(), pytest.raises(httpx.ConnectError, match="refused"):
            ask(url, authority.pem)

        assert ask(url, authority.pem) == 401
        assert private_index.url == url


class TestGit:
    def test_the_right_key_sees_branches_and_tags(self, git_server, run):
        done = run("git", "ls-remote", git_server.url("shop-metrics"), **git_server.environment(git_server.developer))

        assert done.returncode == 0, done.stdout
        names = [line.split()[1] for line in done.stdout.splitlines()]
        assert names == ["HEAD", "refs/heads/develop", "refs/heads/main", "refs/tags/v1.0.0"]
        assert git_server.commands()[-1] == ("developer", "git-upload-pack '/shop-metrics.git'")

    @pytest.mark.parametrize(
        ("repository", "suffix", "module"),
        [
            ("shop-metrics", "@develop", "shop_metrics"),
            ("shop-tools", "@v2.0.0#subdirectory=plugins/labels", "shop_labels"),
        ],
    )
    def test_uv_installs_a_package(self, git_server, install, repository, suffix, module):
        url = f"git+{git_server.url(repository)}{suffix}"

        done, installed = install("--no-index", url, **git_server.environment(git_server.developer))

        assert done.returncode == 0, done.stdout
        assert installed == [module]

    def test_what_is_no_package_is_not_installed(self, git_server, install):
        url = f"git+{git_server.url('shop-notes')}@v1.0.0"

        done, _ = install("--no-index", url, **git_server.environment(git_server.developer))

        assert done.returncode
        assert "does not appear to be a Python project" in done.stdout

    def test_a_branch_moves(self, git_server, run):
        git_server.make_repository("moving", {"a.txt": "1"}, branches={"next": {"b.txt": "2"}})
        first = git_server.commit("moving", {"b.txt": "3"}, branch="next")
        second = git_server.commit("moving", {"b.txt": "4"}, branch="next", tags=["v4"])

        done = run("git", "ls-remote", git_server.url("moving"), **git_server.environment(git_server.developer))

        assert first != second
        assert f"{second}\trefs/heads/next" in done.stdout
        assert f"{second}\trefs/tags/v4" in done.stdout

    @pytest.mark.parametrize("key", ["stranger", "protected"])
    def test_a_key_that_does_not_fit_is_refused(self, git_server, run, key):
        environment = git_server.environment(getattr(git_server, key))

        done = run("git", "ls-remote", git_server.url("shop-metrics"), **environment)

        assert done.returncode == 128
        assert "Permission denied (publickey)." in done.stdout
        assert "fatal: Could not read from remote repository." in done.stdout

    def test_a_key_with_a_passphrase_is_used_by_the_agent(self, git_server, run):
        with ssh_agent(git_server.protected) as agent:
            done = run("git", "ls-remote", git_server.url("shop-metrics"), **git_server.environment(agent=agent))

        assert done.returncode == 0, done.stdout
        assert not Path(agent).exists()

    def test_a_key_reads_what_it_is_for_and_nothing_else(self, git_server, run):
        environment = git_server.environment(git_server.deploy)

        allowed = run("git", "ls-remote", git_server.url("shop-metrics"), **environment)
        refused = run("git", "ls-remote", git_server.url("shop-tools"), **environment)
        tree = git_server.folder / "trees" / "shop-metrics"
        written = run("git", "push", git_server.url("shop-metrics"), "HEAD:mine", cwd=tree, **environment)
        shell = run(*shlex.split(environment["GIT_SSH_COMMAND"]), "-p", git_server.port, git_server.host, "id")

        assert allowed.returncode == 0, allowed.stdout
        assert refused.returncode == written.returncode == 128
        assert "ERROR: Repository not found." in refused.stdout
        assert "ERROR: Repository not found." in written.stdout
        assert shell.stdout == "ERROR: Repository not found.\n"

    def test_another_host_key_is_not_trusted(self, git_server, run):
        environment = git_server.environment(git_server.developer)
        ask = ["git", "ls-remote", git_server.url("shop-metrics")]

        with git_server.other_host_key():
            changed = run(*ask, **environment)
        unknown = run(*ask, **git_server.environment(git_server.developer, known_hosts=Path(os.devnull)))

        assert "REMOTE HOST IDENTIFICATION HAS CHANGED!" in changed.stdout
        assert "Host key verification failed." in changed.stdout
        assert "No ED25519 host key is known for" in unknown.stdout
        assert run(*ask, **environment).returncode == 0

    def test_it_refuses_in_the_words_of_a_hosting_service(self, git_server, run):
        environment = git_server.environment(git_server.developer)
        with git_server.refusing():
            done = run("git", "ls-remote", git_server.url("shop-metrics"), **environment)

        assert done.returncode == 128
        assert SSO_REFUSAL in done.stdout

    def test_nothing_answers_while_it_is_stopped(self, git_server, run):
        environment = git_server.environment(git_server.developer)
        with git_server.stopped():
            done = run("git", "ls-remote", git_server.url("shop-metrics"), **environment)

        assert "Connection refused" in done.stdout


class TestEnds:
    @pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv on this machine")
    def test_a_server_ends_with_who_started_it(self, tmp_path):
        command = [sys.executable, "-c", STARTER, str(tmp_path)]
        root = Path(__file__).resolve().parents[2]
        with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
            url = starter.stdout.readline().strip()
            assert httpx.get(url, trust_env=False).status_code == 401
            (server,) = psutil.Process(starter.pid).children()
            starter.kill()

        psutil.wait_procs([server], timeout=30)
        assert not server.is_running()


class TestBridge:
    def test_both_listen_on_the_network_of_builds_and_on_no_other(self, bridge_index, bridge_git_server, authority):
        assert bridge_index.host == bridge_git_server.host
        assert ask(bridge_index.url, authority.pem) == 401
        for server in (bridge_index, bridge_git_server):
            socket.create_connection((server.host, server.port), timeout=10).close()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", server.port), timeout=10)
