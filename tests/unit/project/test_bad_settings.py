"""Settings files with mistakes: each is told with its place, or the file works; nothing is dropped without a word."""

from __future__ import annotations

import pytest

from astro_magic.errors import InvalidContentError

SECRET = "sesame-open-4711"
VARIABLES = "airflow:\n  variables:\n"
ROW = f"{{variable_name: a, variable_value: {SECRET}}}"


@pytest.fixture
def read(project):
    def read_text(text):
        project.settings.path.write_text(text, encoding="utf-8")
        return project.settings.objects()

    return read_text


def bomb():
    levels = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 10)]
    return (
        f"a0: &a0 [{', '.join('x' * 10)}]\n{''.join(levels)}{VARIABLES}  - {{variable_name: a, variable_value: *a9}}\n"
    )


@pytest.mark.parametrize(
    ("text", "words", "place"),
    [
        (f"{VARIABLES}\t- {ROW}\n", "no valid YAML", "line 3, column 1"),
        (f"{VARIABLES}  - variable_name: a\n    variable_name: b\n", "'variable_name' twice", "line 4, column 5"),
        (f"{VARIABLES}  - {ROW}\nairflow:\n  pools: []\n", "'airflow' twice", "line 4, column 1"),
        (f"{VARIABLES}  - {ROW}\nAirflow:\n  pools: []\n", "'Airflow', which is 'airflow' in", "line 4, column 1"),
        (f"airflow:\n  variables: []\n  Variables:\n  - {ROW}\n", "'Variables', which is", "line 3, column 3"),
        (f"{VARIABLES}  - !secret {ROW}\n", "a tag", "line 3, column 5"),
        (bomb(), "too large when its aliases are written out", "line 1, column "),
        (f"{VARIABLES}  - &x {{variable_name: a, variable_value: *x}}\n", "alias inside", "line 3, column "),
        (f"airflow:\n- variables:\n  - {ROW}\n", "something else than a mapping under airflow", "line 2, column 1"),
        (f"airflow:\n  variables:\n    a: {ROW}\n", "something else than a list", "line 3, column 5"),
        (f"{VARIABLES}  - - {ROW}\n", "as an item of variables", "line 3, column 5"),
        (f"airflow: {{}}\n---\n{VARIABLES}  - {ROW}\n", "several YAML documents", "line 2, column 1"),
        (f"{VARIABLES}  - {ROW}\n  other: [\n", "no valid YAML", "line "),
        (f"- {ROW}\n", "no mapping", "line 1, column 1"),
        (SECRET, "no mapping", "line 1, column 1"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_its_place(read, text, words, place):
    with pytest.raises(InvalidContentError, match=words) as error:
        read(text)
    assert f"({place}" in error.value.message
    assert error.value.hint
    assert "\n" not in error.value.message
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("row", "words", "place"),
    [
        ("{conn_id: a, conn_type: x, conn_extra: '[1'}", "is no JSON: Expecting ',' delimiter", "3:32"),
        ("{conn_id: a, conn_type: x, conn_extra: '[1]'}", "is no JSON object", "3:32"),
        ("{conn_id: a, conn_type: x, conn_extra: [1]}", "is a list or a mapping", "3:32"),
        ("{conn_id: a, conn_type: x, conn_extra: no}", "is no JSON", "3:32"),
        ("{conn_id: a, conn_type: x, Conn_Type: y}", "in other capitals", "3:3"),
        ("{conn_id: [a], conn_type: x}", "has no conn_id", "3:6"),
        ("{conn_id: ~, conn_type: x}", "has no conn_id", "3:6"),
    ],
)
def test_a_row_that_cannot_be_used_is_told_with_its_place(read, row, words, place):
    found = read(f"airflow:\n  connections:\n  - {row}\n  - {{conn_id: kept, conn_type: x}}\n")
    assert [item.name for item in found.objects] == ["kept"]
    (problem,) = found.problems
    assert words in problem.message
    assert problem.place.startswith(f"airflow_settings.yaml:{place}")
    assert problem.hint


@pytest.mark.parametrize(
    ("extra", "value"),
    [
        ("", None),
        ("''", None),
        ("~", None),
        ("{}", "{}"),
        ("{Key: ~, n: 1.10}", '{"Key": null, "n": 1.10}'),
        ("'{\"Key\":1.10}'", '{"Key":1.10}'),
    ],
)
def test_an_extra_in_all_ways_to_write_it(read, extra, value):
    found = read(f"airflow:\n  connections:\n  - conn_id: a\n    conn_type: x\n    conn_extra: {extra}\n")
    assert found.problems == ()
    assert found.objects[0].values.get("extra") == value


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (f"variables:\n- {ROW}\n", "Put it under airflow:"),
        (f"airflow:\n  pools: []\nvariables:\n- {ROW}\n", "Put it under airflow:"),
        (f"airflow:\n  variable:\n  - {ROW}\n", "Did you mean variables?"),
        (f"airflow:\n  vars: &x\n  - {ROW}\n", "Did you mean variables?"),
    ],
)
def test_a_section_that_nothing_reads_is_told(read, text, hint):
    found = read(text)
    assert found.objects == ()
    (problem,) = found.problems
    assert (problem.kind, problem.whole) == ("variable", False)
    assert "stands where nothing is read" in problem.message
    assert problem.hint.startswith(hint)
    assert problem.place.count(":") == 2
    assert SECRET not in repr(found)


def test_what_else_a_file_holds_is_its_own_affair(read):
    found = read(f"x-rows: &rows\n- {ROW}\nairflow:\n  variables: *rows\n")
    assert ([item.name for item in found.objects], found.problems) == (["a"], ())


def test_ten_thousand_rows(read):
    found = read(VARIABLES + "".join(f"  - {{variable_name: v{n}, variable_value: '{n}'}}\n" for n in range(10_000)))
    assert (len(found.objects), found.problems) == (10_000, ())
    assert found.objects[-1].place == "airflow_settings.yaml:10002"
