from __future__ import annotations

import pytest

from astro_magic.engines.docker.services.stack import component_names, compose_model, overridden

AIRFLOW_3 = ("scheduler", "dag-processor", "api-server", "triggerer")


def test_airflow_3_as_the_astro_cli_has_it(make_inputs):
    inputs = make_inputs(settings="airflow_settings.yaml")
    model = compose_model(inputs)
    services, root = model["services"], inputs.project.root

    assert list(services) == ["postgres", "db-migration", *AIRFLOW_3]
    assert model["networks"]["airflow"]["name"] == f"{model['name']}_airflow"
    assert {volume["name"] for volume in model["volumes"].values()} == {
        f"{model['name']}_postgres_data",
        f"{model['name']}_airflow_logs",
    }
    assert services["postgres"]["image"] == "docker.io/postgres:12.6"
    assert services["postgres"]["ports"] == [
        {"target": 5432, "published": 15432, "host_ip": "127.0.0.1", "protocol": "tcp"}
    ]
    assert services["api-server"]["ports"][0]["published"] == 18080
    assert services["db-migration"]["command"] == ["airflow", "db", "migrate"]
    assert "volumes" not in services["db-migration"]
    for name in AIRFLOW_3:
        assert services[name]["user"] == "astro"
        assert services[name]["restart"] == "unless-stopped"
        assert services[name]["labels"]["io.astronomer.docker.component"] == f"airflow-{name}"
    assert "io.astronomer.docker.component" not in services["postgres"]["labels"]

    mounts = {mount["target"]: mount["source"] for mount in services["scheduler"]["volumes"]}
    assert mounts == {
        "/usr/local/airflow/dags": f"{root}/dags",
        "/usr/local/airflow/plugins": f"{root}/plugins",
        "/usr/local/airflow/include": f"{root}/include",
        "/usr/local/airflow/tests": f"{root}/tests",
        "/usr/local/airflow/logs": "airflow_logs",
        "/usr/local/airflow/airflow_settings.yaml": f"{root}/airflow_settings.yaml",
    }
    assert "/usr/local/airflow/tests" not in {mount["target"] for mount in services["triggerer"]["volumes"]}

    environment = services["scheduler"]["environment"]
    dsn = "postgresql://postgres:postgres@postgres:5432"
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == environment["AIRFLOW__CORE__SQL_ALCHEMY_CONN"] == dsn
    assert environment["AIRFLOW__API__SECRET_KEY"] == inputs.project.unique_name
    assert environment["ASTRONOMER_ENVIRONMENT"] == "local"
    # The Astro CLI has 8080 here whatever the port is.
    assert environment["AIRFLOW__API__BASE_URL"] == "http://localhost:18080"


def test_every_component_is_looked_at_and_waits_for_what_it_needs(make_inputs):
    services = compose_model(make_inputs())["services"]

    for name in AIRFLOW_3:
        assert services[name]["healthcheck"]["test"][:3] == ["CMD", "python", "-c"]
        compile(services[name]["healthcheck"]["test"][3], name, "exec")
        assert "import airflow" not in services[name]["healthcheck"]["test"][3]
        assert services[name]["depends_on"]["db-migration"] == {"condition": "service_completed_successfully"}
    assert "/api/v2/monitor/health" in services["api-server"]["healthcheck"]["test"][3]
    assert "DagProcessorJob" in services["dag-processor"]["healthcheck"]["test"][3]
    assert services["postgres"]["healthcheck"]["test"][1] == "pg_isready"
    assert services["db-migration"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_airflow_2(make_inputs):
    services = compose_model(make_inputs(airflow="2.11.0", env="AIRFLOW__API__AUTH_BACKENDS=my.backend\n"))["services"]

    assert list(services) == ["postgres", "db-migration", "scheduler", "webserver", "triggerer"]
    assert services["db-migration"]["command"][:2] == ["bash", "-c"]
    assert "airflow db migrate && (airflow users create" in services["db-migration"]["command"][2]
    environment = services["webserver"]["environment"]
    assert environment["AIRFLOW__WEBSERVER__BASE_URL"] == "http://localhost:18080"
    assert environment["AIRFLOW__API__AUTH_BACKENDS"].split(",")[0].endswith("basic_auth")
    assert environment["AIRFLOW__API__AUTH_BACKENDS"].split(",")[-1] == "my.backend"
    assert "AIRFLOW__CORE__EXECUTION_API_SERVER_URL" not in environment
    assert "'http://localhost:8080/health'" in services["webserver"]["healthcheck"]["test"][3]


@pytest.mark.parametrize(
    ("version", "verb", "has_triggerer"), [("2.1.4", "upgrade", False), ("2.6.3", "upgrade", True)]
)
def test_older_airflow_2(make_inputs, version, verb, has_triggerer):
    services = compose_model(make_inputs(airflow=version))["services"]
    assert f"airflow db {verb} &&" in services["db-migration"]["command"][2]
    assert ("triggerer" in services) is has_triggerer


def test_component_names():
    assert component_names(3) == AIRFLOW_3
    assert component_names(2) == ("scheduler", "webserver", "triggerer")


def test_an_image_of_another_maker(make_inputs):
    services = compose_model(make_inputs(home="/opt/airflow", user="airflow"))["services"]
    assert "user" not in services["scheduler"]
    assert services["scheduler"]["volumes"][0]["target"] == "/opt/airflow/dags"
    assert services["scheduler"]["environment"]["AIRFLOW__CORE__PLUGINS_FOLDER"] == "/opt/airflow/plugins"


def test_what_the_configuration_says(make_inputs):
    config = (
        "postgres:\n  user: me\n  password: 'p@ss/word'\n  repository: example.org/pg\n  tag: '16'\n"
        "airflow:\n  expose_port: true\nduplicate_volumes: false\n"
    )
    model = compose_model(make_inputs(config=config))
    postgres = model["services"]["postgres"]
    assert postgres["image"] == "example.org/pg:16"
    assert postgres["environment"] == {"POSTGRES_PASSWORD": "p@ss/word", "POSTGRES_USER": "me"}
    assert postgres["ports"][0]["host_ip"] == ""
    assert postgres["healthcheck"]["test"][-1] == "me"
    assert (model["volumes"], postgres["volumes"]) == ({}, [])
    dsn = model["services"]["scheduler"]["environment"]["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert dsn == "postgresql://me:p%40ss%2Fword@postgres:5432"


def test_env_wins_where_the_engine_does_not_depend_on_it(make_inputs):
    env = "AIRFLOW__CORE__LOAD_EXAMPLES=True\nASTRONOMER_ENVIRONMENT=mine\nAIRFLOW__CORE__PARALLELISM=7\nTOKEN=secret\n"
    inputs = make_inputs(env=env)
    for name in ("db-migration", *AIRFLOW_3):
        environment = compose_model(inputs)["services"][name]["environment"]
        assert environment["AIRFLOW__CORE__LOAD_EXAMPLES"] == "True"
        assert environment["ASTRONOMER_ENVIRONMENT"] == "mine"
        assert environment["AIRFLOW__CORE__PARALLELISM"] == "7"
        assert environment["TOKEN"] == "secret"
    assert "TOKEN" not in compose_model(inputs)["services"]["postgres"]["environment"]
    assert overridden(inputs) == ()
    assert "secret" not in repr(inputs)


def test_where_the_engine_depends_on_a_value_it_wins_and_says_so(make_inputs):
    env = (
        "AIRFLOW__CORE__EXECUTOR=CeleryExecutor\nAIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD=cat x\n"
        "AIRFLOW__CORE__SQL_ALCHEMY_CONN=sqlite://\nAIRFLOW__CORE__FERNET_KEY=x\n"
    )
    inputs = make_inputs(env=env)
    environment = compose_model(inputs)["services"]["scheduler"]["environment"]
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert environment["AIRFLOW__CORE__SQL_ALCHEMY_CONN"].startswith("postgresql://")
    assert overridden(inputs) == (
        "AIRFLOW__CORE__EXECUTOR",
        "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW__CORE__SQL_ALCHEMY_CONN",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD",
    )


@pytest.mark.parametrize(
    ("folder", "followed"),
    [
        ("/usr/local/airflow/dags/team", True),
        ("/usr/local/airflow/dags", True),
        ("/usr/local/airflow/dags/../x", False),
        ("/srv/dags", False),
    ],
)
def test_the_folder_of_the_dags_has_to_be_one_that_is_live(make_inputs, folder, followed):
    inputs = make_inputs(env=f"AIRFLOW__CORE__DAGS_FOLDER={folder}\n")
    environment = compose_model(inputs)["services"]["scheduler"]["environment"]
    assert environment["AIRFLOW__CORE__DAGS_FOLDER"] == (folder if followed else "/usr/local/airflow/dags")
    assert overridden(inputs) == (() if followed else ("AIRFLOW__CORE__DAGS_FOLDER",))
