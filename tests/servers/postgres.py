"""A PostgreSQL server with databases and users of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

from tests.servers.processes import Server, start

__all__ = ["PostgresServer", "find_postgres"]

#: Debian has the server's programs in a folder of their own.
_DEBIAN = "usr/lib/postgresql/*/bin"
#: The server refuses to run as root; whoever is root has this user, from Debian's package.
_SYSTEM_USER = "postgres"
_SUPERUSER = "chief"


def find_postgres() -> str | None:
    """Give PostgreSQL's server, which is not on everybody's path."""
    folders = [*os.environ.get("PATH", os.defpath).split(os.pathsep), *map(str, Path("/").glob(_DEBIAN))]
    return shutil.which("postgres", path=os.pathsep.join(folders))


class PostgresServer(Server):
    """A server that wants a password from everybody.

    Parameters
    ----------
    folder : Path
        Where it keeps everything; whoever it runs as has to be able to get there.
    host : str
        The address that it listens at.

    Attributes
    ----------
    password : str
        The password of each user that it makes; it has signs that mean something in an address.
    """

    password = "pa$HOME/w@rd:% 17'"

    def __init__(self, folder: Path, host: str) -> None:
        super().__init__(folder, host)
        self._programs = Path(find_postgres() or "postgres").resolve().parent
        self._as_user: list[str] = []
        if os.geteuid() == 0:
            user = pwd.getpwnam(_SYSTEM_USER)
            os.chown(folder, user.pw_uid, user.pw_gid)
            self._as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        password_file = folder / "password"
        password_file.write_text(self.password)
        password_file.chmod(0o644)
        self._run(
            "initdb", "-D", "data", "-U", _SUPERUSER, "-A", "scram-sha-256", "--pwfile=password", "-N", "-E", "UTF8"
        )

    def _begin(self) -> subprocess.Popen[bytes]:
        settings = {"fsync": "off", "unix_socket_directories": "", "listen_addresses": self.host, "port": self.port}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        # To become another user takes away what ties a process to its parent, so it is tied again.
        tied = [*self._as_user, "--pdeathsig", "KILL"] if self._as_user else []
        return start([*tied, str(self._programs / "postgres"), "-D", str(self.folder / "data"), *options], self.log)

    def _listening(self) -> str:
        return "ready to accept connections"

    def make(self, name: str) -> str:
        """Make a user and a database of this name, which is its own; gives the address with the password."""
        self.query(f"CREATE ROLE {name} LOGIN PASSWORD '{self.password.replace(chr(39), 2 * chr(39))}'")
        self.query(f"CREATE DATABASE {name} OWNER {name}")
        return self.url(name)

    def url(self, name: str, *, password: str = "", user: str = "") -> str:
        """Give the address of a database."""
        login = f"{user or name}:{quote(password or self.password, safe='')}"
        return f"postgresql://{login}@{self.host}:{self.port}/{name}"

    def query(self, statement: str, *, database: str = "postgres") -> str:
        """Run a statement as the superuser; gives what it answers."""
        command = ["psql", "-X", "-q", "-t", "-A", "-h", self.host, "-p", str(self.port), "-U", _SUPERUSER]
        environment = {**os.environ, "PGPASSWORD": self.password}
        command += ["-d", database, "-c", statement]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user, str(self._programs / program), *arguments]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)
