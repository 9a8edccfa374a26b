from __future__ import annotations

import re

import pytest

from astro_magic.project.project import Project
from tests.docker.images import AIRFLOW_2, AIRFLOW_3, CONTENT_LABEL, IMAGES, PLAIN, POSTGRES, ensure, reason_against

TRIGGERS = [
    "COPY packages.txt .",
    "USER root",
    "RUN /usr/local/bin/install-system-packages",
    "COPY requirements.txt .",
    "RUN /usr/local/bin/install-python-dependencies",
    "USER astro",
    "COPY --chown=astro:0 . .",
]
RUNTIMES = [(AIRFLOW_3, "3.3.2"), (AIRFLOW_2, "2.11.2")]


def config_of(client, tag):
    return client.api.inspect_image(tag)["Config"]


def environment_of(client, tag):
    return dict(pair.split("=", 1) for pair in config_of(client, tag)["Env"])


def output_of(client, tag, *command, **options):
    return client.containers.run(tag, list(command), remove=True, **options).decode()


@pytest.mark.parametrize(("airflow", "tag"), [(None, AIRFLOW_3), ("3", AIRFLOW_3), ("2", AIRFLOW_2)])
def test_what_a_new_project_is_made_from_is_among_them(tmp_path, client, airflow, tag):
    made = Project.create(tmp_path / "shop", airflow=airflow).project
    assert (made.root / "Dockerfile").read_text().split() == ["FROM", tag]
    assert client.images.get(tag)


@pytest.mark.parametrize(("tag", "airflow"), RUNTIMES)
@pytest.mark.parametrize("suffix", ["", "-base"])
def test_a_runtime_is_labelled_as_the_astro_cli_expects_it(client, tag, airflow, suffix):
    labels = config_of(client, tag + suffix)["Labels"]
    assert labels["io.astronomer.docker"] == "true"
    assert labels["io.astronomer.docker.airflow.version"] == airflow
    assert labels["io.astronomer.docker.runtime.version"] == tag.rpartition(":")[2]


@pytest.mark.parametrize(("tag", "airflow"), RUNTIMES)
def test_a_runtime_has_its_user_home_and_entrypoint(client, tag, airflow):
    config = config_of(client, tag)
    assert (config["User"], config["WorkingDir"]) == ("astro", "/usr/local/airflow")
    assert config["Entrypoint"] == ["/entrypoint"]
    assert environment_of(client, tag)["AIRFLOW_HOME"] == "/usr/local/airflow"
    said = output_of(
        client, tag, "bash", "-c", "id; cat /proc/1/comm; ls -ld /usr/local/airflow/dags; touch /opt/x || :"
    )
    assert said.startswith("uid=50000(astro) gid=0(root)")
    assert said.splitlines()[1] == "tini"
    assert re.search(r"^drwxr-xr-x \d+ astro root ", said, re.MULTILINE)


@pytest.mark.parametrize(("tag", "airflow"), RUNTIMES)
def test_a_runtime_runs_its_steps_in_a_build_and_its_base_does_not(client, tag, airflow):
    assert config_of(client, tag)["OnBuild"] == TRIGGERS
    assert not config_of(client, f"{tag}-base").get("OnBuild")


@pytest.mark.parametrize(("tag", "airflow"), [*RUNTIMES, (PLAIN, "3.3.2")])
def test_the_installed_airflow_is_the_one_that_is_named(client, tag, airflow):
    script = (
        "import airflow, psycopg2, pytest; from importlib.metadata import version; print(version('apache-airflow'))"
    )
    said = output_of(client, tag, "bash", "-c", f'uv --version >&2 && python -W ignore -c "{script}"')
    assert said.splitlines()[-1] == airflow


def test_the_plain_image_has_no_labels_of_a_vendor_and_no_steps(client):
    config = config_of(client, PLAIN)
    assert [label for label in config["Labels"] if "astronomer" in label] == []
    assert not config.get("OnBuild")
    assert config["WorkingDir"] == "/opt/airflow"
    assert environment_of(client, PLAIN)["AIRFLOW_HOME"] == "/opt/airflow"


def test_the_plain_image_lets_its_user_install_and_replace_packages(client):
    command = (
        "id -un; pip install --quiet --no-deps humanize==4.9.0 zipp==3.20.0 && pip list | grep -E '^(humanize|zipp) '"
    )
    said = output_of(client, PLAIN, "bash", "-c", command).split()
    assert said == ["airflow", "humanize", "4.9.0", "zipp", "3.20.0"]


def test_the_plain_image_takes_the_words_after_airflow(client):
    assert output_of(client, PLAIN, "version").strip() == "3.3.2"
    assert output_of(client, PLAIN, "airflow", "version").strip() == "3.3.2"


def test_a_runtime_waits_for_the_port_of_its_database(client):
    connection = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://somebody:secret@127.0.0.1:5432/shop"}
    waiting = client.containers.create(AIRFLOW_3, ["echo", "went on"], environment=connection)
    try:
        waiting.start()
        listening = waiting.exec_run(["timeout", "60", "nc", "-l", "127.0.0.1", "5432"])
        assert listening.exit_code == 0
        assert waiting.wait(timeout=60)["StatusCode"] == 0
        assert waiting.logs() == b"went on\n"
    finally:
        waiting.remove(force=True)


def test_postgres_makes_the_database_that_is_asked_for_in_utf8(client):
    settings = {"POSTGRES_USER": "shopkeeper", "POSTGRES_PASSWORD": "secret", "POSTGRES_DB": 'or"ders'}
    server = client.containers.create(POSTGRES, ["-c", "fsync=off"], environment=settings)
    query = "SELECT current_user, current_database(), current_setting('server_encoding'), current_setting('fsync')"
    # The port, unlike the socket, answers only when the cluster has been made.
    command = (
        "for _ in $(seq 600); do pg_isready -q -h 127.0.0.1 && break; sleep 0.1; done;"
        f'PGPASSWORD=secret psql -h 127.0.0.1 -U shopkeeper -d \'or"ders\' -At -c "{query}"'
    )
    try:
        server.start()
        answer = server.exec_run(["bash", "-c", command])
        assert answer.output.decode().strip() == 'shopkeeper|or"ders|UTF8|off'
        server.stop(timeout=20)
        server.reload()
        assert server.attrs["State"]["ExitCode"] == 0
    finally:
        server.remove(force=True, v=True)


def test_postgres_without_a_password_says_what_is_missing(client):
    server = client.containers.create(POSTGRES)
    try:
        server.start()
        assert server.wait(timeout=60)["StatusCode"] == 1
        assert b"You must specify POSTGRES_PASSWORD" in server.logs()
    finally:
        server.remove(force=True, v=True)


def test_an_image_that_is_there_is_not_made_again(client):
    before = [client.images.get(image.tag).id for image in IMAGES]
    said: list[str] = []
    ensure(said.append)
    assert said == []
    assert [client.images.get(image.tag).id for image in IMAGES] == before


def test_a_stand_in_says_what_it_was_made_from(client):
    for image in IMAGES:
        content = config_of(client, image.tag)["Labels"].get(CONTENT_LABEL)
        assert content in (None, image.content())


def test_no_engine_is_a_reason(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    assert reason_against().startswith("no Docker Engine answers (")


def test_projects_run_in_docker_here(astro_home, project):
    assert project.config.get("dev.mode") == "docker"
