"""Who gets to a local Airflow: its owner, on this machine, with the password, from no other site's page."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from playwright.sync_api import sync_playwright

from astro_magic.engines.local.inside.entrance import ENTRANCE_PATH, key_of, make_ticket
from astro_magic.engines.local.inside.servers import IDENTITY_PATH
from astro_magic.engines.local.settings import read_secrets
from astro_magic.engines.local.supervision import Supervisor, find_supervisor
from astro_magic.environment import open_environment
from astro_magic.project.project import Project
from tests.browsers import choose_browser
from tests.engine.conftest import copy_of
from tests.engine.living import processes_of
from tests.surfaces.browser import CHROMIUM_OPTIONS, find_chromium

pytestmark = pytest.mark.airflow

NOBODY = 65534
#: Tries, as whoever runs it, to read, write and reach what is another user's; tells what worked.
INTRUDER = textwrap.dedent(
    """
    import encodings.idna, json, os, pathlib, socket, sys
    import urllib.error, urllib.request

    asked = json.load(sys.stdin)
    if asked["user"]:
        # Only now: the Python that runs this may be its owner's as well.
        os.setgroups([])
        os.setgid(asked["user"])
        os.setuid(asked["user"])
    worked = []
    for folder in asked["folders"]:
        found = [folder, *(os.path.join(top, name) for top, below, names in os.walk(folder) for name in below + names)]
        for path in found:
            if os.path.isfile(path) and os.access(path, os.R_OK):
                worked.append(f"read {path}")
            if os.access(path, os.W_OK):
                worked.append(f"write {path}")
    for name in asked["files"]:
        for mode in ("rb", "ab"):
            try:
                open(name, mode).close()
                worked.append(f"{mode} {name}")
            except OSError:
                pass
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(asked["socket"])
            worked.append("connect")
    except OSError:
        pass
    for pid in asked["pids"]:
        for name in ("environ", "mem"):
            try:
                pathlib.Path(f"/proc/{pid}/{name}").open("rb").read(1)
                worked.append(f"{name} of {pid}")
            except OSError:
                pass
        try:
            os.kill(pid, 0)
            worked.append(f"kill {pid}")
        except OSError:
            pass
    for path in ("dags", "variables", "connections", "config"):
        try:
            urllib.request.urlopen(f"{asked['url']}/api/v2/{path}", timeout=10)
            worked.append(path)
        except urllib.error.HTTPError as refused:
            if refused.code not in (401, 403):
                worked.append(f"{path}: {refused.code}")
    print(json.dumps(worked))
    """
)


@pytest.fixture(scope="module")
def running(prepared: Project) -> Iterator[tuple[Project, Supervisor]]:
    """A project in a folder that everybody may enter, with its Airflow."""
    with tempfile.TemporaryDirectory(prefix="astro-magic-open-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        project = copy_of(prepared, folder / "shop")
        project.root.chmod(0o755)
        environment = open_environment(project, engine="local")
        environment.start()
        try:
            yield project, find_supervisor(project.state_dir / "run" / "supervisor.json")
        finally:
            environment.stop()
        assert processes_of(project) == []


def test_every_socket_is_on_the_loopback_address(running: tuple[Project, Supervisor]) -> None:
    listening = [
        (connection.laddr.ip, connection.laddr.port)
        for process in running[1].members()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert ("127.0.0.1", running[1].port) in listening
    assert {address for address, _ in listening} == {"127.0.0.1"}


def test_no_secret_is_an_argument(running: tuple[Project, Supervisor]) -> None:
    project, supervisor = running
    known = json.loads((project.state_dir / "secrets.json").read_text())
    arguments = " ".join(word for process in supervisor.members() for word in process.cmdline())
    assert not any(secret in arguments for secret in known.values())


def test_another_users_process(running: tuple[Project, Supervisor]) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can run a process as another user")
    project, supervisor = running
    way_in(project)
    members = supervisor.members()
    asked = {
        "folders": [str(project.state_dir), str(project.standalone_dir)],
        "files": [
            str(project.state_dir / name)
            for name in ("secrets.json", "passwords.json", "run/supervisor.json", "run/open.html")
        ],
        "socket": supervisor.socket,
        "pids": [process.pid for process in members],
        "url": f"http://127.0.0.1:{supervisor.port}",
    }
    assert intrude(asked, user=NOBODY) == []
    # As the owner, so that it is known to find what there is.
    worked = intrude(asked, user=0)
    assert "connect" in worked
    assert f"kill {supervisor.pid}" in worked
    assert f"rb {project.state_dir / 'secrets.json'}" in worked


def intrude(asked: dict[str, Any], *, user: int) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", INTRUDER],
        input=json.dumps({**asked, "user": user}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd="/",
    )
    worked: list[str] = json.loads(done.stdout)
    return worked


def test_a_page_of_another_site(running: tuple[Project, Supervisor]) -> None:
    """Neither by a name that leads here nor by a port beside this one."""
    project, supervisor = running
    access = open_environment(project).engine.api()
    with httpx.Client(base_url=access.base_url, timeout=30) as page:
        body = {"username": access.username, "password": access.password}
        token = page.post("/auth/token", json=body).json()["access_token"]
        page.headers["Authorization"] = f"Bearer {token}"
        page.cookies["_token"] = token
        variable = {"key": "planted", "value": "x"}
        assert page.get("/api/v2/variables").status_code == 200
        assert page.get("/api/v2/variables", headers={"Host": "evil.example"}).status_code == 403
        evil = {"Origin": f"http://localhost:{supervisor.port + 1}"}
        assert page.post("/api/v2/variables", json=variable, headers=evil).status_code == 403
        assert page.get("/api/v2/variables/planted").status_code == 404
        own = {"Origin": access.base_url}
        assert page.post("/api/v2/variables", json=variable, headers=own).status_code == 201
    assert httpx.get(f"{access.base_url}/api/v2/variables").status_code == 401


def test_a_ticket_lets_in_once(running: tuple[Project, Supervisor], monkeypatch: pytest.MonkeyPatch) -> None:
    project, supervisor = running
    address, ticket = way_in(project)
    key = key_of(bytes.fromhex(supervisor.identity(read_secrets(project).jwt)), read_secrets(project).password)
    past = time.time() - 61
    with monkeypatch.context() as patch:
        patch.setattr("time.time", lambda: past)
        old = make_ticket(key)
    # What the server proves itself with to anybody signs no ticket.
    body = ticket.rpartition("_")[0]
    proof = httpx.get(f"http://127.0.0.1:{supervisor.port}{IDENTITY_PATH}?{body}").text
    for wrong in (old, make_ticket(b"another"), f"{body}_{proof}", f"9{ticket}", "", "x" * 10_000):
        assert httpx.post(address, data={"ticket": wrong}).status_code == 403
    assert httpx.post(address, data={"ticket": ticket}, headers={"Host": "evil.example"}).status_code == 403
    assert "set-cookie" not in httpx.get(address, params={"ticket": make_ticket(key)}).headers
    with httpx.Client(base_url=f"http://127.0.0.1:{supervisor.port}", timeout=30) as page:
        # A page that is a file has no other origin.
        entered = page.post(address, data={"ticket": ticket}, headers={"Origin": "null"})
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        assert page.get("/api/v2/variables").status_code == 200
    assert httpx.post(address, data={"ticket": ticket}).status_code == 403
    logs = "".join(file.read_text() for file in (project.state_dir / "logs").iterdir())
    assert ENTRANCE_PATH in logs
    assert body not in logs


@pytest.mark.browser
def test_one_click_in_a_browser(
    running: tuple[Project, Supervisor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The browser is given the name of a file, and shows Airflow's own page without a login."""
    project, supervisor = running
    command = tmp_path / "browser"
    command.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/given\n')
    command.chmod(0o700)
    choose_browser(monkeypatch, f"{command} %s")
    opened = open_environment(project, engine="local").open_ui()
    assert opened.opened
    assert opened.url == f"http://localhost:{supervisor.port}"
    file = project.state_dir / "run" / "open.html"
    assert (tmp_path / "given").read_text() == f"{file.as_uri()}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), headless=True, args=CHROMIUM_OPTIONS)
        page = browser.new_page()
        page.goto(file.as_uri())
        page.get_by_text("Dags", exact=True).first.wait_for(timeout=60_000)
        assert page.url.startswith(f"http://127.0.0.1:{supervisor.port}")
        assert "login" not in page.url
        browser.close()


def way_in(project: Project) -> tuple[str, str]:
    """Give the address and the ticket of a new page that opens the UI."""
    address = open_environment(project, engine="local").engine.entrance()
    page = Path(urllib.parse.unquote(urllib.parse.urlsplit(address).path)).read_text()
    found = re.search(r'action="(.+?)".+value="(.+?)"', page)
    assert found is not None
    return found[1], found[2]
