"""What of an object is shown, and its DataFrame."""

from __future__ import annotations

import pytest

from astro_magic.airflow.objects import AirflowObject
from astro_magic.objects.table import COLUMNS, Definition, ObjectRow, ObjectsTable, hidden, join
from astro_magic.project.settings.values import SettingsObject
from astro_magic.system.secrets import MASK


def row(kind, values, *, name="one", where="settings", state="not running", more=()):
    return ObjectRow(kind, name, (Definition(where, "file:1", values), *more), state)


@pytest.mark.parametrize(
    ("kind", "name", "field", "value", "shown"),
    [
        ("connection", "c", "password", "abc", MASK),
        ("connection", "c", "password", "", ""),
        ("connection", "c", "password", None, None),
        ("connection", "c", "password", "***", MASK),
        ("connection", "c", "port", 5432, 5432),
        ("connection", "c", "host", "http://ana:abc@h", f"http://{MASK}@h"),
        (
            "connection",
            "c",
            "extra",
            '{"token": "abc", "sslmode": "require"}',
            f'{{"token": "{MASK}", "sslmode": "require"}}',
        ),
        ("connection", "c", "extra", '{"token": "***"}', f'{{"token": "{MASK}"}}'),
        ("connection", "secret_store", "host", "h", "h"),
        ("variable", "deploy_key", "value", "abc", MASK),
        ("variable", "deploy_key", "description", "for all", "for all"),
        ("variable", "colour", "value", "blue", "blue"),
        ("variable", "colour", "value", "***", MASK),
        ("variable", "colour", "value", '{"password": "abc"}', f'{{"password": "{MASK}"}}'),
        ("pool", "p", "slots", 3, 3),
    ],
)
def test_a_field_as_it_is_shown(kind, name, field, value, shown):
    assert hidden(row(kind, {}, name=name), field, value) == shown


def test_all_is_shown_only_where_it_is_asked_for():
    one = row("connection", {"conn_type": "http", "password": "abc"})
    assert one.shown() == {"conn_type": "http", "password": MASK}
    assert one.shown(reveal=True) == {"conn_type": "http", "password": "abc"}
    assert "abc" not in repr(one)


def test_what_the_api_leaves_out_is_told_by_the_file_that_agrees():
    file = Definition("settings", "file:1", {"conn_type": "http", "extra": '{"a": 1}'})
    agreed = row("connection", {"conn_type": "http"}, where="database", state="same", more=(file,))
    assert agreed.shown()["extra"] == '{"a": 1}'
    assert (
        "extra" not in row("connection", {"conn_type": "http"}, where="database", state="differs", more=(file,)).shown()
    )


def test_the_frame_of_connections_has_its_columns_and_types():
    rows = (
        row("connection", {"conn_type": "http", "port": 80, "password": "abc"}, name="a"),
        row("connection", {"conn_type": "http"}, name="b"),
    )
    frame = ObjectsTable("connection", rows).frame()
    assert list(frame) == ["connection", *COLUMNS["connection"], "defined_in", "wins", "in_airflow", "differs"]
    assert str(frame["port"].dtype) == "Int64"
    assert frame["port"].isna().tolist() == [False, True]
    assert frame["password"].tolist() == [MASK, None]
    assert frame["defined_in"].tolist() == ["file:1", "file:1"]
    assert "abc" not in frame.to_csv()


def test_the_frame_of_pools_tells_how_their_slots_are_used():
    values = {"slots": 3, "include_deferred": True}
    used = ObjectRow(
        "pool", "heavy", (Definition("database", "Airflow", values),), "same", usage={"open": 2, "running": 1}
    )
    frame = ObjectsTable("pool", (used,), running=True).frame()
    assert frame[["slots", "open", "running", "include_deferred"]].to_numpy().tolist() == [[3, 2, 1, True]]
    assert str(frame["open"].dtype) == "Int64"


@pytest.mark.parametrize("kind", COLUMNS)
def test_an_empty_frame_has_all_columns(kind):
    frame = ObjectsTable(kind, ()).frame()
    assert len(frame) == 0
    assert set(COLUMNS[kind]) <= set(frame)


def test_the_places_are_joined_by_name_in_the_order_in_which_airflow_looks():
    rows = join(
        "variable",
        settings=[SettingsObject("variable", "Colour", {"value": "blue"}, "airflow_settings.yaml:3")],
        environment=[SettingsObject("variable", "colour", {"value": "red"}, ".env:1")],
        database=[
            AirflowObject("variable", "Colour", {"value": "blue"}),
            AirflowObject("variable", "x", {"value": "1"}),
        ],
    )
    assert [(one.name, one.winner.where, one.state) for one in rows] == [
        ("Colour", "environment", "same"),
        ("x", "database", "only in Airflow"),
    ]
    assert [each.where for each in rows[0].definitions] == ["environment", "database", "settings"]
    table = ObjectsTable("variable", rows, running=True)
    assert table["x"].winner.place == "Airflow"
    assert [one.name for one in table.differing] == ["x"]
    with pytest.raises(KeyError):
        table["y"]
