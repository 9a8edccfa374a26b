"""Packages of private repositories and of a private index in images, of which no key and no login is a part."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import docker
import pytest

from astro_magic.environment import open_environment
from astro_magic.errors import BuildFailedError, InvalidContentError
from astro_magic.project.project import Project
from tests.docker.images import AIRFLOW_2, AIRFLOW_3, PLAIN
from tests.docker.observing import run_of, write_dag
from tests.servers.keys import ssh_agent
from tests.servers.using import PASSWORD_VARIABLE, USER_VARIABLE, add_index, add_repository, trust

pytestmark = pytest.mark.docker

DOCUMENTED = f"""\
FROM {AIRFLOW_3}-base AS stage1
USER root
COPY acme.crt /usr/local/share/ca-certificates/acme/
RUN update-ca-certificates
USER astro

FROM stage1 AS stage2
ARG PIP_EXTRA_INDEX_URL
COPY requirements.txt .
USER root
RUN pip install --no-cache-dir -q -r requirements.txt
USER astro
"""


@pytest.fixture
def login(bridge_index, monkeypatch):
    """Let the variables have the login of the index."""
    monkeypatch.setenv(USER_VARIABLE, bridge_index.user)
    monkeypatch.setenv(PASSWORD_VARIABLE, bridge_index.password)


def secrets_in(image: str, client: docker.DockerClient, secrets: Sequence[str]) -> list[str]:
    """Find where an image has one of these, in any form: its history, its configuration, a file of any layer."""
    forms = {form.encode() for secret in secrets for form in _forms(secret)}
    about = {"history": client.api.history(image), "inspect": client.api.inspect_image(image)}
    found = [kind for kind, told in about.items() if _has(f"{told!r}{json.dumps(told)}".encode(), forms)]
    with tarfile.open(fileobj=_Saved(client.images.get(image).save()), mode="r|") as saved:
        for member in saved:
            content = saved.extractfile(member) if member.isfile() else None
            if content is not None:
                found += [f"{member.name}: {name}" for name, data in _files(content.read()) if _has(data, forms)]
    return found


def _forms(secret: str) -> Iterator[str]:
    yield from (secret, quote(secret, safe=""), json.dumps(secret)[1:-1])
    yield base64.b64encode(secret.encode()).decode().rstrip("=")


def _has(data: bytes, forms: set[bytes]) -> bool:
    return any(form in data for form in forms)


def _files(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Give the files of a layer; what is no layer is a file itself."""
    if not tarfile.is_tarfile(io.BytesIO(data)):
        yield "", data
        return
    with tarfile.open(fileobj=io.BytesIO(data)) as layer:
        for member in layer:
            content = layer.extractfile(member) if member.isfile() else None
            yield member.name, content.read() if content is not None else member.name.encode()


class _Saved(io.RawIOBase):
    """The pieces of an answer as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._left) < size:
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._left += piece
        size = len(self._left) if size < 0 else size
        given, self._left = self._left[:size], self._left[size:]
        return given


def test_a_dag_imports_packages_of_both(client, project: Project, bridge_index, bridge_git_server, authority, login):
    server = bridge_git_server
    add_repository(project, server, "shop-metrics", reference="v1.0.0", key=server.developer)
    trust(project, authority)
    add_index(project, bridge_index, only=("shop-pricing",))
    project.requirements.add("shop-pricing==1.0.0")
    write_dag(project, "priced", "assert shop_pricing.price() == 812", more="import shop_pricing, shop_metrics")
    environment = open_environment(project)

    environment.start()

    assert run_of(environment, "priced").state == "success"
    image = next(each.image for each in environment.status().components if each.name == "scheduler")
    key = server.developer.path.read_text().splitlines()[2]
    assert secrets_in(image, client, [bridge_index.password, key]) == []
    log = "".join(path.read_text() for path in (project.state_dir / "logs").glob("build-*.log"))
    assert "shop-pricing" in log
    assert bridge_index.password not in log


#: Before version 26, pip knows no certificates of hosts that are addresses, as the servers of the tests are.
NEW_PIP = "USER root\nRUN pip install --quiet --upgrade pip\nUSER astro\n"


@pytest.mark.parametrize(
    "dockerfile",
    [f"FROM {AIRFLOW_3}-base\n", f"FROM {AIRFLOW_2}-base\n{NEW_PIP}", f"FROM {PLAIN}\n"],
    ids=["base", "airflow-2", "plain"],
)
def test_on_other_images(client, dockerfile, make_workshop, bridge_index, bridge_git_server, authority, login):
    workshop = make_workshop("shop").write(Dockerfile=dockerfile, requirements="shop-pricing\n")
    project = workshop.project
    trust(project, authority)
    add_index(project, bridge_index)
    add_repository(project, bridge_git_server, "shop-tools", reference="v2.0.0", key=bridge_git_server.developer)

    workshop.build()

    asked = "import shop_pricing, shop_tools, getpass; print(getpass.getuser())"
    told = client.containers.run(workshop.tag, ["python", "-c", asked], entrypoint="", remove=True).decode()
    assert told.split()[-1] == ("airflow" if PLAIN in dockerfile else "astro")


def test_what_the_certificate_is_for(make_workshop, bridge_index, authority, login):
    workshop = make_workshop("shop").write(Dockerfile=f"FROM {AIRFLOW_3}\n", requirements="shop-pricing\n")
    add_index(workshop.project, bridge_index)
    with pytest.raises(BuildFailedError) as error:
        workshop.build()
    assert "certificate" in str(error.value).lower()

    trust(workshop.project, authority)

    workshop.build()


def test_a_key_with_a_passphrase_needs_an_agent(make_workshop, bridge_git_server, monkeypatch):
    workshop = make_workshop("shop").write(Dockerfile=f"FROM {AIRFLOW_3}\n", requirements="")
    server = bridge_git_server
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(InvalidContentError, match="passphrase"):
        add_repository(workshop.project, server, "shop-metrics", reference="v1.0.0", key=server.protected)
    with ssh_agent(server.protected) as socket:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        add_repository(workshop.project, server, "shop-metrics", reference="v1.0.0")
        workshop.build()
    monkeypatch.delenv("SSH_AUTH_SOCK")
    with pytest.raises(InvalidContentError, match="SSH_AUTH_SOCK is empty"):
        workshop.build()


def test_the_documented_steps_are_given_the_login(make_workshop, bridge_index, authority, login):
    workshop = make_workshop("shop").write(Dockerfile=DOCUMENTED, requirements="shop-pricing\n")
    (workshop.root / "acme.crt").write_bytes(Path(authority.pem).read_bytes())
    add_index(workshop.project, bridge_index)
    assert (workshop.root / "Dockerfile").read_text() == DOCUMENTED

    workshop.build()
