"""What is in an image, read on a real engine."""

import time
import uuid

import pytest

from astro_magic.engines.docker.client.connection import connect
from astro_magic.engines.docker.image import facts as image
from astro_magic.engines.docker.image.facts import facts_at_hand, image_facts, remove_images, tag_image
from astro_magic.engines.docker.installation import read_installation
from astro_magic.engines.docker.names import Names
from astro_magic.engines.docker.record import Record
from astro_magic.environment import open_environment
from astro_magic.errors import EngineError
from tests.docker.images import AIRFLOW_2, AIRFLOW_3, DEBIAN, PLAIN

pytestmark = pytest.mark.docker


@pytest.fixture
def connection(images, tmp_path, monkeypatch):
    """Connect with nothing known of any image."""
    monkeypatch.setenv("ASTRO_MAGIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(image, "_known", {})
    monkeypatch.setattr(image, "_without_airflow", set())
    return connect()


@pytest.fixture
def started(connection, monkeypatch):
    """Give the list of the containers that are created from now on; in the end none of them is left."""
    create, created = connection.api.create_container, []

    def noted(*arguments, **options):
        created.append(create(*arguments, **options))
        return created[-1]

    monkeypatch.setattr(connection.api, "create_container", noted)
    yield created
    deadline = time.monotonic() + 20
    ids = {each["Id"] for each in created}
    while (left := ids & {each["Id"] for each in connection.api.containers(all=True)}) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == set()


@pytest.mark.parametrize(
    ("reference", "version", "home", "user"),
    [
        (AIRFLOW_3, "3.3.2", "/usr/local/airflow", "astro"),
        (AIRFLOW_2, "2.11.2", "/usr/local/airflow", "astro"),
        (PLAIN, "3.3.2", "/opt/airflow", "airflow"),
    ],
)
def test_what_is_in_an_image(connection, started, reference, version, home, user):
    facts = image_facts(connection, reference)
    assert facts.id == connection.api.inspect_image(reference)["Id"]
    assert facts.airflow_version == version
    assert facts.airflow_major == int(version[0])
    assert facts.airflow_home == home
    assert facts.user.partition(":")[0] in (user, "50000")
    assert facts.python_version.startswith("3.")
    assert facts.packages["apache-airflow"] == version
    assert "apache-airflow" not in repr(facts)
    airflow = facts.distributions["apache-airflow"]
    assert any(line.startswith("apache-airflow-core==") for line in airflow.requires) or facts.airflow_major == 2
    assert facts.distributions["pyyaml"].imports == ("_yaml", "yaml")
    assert facts.os_packages.keys() & {"bash:amd64", "bash:arm64"}


def test_an_image_is_read_once(connection, started, monkeypatch):
    facts = image_facts(connection, AIRFLOW_3)
    assert image_facts(connection, AIRFLOW_3) is facts
    monkeypatch.setattr(image, "_known", {})
    # As another process finds it.
    assert image_facts(connection, facts.id) == facts
    assert len(started) == 1


def test_what_was_kept_and_cannot_be_read_is_read_again(connection, started, monkeypatch, tmp_path):
    facts = image_facts(connection, AIRFLOW_3)
    (kept,) = (tmp_path / "cache" / "images").iterdir()
    for content in ("", "[]", "{}", '{"format": 1, "id": "other"}', '{"format": 0}'):
        kept.write_text(content)
        monkeypatch.setattr(image, "_known", {})
        assert image_facts(connection, AIRFLOW_3) == facts
    assert len(started) == 6


@pytest.mark.parametrize("reference", [DEBIAN, "docker.io/postgres:12.6"])
def test_an_image_without_airflow(connection, started, reference):
    with pytest.raises(EngineError) as caught:
        image_facts(connection, reference)
    assert caught.value.message == f"The image {reference} has no Airflow in it."


def test_an_image_without_even_a_shell(connection, started):
    tag = f"ha-{uuid.uuid4().hex[:8]}:1"
    connection.api.import_image_from_data(b"\0" * 10240, repository=tag.partition(":")[0], tag="1")
    try:
        with pytest.raises(EngineError, match="has no Airflow in it"):
            image_facts(connection, tag)
    finally:
        connection.api.remove_image(tag)


def test_an_image_that_is_not_there(connection):
    with pytest.raises(EngineError) as caught:
        image_facts(connection, "no/such-image:1")
    assert caught.value.message == "The engine has no image no/such-image:1."
    assert "docker pull no/such-image:1" in caught.value.hint


def test_names_of_images(connection):
    name = f"ha-{uuid.uuid4().hex[:8]}/airflow"
    first, second = f"{name}:latest", f"{name}:previous"
    key = connection.api.inspect_image(DEBIAN)["Id"]
    tag_image(connection, DEBIAN, first)
    tag_image(connection, key, second)
    assert connection.api.inspect_image(second)["Id"] == key
    assert remove_images(connection, [first, "no/such-image:1", second]) == (first, second)
    assert connection.api.images(name=name) == []
    assert connection.api.inspect_image(DEBIAN)["Id"] == key
    with pytest.raises(EngineError, match="no such image"):
        tag_image(connection, "no/such-image:1", first)


def test_what_a_project_has_beyond_its_base_image(connection, project, client, monkeypatch):
    project.requirements.add("cowsay==6.1")
    (project.root / "packages.txt").write_text("tree\nno-such-tool\n")
    (project.root / "dags" / "said.py").write_text("import cowsay, yaml\n")
    base = project.dockerfile.entries()[0].arguments
    tag_image(connection, base, Names.of(project).image)
    found = open_environment(project).dependencies()
    assert {package.origin for package in found.packages} == {"base image"}
    assert [request.text for request in found.missing] == ["cowsay==6.1"]
    assert [(each.name, bool(each.version)) for each in found.os_packages] == [("tree", False), ("no-such-tool", False)]
    assert found.tree("pyyaml").package.imported_by == ("dags/said.py",)
    assert ["apache-airflow", "apache-airflow-core"] in [
        [link.name for link in way.links] for way in found.tree("apache-airflow-core").ways
    ]

    # What was put into a running container is told by that container.
    facts = image_facts(connection, base)
    container = client.containers.run(base, ["sleep", "60"], entrypoint=[], detach=True, network_mode="none")
    try:
        record = Record(added={"pyyaml": facts.packages["pyyaml"], "gone": "1.0"}, added_at="now")
        installed = read_installation(connection, project, facts, record, [container.id])
    finally:
        container.remove(force=True)
    added = {package.name: package for package in installed.packages if package.origin == "added at run time"}
    assert set(added) == {"PyYAML", "gone"}
    assert "yaml" in added["PyYAML"].imports

    # The base image is not at hand, or is not what the project runs.
    (project.root / "Dockerfile").write_text("FROM example.org/no/such-image:1\n")
    found = open_environment(project).dependencies()
    assert {package.origin for package in found.packages} == {"image"}
    assert "example.org/no/such-image:1 is not on this machine" in found.note
    (project.root / "Dockerfile").write_text(f"FROM {DEBIAN}\n")
    assert open_environment(project).dependencies().note
    monkeypatch.setattr(connection.api, "create_container", None)
    assert facts_at_hand(connection, DEBIAN) is None
