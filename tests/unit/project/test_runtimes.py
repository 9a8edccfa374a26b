from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_magic.errors import InvalidContentError
from astro_magic.project.runtime.table import Choice, choose, kept_table, parse_table, read_table
from astro_magic.project.runtime.tag import Tag


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ASTRO_MAGIC_CACHE", str(tmp_path / "cache"))


def table_of(**airflow_of_tags):
    lines = {"3.1-": {"airflow": "3.1", "python": "3.12", "pythons": ["3.11", "3.12"]}, "13": AIRFLOW_2_LINE}
    return parse_table(json.dumps({"as_of": "2026-01-01", "lines": lines, "tags": airflow_of_tags}))


AIRFLOW_2_LINE = {"airflow": "2.11", "python": "3.12"}


def entry(airflow, **about):
    return {"airflow": airflow, "python": "3.12", "pythons": ["3.11", "3.12"], **about}


def test_the_shipped_table_is_consistent():
    table = read_table()
    assert table.as_of == "2026-09-25"
    assert len(table.releases) > 150
    for name, release in table.releases.items():
        tag = Tag.parse(name)
        line = table.lines[tag.line]
        assert release.airflow.count(".") == 2, name
        assert release.airflow.startswith(f"{line.airflow}."), name
        assert tag.airflow_major == int(release.airflow[0]), name
        assert release.channel in {"stable", "deprecated"}
        assert not release.pythons or release.python in release.pythons
        assert not release.date or datetime.fromisoformat(release.date)


def test_airflow_never_gets_older_within_a_line():
    table = read_table()
    by_line: dict[str, list] = {}
    for name, release in table.releases.items():
        tag = Tag.parse(name)
        number = [int(part) for part in name.replace("-", ".").split(".")]
        by_line.setdefault(tag.line, []).append((number, [int(part) for part in release.airflow.split(".")]))
    for line, pairs in by_line.items():
        versions = [airflow for _, airflow in sorted(pairs)]
        assert versions == sorted(versions), line


@pytest.mark.parametrize(
    ("wish", "tag", "airflow", "python"),
    [
        ({}, "3.3-8", "3.3.2", "3.14"),
        ({"airflow": "3"}, "3.3-8", "3.3.2", "3.14"),
        ({"airflow": "3.1"}, "3.1-21", "3.1.8", "3.12"),
        ({"airflow": "3.1.8"}, "3.1-21", "3.1.8", "3.12"),
        ({"airflow": "3.1.7"}, "3.1-13", "3.1.7", "3.12"),
        ({"airflow": "2"}, "13.11.0", "2.11.2", "3.12"),
        ({"airflow": "2.10"}, "12.12.0", "2.10.5", "3.12"),
        ({"airflow": "2.10.5"}, "12.12.0", "2.10.5", "3.12"),
        # 3.0 of Airflow, not the runtime 3.0.4; and 2.1, not 2.10 or 2.11.
        ({"airflow": "3.0"}, "3.0-18", "3.0.6", "3.12"),
        ({"airflow": "2.1"}, "3.0.4", "2.1.1", "3.9"),
        ({"airflow": "3.1", "python": "3.11"}, "3.1-21-python-3.11", "3.1.8", "3.11"),
        ({"airflow": "3.1", "python": "3.12"}, "3.1-21", "3.1.8", "3.12"),
        ({"python": "3.12"}, "3.3-8-python-3.12", "3.3.2", "3.12"),
        ({"runtime": "3.1"}, "3.1", "3.1", "3.12"),
        ({"runtime": "3"}, "3", "3", "3.14"),
        ({"runtime": "3.1-base", "python": "3.11"}, "3.1-python-3.11-base", "3.1", "3.11"),
        ({"runtime": "3.1-4-base-slim", "python": "3.11"}, "3.1-4-python-3.11-slim-base", "3.1.2", "3.11"),
        ({"runtime": "3.1-4-python-3.11", "python": "3.11"}, "3.1-4-python-3.11", "3.1.2", "3.11"),
        ({"runtime": "3.1-python-3.12"}, "3.1-python-3.12", "3.1", "3.12"),
        ({"runtime": "3.1-8", "airflow": "3.1.4"}, "3.1-8", "3.1.4", "3.12"),
        ({"runtime": "3.1", "airflow": "3"}, "3.1", "3.1", "3.12"),
        ({"runtime": "13.4.0", "airflow": "2.11"}, "13.4.0", "2.11.0", "3.12"),
        # Which Pythons runtime 12 has is not known, so none is refused.
        ({"runtime": "12.7.1", "python": "3.10"}, "12.7.1-python-3.10", "2.10.5", "3.10"),
    ],
)
def test_choices(wish, tag, airflow, python):
    choice = choose(**wish)
    assert (choice.tag, choice.airflow, choice.python, choice.known) == (tag, airflow, python, True)
    repository = "quay.io/astronomer/astro-runtime" if airflow[0] == "2" else "astrocrpublic.azurecr.io/runtime"
    assert choice.image == f"{repository}:{tag}"
    assert choice.airflow_major == int(airflow[0])


@pytest.mark.parametrize(
    ("wish", "words", "hint"),
    [
        (
            {"airflow": "3.1.99"},
            r"No runtime with Airflow 3\.1\.99 .* apache/airflow:3\.1\.99 is no runtime",
            "3.1.8, 3.1.7",
        ),
        ({"airflow": "3.10"}, "No runtime with Airflow 3.10 is known in the table of 2026-09-25", "3.3.2, 3.3.1"),
        ({"airflow": "3.1.4"}, r"No runtime with Airflow 3\.1\.4", "3.1.8"),
        ({"airflow": "1.10"}, "no version of Airflow", "3.1"),
        ({"airflow": "3.1.x"}, "no version of Airflow", "3.1"),
        ({"airflow": "3.1.8.1"}, "no version of Airflow", "3.1"),
        ({"runtime": "latest"}, "no tag", "3.3-8"),
        ({"runtime": "12"}, "no tag", "3.3-8"),
        ({"runtime": "3.1-2\n"}, "no tag", "3.3-8"),
        ({"runtime": "99.1.0"}, "no tag", "3.3-8"),
        ({"runtime": ""}, "no tag", "3.3-8"),
        ({"runtime": "3.1-4", "airflow": "3.1.8"}, r"Runtime 3\.1-4 has Airflow 3\.1\.2, not 3\.1\.8", "only one"),
        ({"runtime": "3.1-4", "airflow": "2"}, "not 2", "only one"),
        ({"runtime": "3.1", "airflow": "3.1.8"}, "is not known, so it may not be", "only one"),
        ({"runtime": "3.1-4", "airflow": "x"}, "not x", "only one"),
        ({"airflow": "3.1", "python": "3.14"}, r"Runtime 3\.1-21 has no image with Python 3\.14", "3.11, 3.12"),
        ({"runtime": "3.1-4-python-3.14"}, r"no image with Python 3\.14", "3.11, 3.12"),
        ({"runtime": "3.1-4-python-3.11", "python": "3.12"}, r"has Python 3\.11, not 3\.12", "one of them"),
        ({"python": "3"}, "no version of Python", "3.14"),
        ({"runtime": "8.5.0", "python": "3.11"}, "no image with Python", "3.10"),
    ],
)
def test_what_cannot_be_had_is_said(wish, words, hint):
    with pytest.raises(InvalidContentError, match=words) as caught:
        choose(**wish)
    assert hint in caught.value.hint


def test_an_unknown_tag_of_a_known_form_is_taken_and_said():
    choice = choose(runtime="3.3-99")
    assert (choice.airflow, choice.known) == ("3.3", False)
    assert "2026-09-25" in choice.notes[0]
    assert choose(runtime="3.4").known is False


def test_what_is_withdrawn_or_out_of_support_is_said():
    assert "withdrawn" in choose(runtime="3.1-8").notes[0]
    assert "no updates" in choose(airflow="2.9").notes[0]
    assert choose(airflow="2").notes == ()


def test_which_release_is_the_newest():
    tomorrow = (datetime.now(tz=UTC).date() + timedelta(days=2)).isoformat()
    table = table_of(
        **{
            "3.1-9": entry("3.1.9", date="2025-01-01"),
            "3.1-10": entry("3.1.10", date="2024-01-01"),
            "3.1-11": entry("3.1.11", yanked=True),
            "3.1-12": entry("3.1.12", date=tomorrow),
            "3.10-1": entry("3.10.0", channel="deprecated"),
            "13.1.0": entry("2.11.0"),
        }
    )
    assert choose(table=table).tag == "3.1-10"
    assert choose("3.1", table=table).airflow == "3.1.10"
    # With no stable one, one that is out of support is better than none.
    assert choose("3.10", table=table).tag == "3.10-1"
    assert choose("2", table=table).tag == "13.1.0"


def keep(text):
    kept_table().write_text(text)


def test_a_newer_table_that_was_kept_goes_over_the_shipped_one():
    lines = {"3.4-": {"airflow": "3.4", "python": "3.14", "pythons": ["3.13", "3.14"]}}
    tags = {"3.4-1": {"airflow": "3.4.0"}, "3.3-8": {"airflow": "3.3.2", "python": "3.14", "yanked": True}}
    keep(json.dumps({"as_of": "2026-10-01", "lines": lines, "tags": tags}))
    table = read_table()
    assert (table.as_of, choose().tag, choose("3.3").tag) == ("2026-10-01", "3.4-1", "3.3-7")
    assert choose("2.10").tag == "12.12.0"

    keep(json.dumps({"as_of": "2026-09-24", "lines": lines, "tags": tags}))
    assert choose().tag == "3.3-8"
    kept_table().unlink()
    assert read_table() is read_table()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "[" * 20_000,
        '{"as_of": "2027-01-01"}',
        '{"as_of": "soon", "lines": {}, "tags": {}}',
        '{"as_of": "2027-01-01", "lines": {}, "tags": {"3.4-1": {"airflow": "3.4.0"}}}',
        '{"as_of": "2027-01-01", "lines": {}, "tags": {"x; rm": {"airflow": "3.4.0", "python": "3.12"}}}',
        '{"as_of": "2027-01-01", "lines": {}, "tags": {"3.4": {"airflow": "3.4.0", "python": "3.12"}}}',
        '{"as_of": "2027-01-01", "lines": {}, "tags": {"3.4-1": {"airflow": "3.4.0\\nRUN x", "python": "3.12"}}}',
        '{"as_of": "2027-01-01", "lines": {}, "tags": {"3.4-1": {"airflow": "3.4.0", "python": "3.12 x"}}}',
        '{"as_of": "2027-01-01", "lines": {}, "tags": {"3.4-1": {"airflow": 3, "python": "3.12"}}}',
        '{"as_of": "2027-01-01", "lines": [], "tags": []}',
    ],
)
def test_a_broken_kept_table_counts_for_nothing(text):
    keep(text)
    assert choose().tag == "3.3-8"


def test_a_kept_table_that_is_no_text_counts_for_nothing():
    kept_table().write_bytes(b"\xff\xfe\x00")
    assert choose().tag == "3.3-8"


def test_a_cache_folder_that_cannot_be_made_is_no_error(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ASTRO_MAGIC_CACHE", str(tmp_path / "file" / "cache"))
    assert kept_table() is None
    assert choose().tag == "3.3-8"


@given(st.sampled_from(sorted(read_table().releases)), st.sampled_from(["", "-base", "-slim", "-slim-base"]))
def test_every_tag_of_the_table_is_chosen_by_itself(tag, rest):
    choice = choose(runtime=f"{tag}{rest}")
    assert isinstance(choice, Choice)
    assert choice.tag == f"{tag}{rest}"
    assert choice.known
    assert choose(runtime=tag, airflow=choice.airflow).airflow == choice.airflow


@given(st.text(max_size=20) | st.from_regex(r"3\.\d+-\d+(-base)?"))
def test_no_text_breaks_the_grammar(text):
    tag = Tag.parse(text)
    assert tag is None or (tag.text == text and text.isascii() and not set(text) & set(" \n/:@"))


def test_reading_the_table_again_costs_nothing(monkeypatch):
    keep(json.dumps({"as_of": "2027-01-01", "lines": {}, "tags": {"3.4-1": entry("3.4.0")}}))
    first = read_table()
    monkeypatch.setattr("astro_magic.project.runtime.table.parse_table", lambda text: pytest.fail("read again"))
    assert read_table() == first
    os.utime(kept_table(), ns=(1, 1))
    with pytest.raises(pytest.fail.Exception):
        read_table()
