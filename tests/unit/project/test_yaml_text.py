from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from astro_magic.errors import InvalidContentError
from astro_magic.project.yaml.text import YamlText
from astro_magic.project.yaml.values import Scalar, changes_in_go, from_json, inline, may_be_typed, to_json


def read(text):
    return YamlText(text, "x.yaml")


# ---------------------------------------------------------------------------------------------------------- reading


def test_scalars_stay_the_text_that_was_written():
    words = ["no", "on", "1.10", "0123", "2024-01-01", "1e3", "0o17", "12:30", "true", "0x1F", "+5", "~"]
    tree = read("".join(f"k{number}: {word}\n" for number, word in enumerate(words))).tree()
    assert [scalar.text for scalar in tree.values()] == words
    assert all(scalar.typed for scalar in tree.values())
    assert not any(
        scalar.typed for scalar in read("a: 'no'\nb: \"1\"\nc: |\n  1\nd: !!str 1\ne: ! 1\n").tree().values()
    )


def test_json_types_are_those_of_yaml_1_2():
    text = "{a: no, b: 1.10, c: 0123, d: 2024-01-01, e: 1e3, f: 0o17, g: 12:30, h: true, i: 0x1F, j: ~, k: '1', l: }"
    assert to_json(read(text).tree()) == {
        "a": "no",
        "b": 1.1,
        "c": 123,
        "d": "2024-01-01",
        "e": 1000.0,
        "f": 15,
        "g": "12:30",
        "h": True,
        "i": 31,
        "j": None,
        "k": "1",
        "l": None,
    }
    assert to_json(read(f"a: {'9' * 5000}\nb: 1e999\n").tree()) == {"a": "9" * 5000, "b": "1e999"}


@pytest.mark.parametrize(
    ("text", "words", "place", "hint"),
    [
        ("a: 1\nb:\n\tc: 2\n", "no valid YAML", "line 3, column 1", "tab"),
        ("a: 'x\nb: 2\n", "no valid YAML", "line 3", "quotes"),
        ("a: b: c\n", "no valid YAML", "line 1, column 5", "quotes"),
        ("a: 1\n---\nb: 2\n", "several YAML documents", "line 2, column 1", "all but one"),
        ("a: 1\nb: 2\na: 3\n", "'a' twice in one mapping, first on line 1", "line 3, column 1", "one of the two"),
        ("x: {a: 1, 'a': 2}\n", "'a' twice", "line 1, column 11", ""),
        ("a: !!python/object/apply:os.system ['id']\n", "a tag", "line 1, column 4", "Remove"),
        ("a: !!binary aGk=\n", "a tag", "line 1", ""),
        ("a: !secret x\n", "a tag", "line 1", ""),
        ("- a\n", "no mapping", "line 1", "key: value"),
        ("text\n", "no mapping", "line 1", ""),
        ("? [a]\n: b\n", "a key that is no text", "line 1", ""),
        ("a: *b\n", "an alias without its anchor", "line 1, column 4", ""),
        ("a: &a [*a]\n", "an alias inside of what it stands for", "line 1", ""),
        ("a: &a 1\nb:\n  <<: *a\n", "merges something that is no mapping", "line 3", ""),
        ("a: x\x0cy\n", r"U\+000C", "line 1, column 5", "escape"),
        ("a: \ud800\n", r"U\+D800", "line 1", ""),
        ("a: " + "[" * 101 + "]" * 101, "nested deeper than 100", "line 1", "flatter"),
        ("a: " + "[" * 100_000, "nested deeper than 100", "line 1", ""),
    ],
)
def test_what_cannot_be_read_is_named(text, words, place, hint):
    with pytest.raises(InvalidContentError, match=words) as caught:
        read(text).tree()
    assert place in caught.value.message
    assert hint in caught.value.hint


def test_syntax_errors_do_not_quote_the_line():
    with pytest.raises(InvalidContentError) as caught:
        read("conn_password: 'hunter2\n")
    assert "hunter2" not in str(caught.value)


def test_aliases_and_merge_keys_are_written_out():
    text = "base: &b {x: 1, y: 2}\nc: &c {y: 3}\nd:\n  z: 0\n  <<: [*b, *c]\n  x: 9\ne: *b\n'<<': plain\n"
    assert to_json(read(text).tree()) == yaml.safe_load(text.replace("'<<': plain\n", "")) | {"<<": "plain"}


def test_a_bomb_is_refused():
    text = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    merges = "a: &a {k: v}\n"
    for last, name in zip("abcdefgh", "bcdefghi", strict=True):
        text += f"{name}: &{name} [{', '.join([f'*{last}'] * 9)}]\n"
        merges += f"{name}: &{name} {{<<: [{', '.join([f'*{last}'] * 9)}]}}\n"
    for bomb in (text, merges):
        document = read(bomb)
        with pytest.raises(InvalidContentError, match="grows too large"):
            document.tree()


def test_an_empty_document_says_nothing():
    for text in ("", "\n", "# note\n", "---\n", "--- # note\n...\n"):
        assert read(text).root is None
        assert read(text).tree() == {}


# ---------------------------------------------------------------------------------------------------------- scalars


@given(st.one_of(st.text(max_size=12), st.from_regex(r"[-+.]?[0-9xo_eE:.+-]{1,8}", fullmatch=True)))
def test_a_text_is_read_back_by_a_yaml_1_1_reader(text):
    resolved = yaml.SafeLoader("").resolve(yaml.ScalarNode, text, (True, False))
    # A lone "&", "*" or "!" has a type of its own, which no document can ask for: it is never written plain.
    assert may_be_typed(text) or resolved.endswith((":str", ":yaml"))
    if any("\ud800" <= character <= "\udfff" for character in text):
        return
    for document in (f"a: {inline(Scalar(text))}\n", f"a: {inline({'k': Scalar(text)})}\n"):
        value = yaml.safe_load(document)["a"]
        assert (value["k"] if isinstance(value, dict) else value) == text
        assert to_json(read(document).tree())["a"] == value


@pytest.mark.parametrize(
    "word",
    [
        "y",
        "Y",
        "n",
        "no",
        "On",
        "OFF",
        "true",
        "1",
        "1.10",
        ".5",
        "0o17",
        "0x1f",
        "1_000",
        "12:30:45",
        "2024-01-01",
        "~",
        "null",
        "=",
        "<<",
        ".inf",
    ],
)
def test_what_a_reader_may_take_for_something_else_is_quoted(word):
    assert inline(Scalar(word)) == f'"{word}"'
    assert inline(Scalar(word, typed=True)) == word


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain", "plain"),
        ("10.0.0.1", "10.0.0.1"),
        ("my-host.example.com:5432", "my-host.example.com:5432"),
        ("a: b", '"a: b"'),
        ("a #b", '"a #b"'),
        ("-x", '"-x"'),
        ("", '""'),
        ("two words", "two words"),
        (" x", '" x"'),
        ('{"a": 1}', "'{\"a\": 1}'"),
        ('it\'s "x"', "'it''s \"x\"'"),
        ("a\nb", '"a\\nb"'),
        ("\u2028\x85\ufeff", '"\\u2028\\u0085\\ufeff"'),
        ("é😀", '"é😀"'),
        ("...", '"..."'),
    ],
)
def test_quotes_are_written_where_needed(text, written):
    assert inline(Scalar(text)) == written


def test_what_the_astro_cli_changes():
    changed = [
        word
        for word in ["true", "no", "5", "05", "1.10", "-3", "1e3", "2024-01-01", "0x1f", "text"]
        if changes_in_go(read(f"a: {word}").tree()["a"])
    ]
    assert changed == ["true", "05", "1.10", "1e3", "2024-01-01", "0x1f"]


def test_other_types_are_refused():
    for value in (b"x", {1: 2}, float("nan"), object()):
        with pytest.raises(InvalidContentError, match="cannot be written"):
            from_json({"a": value})


def test_errors_of_the_reader_in_python_do_not_quote_the_line(monkeypatch):
    monkeypatch.delattr(yaml, "CSafeLoader")
    with pytest.raises(InvalidContentError, match="no valid YAML") as caught:
        read("conn_password: 'hunter2\n")
    assert "hunter2" not in str(caught.value)
