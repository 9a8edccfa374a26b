from __future__ import annotations

import os
import stat

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from astro_magic.errors import InvalidContentError, InvalidPathError
from astro_magic.project import Project
from astro_magic.project.config import parse_config, with_project_name, with_values
from astro_magic.project.config_file import KEYS, ConfigFile
from astro_magic.project.yaml.values import Scalar

FILE = """\
# mine
project:
    name: shop
    # deployed by hand
    deployment: abc # id
Webserver:
    Port: 8081
dev:
    mode: docker
"""


@pytest.fixture
def config(tmp_path):
    project = Project(tmp_path)
    config = ConfigFile(project)
    config.path.parent.mkdir()
    config.path.write_bytes(FILE.encode())
    config.path.chmod(0o600)
    return config


def planned(plan):
    return plan.files[0].after.decode()


def test_values(config):
    assert config.values() == {
        "project.name": (3, "shop"),
        "project.deployment": (5, "abc"),
        "webserver.port": (7, "8081"),
        "dev.mode": (9, "docker"),
    }
    config.path.write_text("a:\n  b: [1]\n  c: ~\n  d: ''\n")
    assert config.values() == {"a.d": (4, "")}
    config.path.unlink()
    assert config.values() == {}


@pytest.mark.parametrize(
    ("values", "old", "new"),
    [
        ({"webserver.port": "9090"}, "8081", "9090"),
        ({"WEBSERVER.PORT": "9090"}, "8081", "9090"),
        ({"project.deployment": "no"}, "abc", '"no"'),
        ({"dev.mode": "standalone"}, "docker", "standalone"),
        ({"project.workspace": "w"}, "abc # id\n", "abc # id\n    workspace: w\n"),
        ({"skip_parse": "true"}, "docker\n", "docker\nskip_parse: true\n"),
        (
            {"postgres.port": "5433", "postgres.tag": "12.10"},
            "docker\n",
            'docker\npostgres:\n    port: 5433\n    tag: "12.10"\n',
        ),
        ({"project.name": "other"}, "shop", "other"),
        ({"webserver.port": "8081", "dev.mode": "docker"}, "", ""),
    ],
)
def test_set(config, values, old, new):
    after = planned(config.plan_set(values))
    assert after == FILE.replace(old, new)
    config.path.write_bytes(after.encode())
    assert not config.plan_set(values).changed
    config.path.write_bytes(FILE.replace("\n", "\r\n").encode())
    assert planned(config.plan_set(values)) == FILE.replace(old, new).replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("values", "words", "hint"),
    [
        ({"webserver.prot": "1"}, "no setting 'webserver.prot'", "webserver.port?"),
        ({"name": "x"}, "no setting 'name'", "project.name?"),
        ({"zz": "x"}, "no setting 'zz'", "There are: airflow.expose_port"),
        ({"webserver.port": "0"}, "webserver.port cannot be '0'", "1 to 65535"),
        ({"webserver.port": "65536"}, "cannot be", ""),
        ({"webserver.port": "٣"}, "cannot be", ""),
        ({"machine.cpu": "two"}, "cannot be", "from 1 on"),
        ({"skip_parse": "yes"}, "cannot be 'yes'", "true, false"),
        ({"dev.mode": "podman"}, "cannot be", "docker, standalone"),
    ],
)
def test_what_the_astro_cli_does_not_know_is_refused(config, values, words, hint):
    with pytest.raises(InvalidContentError, match=words) as caught:
        config.plan_set(values)
    assert hint in caught.value.hint


def test_a_bad_name_is_refused(config):
    with pytest.raises(InvalidPathError, match="no name"):
        config.plan_set({"project.name": "a b"})


def test_remove(config):
    assert planned(config.plan_remove("project.deployment")) == FILE.replace(
        "    # deployed by hand\n    deployment: abc # id\n", ""
    )
    assert planned(config.plan_remove("webserver.port")) == FILE.replace("Webserver:\n    Port: 8081\n", "")
    with pytest.raises(InvalidContentError, match=r"does not set 'webserver\.prt'") as caught:
        config.plan_remove("webserver.prt")
    assert "webserver.port?" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("webserver: 8080\n", r"a value for webserver, which is a section \(line 1"),
        ("a:\n\tb: 1\n", "no valid YAML"),
        ("project: 1\nproject: 2\n", "twice"),
        ("- a\n", "no mapping"),
    ],
)
def test_what_cannot_be_read_is_not_edited(config, text, words):
    config.path.write_text(text)
    with pytest.raises(InvalidContentError, match=words):
        config.plan_set({"webserver.port": "1"})


def test_changes_are_applied_and_the_file_stays_private(config):
    assert config.set({"webserver.port": "9"}).applied
    assert config.project.config.webserver_port == 9
    assert config.remove("webserver.port").applied
    assert not config.remove("dev.mode", dry_run=True).applied
    if os.name != "nt":
        assert stat.S_IMODE(config.path.stat().st_mode) == 0o600
    config.project.undo()
    config.project.undo()
    assert config.read() == FILE.encode()
    assert "s3cret" not in config.plan_set({"postgres.password": "s3cret"}).diff()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "project:\n    name: a-1\n"),
        ("\ufeff# x", "\ufeff# x\nproject:\n    name: a-1\n"),
        ("project:\n  name: b # x\n", "project:\n  name: a-1 # x\n"),
        ("project:\r\n  Name: b\r\n", "project:\r\n  Name: a-1\r\n"),
        ("project:\n", "project:\n    name: a-1\n"),
        ("project: {name: b}", "project: {name: a-1}"),
        (
            "dev:\n  mode: docker\nproject:\n  deployment: x\n",
            "dev:\n  mode: docker\nproject:\n  deployment: x\n  name: a-1\n",
        ),
    ],
)
def test_the_name_is_set_in_any_layout(before, after):
    assert with_project_name(before, "a-1") == after
    assert with_project_name(after, "a-1") == after


def test_removing_what_is_not_there_changes_nothing():
    assert with_values(FILE, {"a": None, "b.c": None, "dev.port": None}) == FILE
    assert with_values("", {"a": None}) == ""


@given(
    st.dictionaries(st.sampled_from(sorted(KEYS)), st.text("ab1.: #'\"\\no-\n", max_size=6), max_size=6),
    st.dictionaries(
        st.sampled_from(sorted(KEYS)), st.one_of(st.none(), st.text("ab1.: #'no\n", max_size=6)), max_size=4
    ),
)
def test_what_is_set_is_what_pyyaml_reads(before, values):
    text = with_values("# top\n", {key: Scalar(value) for key, value in before.items()})
    assert _flat(yaml.safe_load(text)) == before
    after = with_values(text, {key: None if value is None else Scalar(value) for key, value in values.items()})
    expected = {key: value for key, value in {**before, **values}.items() if value is not None}
    assert _flat(yaml.safe_load(after)) == expected
    assert after.startswith("# top\n")
    # The small reader that other modules use says the same, where it can say it.
    simple = {
        key: value
        for key, value in expected.items()
        if "\n" not in value and "\\" not in value and value not in {"", "~"}
    }
    assert {key: parse_config(after)[key] for key in simple} == simple


def _flat(data, prefix=""):
    found: dict[str, object] = {}
    for key, value in (data or {}).items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def test_a_value_that_is_there_in_another_spelling_stays(project):
    config = project.config_file
    config.path.write_text('project:\n  name: shop\npostgres:\n  port: "5433"\n  tag: 17.2\n')
    assert not config.plan_set({"postgres.port": "5433", "postgres.tag": "17.2"}).changed
    config.path.write_text("project:\n  name: shop\npostgres:\n  tag: 17.10\n")
    assert b'tag: "17.10"' in config.plan_set({"postgres.tag": "17.10"}).files[0].after
