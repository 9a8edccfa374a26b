"""What the views of connections, variables and pools show."""

from __future__ import annotations

import re

import pytest

from astro_magic.objects.table import Definition, ObjectRow, ObjectsTable
from astro_magic.project.settings.values import RowProblem
from astro_magic.system.secrets import MASK
from astro_magic.views import ObjectDifferencesView, ObjectsView

EVIL = "<script>alert('x')</script>"
LIMIT = 64_000


def table(kind, *values, running=False, state="same", problems=(), note=""):
    rows = tuple(
        ObjectRow(
            kind, f"{kind}_{number:04}", (Definition("settings", f"airflow_settings.yaml:{number}", each),), state
        )
        for number, each in enumerate(values)
    )
    return ObjectsTable(kind, rows, problems, running, note)


def test_a_thousand_rows_fit_and_it_is_said_what_was_left_out():
    values = {"conn_type": "postgres", "host": "h" * 300, "port": 5, "password": "planted" * 9}
    view = ObjectsView(table("connection", *[values] * 1000, running=True))
    shown = view._repr_mimebundle_()
    for text in shown.values():
        assert len(text.encode()) < LIMIT
        assert re.search(r"… [\d,]+ more rows left out", text)
        assert "planted" not in text
    assert len(view.df) == 1000
    assert "1,000" in repr(view).splitlines()[0]


@pytest.mark.parametrize("kind", ["connection", "variable", "pool"])
def test_values_are_escaped(kind):
    values = dict.fromkeys(("conn_type", "host", "extra", "value", "description", "team_name", "slots"), EVIL)
    problem = RowProblem(kind, EVIL, 1, EVIL, EVIL, f"airflow_settings.yaml:1 {EVIL}")
    view = ObjectsView(table(kind, values, problems=[problem], note=EVIL))
    html = view._repr_mimebundle_(include=["text/html"])["text/html"]
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 5


def test_the_text_is_a_table_with_columns_only_for_what_there_is():
    view = ObjectsView(
        table(
            "connection",
            {"conn_type": "http", "host": "a.example.com", "password": "planted"},
            {"conn_type": "postgres", "host": "b.example.com", "port": 5432},
        )
    )
    first, head, *rows, last = repr(view).splitlines()
    assert first == "2 connections · Airflow is not running"
    assert head.split() == ["connection", "type", "host", "password", "defined", "in"]
    assert rows[0].split() == ["connection_0000", "http", "a.example.com", MASK, "airflow_settings.yaml:0"]
    assert rows[1].split() == ["connection_0001", "postgres", "b.example.com:5432", "airflow_settings.yaml:1"]
    assert last.strip() == ".df is the DataFrame"


def test_nothing_is_said_in_one_line():
    assert repr(ObjectsView(table("pool"))) == "No pools · Airflow is not running"
    assert len(ObjectsView(table("pool")).df) == 0


def test_secrets_are_revealed_only_where_that_is_asked_for():
    one = table("variable", {"value": '{"token": "planted"}'})
    assert "planted" not in repr(ObjectsView(one))
    assert "planted" in repr(ObjectsView(one, reveal=True))


def test_many_problems_are_told_in_part():
    problems = [
        RowProblem("pool", "p", number, "It has no slots.", "Give it some.", f"f:{number}") for number in range(9)
    ]
    text = repr(ObjectsView(table("pool", problems=problems)))
    assert "9 problems in the files:" in text
    assert "4 more; %astro_doctor shows them." in text


def test_the_differences_hide_secrets_and_say_what_brings_both_together():
    file = Definition("settings", "airflow_settings.yaml:3", {"host": "new", "password": "planted"})
    seen = Definition("database", "Airflow", {"host": "old", "password": "***"})
    row = ObjectRow("connection", "lake", (seen, file), "differs", ("host", "password"))
    view = ObjectDifferencesView([ObjectsTable("connection", (row,), (), running=True)])
    text = repr(view)
    assert text.startswith("The files and the running Airflow differ on 1 of 1 object.")
    assert re.search(r"connection lake +differs +host +new +old", text)
    assert re.search(rf"password +{MASK} +{MASK}", text)
    assert "%astro_objects import" in text
    assert "planted" not in text
