"""A git server that is reached by SSH, with private repositories: OpenSSH's own server, run as the current user."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.servers.keys import Key, make_key
from tests.servers.packages import source_tree
from tests.servers.processes import Server, start

__all__ = ["SSO_REFUSAL", "GitServer", "find_sshd", "stock"]

#: How a hosting service refuses a key that has not been authorised for an organisation.
SSO_REFUSAL = (
    "ERROR: The `acme' organization has enabled or enforced SAML SSO. To access this repository, you must "
    "re-authorize the SSH key `developer'."
)

_CONFIGURATION = """\
ListenAddress {host}:{port}
HostKey {host_key}
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
PermitRootLogin forced-commands-only
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
AcceptEnv GIT_PROTOCOL
LogLevel VERBOSE
# Others may write to the folder of temporary files, which these checks would take for a danger.
StrictModes no
"""

# What each key is bound to: `answer KEY REPOSITORY...`
_ANSWER = """\
#!/bin/sh
# The key may read these repositories, and do nothing else.
folder={folder}
key=$1
shift
printf '%s\\t%s\\n' "$key" "$SSH_ORIGINAL_COMMAND" >>"$folder/commands"
if [ -e "$folder/refusal" ]; then
    cat "$folder/refusal" >&2
    exit 1
fi
for name in "$@"; do
    case $SSH_ORIGINAL_COMMAND in
    "git-upload-pack '/$name.git'" | "git-upload-pack '/$name'")
        exec {git} -c uploadpack.allowFilter=true upload-pack "$folder/repositories/$name.git" ;;
    esac
done
echo "ERROR: Repository not found." >&2
exit 1
"""

#: Whoever runs the tests, git knows nothing of it.
_NOBODY = {f"GIT_{role}_{what}": "shop@acme.test" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
_NOBODY |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def find_sshd() -> str | None:
    """Give OpenSSH's server, which is not on everybody's path."""
    return shutil.which("sshd", path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))


class GitServer(Server):
    """A server of private git repositories.

    Parameters
    ----------
    folder : Path
        Where it keeps everything.
    host : str
        The address that it listens at.

    Attributes
    ----------
    developer : Key
        A key that may read every repository.
    protected : Key
        Another one that may, with a passphrase.
    deploy : Key
        A key that the server knows, and that may only read what it is named for by `make_repository`.
    stranger : Key
        A key that the server does not know.
    known_hosts : Path
        A file by which the server is known.
    """

    def __init__(self, folder: Path, host: str) -> None:
        super().__init__(folder, host)
        for name in ("keys", "repositories", "trees"):
            (folder / name).mkdir()
        self._usual_host_key = self._host_key = make_key(folder, "host_key")
        self.developer = make_key(folder / "keys", "developer")
        self.protected = make_key(folder / "keys", "protected", "open the shop")
        self.deploy = make_key(folder / "keys", "deploy")
        self.stranger = make_key(folder / "keys", "stranger")
        self.known_hosts = folder / "known_hosts"
        self._readers: dict[str, list[str]] = {key.name: [] for key in (self.developer, self.protected, self.deploy)}
        answer = folder / "answer"
        answer.write_text(_ANSWER.format(folder=shlex.quote(str(folder)), git=shlex.quote(shutil.which("git"))))
        answer.chmod(0o700)
        self._authorize()

    @property
    def user(self) -> str:
        """Whom to log in as: who runs the tests."""
        import pwd  # which not every system has

        return pwd.getpwuid(os.geteuid()).pw_name

    def url(self, name: str) -> str:
        """Give where a repository is."""
        return f"ssh://{self.user}@{self.host}:{self.port}/{name}.git"

    def environment(
        self, key: Key | None = None, *, agent: str = "", known_hosts: Path | None = None
    ) -> dict[str, str]:
        """Give the variables by which git logs in, with nothing of this machine's user.

        Parameters
        ----------
        key : Key, optional
            The one key that is tried. Default: those of the agent.
        agent : str
            The socket of an agent.
        known_hosts : Path, optional
            The servers that are known. Default: this one, by its usual key.
        """
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(known_hosts or self.known_hosts),
            "GlobalKnownHostsFile": os.devnull,
            "IdentityAgent": agent or "none",
            "IdentityFile": "none" if key is None else str(key.path),
            "IdentitiesOnly": "no" if key is None else "yes",
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return {"GIT_SSH_COMMAND": shlex.join(["ssh", "-F", "none", *words]), "GIT_TERMINAL_PROMPT": "0"}

    def make_repository(
        self,
        name: str,
        files: Mapping[str, str],
        *,
        tags: Sequence[str] = (),
        branches: Mapping[str, Mapping[str, str]] | None = None,
        readers: Sequence[Key] = (),
    ) -> None:
        """Make a repository.

        Parameters
        ----------
        name : str
            What it is called, without ``.git``.
        files : Mapping of str to str
            What is on its branch ``main``.
        tags : sequence of str
            What this is tagged as.
        branches : Mapping, optional
            Other branches, each with the files that it has beyond those, or otherwise.
        readers : sequence of Key
            Who may read it beside `developer` and `protected`.
        """
        for kind, path in (("--bare", self.repositories / f"{name}.git"), ("--quiet", self.folder / "trees" / name)):
            self._git(self.folder, "init", "--quiet", kind, "--initial-branch=main", str(path))
        self.commit(name, files, tags=tags)
        for branch, different in (branches or {}).items():
            self.commit(name, different, branch=branch)
        for key in dict.fromkeys([self.developer, self.protected, *readers]):
            self._readers[key.name].append(name)
        self._authorize()

    def commit(self, name: str, files: Mapping[str, str], *, branch: str = "main", tags: Sequence[str] = ()) -> str:
        """Write files on a branch, which begins where ``main`` is if there is none; give the commit."""
        tree = self.folder / "trees" / name
        if self._git(tree, "symbolic-ref", "--short", "HEAD") != branch:
            known = self._git(tree, "branch", "--list", branch)
            self._git(tree, "checkout", "--quiet", *([branch] if known else ["-b", branch, "main"]))
        for path, text in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
        self._git(tree, "add", "--all")
        self._git(tree, "commit", "--quiet", "--message", f"{name}: {', '.join(files)}")
        for tag in tags:
            self._git(tree, "tag", tag)
        self._git(tree, "push", "--quiet", str(self.repositories / f"{name}.git"), branch, "--tags")
        return self._git(tree, "rev-parse", "HEAD")

    @property
    def repositories(self) -> Path:
        """Where the bare repositories are."""
        return self.folder / "repositories"

    def commands(self) -> list[tuple[str, str]]:
        """Give what keys asked for that were let in: the key's name and the command."""
        path = self.folder / "commands"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(key, command) for key, _, command in (line.partition("\t") for line in lines)]

    @contextlib.contextmanager
    def refusing(self, text: str = SSO_REFUSAL) -> Iterator[None]:
        """Have each key that is let in be told this, and nothing else, for as long as the context lasts."""
        path = self.folder / "refusal"
        path.write_text(f"{text}\n")
        try:
            yield
        finally:
            path.unlink()

    @contextlib.contextmanager
    def other_host_key(self) -> Iterator[None]:
        """Have it show another host key, on the same port, for as long as the context lasts."""
        path = self.folder / "other_host_key"
        self.stop()
        self._host_key = Key(path) if path.exists() else make_key(self.folder, path.name)
        try:
            self.start()
            yield
        finally:
            self.stop()
            self._host_key = self._usual_host_key
            self.start()

    def _authorize(self) -> None:
        lines = []
        for key in (self.developer, self.protected, self.deploy):
            command = shlex.join([str(self.folder / "answer"), key.name, *self._readers[key.name]])
            lines.append(f'restrict,command="{command}" {key.public} {key.name}\n')
        # The server may read it at any moment.
        (self.folder / "authorized_keys.new").write_text("".join(lines))
        os.replace(self.folder / "authorized_keys.new", self.folder / "authorized_keys")

    def _listening(self) -> str:
        return f"Server listening on {self.host} port {self.port}."

    def _begin(self) -> subprocess.Popen[bytes]:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.known_hosts.write_text(f"[{self.host}]:{self.port} {self._usual_host_key.public}\n")
        configuration = self.folder / "sshd_config"
        configuration.write_text(
            _CONFIGURATION.format(host=self.host, port=self.port, host_key=self._host_key.path, folder=self.folder)
        )
        command = [find_sshd() or "sshd", "-f", str(configuration)]
        # Newer servers keep out whoever was refused a few times, which is what tests are about.
        patient = [*command, "-o", "PerSourcePenalties=no"]
        if subprocess.run([*patient, "-t"], capture_output=True, check=False).returncode == 0:
            command = patient
        return start([*command, "-D", "-e"], self.log)

    def _git(self, folder: Path, *arguments: str) -> str:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        command = ["git", "-C", str(folder), *arguments]
        done = subprocess.run(command, env=inherited | _NOBODY, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{shlex.join(command)}: {done.stderr}")
        return done.stdout.strip()


def stock(server: GitServer) -> None:
    """Make what a shop has.

    ``shop-metrics`` is a package, 1.0.0 at the tag ``v1.0.0`` and 1.1.0 on the branch ``develop``; the key `deploy` may
    read it, too. ``shop-tools`` is a package, 2.0.0 at ``v2.0.0``, with another one, ``shop-labels`` 0.3.0, in its
    folder ``plugins/labels``. ``shop-notes`` is none.
    """
    metrics = source_tree("shop-metrics", "1.0.0", code="def orders():\n    return 812\n")
    newer = {"develop": source_tree("shop-metrics", "1.1.0")}
    server.make_repository("shop-metrics", metrics, tags=["v1.0.0"], branches=newer, readers=[server.deploy])
    labels = {f"plugins/labels/{path}": text for path, text in source_tree("shop-labels", "0.3.0").items()}
    server.make_repository("shop-tools", source_tree("shop-tools", "2.0.0") | labels, tags=["v2.0.0"])
    server.make_repository("shop-notes", {"README.md": "# What the shop is about\n"}, tags=["v1.0.0"])
