from __future__ import annotations

import json
import subprocess
import sys

import pytest

from astro_magic.engines import routes
from astro_magic.engines.routes import Route, add_route, hostname_of, read_routes, remove_route, routes_file
from astro_magic.errors import InvalidContentError, ProjectBusyError


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("ASTRO_HOME", str(tmp_path / "home"))
    return tmp_path / "home/.astro/proxy/routes.json"


def route(folder="/srv/shop", hostname="shop.localhost", **more):
    return Route(hostname, 8080, folder, **more)


def test_an_entry_is_written_as_the_astro_cli_writes_it(file):
    assert routes_file() == file
    assert read_routes() == ()
    written = add_route(route(services={"postgres": "5432"}))

    assert file.read_text() == (
        "[\n  {\n"
        '    "hostname": "shop.localhost",\n'
        '    "port": "8080",\n'
        '    "projectDir": "/srv/shop",\n'
        '    "pid": 0,\n'
        '    "services": {\n      "postgres": "5432"\n    },\n'
        '    "mode": "docker"\n'
        "  }\n]"
    )
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_routes() == (written,)


def test_what_others_wrote_is_kept(file):
    file.parent.mkdir(parents=True)
    theirs = {"hostname": "b.localhost", "port": "1", "projectDir": "/b<é", "pid": 42, "team": {"x": [1.5, None]}}
    ours = {"hostname": "shop.localhost", "port": "9", "projectDir": "/srv/shop", "pid": 7, "since": "x"}
    file.write_text(json.dumps([theirs, ours, "odd", {"hostname": 3}]))
    add_route(route(mode="docker"))

    entries = json.loads(file.read_text())
    assert entries[0] == theirs
    assert entries[1] == {**ours, "port": "8080", "pid": 0, "mode": "docker"}
    assert entries[2:] == ["odd", {"hostname": 3}]
    assert [entry.project_dir for entry in read_routes()] == ["/b<é", "/srv/shop"]


def test_two_projects_of_the_same_name_have_a_route_each():
    first = add_route(route("/a/airflow", "airflow.localhost"))
    second = add_route(route("/b/airflow", "airflow.localhost"))
    assert (first.hostname, second.hostname) == ("airflow.localhost", "airflow-2.localhost")
    # Registered again, each keeps its own.
    assert add_route(route("/b/airflow", "airflow.localhost")).hostname == "airflow-2.localhost"
    assert remove_route("/b/airflow") is True
    assert read_routes() == (first,)
    assert remove_route("/b/airflow") is False


def test_a_work_tree_gets_its_number_in_its_own_part():
    add_route(route("/a/x", "x.shop.localhost"))
    assert add_route(route("/b/x", "x.shop.localhost")).hostname == "x-2.shop.localhost"


def test_nothing_is_made_to_remove_nothing(file):
    assert remove_route("/srv/shop") is False
    assert not file.parent.exists()


@pytest.mark.parametrize("content", ["{", "{}", '"x"', "[1,", "\x80"])
def test_a_damaged_file_is_left_as_it_is(file, content):
    file.parent.mkdir(parents=True)
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(InvalidContentError, match="is damaged"):
        add_route(route())
    with pytest.raises(InvalidContentError, match="is damaged"):
        read_routes()
    assert file.read_bytes() == content.encode("latin-1")


@pytest.mark.parametrize("content", ["", "null", "[]", "\n"])
def test_an_empty_file(file, content):
    file.parent.mkdir(parents=True)
    file.write_text(content)
    assert read_routes() == ()
    add_route(route())
    assert len(read_routes()) == 1


def test_the_lock_is_the_astro_clis(file, monkeypatch):
    file.parent.mkdir(parents=True)
    holder = (
        "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True); input()"
    )
    command = [sys.executable, "-c", holder, str(file.with_name("routes.lock"))]
    monkeypatch.setattr(routes, "_TIMEOUT", 0.1)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with pytest.raises(ProjectBusyError, match="locked"):
            add_route(route())
        process.stdin.close()
        process.wait()
    add_route(route())
    assert len(read_routes()) == 1


def test_many_at_once_lose_nothing():
    code = (
        "import sys; from astro_magic.engines.routes import Route, add_route\n"
        "for number in range(10): add_route(Route('x.localhost', 1, f'/{sys.argv[1]}/{number}'))"
    )
    children = [subprocess.Popen([sys.executable, "-c", code, str(number)]) for number in range(3)]
    assert [child.wait() for child in children] == [0, 0, 0]
    found = read_routes()
    assert len({entry.project_dir for entry in found}) == 30
    assert len({entry.hostname for entry in found}) == 30


@pytest.mark.parametrize(
    ("name", "hostname"),
    [
        ("shop", "shop.localhost"),
        ("My Shop_2", "my-shop-2.localhost"),
        ("a--b", "a--b.localhost"),
        ("é", "airflow.localhost"),
        ("x" * 70, f"{'x' * 63}.localhost"),
    ],
)
def test_hostnames(tmp_path, name, hostname):
    assert hostname_of(tmp_path / name) == hostname


def test_the_hostname_of_a_work_tree(tmp_path):
    tree = tmp_path / "Feature 1"
    tree.mkdir()
    (tree / ".git").write_text("gitdir: ../My_Repo/.git/worktrees/feature\n")
    assert hostname_of(tree) == "feature-1.my-repo.localhost"
    (tmp_path / "plain/.git").mkdir(parents=True)
    assert hostname_of(tmp_path / "plain") == "plain.localhost"
