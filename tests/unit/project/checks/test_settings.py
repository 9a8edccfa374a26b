from __future__ import annotations

from importlib import resources

import pytest

from astro_magic.project import Project
from astro_magic.project.checks.settings import check_settings

TEMPLATE = (resources.files("astro_magic.project") / "templates" / "airflow_settings.yaml.template").read_text("utf-8")


@pytest.fixture
def found(tmp_path):
    def check(content):
        (tmp_path / "airflow_settings.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
        return list(check_settings(Project(tmp_path)))

    return check


def test_good_files_have_no_findings(found, tmp_path):
    assert list(check_settings(Project(tmp_path))) == []
    assert found("") == []
    assert found(TEMPLATE) == []
    assert (
        found("""\
airflow:
  connections:
    - conn_id: a
      conn_type: http
      conn_port: 80
      conn_password: yes
      conn_extra: '{"CamelCase": 1}'
    - conn_id: b
      conn_uri: http://h
      conn_host:
  pools: [{pool_name: p, pool_slot: -1}]
  variables:
    - {variable_name: v, variable_value: 5}
    - variable_name: w
      variable_value: "1.10"
""")
        == []
    )


@pytest.mark.parametrize(
    ("content", "check", "severity", "line", "words", "hint"),
    [
        ("airflow:\n\tpools:\n", "settings-unreadable", "error", 2, "no valid YAML", "tab"),
        (b"a: 1\nb: \xff\n", "settings-unreadable", "error", 2, "not UTF-8", "Save"),
        ("airflow:\n  pools: 1\n", "settings-unreadable", "error", 2, "something else than a list", "- pool_name"),
        ("airflow: {}\nairflow: {}\n", "settings-unreadable", "error", 2, "twice", "one of the two"),
        ("pools:\n- pool_name: a\n", "settings-unknown-key", "warning", 1, "'pools'", "Put it under airflow:"),
        ("airflow:\nextra: 1\n", "settings-unknown-key", "warning", 2, "'extra'", "airflow"),
        (
            "airflow:\n  pools:\n  variable: []\n",
            "settings-unknown-key",
            "warning",
            3,
            "'variable'",
            "Did you mean variables?",
        ),
        (
            "airflow:\n  connections:\n  - conn_id: a\n    conn_type: x\n    host: s3cret\n",
            "settings-unknown-key",
            "warning",
            5,
            "The connection 'a' has the field 'host', which the Astro CLI does not read",
            "Did you mean conn_host?",
        ),
        (
            "airflow:\n  pools:\n  - {pool_name: a, pool_slot: 1}\n  - {pool_name: a, pool_slot: 2}\n",
            "settings-duplicate",
            "warning",
            4,
            "line 3 as well",
            "Keep one",
        ),
        ("airflow:\n  pools:\n  - pool_slot: 1\n", "settings-no-id", "warning", 3, "no pool_name", "remove"),
        ("airflow:\n  pools:\n  - pool_name: a\n", "settings-incomplete", "warning", 3, "no pool_slot", "pool_slot"),
        (
            "airflow:\n  connections:\n  - conn_id: a\n",
            "settings-incomplete",
            "warning",
            3,
            "conn_type or conn_uri",
            "",
        ),
        (
            "airflow:\n  variables:\n  - {variable_name: a, variable_value: ''}\n",
            "settings-incomplete",
            "warning",
            3,
            "'a'",
            "",
        ),
        (
            "airflow:\n  connections:\n  - conn_id: a\n    conn_host: h\n    conn_uri: http://u:s3cret@h\n",
            "settings-uri-ignored",
            "warning",
            5,
            "conn_uri and conn_host",
            "Keep either",
        ),
        (
            "airflow:\n  pools:\n  - {pool_name: a, pool_slot: s3cret}\n",
            "settings-bad-value",
            "error",
            3,
            "pool_slot of the pool 'a'",
            "-1",
        ),
        (
            "airflow:\n  connections:\n  - conn_id: a\n    conn_type: x\n    conn_port: s3cret\n",
            "settings-bad-value",
            "error",
            5,
            "no port",
            "65535",
        ),
        (
            "airflow:\n  connections:\n  - conn_id: a\n    conn_type: x\n    conn_extra: '{s3cret}'\n",
            "settings-bad-value",
            "error",
            5,
            "no JSON",
            "mapping",
        ),
        (
            "airflow:\n  variables:\n  - variable_name: a\n    variable_value: [s3cret]\n",
            "settings-bad-value",
            "error",
            4,
            "list",
            "quotes",
        ),
        *(
            (
                f"airflow:\n  variables:\n  - variable_name: a\n    variable_value: {value}\n",
                "settings-changed-value",
                "warning",
                4,
                "not in quotes",
                "quotes",
            )
            for value in ("true", "1.10", "2024-01-01", "007", "0x1f")
        ),
        (
            "airflow:\n  connections:\n  - conn_id: a\n    conn_type: x\n    conn_extra:\n      a: [{Ssl: s3cret}]\n",
            "settings-extra-case",
            "note",
            5,
            "'Ssl'",
            "JSON",
        ),
    ],
)
def test_each_finding_names_its_place(found, content, check, severity, line, words, hint):
    (finding,) = found(content)
    assert (finding.check, finding.severity, finding.line) == (check, severity, line)
    assert finding.file == "airflow_settings.yaml"
    assert words in finding.message
    assert hint in finding.hint
    assert "s3cret" not in finding.message + finding.hint


def test_findings_come_in_the_order_of_the_file(found):
    lines = [
        finding.line
        for finding in found(
            "x: 1\nairflow:\n  variables:\n  - variable_name: a\n    variable_value: on\n    value: 1\n"
            "  pools:\n  - {pool_name: p}\n  y: 1\n  connections:\n  - &c {conn_id: c, conn_type: x, Host: 1}\n  - *c\n"
        )
    ]
    assert lines == sorted(lines)
    assert lines == [1, 6, 8, 9, 11, 12, 12]


def test_fields_with_other_names_are_told_of_once(project):
    (project.root / "airflow_settings.yaml").write_text("airflow:\n  variables:\n  - key: a\n    value: b\n")
    assert [finding.check for finding in check_settings(project)] == ["settings-unknown-key"] * 2


@pytest.mark.parametrize(("value", "found"), [("17.2", []), ("17.10", ["settings-changed-value"])])
def test_a_float_that_stays_the_same_text_is_fine(project, value, found):
    text = f"airflow:\n  variables:\n  - variable_name: a\n    variable_value: {value}\n"
    (project.root / "airflow_settings.yaml").write_text(text)
    assert [finding.check for finding in check_settings(project)] == found
