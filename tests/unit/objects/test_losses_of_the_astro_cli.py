"""What the Astro CLI loses between ``airflow_settings.yaml`` and Airflow, one test for each loss: here it survives.

The loader's losses are those of Astro CLI 1.45 with viper (``settings/settings.go``), the export's those of its
``object export``.
"""

from __future__ import annotations

import json

import pytest

HEAD = "# ours\nairflow:\n"


@pytest.fixture
def imported(project, objects, server):
    """Import rows; gives what Airflow then has of an object."""

    def bring(text, kind, name):
        project.settings.path.write_text(HEAD + text)
        result = objects.import_settings()
        assert result.failures == ()
        return server.kept[kind, name]

    return bring


@pytest.fixture
def exported(project, objects, server):
    """Export what Airflow has; gives what the settings file then says, by name."""

    def bring(**options):
        plan = objects.export(**options)
        return plan, {item.name: dict(item.values) for item in project.settings.objects().objects}

    return bring


# -- what its loader loses -------------------------------------------------------------------------------------------


def test_loader_makes_the_keys_of_an_extra_small(imported):
    extra = "{RoleArn: x, Nested: {RegionName: [{Up: 1}]}}"
    row = f"  connections:\n    - {{conn_id: a, conn_type: aws, conn_extra: {extra}}}\n"
    assert json.loads(imported(row, "connection", "a")["extra"]) == {
        "RoleArn": "x",
        "Nested": {"RegionName": [{"Up": 1}]},
    }


@pytest.mark.parametrize(
    "written",
    [
        "true",
        "False",
        "no",
        "1.10",
        "1e3",
        "0123",
        "0x10",
        "1_000",
        "2026-01-01",
        "2026-01-01T10:00:00Z",
        "12:30",
        "~x",
    ],
)
def test_loader_takes_a_variable_for_a_number_a_truth_value_or_a_date(imported, written):
    row = f"  variables:\n    - variable_name: a\n      variable_value: {written}\n"
    assert imported(row, "variable", "a")["value"] == written


@pytest.mark.parametrize(("written", "value"), [("[1, No]", '[1, "No"]'), ("{Key: true}", '{"Key": true}')])
def test_loader_drops_a_variable_that_is_a_list_or_a_mapping(imported, written, value):
    row = f"  variables:\n    - variable_name: a\n      variable_value: {written}\n"
    assert imported(row, "variable", "a")["value"] == value


def test_loader_drops_an_empty_variable(imported):
    assert imported("  variables:\n    - {variable_name: a, variable_value: ''}\n", "variable", "a")["value"] == ""


@pytest.mark.parametrize("written", ["0644", '"0644"'])
def test_loader_reads_a_port_as_octal(imported, written):
    row = f"  connections:\n    - {{conn_id: a, conn_type: http, conn_port: {written}}}\n"
    assert imported(row, "connection", "a")["port"] == 644


def test_loader_drops_a_row_with_a_bad_port_without_a_word(project, objects, server):
    project.settings.path.write_text(f"{HEAD}  connections:\n    - {{conn_id: a, conn_type: http, conn_port: x}}\n")
    (failure,) = objects.import_settings().failures
    assert failure.startswith("airflow_settings.yaml:4:37: conn_port of the connection 'a' is no port")


def test_loader_skips_a_row_without_an_id_without_a_word(project, objects):
    project.settings.path.write_text(f"{HEAD}  pools:\n    - {{pool_slot: 3}}\n")
    (failure,) = objects.import_settings().failures
    assert failure == "airflow_settings.yaml:4:7: This pool has no pool_name."


def test_loader_reads_a_uri_otherwise_than_airflow(imported):
    extra = "__extra__=%7B%22Key%22%3A%20%5B1%5D%7D"
    row = f"  connections:\n    - {{conn_id: a, conn_uri: 'google-cloud-platform://me:p%40w@h:1/s?{extra}'}}\n"
    made = imported(row, "connection", "a")
    assert (made["conn_type"], made["password"], made["schema"]) == ("google_cloud_platform", "p@w", "s")
    assert json.loads(made["extra"]) == {"Key": [1]}


def test_loader_posts_a_connection_of_nothing_for_a_uri_that_it_cannot_read(project, objects, server):
    project.settings.path.write_text(f"{HEAD}  connections:\n    - {{conn_id: a, conn_uri: 'http://u:p/x@h'}}\n")
    assert len(objects.import_settings().failures) == 1
    assert ("connection", "a") not in server.kept


def test_loader_always_leaves_deferred_tasks_out_of_a_pool(imported):
    row = "  pools:\n    - {pool_name: a, pool_slot: 1, pool_include_deferred: true}\n"
    assert imported(row, "pool", "a")["include_deferred"] is True


def test_loader_has_no_descriptions(imported):
    row = "  variables:\n    - {variable_name: a, variable_value: x, variable_description: why}\n"
    assert imported(row, "variable", "a")["description"] == "why"


def test_import_ends_with_the_first_row_that_fails(project, objects, server):
    text = "  variables:\n    - {variable_name: a}\n    - {variable_name: b, variable_value: x}\n"
    project.settings.path.write_text(HEAD + text)
    assert len(objects.import_settings().failures) == 1
    assert server.kept["variable", "b"]["value"] == "x"


# -- what its export loses -------------------------------------------------------------------------------------------


def test_export_a_fails_where_there_are_no_connections(exported, server):
    server.add("variable", "region", value="north")
    plan, found = exported()
    assert plan.exported == ("variable/region",)
    assert found == {"region": {"value": "north"}}


def test_export_b_has_no_other_pool_than_the_default_one(exported, server):
    server.add("pool", "narrow", slots=2, description="few")
    _, found = exported()
    assert found == {"narrow": {"slots": 2, "description": "few", "include_deferred": False}}
    server.kept["pool", "default_pool"]["slots"] = 7
    assert exported()[1]["default_pool"]["slots"] == 7


def test_export_c_empties_passwords(project, exported, server):
    row = "  connections:\n    - {conn_id: a, conn_type: http, conn_host: h, conn_login: l, conn_password: sesame}\n"
    project.settings.path.write_text(HEAD + row)
    values = {"conn_type": "http", "host": "h", "login": "l", "password": "sesame"}
    server.add("connection", "a", **values)
    server.add("connection", "b", **values)
    _, found = exported()
    assert found == {"a": values, "b": values}


def test_export_c_keeps_what_cannot_be_decrypted(project, exported, server):
    row = "  connections:\n    - {conn_id: a, conn_type: http, conn_password: sesame}\n"
    project.settings.path.write_text(HEAD + row)
    server.add("connection", "a", conn_type="https")
    del server.kept["connection", "a"]["password"]
    assert exported()[1]["a"] == {"conn_type": "https", "password": "sesame"}


def test_export_d_makes_texts_of_all_in_an_extra_and_fails_on_nested_ones(exported, server):
    extra = '{"Flag": true, "n": 5, "f": 1.10, "none": null, "nested": {"l": [1, {"Ü": "x"}]}}'
    server.add("connection", "a", conn_type="aws", extra=extra)
    assert exported()[1]["a"]["extra"] == extra


@pytest.mark.parametrize("value", ["5", "1.10", "true", "null", '{"Key": [1.10]}', "[1]", '"x"', ""])
def test_export_e_empties_a_variable_that_is_json_or_has_a_description(exported, server, value):
    server.add("variable", "a", value=value, description="what it is for")
    server.add("variable", "b", value=value)
    _, found = exported()
    assert found == {"a": {"value": value, "description": "what it is for"}, "b": {"value": value}}


def test_export_f_writes_the_file_anew(project, exported, server):
    text = """\
# mine
airflow: # all
  variables:
    - variable_name: Zed # the last
      variable_value: 1.10

    # the first
    - {variable_name: A, variable_value: "x"}
  connections:
    - conn_id: Web
      conn_uri: http://h
other: {Kept: yes}
"""
    project.settings.path.write_text(text)
    server.add("variable", "Zed", value="1.10")
    server.add("variable", "A", value="x")
    server.add("connection", "Web", conn_type="http", host="h")
    plan, _ = exported()
    assert (plan.change.changed, plan.exported, plan.unchanged) == (False, (), 3)
    server.kept["variable", "A"]["value"] = "z"
    exported()
    assert project.settings.path.read_text() == text.replace('"x"', "z")


def test_export_g_needs_a_settings_file(project, exported, server):
    project.settings.path.unlink()
    server.add("variable", "a", value="x")
    assert exported()[1] == {"a": {"value": "x"}}


def test_export_h_leaves_secrets_in_another_file(project, objects, server):
    server.add("connection", "a", conn_type="http", password="sesame-4711")
    objects.export(to_env=True)
    told = [path for path in project.root.rglob("*") if path.is_file() and b"sesame" in path.read_bytes()]
    # The history of changes is for its owner only, and what undo needs.
    assert [path.name for path in told if project.state_dir not in path.parents] == [".env"]
    assert all(path.stat().st_mode & 0o77 == 0 for path in told)


def test_export_i_appends_to_the_environment_each_time_without_quotes_and_pools(project, objects, server):
    values = {"spaces": "a b", "hash": "a # b", "quotes": 'it\'s "x"', "dollar": "$HOME", "json": '{"K": "a b"}'}
    for name, value in values.items():
        server.add("variable", name, value=value)
    server.add("pool", "narrow", slots=2)
    first = objects.export(to_env=True)
    text = project.dotenv.path.read_text()
    assert {name: project.dotenv.variables()[f"AIRFLOW_VAR_{name.upper()}"] for name in values} == values
    assert "cannot stand in an environment file" in first.skipped["pool/narrow"]
    again = objects.export(to_env=True)
    assert (again.change.changed, again.unchanged) == (False, len(values))
    assert project.dotenv.path.read_text() == text
