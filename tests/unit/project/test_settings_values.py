from __future__ import annotations

import json

import pytest

from astro_magic.errors import InvalidContentError
from astro_magic.project import Project
from astro_magic.project.settings.uri import parse_uri
from astro_magic.project.settings.values import SettingsObjects

SECRET = "sesame-open-4711"


@pytest.fixture
def read(tmp_path):
    project = Project.create(tmp_path / "shop").project

    def read_text(text: str) -> SettingsObjects:
        project.settings.path.write_text(text, encoding="utf-8")
        return project.settings.objects()

    return read_text


def values(found: SettingsObjects, *, problems: int = 0) -> dict:
    assert len(found.problems) == problems
    return {item.name: dict(item.values) for item in found.objects}


def variable(text: str) -> str:
    return f"airflow:\n  variables:\n    - variable_name: it\n      variable_value: {text}\n"


def connection(*lines: str) -> str:
    return "airflow:\n  connections:\n    - conn_id: it\n" + "".join(f"      {line}\n" for line in lines)


def test_a_new_project_has_none(tmp_path):
    assert Project.create(tmp_path / "shop").project.settings.objects() == SettingsObjects((), ())


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("True", "True"),
        ("0123", "0123"),
        ("1.10", "1.10"),
        ("2026-01-01", "2026-01-01"),
        ("12:30", "12:30"),
        ("' padded '", " padded "),
        ('"line\\nbreak"', "line\nbreak"),
        ("'{\"Key\": true}'", '{"Key": true}'),
        (
            "{Key: true, n: 1.10, id: 0123, none: ~, t: 'yes'}",
            '{"Key": true, "n": 1.10, "id": "0123", "none": null, "t": "yes"}',
        ),
        ("[a, no, 0x10, {B: []}]", '["a", "no", 16, {"B": []}]'),
        ("größe", "größe"),
    ],
)
def test_a_variable_is_what_was_written(read, written, value):
    found = read(variable(written))
    assert values(found) == {"it": {"value": value}}


def test_all_fields_of_all_kinds_in_any_case(read):
    found = read(
        f"""\
Airflow:
  Connections:
    - Conn_Id: db
      CONN_TYPE: postgres
      conn_host: 10.0
      conn_schema: no
      conn_login: 0123
      conn_password: {SECRET}
      conn_port: 05432
      conn_description: the warehouse
      conn_extra: {{SslMode: require, Nested: {{Port: 01}}}}
  pools:
    - pool_name: a/b c
      pool_slot: "010"
      pool_description: two
      pool_include_deferred: true
  variables:
    - variable_name: ä
      variable_value: {SECRET}
      variable_description: what it is for
"""
    )
    assert values(found) == {
        "db": {
            "conn_type": "postgres",
            "host": "10.0",
            "schema": "no",
            "login": "0123",
            "password": SECRET,
            "port": 5432,
            "extra": '{"SslMode": "require", "Nested": {"Port": "01"}}',
            "description": "the warehouse",
        },
        "a/b c": {"slots": 10, "description": "two", "include_deferred": True},
        "ä": {"value": SECRET, "description": "what it is for"},
    }
    assert [(item.kind, item.place) for item in found.objects] == [
        ("connection", "airflow_settings.yaml:3"),
        ("pool", "airflow_settings.yaml:13"),
        ("variable", "airflow_settings.yaml:18"),
    ]
    assert SECRET not in repr(found)


def test_what_has_no_value_is_left_out(read):
    text = connection("conn_type: http", "conn_host:", "conn_password: ''", "conn_port: 0", "conn_extra: ''")
    assert values(read(text)) == {"it": {"conn_type": "http"}}


def test_json_as_text_passes_as_it_is(read):
    assert values(read(connection("conn_type: http", """conn_extra: '{"Key":1.10}'"""))) == {
        "it": {"conn_type": "http", "extra": '{"Key":1.10}'}
    }


def test_single_fields_win_over_the_uri(read):
    uri = f"conn_uri: my-sql://me:{SECRET}@far/away"
    assert values(read(connection("conn_type: http", uri))) == {"it": {"conn_type": "http"}}
    assert values(read(connection("conn_host: near", uri))) == {
        "it": {"conn_type": "my_sql", "host": "near", "login": "me", "password": SECRET, "schema": "away"}
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (connection(f"conn_password: {SECRET}"), "no conn_type and no conn_uri"),
        (connection("conn_type: http", f"conn_port: {SECRET}"), "conn_port of the connection 'it' is no port"),
        (connection("conn_type: http", f"conn_extra: {SECRET}"), "no JSON"),
        (connection("conn_type: http", f"conn_extra: [{SECRET}]"), "is a list or a mapping"),
        (connection("conn_type: http", f"conn_host: [{SECRET}]"), "is a list or a mapping"),
        (connection("conn_type: http", f"conn_description: [{SECRET}]"), "is a list or a mapping"),
        (connection(f"conn_uri: {SECRET}"), "is no URI"),
        (connection(f"conn_uri: http://me:{SECRET}/x@host"), "as its port"),
        (connection("conn_type: http").replace("it", "'a b'"), "refuses as the id"),
        (variable(""), "no variable_value"),
        ("airflow:\n  pools:\n    - pool_name: it\n", "no pool_slot"),
        ("airflow:\n  pools:\n    - pool_name: it\n      pool_slot: 0\n", "no number of slots"),
        ("airflow:\n  pools:\n    - {pool_name: it, pool_slot: 1, pool_include_deferred: 'yes'}\n", "no truth value"),
        (f"airflow:\n  variables:\n    - variable_value: {SECRET}\n", "has no variable_name"),
    ],
)
def test_a_bad_row_is_told_and_keeps_no_other_from_being_read(read, text, message):
    kept = "  variables:\n    - variable_name: kept\n      variable_value: 1\n"
    text = text + kept if "variables:" not in text else text + kept.removeprefix("  variables:\n")
    found = read(text)
    assert [item.name for item in found.objects] == ["kept"]
    (problem,) = found.problems
    assert message in problem.message
    assert problem.hint
    file, line, column = problem.place.split(":")
    key = text.splitlines()[int(line) - 1][int(column) - 1 :].strip("{").partition(":")[0]
    assert file == "airflow_settings.yaml"
    # At the field that is wrong; where one is missing, at the row.
    assert key in problem.message or "no " in message or "its port" in message
    assert key.startswith(("conn_", "pool_", "variable_"))
    assert SECRET not in repr(found)


def test_an_unknown_field_is_told_and_the_rest_is_read(read):
    found = read(connection("conn_type: http", f"host: {SECRET}"))
    assert values(found, problems=1) == {"it": {"conn_type": "http"}}
    (problem,) = found.problems
    assert (problem.place, problem.whole) == ("airflow_settings.yaml:5:7", False)
    assert problem.hint == "Did you mean conn_host?"
    assert SECRET not in repr(found)


def test_a_variable_may_be_empty_where_that_is_written(read):
    assert values(read(variable("''"))) == {"it": {"value": ""}}


def test_of_two_rows_with_one_id_the_last_counts(read):
    found = read(variable("old") + "    - variable_name: it\n      variable_value: new\n")
    assert [(item.values["value"], item.place) for item in found.objects] == [("new", "airflow_settings.yaml:5")]
    assert [(problem.line, problem.message) for problem in found.problems] == [
        (3, "The variable 'it' is on line 5 again, which counts.")
    ]


def test_a_file_that_is_no_settings_file_is_an_error(read):
    with pytest.raises(InvalidContentError):
        read("airflow: [1]\n")


@pytest.mark.parametrize(
    ("uri", "fields"),
    [
        ("postgresql://h", {"conn_type": "postgres", "host": "h"}),
        ("google-cloud-platform://", {"conn_type": "google_cloud_platform"}),
        (
            "http://me%40home:p%2Fw%3A@host:80/a%2Fb?timeout=3&flag=true&name=x&empty=",
            {
                "conn_type": "http",
                "login": "me@home",
                "password": "p/w:",
                "host": "host",
                "port": 80,
                "schema": "a/b",
                "extra": {"timeout": 3, "flag": True, "name": "x", "empty": ""},
            },
        ),
        ("aws://?__extra__=%7B%22Region%22%3A+%22eu%22%7D", {"conn_type": "aws", "extra": {"Region": "eu"}}),
        ("http://https://host:443/x", {"conn_type": "http", "host": "https://host", "port": 443, "schema": "x"}),
        ("mysql://%2Ftmp%2FMy.sock/db", {"conn_type": "mysql", "host": "/tmp/My.sock", "schema": "db"}),
        ("http://[::1]:8080", {"conn_type": "http", "host": "::1", "port": 8080}),
    ],
)
def test_a_uri_is_read_as_airflow_reads_it(uri, fields):
    found = parse_uri(uri, "conn_uri")
    if "extra" in found:
        found["extra"] = json.loads(found["extra"])
    assert found == fields


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "example.org",
        "://host",
        "a://b://c://d",
        "http://u:p@h://x",
        "http://h:port",
        "http://[h",
        "a://?__extra__=[1]",
    ],
)
def test_what_is_no_uri_of_a_connection_is_refused(uri):
    with pytest.raises(InvalidContentError, match=r"^It ") as refusal:
        parse_uri(uri, "It")
    assert not uri or uri not in str(refusal.value)
