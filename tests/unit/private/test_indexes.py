from __future__ import annotations

import base64
import socket
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from astro_magic.errors import FileAccessError, InvalidContentError, NetworkError
from astro_magic.private.indexes import check_index, find_projects
from astro_magic.private.logins import Login
from tests.unit.private.authorities import Authority

SECRET = "hunter22-ü:%"
LOGIN = Login("ana", SECRET)
WRONG = Login("ana", "wrong-password")
EXPECTED = "Basic " + base64.b64encode(f"ana:{SECRET}".encode()).decode()


class Index(ThreadingHTTPServer):
    """A server of a few pages; each is a status, and where it leads to."""

    daemon_threads = True

    def __init__(self, pages, *, private=True):
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages = pages
        self.private = private
        self.asked = []

    def handle_error(self, *arguments):
        """Say nothing of clients that hang up."""

    @property
    def address(self):
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self):
        login = self.headers.get("Authorization")
        self.server.asked.append((self.path, login))
        status, location = self.server.pages.get(self.path, (404, ""))
        if self.server.private and login != EXPECTED:
            status, location = 401, ""
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        body = b"<html></html>"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Say nothing."""


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def index():
    pages = {
        "/simple/": (200, ""),
        "/simple/acme-tools/": (200, ""),
        "/simple/moved/": (301, "/simple/acme-tools/"),
        "/simple/public/": (302, "https://elsewhere.example/simple/public/"),
        "/simple/gone/": (410, ""),
        "/old/": (308, "/simple/"),
        "/circle/": (302, "/circle/"),
        "/broken/": (500, ""),
        "/forbidden/": (403, ""),
        "/proxy/": (407, ""),
    }
    with serving(Index(pages)) as server:
        yield server


def failing(url, login=LOGIN, **options):
    with pytest.raises((NetworkError, InvalidContentError)) as caught:
        check_index(url, login, **options)
    assert caught.value.hint
    assert SECRET not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("path", ["simple", "simple/", "old", "nothing"])
def test_a_login_that_is_taken(index, path):
    check_index(f"http://{index.address}/{path}", LOGIN)
    assert all(asked.endswith("/") for asked, _ in index.asked)


def test_a_login_that_is_refused(index):
    problem = failing(f"http://{index.address}/simple", WRONG)
    assert problem.message == f"http://{index.address}/simple refuses the login of 'ana' (status 401)."
    assert "wrong-password" not in str(problem)
    assert "(status 403)" in failing(f"http://{index.address}/forbidden").message
    assert "asks for a login" in failing(f"http://{index.address}/simple", None).message


@pytest.mark.parametrize(
    ("path", "message"),
    [("broken", "an error (status 500)"), ("proxy", "The proxy asks for a login"), ("circle", "without an end")],
)
def test_other_answers(index, path, message):
    assert message in failing(f"http://{index.address}/{path}").message


def test_a_public_index_needs_no_login(index):
    index.private = False
    check_index(f"http://{index.address}/simple/", None)
    assert index.asked == [("/simple/", None)]


def test_a_login_is_never_sent_to_another_host(index):
    with serving(Index({"/simple/": (200, "")})) as other:
        index.pages["/simple/"] = (302, f"http://ana:x@{other.address}/simple/?token=abc")
        problem = failing(f"http://{index.address}/simple")
        assert f"http://{other.address}/simple/" in problem.hint
        assert "abc" not in str(problem)
        assert "ana:x" not in str(problem)
        index.pages["/simple/acme-tools/"] = (302, f"http://{other.address}/simple/")
        assert find_projects(f"http://{index.address}/simple", LOGIN, ["acme-tools"]) == frozenset()
        assert other.asked == []


def test_the_projects_of_an_index(index):
    names = ["acme-tools", "moved", "public", "gone", "nothing", *(f"p{number}" for number in range(20))]
    for url in (f"http://{index.address}/simple", f"http://{index.address}/simple/"):
        assert find_projects(url, LOGIN, names) == {"acme-tools", "moved"}
    assert ("/simple/p19/", EXPECTED) in index.asked
    index.private = False
    assert find_projects(f"http://{index.address}/simple", None, ["acme-tools", "x"]) == {"acme-tools"}
    assert find_projects(f"http://{index.address}/simple", None, []) == frozenset()
    assert find_projects(f"http://{index.address}/simple", None, ["../simple/acme-tools"]) == frozenset()


def test_projects_are_not_told_of_with_a_wrong_login(index):
    with pytest.raises(NetworkError, match="refuses the login"):
        find_projects(f"http://{index.address}/simple", WRONG, ["acme-tools", "nothing"])
    with pytest.raises(NetworkError, match="asks for a login"):
        find_projects(f"http://{index.address}/simple", None, ["acme-tools"])


@pytest.fixture
def secure(tmp_path):
    """Serve over TLS, with a certificate of an authority that nobody knows; gives the authority's file too."""

    @contextmanager
    def serve(**options):
        authority = Authority()
        certificate, key = authority.server(**options)
        (tmp_path / "server.pem").write_bytes(certificate + key)
        (tmp_path / "ca.pem").write_bytes(authority.pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "server.pem")
        server = Index({"/simple/": (200, "")})
        server.socket = context.wrap_socket(server.socket, server_side=True)
        with serving(server):
            yield f"https://{server.address}/simple", tmp_path / "ca.pem"

    return serve


def test_tls_with_an_authority_of_ones_own(secure, tmp_path):
    with secure() as (url, cafile):
        check_index(url, LOGIN, cafile=cafile)
        cafile.write_bytes("# für alle\n".encode() + cafile.read_bytes())
        check_index(url, LOGIN, cafile=cafile)
        problem = failing(url)
        assert "cannot be trusted" in problem.message
        assert "%astro_ca_cert FILE" in problem.hint
        (tmp_path / "other.pem").write_bytes(Authority("Other Root").pem)
        assert "%astro_ca_cert FILE" in failing(url, cafile=tmp_path / "other.pem").hint


@pytest.mark.parametrize(
    ("options", "reason"), [({"days": (-20, -10)}, "expired"), ({"address": "127.0.0.2"}, "mismatch")]
)
def test_tls_that_no_authority_can_heal(secure, options, reason):
    with secure(**options) as (url, cafile):
        problem = failing(url, cafile=cafile)
    assert reason in problem.message
    assert "%astro_ca_cert" not in problem.hint


def test_files_of_authorities_that_cannot_be_read(tmp_path, monkeypatch):
    with pytest.raises(FileAccessError, match="does not exist"):
        check_index("https://127.0.0.1/", None, cafile=tmp_path / "none.pem")
    (tmp_path / "empty.pem").write_bytes("ä\n".encode())
    assert "no certificates" in failing("https://127.0.0.1/", cafile=tmp_path / "empty.pem").message
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "empty.pem"))
    assert "SSL_CERT_FILE" in failing("https://127.0.0.1/").message


def test_nobody_there():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        assert "cannot be reached" in failing(url).message
        silent.listen()
        assert "did not answer within" in failing(url, timeout=0.1).message
    assert "nosuch.invalid cannot be reached" in failing("https://nosuch.invalid/simple").message


def test_proxies_of_the_environment_are_used(index, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:hunter33@127.0.0.1:{free.getsockname()[1]}")
        assert "cannot be reached" in failing("https://packages.example.com/simple").message
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://x")
    assert "HTTPS_PROXY" in failing("https://packages.example.com/simple").hint
    monkeypatch.delenv("HTTPS_PROXY")
    monkeypatch.setenv("HTTP_PROXY", f"http://{index.address}")
    index.pages["http://10.1.2.3/simple/"] = (200, "")
    check_index("http://10.1.2.3/simple", LOGIN)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "no address"),
        ("packages", "no address"),
        ("file:///srv/packages", "no address"),
        ("https:///simple", "no address"),
        ("https://packages.example.com/simple?a=b", "no address"),
        ("https://[::1/simple", "no address"),
        ("https://packages.example.com:x/simple", "no address"),
        ("https://ana:hunter22@packages.example.com/simple", "a login in it"),
        ("https://hunter22@packages.example.com/simple", "a login in it"),
        ("http://packages.example.com/simple", "anybody on the way"),
        ("http://8.8.8.8/simple", "anybody on the way"),
    ],
)
def test_addresses_that_nothing_is_sent_to(url, reason, monkeypatch):
    monkeypatch.setattr("httpx.Client", lambda **_: pytest.fail("it was asked"))
    problem = failing(url)
    assert isinstance(problem, InvalidContentError)
    assert reason in problem.message
    assert "hunter22" not in str(problem)
    with pytest.raises(InvalidContentError):
        find_projects(url, LOGIN, ["a"])


def test_a_user_name_with_a_colon():
    assert "colon" in failing("https://packages.example.com/", Login("a:b", SECRET)).message


def test_a_login_does_not_show_its_password():
    assert repr(LOGIN) == "Login(user='ana')"
