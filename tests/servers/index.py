"""A private package index: what it has, it gives only to somebody with a login."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.servers.authority import Certificate
from tests.servers.packages import make_sdist, make_wheel
from tests.servers.processes import Server, start

__all__ = ["PASSWORD", "USER", "PrivateIndex", "Request", "stock"]

USER = "reader"
#: Each of its signs means something in a URL, in a netrc file or in a shell. All are ASCII: pip sends a password as
#: Latin-1 and others send it as UTF-8, so that with other signs they never agree.
PASSWORD = "p@ss:w/rd #1%41 \"$x'\\&?+"


@dataclass(frozen=True)
class Request:
    """What the index was asked.

    Attributes
    ----------
    method : str
        How, as ``GET``.
    path : str
        For what.
    login : bool
        Whether there was a login with it, right or wrong.
    status : int
        What was answered.
    """

    method: str
    path: str
    login: bool
    status: int


class PrivateIndex(Server):
    """A pypiserver that wants a login for everything.

    Parameters
    ----------
    folder : Path
        Where it keeps everything.
    host : str
        The address that it listens at.
    certificate : Certificate, optional
        By which it speaks TLS. Default: it does not.
    password : str
        The password of its one user.
    wrong_login : int
        What it answers to a wrong login: 403, as pypiserver does, or 401, as most others do. To no login it is 401.

    Attributes
    ----------
    user, password : str
        The login.
    packages : Path
        What it has; what is put there, it has from then on.
    """

    def __init__(
        self,
        folder: Path,
        host: str,
        *,
        certificate: Certificate | None = None,
        password: str = PASSWORD,
        wrong_login: int = 403,
    ) -> None:
        super().__init__(folder, host)
        self.user = USER
        self.password = password
        self.packages = folder / "packages"
        self.packages.mkdir()
        self._certificate = certificate
        self._wrong_login = wrong_login
        self._notes = folder / "requests"

    @property
    def url(self) -> str:
        """Where it is, without a login."""
        return f"{self._scheme}://{self.host}:{self.port}/simple/"

    @property
    def login_url(self) -> str:
        """Where it is, with the login."""
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return f"{self._scheme}://{login}@{self.host}:{self.port}/simple/"

    @property
    def _scheme(self) -> str:
        return "http" if self._certificate is None else "https"

    def requests(self) -> list[Request]:
        """Give what it was asked since it was told to forget."""
        if not self._notes.exists():
            return []
        return [Request(**json.loads(line)) for line in self._notes.read_text().splitlines()]

    def forget_requests(self) -> None:
        """Forget what it was asked."""
        self._notes.unlink(missing_ok=True)

    def add_wheel(self, name: str, version: str, *, code: str = "", requires: Sequence[str] = ()) -> Path:
        """Add a package; see `make_wheel`."""
        return make_wheel(self.packages, name, version, code=code, requires=requires)

    def add_sdist(self, name: str, version: str, *, code: str = "", requires: Sequence[str] = ()) -> Path:
        """Add a package that has to be built; see `make_sdist`."""
        return make_sdist(self.packages, name, version, code=code, requires=requires)

    @contextlib.contextmanager
    def presenting(self, certificate: Certificate | None) -> Iterator[None]:
        """Have it show another certificate, or speak without TLS, for as long as the context lasts."""
        before = self._certificate
        self._restart(certificate, self._wrong_login)
        try:
            yield
        finally:
            self._restart(before, self._wrong_login)

    @contextlib.contextmanager
    def answering_wrong_logins(self, status: int) -> Iterator[None]:
        """Have it answer wrong logins with 401 or 403 for as long as the context lasts."""
        before = self._wrong_login
        self._restart(self._certificate, status)
        try:
            yield
        finally:
            self._restart(self._certificate, before)

    def _restart(self, certificate: Certificate | None, wrong_login: int) -> None:
        self.stop()
        self._certificate, self._wrong_login = certificate, wrong_login
        self.start()

    def _listening(self) -> str:
        return f"listening on port {self.port}\n"

    def _begin(self) -> subprocess.Popen[bytes]:
        own = self._certificate
        settings = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "packages": str(self.packages),
            "notes": str(self._notes),
            "certificate": None if own is None else [str(own.chain), str(own.key)],
            "wrong_login": self._wrong_login,
        }
        process = Path(__file__).with_name("index_process.py")
        return start([sys.executable, "-P", str(process)], self.log, told=json.dumps(settings))


def stock(index: PrivateIndex) -> None:
    """Add what a shop has: ``shop-pricing`` 1.0.0 and 1.1.0, and ``shop-reports`` 2.0.0, an sdist that needs it."""
    for version in ("1.0.0", "1.1.0"):
        index.add_wheel("shop-pricing", version, code="def price():\n    return 812\n")
    index.add_sdist("shop-reports", "2.0.0", requires=["shop-pricing>=1.1"])
