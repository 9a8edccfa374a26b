from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_magic.engines.docker.names import Names
from astro_magic.engines.docker.services.quantities import nanoseconds, octets
from astro_magic.engines.docker.services.stack import compose_model
from astro_magic.engines.docker.services.translate import (
    HASH_LABEL,
    config_hash,
    container_body,
    further_networks,
    missing_sources,
    network_body,
    start_order,
    started_services,
    volume_body,
)
from astro_magic.errors import InvalidContentError

NAMES = Names("shop", "shop/airflow:latest")


def model_of(service, **parts):
    return {"name": "shop", "services": {"one": {"image": "i", **service}}, "networks": {}, "volumes": {}, **parts}


def body_of(service, **parts):
    return container_body(model_of(service, **parts), "one", NAMES)[1]


def test_a_scheduler(make_inputs):
    inputs = make_inputs(settings="airflow_settings.yaml")
    model = compose_model(inputs)
    name, body = container_body(model, "scheduler", inputs.names)

    assert name == f"{model['name']}-scheduler-1"
    assert body["Image"] == inputs.names.image
    assert body["Cmd"] == ["airflow", "scheduler"]
    assert body["User"] == "astro"
    assert "AIRFLOW__CORE__EXECUTOR=LocalExecutor" in body["Env"]
    assert body["Healthcheck"]["Interval"] == 30 * 10**9
    assert body["Healthcheck"]["Retries"] == 3
    host = body["HostConfig"]
    assert f"{inputs.project.root}/dags:/usr/local/airflow/dags:z" in host["Binds"]
    assert host["Mounts"] == [
        {
            "Type": "volume",
            "Source": inputs.names.logs_volume,
            "Target": "/usr/local/airflow/logs",
            "ReadOnly": False,
        }
    ]
    assert host["RestartPolicy"] == {"Name": "unless-stopped"}
    assert host["NetworkMode"] == inputs.names.network
    assert body["NetworkingConfig"] == {"EndpointsConfig": {inputs.names.network: {"Aliases": ["scheduler"]}}}
    labels = body["Labels"]
    assert labels["com.docker.compose.project"] == inputs.names.compose
    assert labels["com.docker.compose.service"] == "scheduler"
    assert labels["com.docker.compose.oneoff"] == "False"
    assert labels["com.docker.compose.container-number"] == "1"
    assert labels["com.docker.compose.project.working_dir"] == str(inputs.project.root)
    assert labels["com.docker.compose.project.config_files"] == f"{inputs.project.root}/compose.yaml"
    assert labels["io.astronomer.docker.component"] == "airflow-scheduler"
    assert labels[HASH_LABEL] == config_hash(model, "scheduler")
    json.dumps(body)


def test_ports_are_published_on_every_address_that_is_named():
    ports = [
        {"target": 8080, "published": 18080, "host_ip": "127.0.0.1", "protocol": "tcp"},
        {"target": 8080, "published": None, "host_ip": "", "protocol": "tcp"},
    ]
    body = body_of({"ports": ports})
    assert body["ExposedPorts"] == {"8080/tcp": {}}
    assert body["HostConfig"]["PortBindings"] == {
        "8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18080"}, {"HostIp": "", "HostPort": ""}]
    }


def test_a_path_with_a_colon_is_no_bind():
    volumes = [{"type": "bind", "source": "/a:b", "target": "/c", "bind": {"selinux": "z"}}]
    host = body_of({"volumes": volumes})["HostConfig"]
    assert host["Binds"] == []
    assert host["Mounts"] == [{"Type": "bind", "Source": "/a:b", "Target": "/c", "ReadOnly": False}]


def test_what_an_override_may_ask_for():
    service = {
        "mem_limit": "1g",
        "shm_size": 1048576,
        "memswap_limit": -1,
        "deploy": {"resources": {"limits": {"cpus": 0.5, "memory": 536870912}}},
        "ulimits": {"nofile": {"soft": 1, "hard": 2}},
        "stop_grace_period": "1m30s",
        "restart": "on-failure:3",
        "entrypoint": [],
        "healthcheck": {"disable": True, "test": ["CMD", "x"]},
        "tmpfs": ["/run:size=64m", "/tmp"],
        "network_mode": "service:two",
        "privileged": True,
        "logging": {"driver": "local", "options": {"max-size": "1m"}},
        "devices": [{"source": "/dev/a", "target": "/dev/b", "permissions": "r"}],
    }
    body = body_of(service)
    host = body["HostConfig"]
    assert (host["Memory"], host["NanoCpus"], host["ShmSize"], host["MemorySwap"]) == (536870912, 5 * 10**8, 2**20, -1)
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 1, "Hard": 2}]
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert host["Tmpfs"] == {"/run": "size=64m", "/tmp": ""}
    assert host["NetworkMode"] == "container:shop-two-1"
    assert host["LogConfig"] == {"Type": "local", "Config": {"max-size": "1m"}}
    assert host["Devices"] == [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r"}]
    assert host["Privileged"] is True
    assert (body["StopTimeout"], body["Entrypoint"]) == (90, [""])
    assert body["Healthcheck"] == {"Test": ["NONE"]}


def test_only_the_first_network_is_given_at_creation():
    networks = {"b": {"aliases": ["x"], "ipv4_address": "10.0.0.2"}, "a": {}, "first": {"priority": 5}}
    declared = {"a": {"external": True, "name": "theirs"}, "b": {}, "first": {"name": "shop_f"}}
    model = model_of({"networks": networks}, networks=declared)
    _, body = container_body(model, "one", NAMES)
    assert list(body["NetworkingConfig"]["EndpointsConfig"]) == ["shop_f"]
    assert further_networks(model, "one") == (
        ("theirs", {"Aliases": ["one"]}),
        ("shop_b", {"Aliases": ["one", "x"], "IPAMConfig": {"IPv4Address": "10.0.0.2"}}),
    )


def test_networks_and_volumes_carry_the_labels_by_which_compose_knows_them():
    model = model_of(
        {},
        networks={"airflow": {"name": "shop_airflow", "driver": "bridge"}, "theirs": {"external": True}},
        volumes={"data": {"driver_opts": {"size": 1}}, "theirs": {"external": True, "name": "x"}, "plain": None},
    )
    network = network_body(model, "airflow", NAMES)
    assert network is not None
    assert (network["Name"], network["Driver"]) == ("shop_airflow", "bridge")
    assert network["Labels"]["com.docker.compose.network"] == "airflow"
    # With one, Docker Compose would make the network anew, and offer to delete the volume.
    assert HASH_LABEL not in network["Labels"]
    volume = volume_body(model, "data", NAMES)
    assert volume is not None
    assert (volume["Name"], volume["DriverOpts"]) == ("shop_data", {"size": "1"})
    assert volume["Labels"]["com.docker.compose.volume"] == "data"
    assert HASH_LABEL not in volume["Labels"]
    assert volume_body(model, "plain", NAMES)["Name"] == "shop_plain"
    assert network_body(model, "theirs", NAMES) is None
    assert volume_body(model, "theirs", NAMES) is None


def test_the_order_of_a_start(make_inputs):
    model = compose_model(make_inputs())
    components = ("api-server", "dag-processor", "scheduler", "triggerer")
    assert start_order(model) == (("postgres",), ("db-migration",), components)


def test_what_cannot_be_started_in_any_order():
    circle: dict[str, Any] = {"a": {"depends_on": {"b": {}}}, "b": {"depends_on": {"a": {}}}, "c": {}}
    with pytest.raises(InvalidContentError, match="in a circle: a, b"):
        start_order({"services": circle})
    with pytest.raises(InvalidContentError, match="needs b, which does not exist"):
        start_order({"services": {"a": {"depends_on": {"b": {}}}}})
    with pytest.raises(InvalidContentError, match="belongs to a profile"):
        start_order({"services": {"a": {"depends_on": {"b": {}}}, "b": {"profiles": ["x"]}}})
    optional = {"services": {"a": {"depends_on": {"b": {"required": False}}}, "b": {"profiles": ["x"]}}}
    assert start_order(optional) == (("a",),)
    assert started_services(optional) == ("a",)


def test_missing_sources(make_inputs):
    inputs = make_inputs()
    model = compose_model(inputs)
    assert missing_sources(model) == ()
    (inputs.project.root / "include").rmdir()
    assert missing_sources(model) == (inputs.project.root / "include",)


def test_a_fingerprint_is_of_the_content_alone(make_inputs):
    model = compose_model(make_inputs(env="TOKEN=a\n"))
    turned = copy.deepcopy(model)
    scheduler = turned["services"]["scheduler"]
    scheduler["environment"] = dict(reversed(scheduler["environment"].items()))
    assert config_hash(turned, "scheduler") == config_hash(model, "scheduler")
    other = compose_model(make_inputs(env="TOKEN=b\n"))
    assert config_hash(other, "scheduler") != config_hash(model, "scheduler")
    assert config_hash(other, "postgres") == config_hash(model, "postgres")


@pytest.mark.parametrize(
    ("text", "value"),
    [("30s", 30 * 10**9), ("1m30s", 90 * 10**9), ("500ms", 5 * 10**8), ("1.5h", 5400 * 10**9), ("5", 5 * 10**9)],
)
def test_durations(text, value):
    assert nanoseconds(text) == value


@pytest.mark.parametrize("text", ["", "s", "1x", "1m 30", "-5s"])
def test_no_durations(text):
    with pytest.raises(ValueError, match=r".*"):
        nanoseconds(text)


@pytest.mark.parametrize(("text", "value"), [("512m", 2**29), ("2gb", 2**31), ("1.5K", 1536), (7, 7), ("3b", 3)])
def test_sizes(text, value):
    assert octets(text) == value


@given(st.dictionaries(st.text(min_size=1).filter(lambda key: "=" not in key), st.text()))
def test_every_value_of_the_environment_arrives(environment):
    env = body_of({"environment": environment})["Env"]
    assert dict(entry.split("=", 1) for entry in env) == environment
