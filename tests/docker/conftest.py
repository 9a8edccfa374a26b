"""A real Docker Engine, the images that are run on it, and projects of which nothing may stay."""

from __future__ import annotations

import contextlib
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import docker.errors
import pytest

from astro_magic.engines.docker.client.connection import connect
from astro_magic.engines.routes import remove_route
from astro_magic.project.project import Project
from tests.docker import images as stand_ins
from tests.docker.living import containers_of, leftovers, remove_all
from tests.docker.second_engine import SecondEngine, reason_against, second_engine
from tests.docker.workshop import Workshop

IN_CI = os.environ.get("CI", "").lower() in ("1", "true")
BUILD_CACHE_BYTES = 3_000_000_000

DAG = """
import datetime

{imports}


@dag(schedule=None, start_date=datetime.datetime(2026, 1, 1), catchup=False, tags=["test"])
def orders():
    @task
    def extract():
        return list(range(812))

    @task
    def load(rows):
        return f"{{Variable.get('greeting')}} {{len(rows)}}"

    load(extract())


orders()
"""
IMPORTS = {
    "2": "from airflow.decorators import dag, task\nfrom airflow.models import Variable",
    "3": "from airflow.sdk import Variable, dag, task",
}


@pytest.fixture(scope="session", autouse=True)
def images() -> None:
    """Make the images that are missing; outside CI, a machine that cannot is a reason to leave the tests out."""
    try:
        stand_ins.ensure()
    except stand_ins.ImagesError as error:
        if IN_CI:
            raise
        pytest.skip(str(error).splitlines()[0])


@pytest.fixture(scope="session")
def client(images: None) -> Iterator[docker.DockerClient]:
    """Connect to the engine; at the end take away what nobody has a name for any more."""
    connected = docker.from_env()
    before = _unnamed(connected)
    yield connected
    for image_id in _unnamed(connected) - before:
        try:
            connected.api.remove_image(image_id)
        except docker.errors.APIError:
            continue  # another image is made of it, or went with it
    connected.api.prune_builds(keep_storage=BUILD_CACHE_BYTES)
    connected.close()


def _unnamed(client: docker.DockerClient) -> set[str]:
    return {image["Id"] for image in client.api.images(filters={"dangling": True})}


@pytest.fixture(scope="package", autouse=True)
def astro_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a folder with the user's own configuration, by which projects run in Docker."""
    home = tmp_path_factory.mktemp("astro-home")
    (home / ".astro").mkdir()
    (home / ".astro" / "config.yaml").write_text("dev:\n    mode: docker\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASTRO_HOME", str(home))
        yield home


@pytest.fixture
def project(client: docker.DockerClient, astro_home: Path, tmp_path: Path) -> Iterator[Project]:
    """Give an Airflow 3 project with one DAG and a variable; whatever the engine has of it is removed."""
    with _emptied(client, _create(tmp_path / "shop", "3")) as made:
        yield made


@pytest.fixture
def project2(client: docker.DockerClient, astro_home: Path, tmp_path: Path) -> Iterator[Project]:
    """Give the same as an Airflow 2 project."""
    with _emptied(client, _create(tmp_path / "shop2", "2")) as made:
        yield made


@pytest.fixture
def make_workshop(tmp_path: Path) -> Iterator[Callable[[str], Workshop]]:
    """Make projects of a name whose images are removed in the end."""
    made: list[Workshop] = []

    def make(name: str) -> Workshop:
        made.append(Workshop(tmp_path / name, connect()))
        return made[-1]

    yield make
    for each in made:
        if each.connection.api.images(name=each.tag):
            each.connection.api.remove_image(each.tag)


@pytest.fixture
def workshop(make_workshop: Callable[[str], Workshop]) -> Workshop:
    return make_workshop("shop")


@pytest.fixture
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecondEngine]:
    """Give an engine that may be stopped, to which this process is connected; it runs again in the end."""
    if (reason := reason_against()) and not IN_CI:
        pytest.skip(reason)
    second = second_engine(request.config)
    monkeypatch.setenv("DOCKER_HOST", second.host)
    # Ports are kept for a start there; those of another network are no business of starts in this one.
    monkeypatch.setenv("TMPDIR", str(second.scratch))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with second.network():
        yield second


@pytest.fixture
def second_client(engine: SecondEngine) -> Iterator[docker.DockerClient]:
    with contextlib.closing(engine.client) as connected:
        yield connected


@pytest.fixture
def second_project(
    second_client: docker.DockerClient, engine: SecondEngine, astro_home: Path, tmp_path: Path
) -> Iterator[Project]:
    """Give an Airflow 3 project of which nothing stays on that engine, which has no other network than its own."""
    with _emptied(second_client, _create(tmp_path / "shop", "3")) as made:
        yield made
        if not engine.running:
            engine.start()


def _create(root: Path, airflow: str) -> Project:
    made = Project.create(root, name=f"{root.name}-{uuid.uuid4().hex[:8]}", airflow=airflow).project
    (root / "dags" / "exampledag.py").unlink()
    (root / "dags" / "orders.py").write_text(DAG.format(imports=IMPORTS[airflow]))
    made.apply(made.dotenv.plan_set({"AIRFLOW_VAR_GREETING": "hello"}))
    return made


@contextlib.contextmanager
def _emptied(client: docker.DockerClient, project: Project) -> Iterator[Project]:
    """Remove in the end what the engine has of a project, again if somebody still adds to it."""
    try:
        yield project
    finally:
        for _ in range(3):
            remove_all(client, project)
            if not containers_of(client, project):
                break
        remove_route(str(project.root))
    assert leftovers(client, project) == []
