"""The settings file: what is read of it, and single objects that are set and removed."""

from __future__ import annotations

import pytest

from astro_magic.errors import InvalidContentError
from astro_magic.project.changes import FileChange
from tests.unit.project.settings_files import FILE, TEMPLATE, merged, planned


def test_entries(settings):
    connection, web, pool, variable = settings.entries()
    assert (connection.kind, connection.name, connection.line) == ("connection", "db", 5)
    assert connection.values == {
        "conn_id": "db",
        "conn_type": "postgres",
        "conn_host": "10.0.0.1",
        "conn_port": "5432",
        "conn_password": "hunter2",
        "conn_extra": {"SslMode": "require", "nested": {"a": 1}},
    }
    assert (web.name, web.line) == ("web", 14)
    assert pool.values == {"pool_name": "small", "pool_slot": "2"}
    assert settings.entries("variable") == (variable,)
    assert "hunter2" not in repr(connection)
    assert "s3cret" not in repr(settings.entries())


def test_rows_that_say_nothing_are_no_entries(settings):
    settings.path.write_text(TEMPLATE)
    assert settings.entries() == ()
    settings.path.write_text("airflow:\n  variables:\n    - variable_value: x\n    -\n    - variable_name: no\n")
    assert [(entry.name, entry.values) for entry in settings.entries()] == [
        ("", {"variable_value": "x"}),
        ("no", {"variable_name": "no"}),
    ]
    for text in ("", "# only\n", "airflow:\n", "airflow:\n  pools:\n", "airflow:\n  pools: []\n", "other: 1\n"):
        settings.path.write_text(text)
        assert settings.entries() == ()
    settings.path.unlink()
    assert settings.entries() == ()


def test_keys_are_read_without_regard_to_case_and_aliases_are_followed(settings):
    settings.path.write_text(
        "Airflow:\n  Pools:\n    - &p {Pool_Name: a, POOL_SLOT: 1}\n    - <<: *p\n      pool_name: b\n    - *p\n"
    )
    assert [entry.values for entry in settings.entries()] == [
        {"pool_name": "a", "pool_slot": "1"},
        {"pool_name": "b", "pool_slot": "1"},
        {"pool_name": "a", "pool_slot": "1"},
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("airflow: [a]\n", "something else than a mapping under airflow"),
        ("airflow:\n  pools: 3\n", "something else than a list under pools"),
        ("airflow:\n  pools:\n    - a\n", "something else than a mapping as an item of pools"),
        ("airflow:\n\tpools:\n", "no valid YAML"),
    ],
)
def test_what_is_no_settings_file_is_named(settings, text, words):
    settings.path.write_text(text)
    for read in (settings.entries, lambda: settings.plan_set("pool", "a", {"pool_slot": 1})):
        with pytest.raises(InvalidContentError, match=rf"airflow_settings.yaml .*{words}.* \(line"):
            read()


@pytest.mark.parametrize("data", [b"a: \xff\n", b"a: \0\n"])
def test_what_is_no_text_is_refused(settings, data):
    settings.path.write_bytes(data)
    with pytest.raises(InvalidContentError):
        settings.plan_merge("pools: [{pool_name: a, pool_slot: 1}]")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "airflow:\n  pools:\n    - pool_name: a\n      pool_slot: 1\n"),
        ("# mine", "# mine\nairflow:\n  pools:\n    - pool_name: a\n      pool_slot: 1\n"),
        ("airflow: # all\n", "airflow: # all\n  pools:\n    - pool_name: a\n      pool_slot: 1\n"),
        (
            "airflow:\n    variables:\n    - variable_name: v",
            "airflow:\n    variables:\n    - variable_name: v\n    pools:\n    - pool_name: a\n      pool_slot: 1\n",
        ),
        ("airflow:\n  pools: # none\n", "airflow:\n  pools: # none\n    - pool_name: a\n      pool_slot: 1\n"),
        ("{airflow: {pools: [{pool_name: b}]}}", "{airflow: {pools: [{pool_name: b}, {pool_name: a, pool_slot: 1}]}}"),
        ("Airflow:\n", "Airflow:\n  pools:\n    - pool_name: a\n      pool_slot: 1\n"),
        ("airflow: {}\n", "airflow: {pools: [{pool_name: a, pool_slot: 1}]}\n"),
    ],
)
def test_what_is_missing_is_made(settings, before, after):
    assert planned(settings, before, lambda: settings.plan_set("pool", "a", {"pool_slot": 1})) == after
    assert merged(settings, before, "pools: [{pool_name: a, pool_slot: 1}]") == after


def test_of_two_rows_with_one_id_the_last_is_changed(settings):
    before = "airflow:\n  pools:\n  - {pool_name: a, pool_slot: 1}\n  - {pool_name: a, pool_slot: 2}\n"
    after = planned(settings, before, lambda: settings.plan_set("pool", "a", {"pool_slot": 3}))
    assert after == before.replace("2", "3")
    settings.path.write_text(before)
    assert settings.plan_remove("pool", "a").files[0].after == b"airflow:\n  pools: []\n"


def test_set(settings):
    def plan():
        return settings.plan_set(
            "connection",
            "db",
            {
                "conn_host": None,
                "conn_port": "6543",
                "conn_login": "on",
                "conn_extra": {"SslMode": "require", "Ca": None},
            },
        )

    assert planned(settings, FILE, plan) == FILE.replace("      conn_host: 10.0.0.1\n", "").replace(
        "5432", "6543"
    ).replace("        nested: {a: 1}\n", '        Ca: null\n      conn_login: "on"\n')

    def plan_text():
        return settings.plan_set("connection", "db", {"conn_extra": '{"SslMode": "no"}', "conn_id": "db"})

    after = planned(settings, FILE, plan_text)
    assert """      conn_extra: '{"SslMode": "no"}'\n\n    - conn_id: web""" in after
    after = planned(settings, FILE, lambda: settings.plan_set("variable", "key", {"variable_value": "-----BEGIN\nx\n"}))
    assert after == FILE + '    - variable_name: key\n      variable_value: "-----BEGIN\\nx\\n"\n'


def test_a_value_that_the_astro_cli_would_change_gets_its_quotes(settings):
    before = "airflow:\n  variables:\n    - variable_name: a\n      variable_value: 1.10 # x\n"
    after = planned(settings, before, lambda: settings.plan_set("variable", "a", {"variable_value": "1.10"}))
    assert after == before.replace("1.10", '"1.10"')
    before = before.replace("1.10", "5")
    assert planned(settings, before, lambda: settings.plan_set("variable", "a", {"variable_value": 5})) == before


@pytest.mark.parametrize(
    ("kind", "name", "values", "words"),
    [
        ("connexion", "a", {}, "no kind"),
        ("connection", "db", {"host": "s3cret"}, "'host'"),
        ("connection", "db", {"conn_id": "other"}, "another conn_id"),
        ("connection", "db", {"conn_port": True}, "no port"),
        ("connection", "db", {"conn_password": b"s3cret"}, "type bytes"),
        ("connection", "", {"conn_type": "http"}, "refuses as the id"),
        ("connection", "a" * 251, {"conn_type": "http"}, "refuses as the id"),
        ("variable", "new", {}, "has no variable_value"),
        ("pool", "small", {"pool_slot": 1.5}, "no number of slots"),
    ],
)
def test_bad_values_are_refused(settings, kind, name, values, words):
    with pytest.raises(InvalidContentError, match=words) as caught:
        settings.plan_set(kind, name, values)
    assert "s3cret" not in str(caught.value)


def test_remove(settings):
    after = settings.plan_remove("connection", "db").files[0].after.decode()
    start, end = FILE.index("    # the warehouse"), FILE.index("\n    - conn_id: web")
    assert after == FILE[:start] + FILE[end:]
    assert "connections: [] ## required" in settings.plan_remove("connection", "db", "web").files[0].after.decode()
    assert not settings.plan_remove("pool").changed
    with pytest.raises(InvalidContentError, match="no variable 'greting'") as caught:
        settings.plan_remove("variable", "greting")
    assert caught.value.hint == "Did you mean greeting?"
    with pytest.raises(InvalidContentError, match="no pool 'greeting'") as caught:
        settings.plan_remove("pool", "greeting")
    assert caught.value.hint == "Its pools are: small."


def test_an_alias_in_place_of_a_row_is_not_edited(settings):
    settings.path.write_text("x: &x {pool_name: a, pool_slot: 1}\nairflow:\n  pools:\n    - *x\n")
    assert not settings.plan_set("pool", "a", {"pool_slot": 1}).changed
    with pytest.raises(InvalidContentError, match=r"alias in place of the pool 'a' \(line 4") as caught:
        settings.plan_set("pool", "a", {"pool_slot": 2})
    assert "Write the object out" in caught.value.hint


def test_changes_are_applied_and_taken_back(settings):
    assert settings.merge("pools: [{pool_name: a, pool_slot: 1}]").applied
    assert settings.set("pool", "a", {"pool_slot": 2}).applied
    assert not settings.set("pool", "a", {"pool_slot": 3}, dry_run=True).applied
    assert settings.remove("pool", "small").applied
    assert [entry.values["pool_slot"] for entry in settings.entries("pool")] == ["2"]
    for _ in range(3):
        settings.project.undo()
    assert settings.read() == FILE.encode()


def test_diffs_hide_values_in_every_layout(settings):
    text = (
        "airflow:\n  connections: [\n    {conn_id: a,\n     conn_login: b, conn_password: hunter2},\n"
        '    {"conn_id": "c", "conn_uri":"s3cret"}]\n  variables:\n    - {variable_name: x, variable_value: t0ken}\n'
        "    - variable_name: y, variable_value: t0ken}\n"
    )
    diff = FileChange(settings.path, settings.name, None, text.encode()).diff()
    assert not [secret for secret in ("hunter2", "s3cret", "t0ken") if secret in diff]
    assert "hunter2" not in settings.plan_set("connection", "db", {"conn_password": "0ther"}).diff()
    assert "conn_host: 10.0.0.1" in settings.plan_set("connection", "db", {"conn_port": 1}).diff()


@pytest.mark.parametrize("value", ["False", "0x10", "1.50", "", "~"])
def test_a_value_keeps_its_spelling_where_it_stays_the_same(project, value):
    text = f"airflow:\n  connections:\n    - conn_id: a\n      conn_type: b\n      conn_extra:\n        x: {value}\n"
    project.settings.path.write_text(text)
    (entry,) = project.settings.entries()
    assert project.settings.plan_set("connection", "a", entry.values).files[0].kind == "unchanged"
    extra = {**entry.values["conn_extra"], "z": 1}
    after = project.settings.plan_set("connection", "a", {"conn_extra": extra}).files[0].after.decode()
    assert after == f"{text}        z: 1\n"


def test_a_number_that_some_read_as_octal_is_written_anew(project):
    text = "airflow:\n  connections:\n    - conn_id: a\n      conn_type: b\n      conn_extra:\n        x: 012\n"
    project.settings.path.write_text(text)
    change = project.settings.plan_set("connection", "a", {"conn_extra": {"x": 12}})
    assert change.files[0].after.decode() == text.replace("012", "12")
