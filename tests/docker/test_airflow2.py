"""The whole life of an Airflow 2 environment on a real engine, and how it becomes one of Airflow 3."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest

from astro_magic.airflow.task_logs import TaskChoice
from astro_magic.engines.docker.names import Names
from astro_magic.engines.options import LogQuery, StartOptions
from astro_magic.environment import Environment, open_environment
from astro_magic.errors import BuildFailedError, EngineError
from astro_magic.project.fingerprint import Action
from astro_magic.project.project import Project
from tests.docker.asked import add_secrets_backend, check_asking, check_asking_while_stopped
from tests.docker.images import AIRFLOW_2, AIRFLOW_3, PLAIN
from tests.docker.living import containers_of, leftovers
from tests.docker.observing import added, api_of, identities, lines_of, run_of, variable_of, write_dag
from tests.docker.small import until
from tests.objects_shapes import drawn_rows, rows_for_airflow_2
from tests.round_trip import check_round_trip

pytestmark = pytest.mark.docker

SERVICES = {"postgres", "scheduler", "webserver", "triggerer"}
SETTINGS = "airflow:\n  variables:\n    - variable_name: region\n      variable_value: {}\n"


def write_dag_2(project: Project, dag_id: str, statement: str, *, more: str = "") -> None:
    write_dag(project, dag_id, statement, more=more, airflow="2")


def test_airflow_2_and_its_upgrade(
    client: docker.DockerClient, project2: Project, tmp_path: Path, campaign: bool
) -> None:
    project = project2
    (project.root / "requirements.txt").write_text("humanize==4.11.0\n")
    (project.root / "packages.txt").write_text("tree\n")
    settings = project.root / "airflow_settings.yaml"
    settings.write_text(SETTINGS.format("west"))
    environment = open_environment(project)
    started = environment.start()
    assert (started.status.state, started.status.airflow_version) == ("running", "2.11.2")
    assert started.objects is not None
    assert started.objects.complete, started.objects.failures
    before = identities(client, project)
    assert set(before) == SERVICES
    assert environment.restart().restarted is False
    assert identities(client, project) == before

    # With what the project asks for; then with more, at once.
    write_dag_2(project, "counted", "assert humanize.intcomma(8120) == '8,120'", more="import humanize")
    run_of(environment, "counted")
    assert {line.source for line in environment.task_logs(TaskChoice("counted"), LogQuery())} == {"check"}
    assert "humanize==4.11.0" in lines_of(environment, "pip", "freeze")
    assert lines_of(environment, "tree", "--version")
    settings.write_text(SETTINGS.format("north"))
    assert environment.restart().pending.action is Action.IMPORT_OBJECTS
    assert variable_of(environment, "region") == "north"
    rows = rows_for_airflow_2(drawn_rows(500 if campaign else 100, anew=campaign))
    check_round_trip(environment, rows, tmp_path / "round-trip")
    project.apply(project.requirements.plan_merge("cowsay==6.1"))
    assert environment.add_packages()
    assert environment.pending().reasons == ()
    assert identities(client, project) == before
    write_dag_2(project, "said", "assert 'moo' in cowsay.get_output_string('cow', 'moo')", more="import cowsay")
    run_of(environment, "said")

    # Variables: new containers, the same database.
    project.apply(project.dotenv.plan_set({"SHOP_SIZE": "large", **add_secrets_backend(project)}))
    assert environment.restart().pending.action is Action.RECREATE
    after = identities(client, project)
    assert {service for service in SERVICES if after[service] == before[service]} == {"postgres"}
    write_dag_2(project, "sized", "import cowsay; assert os.environ['SHOP_SIZE'] == 'large'")
    run_of(environment, "sized")
    check_asking(environment)

    # Another image, and what does not become one.
    project.apply(project.dockerfile.plan_set("ENV", {"BAKED_IN": "yes"}))
    assert environment.restart().pending.action is Action.REBUILD
    assert lines_of(environment, "printenv", "BAKED_IN") == ["yes"]
    check_broken(client, project, environment)

    assert environment.stop().stopped == len(SERVICES)
    assert identities(client, project) == {}
    check_asking_while_stopped(environment)
    assert environment.start().status.state == "running"
    assert variable_of(environment, "region") == "north"
    check_upgrade(client, project, environment)
    environment.kill(images=True)
    assert leftovers(client, project) == []


def check_broken(client: docker.DockerClient, project: Project, environment: Environment) -> None:
    """A broken requirement and a broken Dockerfile change nothing of what runs; a run goes on meanwhile."""
    write_dag_2(project, "slow", "time.sleep(10)")
    run = environment.trigger("slow")
    before = identities(client, project)
    for file, line in (("requirements.txt", "humanize-of-nobody==1.2.3\n"), ("Dockerfile", "\nRUN exit 3\n")):
        with added(project.root / file, line), pytest.raises(BuildFailedError, match=file):
            environment.restart()
    assert identities(client, project) == before
    assert environment.status().state == "running"
    with api_of(environment) as api:
        ended = until(
            lambda: (now := api.get(f"/dags/slow/dagRuns/{run.run_id}")["state"]) not in ("queued", "running") and now,
            seconds=60,
        )
    assert ended == "success"


def check_upgrade(client: docker.DockerClient, project: Project, environment: Environment) -> None:
    """Make it a project of Airflow 3, and try to go back."""
    url = environment.status().url

    # Airflow 3: the data is migrated, and the address stays.
    dockerfile = project.root / "Dockerfile"
    text = dockerfile.read_text()
    assert AIRFLOW_2 in text
    dockerfile.write_text(text.replace(AIRFLOW_2, AIRFLOW_3))
    upgraded = environment.restart()
    assert (upgraded.status.state, upgraded.status.airflow_version) == ("running", "3.3.2"), upgraded.status
    assert set(identities(client, project)) == {"postgres", "scheduler", "dag-processor", "api-server", "triggerer"}
    assert len(containers_of(client, project)) == 5
    assert upgraded.status.url == url
    assert variable_of(environment, "region") == "north"
    write_dag(project, "counted", "assert humanize.intcomma(8120) == '8,120'", more="import humanize")
    run_of(environment, "counted")
    with api_of(environment) as api:
        # That of Airflow 2 is kept.
        assert api.get("/dags/counted/dagRuns")["total_entries"] == 2
    check_asking(environment)

    # Back is refused while Airflow 3 goes on.
    running = identities(client, project)
    dockerfile.write_text(text)
    with pytest.raises(EngineError, match=r"made by Airflow 3\.3\.2; this project now has 2\.11\.2") as refused:
        environment.restart()
    assert "Dockerfile" in str(refused.value.hint)
    assert "%astro_kill" in str(refused.value.hint)
    assert identities(client, project) == running
    assert environment.status().state == "running"
    dockerfile.write_text(text.replace(AIRFLOW_2, AIRFLOW_3))
    assert environment.restart().restarted is False


def test_the_image_that_the_airflow_project_publishes(client: docker.DockerClient, project: Project) -> None:
    """As a base with a package of one's own; and what was built of it as a prepared image."""
    prepared = f"{Names.of(project).image.rpartition('/')[0]}/airflow:prepared"
    (project.root / "Dockerfile").write_text(f"FROM {PLAIN}\nRUN pip install --no-cache-dir cowsay==6.1\n")
    environment = open_environment(project)
    started = environment.start()
    assert (started.status.state, started.status.airflow_version) == ("running", "3.3.2")
    write_dag(project, "said", "assert 'moo' in cowsay.get_output_string('cow', 'moo')", more="import cowsay")
    run_of(environment, "said")
    assert lines_of(environment, "pwd") == ["/opt/airflow"]
    built = client.images.get(Names.of(project).image)
    built.tag(prepared)
    environment.kill()

    # The Dockerfile counts no more.
    (project.root / "Dockerfile").write_text("FROM localhost:9/no-such-image:1\n")
    started = environment.start(StartOptions(image=prepared))
    assert started.status.state == "running"
    images = {each.image.id for each in containers_of(client, project) if not each.name.endswith("postgres-1")}
    assert images == {built.id}
    run_of(environment, "said")
    environment.stop()
    assert environment.start().status.state == "running"
    environment.kill(images=True)
    client.images.remove(prepared)
