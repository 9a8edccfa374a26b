from __future__ import annotations

import tempfile
from importlib import resources
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from astro_magic.errors import InvalidContentError
from astro_magic.project import Project
from astro_magic.project.changes import FileChange
from astro_magic.project.settings.settings import Settings

TEMPLATE = (resources.files("astro_magic.project") / "templates" / "airflow_settings.yaml.template").read_text("utf-8")
FILE = """\
# mine
airflow:
  connections: ## required: conn_id, conn_type
    # the warehouse
    - conn_id: db   # short
      conn_type: postgres
      conn_host: 10.0.0.1
      conn_port: 5432
      conn_password: "hunter2"
      conn_extra:
        SslMode: require # always
        nested: {a: 1}

    - conn_id: web
      conn_uri: https://me:s3cret@example.com
  pools:
  - pool_name: small
    pool_slot: 2
  variables:
    - variable_name: greeting
      variable_value: hello
"""


@pytest.fixture
def settings(tmp_path):
    settings = Settings(Project(tmp_path), "airflow_settings.yaml")
    settings.path.write_bytes(FILE.encode())
    return settings


def planned(settings, before, plan):
    """Plan a change of a content; the same change a second time changes nothing."""
    settings.path.write_bytes(before.encode())
    after = plan().files[0].after.decode()
    settings.path.write_bytes(after.encode())
    assert not plan().changed
    return after


def merged(settings, before, cell):
    return planned(settings, before, lambda: settings.plan_merge(cell))


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
    ("old", "new", "cell"),
    [
        # Given fields replace those that are there; the others stay, and so do comments and layout.
        (
            "conn_host: 10.0.0.1",
            "conn_host: db.example.com",
            "connections:\n- conn_id: db\n  conn_host: db.example.com\n",
        ),
        ("hello", "bye", "airflow:\n  variables:\n  - {variable_name: greeting, variable_value: bye}\n# x"),
        (
            "    pool_slot: 2\n",
            "    pool_slot: 2\n    pool_description: few\n",
            "pools:\n- pool_name: small\n  pool_description: few",
        ),
        ("require #", "prefer #", "connections:\n- conn_id: db\n  conn_extra: {SslMode: prefer, nested: {a: 1}}"),
        ("        nested: {a: 1}\n", "", "connections:\n- conn_id: db\n  conn_extra:\n    SslMode: require\n"),
        ("hello", '"no"', "variables:\n- variable_name: greeting\n  variable_value: no\n"),
        ("5432", "1", "connections:\n- conn_id: db\n  conn_port: '1'\n"),
        # New ones are appended, with the comments on and above them.
        (
            "me:s3cret@example.com\n",
            """\
me:s3cret@example.com

    # third
    - conn_id: s3 # bucket
      conn_type: aws
      conn_extra: # as it is
        R: "on"
""",
            "connections:\n\n# third\n- conn_id: s3 # bucket\n  conn_type: aws\n  conn_extra: # as it is\n    R: on\n",
        ),
        (
            "    pool_slot: 2\n",
            "    pool_slot: 2\n  - {pool_name: big, pool_slot: -1} # all\n",
            "\ufeffpools:\r\n    - {pool_name: big, pool_slot: -1} # all\r\n\r\n",
        ),
        (
            "hello\n",
            'hello\n    - variable_name: "1"\n      variable_value: |\n        a\n         b\n',
            "variables:\n- variable_name: 1\n  variable_value: |\n    a\n     b\n",
        ),
    ],
)
def test_merge(settings, old, new, cell):
    assert FILE.count(old) == 1
    expected = FILE.replace(old, new)
    assert merged(settings, FILE, cell) == expected
    windows = merged(settings, FILE.replace("\n", "\r\n"), cell)
    assert windows == expected.replace("\n", "\r\n")
    assert merged(settings, "\ufeff" + FILE, cell) == "\ufeff" + expected


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "\r\n\n",
        "# only a comment\n",
        "connections:\n",
        "connections:\n- conn_id:\n  conn_host:\n",
        "variables:\n- variable_name: 'greeting'\n  variable_value: \"hello\" # said\n",
        "connections:\n- conn_id: db\n  conn_host:\n  conn_port: 5432\n",
        FILE,
        TEMPLATE,
    ],
)
def test_what_is_there_already_changes_nothing(settings, cell):
    assert not settings.plan_merge(cell).changed


def test_a_row_of_the_template_is_filled(settings):
    cell = (
        "# a pool\npools:\n# of mine\n- pool_name: big # really\n  pool_slot: 64\n- pool_name: small\n  pool_slot: 1\n"
    )
    after = merged(settings, TEMPLATE, cell)
    assert after == TEMPLATE.replace(
        "    - pool_name:\n      pool_slot:\n      pool_description:\n",
        "    # of mine\n    - pool_name: big # really\n      pool_slot: 64\n      pool_description:\n"
        "    - pool_name: small\n      pool_slot: 1\n",
    )
    after = merged(settings, TEMPLATE, "connections:\n- conn_id: a\n  conn_type: http\n")
    assert after == TEMPLATE.replace("conn_id:\n", "conn_id: a\n").replace("conn_type:\n", "conn_type: http\n").replace(
        "conn_extra:\n        example_extra_field: example-value\n", "conn_extra:\n"
    )


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


def test_replace(settings):
    cell = "pools: # few\n  - pool_name: a\n    pool_slot: '1'\n\n"
    assert settings.plan_merge(cell, replace=True).files[0].after.decode() == (
        "airflow:\n  pools: # few\n    - pool_name: a\n      pool_slot: 1\n"
    )
    assert settings.plan_merge(FILE, replace=True).files[0].kind == "unchanged"
    assert settings.plan_merge("{pools: []}", replace=True).files[0].after == b"airflow:\n  pools: []\n"
    assert settings.plan_merge("", replace=True).files[0].after == b""
    with pytest.raises(InvalidContentError, match="has no conn_type or conn_uri"):
        settings.plan_merge("connections:\n- conn_id: a\n", replace=True)


@pytest.mark.parametrize(
    ("cell", "words", "hint"),
    [
        (
            "connections:\n- conn_id: a\n  host: s3cret\n",
            r"Line 2: the connection 'a' has the field 'host'",
            "conn_host?",
        ),
        ("connections:\n- conn_id: a\n  username: s3cret\n", "'username'", "conn_login?"),
        ("connections:\n- conn_id: a\n  conn_pasword: s3cret\n", "'conn_pasword'", "conn_password?"),
        ("connections:\n- conn_id: a\n  zzzz: s3cret\n", "'zzzz'", "The fields are: conn_id"),
        ("pools:\n- name: a\n  slots: 3\n", "has no pool_name", "pool_name: NAME"),
        ("pools:\n- pool_name: a\n  slots: 3\n", "'slots'", "pool_slot?"),
        ("variables:\n- variable_name: a\n  value: s3cret\n", "'value'", "variable_value?"),
        ("variable:\n- variable_name: a\n", "'variable'", "variables?"),
        ("airflow:\n  connection: []\n", "airflow in the cell has the key 'connection'", "connections?"),
        ("airflow: {}\npools: []\n", "'pools'", "There stand: airflow"),
        (
            "connections:\n- conn_id: new\n",
            "Line 2: the connection 'new' is new and has no conn_type or conn_uri",
            "Give it one",
        ),
        ("pools:\n- pool_name: new\n", "has no pool_slot", ""),
        ("variables:\n- variable_name: new\n  variable_value:\n", "has no variable_value", ""),
        ("variables:\n- variable_value: s3cret\n", "Line 2: this variable has no variable_name", ""),
        (
            "pools:\n- pool_name: a\n  pool_slot: 1\n- pool_name: 'a'\n",
            "Line 4 names the pool 'a' again, which line 2",
            "Keep one",
        ),
        (
            "connections:\n- conn_id: db\n  conn_port: s3cret\n",
            "Line 2: conn_port of the connection 'db' is no port",
            "65535",
        ),
        ("connections:\n- conn_id: db\n  conn_port: 65536\n", "no port", ""),
        ("connections:\n- conn_id: db\n  conn_port: -1\n", "no port", ""),
        ("connections:\n- conn_id: db\n  conn_port: 1.5\n", "no port", ""),
        (f"connections:\n- conn_id: db\n  conn_port: {'9' * 9000}\n", "no port", ""),
        ("pools:\n- pool_name: small\n  pool_slot: 0\n", "no number of slots", "-1"),
        ("pools:\n- pool_name: small\n  pool_slot: [1]\n", "is a list or a mapping", "number"),
        (
            "variables:\n- variable_name: greeting\n  variable_value: {s3cret: 1}\n",
            "is a list or a mapping",
            "JSON is text",
        ),
        (
            "connections:\n- conn_id: db\n  conn_extra: '{\"s3cret\": }'\n",
            "is no JSON: Expecting value at character 12",
            "mapping",
        ),
        ("connections:\n- conn_id: db\n  conn_extra: '[1]'\n", "is no JSON object", ""),
        ("connections:\n- conn_id: db\n  conn_extra: [s3cret]\n", "is a list", ""),
        ("connections:\n- conn_id: a b\n  conn_type: x\n", "'a b', which Airflow refuses", "without spaces"),
        ("connections:\n- conn_id: db\n  conn_password: 's3cret\n", "The cell is no valid YAML", ""),
    ],
)
def test_bad_cells_are_named_without_their_values(settings, cell, words, hint):
    with pytest.raises(InvalidContentError, match=words) as caught:
        settings.plan_merge(cell)
    assert hint in caught.value.hint
    assert "s3cret" not in str(caught.value)
    assert "99999" not in str(caught.value)


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


NAME = st.sampled_from(["a", "b", "no", "1.5"])
TEXT = st.sampled_from(["x", "no", "1.10", "", "a: b", "l1\nl2\n", "é😀", " # ", "0123"])
FIELDS = st.dictionaries(
    st.sampled_from(["conn_host", "conn_login", "conn_password"]), st.one_of(st.none(), TEXT), max_size=3
)


def _given(row):
    return {key: value for key, value in row.items() if value is not None}


@given(
    st.lists(st.tuples(NAME, FIELDS), max_size=3, unique_by=lambda item: item[0]),
    st.sampled_from(["- ", "  - ", "    - ", "flow"]),
    st.sampled_from(["\n", "\r\n"]),
    NAME,
    FIELDS,
)
def test_setting_is_setting_what_pyyaml_reads(connections, layout, end, name, fields):
    rows = [{"conn_id": row, "conn_type": "t", **values} for row, values in connections]
    lines = ["# top", "airflow:", "  pools: []  # none", "  connections:", ""]
    for row in rows:
        if layout == "flow":
            lines.append(
                "  - " + yaml.safe_dump(row, default_flow_style=True, width=10_000, allow_unicode=True).strip()
            )
        else:
            dumped = yaml.safe_dump(row, allow_unicode=True, default_style='"').replace("!!null ", "")
            first, *rest = dumped.strip("\n").split("\n")
            pad = " " * (len(layout) + 2)
            lines += [
                "  # above",
                f"  {layout}{first}",
                *(f"{pad}{line}" if line else "" for line in rest),
                "",
                "# below",
            ]
    text = end.join(lines)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(Project(Path(folder)), "airflow_settings.yaml")
        settings.path.write_bytes(text.encode())
        before = yaml.safe_load(text)["airflow"]["connections"] or []
        try:
            after = settings.plan_set("connection", name, {"conn_type": "t", **fields}).files[0].after
        except InvalidContentError:
            # What is removed from between braces with a # could be a comment, so nothing is written.
            assert layout == "flow"
            assert "#" in text
            return
        expected = {row["conn_id"]: dict(row) for row in before}
        expected[name] = expected.get(name, {"conn_id": name}) | {"conn_type": "t"} | fields
        read = yaml.safe_load(after)["airflow"]
        found = {row["conn_id"]: row for row in read["connections"]}
        assert {key: _given(row) for key, row in found.items()} == {key: _given(row) for key, row in expected.items()}
        assert not [key for key, value in fields.items() if value is None and key in found[name]]
        assert read["pools"] == []
        settings.path.write_bytes(after)
        assert not settings.plan_set("connection", name, {"conn_type": "t", **fields}).changed


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
