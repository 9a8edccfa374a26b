"""What is planned for ``airflow_settings.yaml`` and ``.env`` of what Airflow has."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_magic.airflow.objects import AirflowObject
from astro_magic.objects.exporting import plan_to_env, plan_to_settings
from astro_magic.project import Project
from astro_magic.project.settings.environment import connection_text, read_connection, read_environment
from tests.objects_shapes import CONNECTION_VALUES, drawn_rows, settings_text

URI = "my-sql://me:p%40w@h:1/s?a=1"
OF_URI = {
    "conn_type": "my_sql",
    "host": "h",
    "schema": "s",
    "login": "me",
    "password": "p@w",
    "port": 1,
    "extra": '{"a": 1}',
}
FILE = f"""\
# mine
airflow:
  variables: # first
    - variable_name: Zed # the last
      variable_value: |
        two
        lines
  connections:

    # by its URI
    - conn_id: web
      conn_uri: {URI} # kept
    - conn_id: guarded
      conn_type: http # of ours
      conn_password: keyring:guarded
"""


@pytest.fixture
def file(project):
    project.settings.path.write_text(FILE)
    return project


def planned(project, *items, to=plan_to_settings):
    """Plan it; the same a second time changes nothing. Gives the plan and the text."""
    plan = to(project, items)
    (file,) = plan.change.files
    file.path.write_bytes(file.after)
    again = to(project, items)
    assert not again.change.changed
    assert again.exported == ()
    return plan, file.path.read_text()


def connection(name, **values):
    empty = dict.fromkeys(("conn_type", "host", "schema", "login", "password", "port", "extra", "description"))
    return AirflowObject("connection", name, {**empty, **values, "team_name": None})


def test_a_uri_that_says_the_same_stays(file):
    plan, text = planned(file, connection("web", **OF_URI))
    assert (text, plan.exported, plan.unchanged) == (FILE, (), 1)
    reordered = {**OF_URI, "extra": '{\n "a":1}'}
    assert planned(file, connection("web", **reordered))[1] == FILE


@pytest.mark.parametrize("change", [{"host": "far"}, {"port": None}, {"password": ""}, {"description": "new"}])
def test_a_uri_that_says_something_else_is_replaced_by_fields(file, change):
    plan, text = planned(file, connection("web", **{**OF_URI, **change}))
    assert plan.exported == ("connection/web",)
    assert "conn_uri" not in text
    (web,) = (item for item in file.settings.objects().objects if item.name == "web")
    expected = {name: value for name, value in {**OF_URI, **change}.items() if value not in (None, "")}
    assert web.values == expected
    assert text.startswith(FILE.partition("    - conn_id: web")[0])
    assert text.endswith(FILE[FILE.index("    - conn_id: guarded") :])


def test_references_to_the_keyring_are_never_replaced(file):
    values = {"conn_type": "http", "password": "sesame-4711"}
    plan, text = planned(file, connection("guarded", **values))
    assert (text, plan.unchanged) == (FILE, 1)
    _, text = planned(file, connection("guarded", **{**values, "host": "h", "conn_type": "https"}))
    assert text == FILE.replace("http # of ours", "https # of ours") + "      conn_host: h\n"
    assert "sesame" not in text


def test_a_row_that_cannot_be_used_is_left_as_it_is_and_told(file):
    broken = FILE + "      conn_port: none\n"
    file.settings.path.write_text(broken)
    plan, text = planned(file, connection("guarded", conn_type="http", password="sesame-4711", port=80))
    assert text == broken
    why = plan.skipped["connection/guarded"]
    assert "left as it is: airflow_settings.yaml:16:7: conn_port of the connection 'guarded' is no port" in why


def test_texts_of_several_lines_and_what_has_only_other_capitals(file):
    items = [
        AirflowObject("variable", "Zed", {"value": "two\nlines\n", "description": None}),
        AirflowObject("variable", "zed", {"value": "other\nlines", "description": None}),
    ]
    plan, text = planned(file, *items)
    assert (plan.exported, plan.unchanged) == (("variable/zed",), 1)
    assert {item.name: item.values["value"] for item in file.settings.objects().objects if item.kind == "variable"} == {
        "Zed": "two\nlines\n",
        "zed": "other\nlines",
    }
    assert text.startswith(FILE.partition("  connections:")[0])


def test_what_the_file_says_beyond_what_airflow_tells_stays(file):
    """A hidden value is left out of what is stored, and an object that Airflow does not have is none of the export."""
    _, text = planned(file, AirflowObject("connection", "guarded", {"conn_type": "http"}))
    assert text == FILE


def test_what_the_file_cannot_say_is_told(file):
    items = [
        AirflowObject("connection", "a b", {"conn_type": "http"}),
        AirflowObject("connection", "untyped", {"host": "h"}),
        AirflowObject("connection", "bad_extra", {"conn_type": "http", "extra": "no JSON"}),
        AirflowObject("pool", "closed", {"slots": 0, "include_deferred": False}),
        AirflowObject("variable", "good", {"value": "x"}),
    ]
    plan, _ = planned(file, *items)
    assert plan.exported == ("variable/good",)
    assert plan.skipped.keys() == {"connection/a b", "connection/untyped", "connection/bad_extra", "pool/closed"}
    assert all(plan.skipped.values())


def test_what_a_file_says_comes_back_into_an_empty_one_and_leaves_its_own_as_it_is(project, campaign):
    for _ in range(20 if campaign else 1):
        rows = drawn_rows(60, anew=campaign)
        text = settings_text(rows)
        project.settings.path.write_bytes(text.encode())
        said = {(item.kind, item.name): item.values for item in project.settings.objects().objects}
        stored = [AirflowObject(kind, name, values) for (kind, name), values in said.items()]
        plan = plan_to_settings(project, stored)
        assert (plan.change.changed, plan.unchanged, plan.skipped) == (False, len(rows), {})
        project.settings.path.write_bytes(b"")
        planned(project, *stored)
        again = {(item.kind, item.name): item.values for item in project.settings.objects().objects}
        assert {key: _said(values) for key, values in again.items()} == {
            key: _said(values) for key, values in said.items()
        }


def _said(values):
    return {name: value for name, value in values.items() if name == "value" or value not in ("", "{}")}


# -- .env ------------------------------------------------------------------------------------------------------------

ENV = "# mine\nOTHER=1\nexport AIRFLOW_CONN_WEB='http://me:p@h'  # kept\n\nAIRFLOW_VAR_REGION=north\n"


@pytest.fixture
def env(project):
    project.dotenv.path.write_text(ENV)
    return project


def planned_env(project, *items):
    return planned(project, *items, to=plan_to_env)


def test_what_env_says_already_stays(env):
    web = connection("web", conn_type="http", host="h", login="me", password="p")
    region = AirflowObject("variable", "REGION", {"value": "north", "description": "is not said there"})
    plan, text = planned_env(env, web, region)
    assert (text, plan.exported, plan.unchanged) == (ENV, (), 2)


def test_comments_and_order_of_env_stay(env):
    web = connection("web", conn_type="http", host="h", login="me", password="other")
    plan, text = planned_env(env, web, AirflowObject("variable", "new", {"value": "a b"}))
    assert plan.exported == ("connection/web", "variable/new")
    assert text == ENV.replace("'http://me:p@h'", "http://me:other@h") + "AIRFLOW_VAR_NEW=a b\n"


def test_of_two_that_differ_only_in_capitals_the_first_is_written_each_time(env):
    items = [AirflowObject("variable", "a", {"value": "x"}), AirflowObject("variable", "A", {"value": "y"})]
    _, text = planned_env(env, *items)
    assert text == f"{ENV}AIRFLOW_VAR_A=x\n"


def test_a_password_that_cannot_be_decrypted_stays_in_env(env):
    web = {"conn_type": "http", "host": "far", "login": "me"}
    _, text = planned_env(env, AirflowObject("connection", "web", web))
    assert "http://me:p@far" in text


def test_what_env_cannot_say_is_told(env):
    items = [
        AirflowObject("variable", "a", {"value": "x"}),
        AirflowObject("variable", "A", {"value": "y"}),
        AirflowObject("variable", "lines", {"value": "two\nlines"}),
        AirflowObject("variable", "a/b", {"value": "x"}),
        AirflowObject("variable", "größe", {"value": "x"}),
        AirflowObject("pool", "p", {"slots": 1}),
        AirflowObject("pool", "default_pool", {"slots": 1}),
        connection("untyped", host="h"),
        AirflowObject("variable", "hidden", {"description": None}),
        AirflowObject("connection", "text", {"conn_type": "http", "extra": "no JSON"}),
    ]
    plan, text = planned_env(env, *items)
    assert set(plan.exported) <= {"variable/a", "connection/text"}
    told = {item.key for item in items} - set(plan.exported) - {"pool/default_pool"}
    assert plan.skipped.keys() == told
    assert "only capitals differ" in plan.skipped["variable/A"]
    assert text.startswith(ENV)


@given(CONNECTION_VALUES)
def test_a_connection_in_env_is_read_back_as_it_was_written(values):
    text = connection_text(values)
    given_values = {name: value for name, value in values.items() if value not in (None, "")}
    assert read_connection(text, "It") == given_values
    if not text.startswith("{"):
        assert text.isascii()
        assert not set(text) & set(" '\"#$`\\")


@given(st.dictionaries(st.sampled_from(["a", "b_2", "C"]), CONNECTION_VALUES, min_size=1))
def test_connections_survive_an_env_file(connections):
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        stored = [AirflowObject("connection", name, values) for name, values in connections.items()]
        plan, _ = planned_env(project, *stored)
        found = {item.name: dict(item.values) for item in read_environment(project).objects}
        for item in stored:
            if item.key in plan.skipped:
                assert "cannot stand on one line" in plan.skipped[item.key]
                continue
            has = found[item.name.lower()]
            wanted = {name: value for name, value in item.values.items() if value != ""}
            for values in (has, wanted):
                if "extra" in values:
                    values["extra"] = json.loads(values["extra"])
            assert {**has, "extra": has.get("extra") or {}} == {**wanted, "extra": wanted.get("extra") or {}}
