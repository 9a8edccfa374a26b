from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from astro_magic.engines.docker.services.compose import export_compose
from astro_magic.engines.docker.services.interpolation import interpolate
from astro_magic.engines.docker.services.override import merge_override
from astro_magic.engines.docker.services.stack import EXTENSION, compose_model


def read(text):
    return yaml.safe_load(text)


def plain(value):
    """Put variables in as Docker Compose does when it reads the file."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return interpolate(value, {}, set()) if isinstance(value, str) else value


def model_of(**service):
    return {"name": "shop", "services": {"one": {"image": "i", **service}}, "networks": {}, "volumes": {}}


@given(st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True), st.text(st.characters(codec="utf-8"))))
def test_any_value_is_read_again(environment):
    exported = read(export_compose(model_of(environment=environment), secrets="inline"))
    assert plain(exported["services"]["one"].get("environment", {})) == environment


@given(st.lists(st.text(st.characters(codec="utf-8"))))
def test_any_command_is_read_again(command):
    exported = read(export_compose(model_of(command=command), secrets="inline"))
    assert plain(exported["services"]["one"]["command"]) == command


def test_a_stack(make_inputs):
    inputs = make_inputs(settings="airflow_settings.yaml", folder="a b+&'\"é")
    model = compose_model(inputs)
    text = export_compose(model, secrets="env-file")
    assert f"-p {model['name']} " in text.partition("services:")[0]
    exported = read(text)

    assert set(exported) == {"services", "networks", "volumes"}
    scheduler = plain(exported["services"]["scheduler"])
    assert scheduler["volumes"] == [
        "./dags:/usr/local/airflow/dags:z",
        "./plugins:/usr/local/airflow/plugins:z",
        "./include:/usr/local/airflow/include:z",
        "./tests:/usr/local/airflow/tests:z",
        "airflow_logs:/usr/local/airflow/logs",
        "./airflow_settings.yaml:/usr/local/airflow/airflow_settings.yaml:z",
    ]
    for name, content in model["services"].items():
        found = plain(exported["services"][name])
        for key in ("command", "healthcheck", "labels", "depends_on", "restart", "networks", "image"):
            assert found.get(key) == content.get(key)
        assert found["environment"] == content["environment"]
        assert found.get("env_file") == (None if name == "postgres" else ".env")
    assert exported["services"]["api-server"]["ports"] == ["127.0.0.1:18080:8080"]
    # docker-compose 1.29 refuses a truth value here.
    assert '      AIRFLOW__SCHEDULER__STANDALONE_DAG_PROCESSOR: "True"\n' in text
    assert EXTENSION not in text


def test_what_stands_in_env_is_left_there(make_inputs):
    env = "TOKEN=s3cret\nDOLLAR='a$b'\nESCAPED=\"a\\nb\"\nMULTI='x\ny'\nAIRFLOW__CORE__EXECUTOR=X\n"
    model = compose_model(make_inputs(env=env))
    text = export_compose(model, secrets="env-file")
    environment = plain(read(text)["services"]["scheduler"]["environment"])
    assert "s3cret" not in text
    assert "MULTI" not in environment
    # Docker Compose, in one of its versions, would make something else of these two.
    assert (environment["DOLLAR"], environment["ESCAPED"]) == ("a$b", "a\\nb")
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"

    inline = export_compose(model, secrets="inline")
    assert plain(read(inline)["services"]["scheduler"]["environment"])["TOKEN"] == "s3cret"
    assert "env_file" not in inline
    assert "as secret as they are" in inline


def test_what_an_override_changes_wins_over_env(make_inputs):
    model = compose_model(make_inputs(env="TOKEN=a\n"))
    merged = merge_override(
        model, "services: {scheduler: {environment: {TOKEN: a}}}", file="docker-compose.override.yml", environment={}
    )
    services = read(export_compose(merged, secrets="env-file"))["services"]
    assert services["scheduler"]["environment"]["TOKEN"] == "a"
    assert "TOKEN" not in services["triggerer"]["environment"]


@pytest.mark.parametrize("env", ["A=1\nB${}=2\nC='x", "no assignment\n"])
def test_a_file_that_docker_compose_refuses_is_not_named(make_inputs, env):
    text = export_compose(compose_model(make_inputs(env=env)), secrets="env-file")
    assert "env_file:" not in text


def test_a_path_with_a_colon_is_written_out(make_inputs):
    volumes = read(export_compose(compose_model(make_inputs(folder="a:b")), secrets="inline"))["services"]["scheduler"][
        "volumes"
    ]
    assert volumes[0] == {"type": "bind", "source": "./dags", "target": "/usr/local/airflow/dags"}


def test_ports_volumes_and_devices_in_the_short_syntax():
    volumes = [
        {"type": "bind", "source": "/x", "target": "/y", "read_only": True},
        {"type": "tmpfs", "source": "", "target": "/t", "tmpfs": {"size": 10}},
        {"type": "volume", "source": "", "target": "/z"},
    ]
    ports = [
        {"target": 80, "published": 81, "host_ip": "::1", "protocol": "udp"},
        {"target": 80, "published": None, "host_ip": "", "protocol": "tcp"},
    ]
    devices = [{"source": "/dev/a", "target": "/dev/b", "permissions": "r"}]
    service = read(export_compose(model_of(volumes=volumes, ports=ports, devices=devices), secrets="inline"))[
        "services"
    ]["one"]
    assert service["volumes"] == [
        "/x:/y:ro",
        {"type": "tmpfs", "target": "/t", "tmpfs": {"size": 10}},
        {"type": "volume", "target": "/z"},
    ]
    assert service["ports"] == ["[::1]:81:80/udp", "80"]
    assert service["devices"] == ["/dev/a:/dev/b:r"]


def test_no_text_is_left_for_a_reader_to_guess(make_inputs):
    text = export_compose(compose_model(make_inputs(env="A=yes\nB=1.10\nC=0o17\n")), secrets="inline")
    for key in "ABC":
        assert re.search(rf'^      {key}: "', text, re.MULTILINE)
