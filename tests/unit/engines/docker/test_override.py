from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_magic.engines.docker.names import Names
from astro_magic.engines.docker.services.interpolation import InterpolationError, interpolate
from astro_magic.engines.docker.services.override import OVERRIDE_NAME, merge_override, override_notes
from astro_magic.engines.docker.services.stack import EXTENSION, compose_model
from astro_magic.engines.docker.services.translate import config_hash, container_body
from astro_magic.errors import InvalidContentError

NAMES = Names("shop", "shop/airflow:latest")


def merge(model, text, environment=None):
    return merge_override(model, text, file=OVERRIDE_NAME, environment=environment or {})


def small(**service):
    return {
        "name": "shop",
        "services": {"one": {"image": "i", "networks": {"airflow": {}}, **service}},
        "networks": {"airflow": {}},
        "volumes": {},
        EXTENSION: {"working_dir": "/srv/shop", "config_files": "/srv/shop/compose.yaml"},
    }


def one(text, *, base=None, environment=None):
    merged = merge(small(**(base or {})), text, environment)
    return merged["services"]["one"]


def refusal(text, *, model=None):
    with pytest.raises(InvalidContentError) as caught:
        merge(model or small(), text)
    return caught.value


@pytest.mark.parametrize("text", ["", "# nothing\n", "services: {}\n", "services:\n", "version: '3'\nx-mine: 1\n"])
def test_an_empty_file_changes_nothing(make_inputs, text):
    model = compose_model(make_inputs(env="TOKEN=a\n"))
    before = copy.deepcopy(model)
    merged = merge(model, text)
    assert model == before
    assert {key: merged[key] for key in merged if key != EXTENSION} == {
        key: model[key] for key in model if key != EXTENSION
    }
    assert merged[EXTENSION]["config_files"] == f"{model[EXTENSION]['config_files']},{_override_path(model)}"
    assert [config_hash(merged, name) for name in merged["services"]] == [
        config_hash(model, name) for name in model["services"]
    ]


def _override_path(model):
    return f"{model[EXTENSION]['working_dir']}/{OVERRIDE_NAME}"


def test_an_override_of_our_services(make_inputs):
    model = compose_model(make_inputs(env="TOKEN=a\n"))
    text = """
services:
  scheduler:
    environment:
      TOKEN: b
      AIRFLOW__CORE__EXECUTOR: MyExecutor
      NUMBER: 1.10
      FLAG: true
    volumes:
      - ./dbt:/usr/local/airflow/dbt:ro
      - ./other:/usr/local/airflow/include
    deploy:
      resources: {limits: {cpus: "0.5", memory: 2g}}
  postgres:
    image: docker.io/postgres:16
    ports: ["5433:5432"]
"""
    merged = merge(model, text)
    root = model[EXTENSION]["working_dir"]
    scheduler = merged["services"]["scheduler"]
    environment = scheduler["environment"]
    assert (environment["TOKEN"], environment["NUMBER"], environment["FLAG"]) == ("b", "1.1", "true")
    # The file is the one place where a person may change what the engine depends on.
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "MyExecutor"
    assert environment["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
    mounts = {mount["target"]: mount for mount in scheduler["volumes"]}
    assert mounts["/usr/local/airflow/dbt"]["source"] == f"{root}/dbt"
    assert mounts["/usr/local/airflow/dbt"]["read_only"] is True
    assert mounts["/usr/local/airflow/include"]["source"] == f"{root}/other"
    assert len([mount for mount in scheduler["volumes"] if mount["target"].endswith("/include")]) == 1
    assert container_body(merged, "scheduler", NAMES)[1]["HostConfig"]["Memory"] == 2**31
    postgres = merged["services"]["postgres"]
    assert postgres["image"] == "docker.io/postgres:16"
    # As in Docker Compose, another published port is one more.
    assert [port["published"] for port in postgres["ports"]] == [15432, 5433]
    assert postgres["healthcheck"] == model["services"]["postgres"]["healthcheck"]


def test_a_service_of_its_own():
    text = """
services:
  redis:
    image: redis:7
    command: redis-server --save "a b"
    depends_on: [one]
    ports: ["6379", 127.0.0.1:7000-7001:8000-8001/udp, "[::1]:90:80"]
    volumes: [cache:/data, /anonymous]
    labels: [a=b, c]
    tmpfs: /run
    dns: 1.1.1.1
    extra_hosts: {host.docker.internal: host-gateway}
    cap_add: [SYS_PTRACE]
    ulimits: {nofile: 1000}
    init: yes
    user: 1000
    stop_grace_period: 3s
    profiles: [later]
volumes:
  cache:
networks:
  default: {external: true, name: theirs}
"""
    merged = merge(small(), text)
    redis = merged["services"]["redis"]
    assert redis["command"] == ["redis-server", "--save", "a b"]
    assert redis["depends_on"] == {"one": {"condition": "service_started"}}
    assert redis["ports"] == [
        {"target": 6379, "published": None, "host_ip": "", "protocol": "tcp"},
        {"target": 8000, "published": 7000, "host_ip": "127.0.0.1", "protocol": "udp"},
        {"target": 8001, "published": 7001, "host_ip": "127.0.0.1", "protocol": "udp"},
        {"target": 80, "published": 90, "host_ip": "::1", "protocol": "tcp"},
    ]
    assert redis["volumes"][0] == {"type": "volume", "source": "cache", "target": "/data"}
    assert redis["labels"] == {"a": "b", "c": ""}
    assert redis["extra_hosts"] == ["host.docker.internal:host-gateway"]
    assert (redis["tmpfs"], redis["dns"], redis["init"], redis["user"]) == (["/run"], ["1.1.1.1"], True, "1000")
    assert redis["ulimits"] == {"nofile": {"soft": 1000, "hard": 1000}}
    # Without a network of its own it is in the default one, and not with Airflow.
    assert redis["networks"] == {"default": {}}
    assert merged["networks"]["default"] == {"external": True, "name": "theirs"}
    assert override_notes(merged) == ("The service redis belongs to a profile, so it is not started.",)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("test: exit 0", ["CMD-SHELL", "exit 0"]),
        ("test: [NONE]", ["NONE"]),
        ("test: [CMD, a, b]", ["CMD", "a", "b"]),
        ("interval: 5s", ["CMD", "old"]),
    ],
)
def test_health_checks(written, expected):
    base = {"healthcheck": {"test": ["CMD", "old"], "retries": 3}}
    service = one(f"services: {{one: {{healthcheck: {{{written}}}}}}}", base=base)
    assert service["healthcheck"]["test"] == expected
    assert service["healthcheck"]["retries"] == 3


def test_a_health_check_that_is_switched_off():
    base = {"healthcheck": {"test": ["CMD", "old"]}}
    merged = merge(small(**base), "services: {one: {healthcheck: {disable: true}}}")
    assert container_body(merged, "one", NAMES)[1]["Healthcheck"] == {"Test": ["NONE"]}


def test_the_rules_of_merging():
    base = {
        "command": ["a", "b"],
        "dns": ["1.1.1.1"],
        "labels": {"a": "1", "b": "2"},
        "ports": [{"target": 80, "published": 81, "host_ip": "", "protocol": "tcp"}],
        "logging": {"driver": "local", "options": {"max-size": "1m"}},
        "depends_on": {"x": {"condition": "service_healthy"}},
        "tmpfs": ["/run:size=1m", "/tmp"],
    }
    text = """
services:
  one:
    command: [c]
    dns: [8.8.8.8, 1.1.1.1]
    labels: {b: "3", c: "4"}
    ports: ["0.0.0.0:81:80", "81:80/udp"]
    logging: {driver: json-file, options: {labels: x}}
    depends_on: [y]
    tmpfs: [/run:size=2m]
"""
    service = one(text, base=base)
    assert service["command"] == ["c"]
    assert service["dns"] == ["1.1.1.1", "8.8.8.8"]
    assert service["labels"] == {"a": "1", "b": "3", "c": "4"}
    assert [(port["published"], port["protocol"]) for port in service["ports"]] == [(81, "tcp"), (81, "udp")]
    assert service["logging"] == {"driver": "json-file", "options": {"labels": "x"}}
    assert set(service["depends_on"]) == {"x", "y"}
    assert service["tmpfs"] == ["/run:size=2m", "/tmp"]
    options = one("services: {one: {logging: {options: {x: y}}}}", base=base)
    assert options["logging"] == {"driver": "local", "options": {"max-size": "1m", "x": "y"}}


def test_reset_and_override():
    base = {
        "ports": [{"target": 80, "published": 81, "host_ip": "", "protocol": "tcp"}],
        "volumes": [{"type": "tmpfs", "source": "", "target": "/t"}],
        "environment": {"A": "1", "B": "2"},
        "restart": "always",
        "command": ["a"],
        "labels": {"x": "1"},
        "dns": ["1.1.1.1"],
    }
    text = """
services:
  one:
    ports: !override ["82:80"]
    volumes: !override
    - type: tmpfs
      target: /u
    environment:
      A: !reset
      C: "it says !reset"
    restart: !reset null
    labels: !override
      y: "2"
    command:
    dns: !reset []
"""
    service = one(text, base=base)
    assert [port["published"] for port in service["ports"]] == [82]
    assert [volume["target"] for volume in service["volumes"]] == ["/u"]
    assert service["environment"] == {"B": "2", "C": "it says !reset"}
    assert service["labels"] == {"y": "2"}
    assert not {"restart", "command", "dns"} & set(service)


def test_env_files_are_below_what_the_engine_sets_and_above_the_rest(make_inputs):
    inputs = make_inputs(env="TOKEN=a\n")
    model = compose_model(inputs)
    (inputs.project.root / "more.env").write_text(
        "TOKEN=b\nQUOTED='$x y' # comment\nAIRFLOW__CORE__EXECUTOR=X\nAIRFLOW__CORE__LOAD_EXAMPLES=True\n"
    )
    (inputs.project.root / "raw.env").write_text("RAW='kept'\n")
    text = """
services:
  scheduler:
    env_file:
      - more.env
      - {path: not-there.env, required: false}
      - {path: ./raw.env, format: raw}
    environment:
      - FROM_HERE
      - NOT_SET
      - LAST=1
"""
    merged = merge(model, text, {"FROM_HERE": "yes"})
    environment = merged["services"]["scheduler"]["environment"]
    assert (environment["TOKEN"], environment["QUOTED"], environment["RAW"]) == ("b", "$x y", "'kept'")
    assert environment["AIRFLOW__CORE__LOAD_EXAMPLES"] == "True"
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert (environment["FROM_HERE"], environment["LAST"]) == ("yes", "1")
    assert "NOT_SET" not in environment
    assert [note for note in override_notes(merged) if "AIRFLOW__CORE__EXECUTOR" in note]
    problem = refusal("services: {scheduler: {env_file: gone.env}}", model=model)
    assert "services.scheduler.env_file names gone.env, which is no file" in problem.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$A-${A}", "1-1"),
        ("${B:-x}${B-x}${C:-y}${C-z}", "xyz"),
        ("${A:+set}${B:+set}${B+set}", "setset"),
        ("$$A $${A}", "$A ${A}"),
        ("${C:-${D:-deep}}", "deep"),
        ("${A:?needed}", "1"),
        ("$C", ""),
    ],
)
def test_interpolation(text, value):
    assert interpolate(text, {"A": "1", "B": ""}, set()) == value


@pytest.mark.parametrize("text", ["$", "a $ b", "${", "${A", "${1}", "$-", "${A!x}"])
def test_a_dollar_sign_that_begins_nothing(text):
    with pytest.raises(InterpolationError):
        interpolate(text, {"A": "1"}, set())


@given(st.text())
def test_what_is_escaped_is_what_was_meant(text):
    assert interpolate(text.replace("$", "$$"), {}, set()) == text


def test_variables_in_a_file():
    service = one("services: {one: {user: '${WHO:-me}', image: 'a:$TAG'}}", environment={"TAG": "3"})
    assert (service["user"], service["image"]) == ("me", "a:3")
    merged = merge(small(), "services: {one: {user: 'x$NOBODY'}}")
    assert "NOBODY" in override_notes(merged)[0]
    problem = refusal("services:\n  one:\n    user: ${WHO:?say who}\n")
    assert problem.message == (
        f"{OVERRIDE_NAME}, line 3: services.one.user needs the variable WHO, which has no value: say who."
    )


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("services:\n  one:\n    prots: ['1']\n", 3, "services.one.prots is no key of a service"),
        ("services:\n  one:\n    ports: ['x']\n", 3, "services.one.ports.0 is no port"),
        ("services:\n  one:\n    ports:\n    - 70000\n", 4, "services.one.ports.0 is no port from 1 to 65535"),
        ("services:\n  new: {command: x}\n", 2, "services.new names no image"),
        ("services:\n  new: {build: .}\n", 2, "services.new.build asks for an image to be built"),
        ("services: {one: {mem_limit: lots}}\n", 1, "services.one.mem_limit is no size"),
        ("services: {one: {volumes: ['data:/y']}}\n", 1, "uses the volume data, which is not declared"),
        ("services: {one: {volumes: ['./a:/b:rw:c']}}\n", 1, "services.one.volumes.0 is no volume"),
        ("services: {one: {networks: [x]}}\n", 1, "uses the network x, which is not declared"),
        ("services: {one: {network_mode: host}}\n", 1, "stands beside networks"),
        ("services: {one: {healthcheck: {test: [x]}}}\n", 1, "does not begin with NONE, CMD"),
        ("services: {one: {deploy: {replicas: 2}}}\n", 1, "several containers of one service"),
        ("services: {one: {extends: x}}\n", 1, "services.one.extends is not supported here"),
        ("services: {one: {profiles: [x]}}\n", 1, "would leave out a service that the engine needs"),
        ("services: {one: {privileged: maybe}}\n", 1, "is neither true nor false"),
        ('services: {one: {command: "a \'b"}}\n', 1, "has a quote that is not closed"),
        ("services: {one: {environment: 3}}\n", 1, "services.one.environment is no list"),
        ("services: {one: {environment: {A: [1]}}}\n", 1, "services.one.environment.A is no text"),
        ("services: {one: [a]}\n", 1, "services.one is no mapping"),
        ("secrets: {a: {file: x}}\n", 1, "secrets is not supported here"),
        ("service: {}\n", 1, "service is no key of a Compose file"),
        ("services: {one: !reset {}}\n", 1, "is a service that the engine needs"),
        ("services: {one: {ports: [!reset '80']}}\n", 1, "stands before the value of a key only"),
    ],
)
def test_what_is_refused(text, line, words):
    problem = refusal(text)
    assert problem.message.startswith(f"{OVERRIDE_NAME}, line {line}: ")
    assert words in problem.message
    assert problem.hint


def test_a_slip_of_the_pen_is_understood():
    assert refusal("services: {one: {enviroment: {}}}").hint == "Did you mean environment?"


@pytest.mark.parametrize("text", ["services: [", "a: b: c", "- x", "one\n", "services: {one: &a {image: *a}}"])
def test_no_yaml(text):
    assert OVERRIDE_NAME in refusal(text).message


def test_what_only_the_command_understands_is_told():
    merged = merge(small(), "services: {one: {pull_policy: always, attach: false}}")
    assert [note.split()[4] for note in override_notes(merged)] == ["attach", "pull_policy"]


def test_no_value_of_a_variable_is_told():
    problem = refusal("services:\n  one:\n    environment: {A: s3cret, B: [s3cret]}\n")
    assert "s3cret" not in str(problem)
