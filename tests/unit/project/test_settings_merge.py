"""Cells merged into a settings file, or put in its place, and cells that are refused."""

from __future__ import annotations

import pytest

from astro_magic.errors import InvalidContentError
from tests.unit.project.settings_files import FILE, TEMPLATE, merged


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
