from __future__ import annotations

import pytest

from astro_magic.airflow.comparison import Agreement, compare, make_record, record_fields, record_matches

SAME, UNSEEN, DIFFERENT = Agreement.SAME, Agreement.UNSEEN, Agreement.DIFFERENT


@pytest.mark.parametrize(
    ("name", "wanted", "seen", "agreement"),
    [
        ("host", "a", "a", SAME),
        ("host", "a", "b", DIFFERENT),
        ("host", None, "", SAME),
        ("host", "", "a", DIFFERENT),
        ("port", 80, None, DIFFERENT),
        ("slots", 0, 0, SAME),
        ("include_deferred", False, True, DIFFERENT),
        ("password", "a", "***", UNSEEN),
        ("password", "***", "***", UNSEEN),
        ("password", "a", None, DIFFERENT),
        ("password", None, "***", DIFFERENT),
        ("value", "1.1", "1.1", SAME),
        ("value", "1.10", "1.1", UNSEEN),
        ("value", "1.10", "1.2", DIFFERENT),
        ("value", "true", "True", DIFFERENT),
        ("value", "1", "true", DIFFERENT),
        ("value", "secret", "***", UNSEEN),
        ("value", "", "***", UNSEEN),
        ("value", "", "a", DIFFERENT),
        ("value", '{"a":1}', '{"a": 1}', SAME),
        ("value", '{"a": 1}', '{"a": true}', DIFFERENT),
        ("value", '[{"token": "x"}, 2]', '[{"token": "***"}, 2]', UNSEEN),
        ("value", '[{"token": "x"}, 2]', '[{"token": "***"}, 3]', DIFFERENT),
        ("value", "NaN", "NaN", SAME),
        ("value", "[" * 100_000, "a", DIFFERENT),
        ("extra", None, "{}", SAME),
        ("extra", '{"b": 1, "a": 2}', '{"a": 2, "b": 1}', SAME),
        ("extra", '{"Key": 1}', '{"key": 1}', DIFFERENT),
    ],
)
def test_compare(name, wanted, seen, agreement):
    assert compare({name: wanted}, {name: seen, "other": "x"}) is agreement


def test_the_worst_field_decides():
    assert compare({}, {}) is SAME
    assert compare({"host": "a", "password": "b"}, {"host": "a"}) is UNSEEN
    assert compare({"host": "a", "password": "b"}, {"host": "c"}) is DIFFERENT


def test_a_record_knows_what_was_written_and_tells_nothing():
    values = {"password": "sesame", "port": 80}
    record = make_record(values)
    assert set(record_fields(record)) == {"password", "port"}
    assert record_matches(record, {"port": 80, "password": "sesame"})
    assert not record_matches(record, {**values, "port": "80"})
    assert not record_matches(record, {"password": "sesame"})
    assert "sesame" not in record
    assert make_record(values) != record


@pytest.mark.parametrize("record", ["", "a", "a b c d", "port zz 1", "port 00 é", f"port {'00' * 99} 1"])
def test_a_record_that_cannot_be_read_matches_nothing(record):
    assert not record_matches(record, {"port": 80})
