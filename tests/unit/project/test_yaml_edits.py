from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from astro_magic.errors import InvalidContentError
from astro_magic.project.yaml.edits import YamlEdit
from astro_magic.project.yaml.text import MappingNode, YamlText
from astro_magic.project.yaml.values import EMPTY, from_json, to_json


def read(text):
    return YamlText(text, "x.yaml")


def edited(text, values, *path, **options):
    document = read(text)
    node = document.root
    for key in path:
        node = node.find(key)[1]
    edit = YamlEdit(document)
    edit.put(node, {key: None if value is None else from_json(value) for key, value in values.items()}, **options)
    return edit.result()


@pytest.mark.parametrize(
    ("before", "values", "path", "after"),
    [
        # Values, with what stands around them.
        ("a: 1 # one\nb: 2\n", {"a": 3}, (), "a: 3 # one\nb: 2\n"),
        ("a:   'x'   # one\r\n", {"a": "w"}, (), "a:   w   # one\r\n"),
        ("a: # one\n", {"a": "w"}, (), "a: w # one\n"),
        ("a:", {"a": "no"}, (), 'a: "no"'),
        ("a: x  y\n  z\nb: 1\n", {"a": "q"}, (), "a: q\nb: 1\n"),
        ("a: |  # text\n  x\n  y\n\nb: 1\n", {"a": "q"}, (), "a: q  # text\n\nb: 1\n"),
        ("a: |+\n  x\n\nb: 1\n", {"c": 1}, (), "a: |+\n  x\n\nb: 1\nc: 1\n"),
        ("b: 1\na: |+\n  x\n\n", {"c": 1}, (), "b: 1\na: |+\n  x\n\nc: 1\n"),
        ("b: 1\na: |-\n  x\n\n# end\n", {"c": 1}, (), "b: 1\na: |-\n  x\nc: 1\n\n# end\n"),
        ("a: x\n", {"a": {"b": 1, "c": [1, {"d": 2}]}}, (), "a:\n  b: 1\n  c:\n    - 1\n    - d: 2\n"),
        ("a: x # one\nb: 2", {"a": [1]}, (), "a: # one\n  - 1\nb: 2"),
        ("a: # one\n  # two\n  b: 1\n\nc: 2\n", {"a": "x"}, (), "a: x # one\n\nc: 2\n"),
        ("a:\n- 1\n- 2\nc: 2\n", {"a": "x"}, (), "a: x\nc: 2\n"),
        (
            "a:\n    b: 1 # one\n    # two\n    c: 2\n",
            {"a": {"b": 1, "c": 3}},
            (),
            "a:\n    b: 1 # one\n    # two\n    c: 3\n",
        ),
        ("a: {b: 1, c: 2} # x\n", {"a": {"b": 5, "c": 2}}, (), "a: {b: 5, c: 2} # x\n"),
        ("a: {b: 1, c: 2} # x\n", {"a": {"c": 2, "d": 3}}, (), "a: {c: 2, d: 3} # x\n"),
        # Keys.
        ("a: 1", {"b": 2}, (), "a: 1\nb: 2\n"),
        ("a: 1\r\nb: 2\r\n", {"c": 3}, (), "a: 1\r\nb: 2\r\nc: 3\r\n"),
        ("x:\n      a: 1\n      # end\ny: 1\n", {"b": 2}, ("x",), "x:\n      a: 1\n      b: 2\n      # end\ny: 1\n"),
        ("x: {}\n", {"b": 2}, ("x",), "x: {b: 2}\n"),
        ("x: {a: 1}\n", {"b": 2, "c": "a:b"}, ("x",), 'x: {a: 1, b: 2, c: "a:b"}\n'),
        ("# top\n\n# of a\na: 1\nb: 2\n", {"a": None}, (), "# top\n\n# of a\nb: 2\n"),
        ("a: 1\n# kept\n\n# of b\n# too\nb: 2 # b\nc: 3\n", {"b": None}, (), "a: 1\n# kept\n\nc: 3\n"),
        ("a: 1\nb:\n  c: 1\n\nd: 2\n", {"b": None}, (), "a: 1\n\nd: 2\n"),
        ("a:\tx\nb: 1\n", {"a": "w"}, (), "a:\tw\nb: 1\n"),
        ("é😀: 1\nא: 2\n", {"א": 3}, (), "é😀: 1\nא: 3\n"),
        ("", {"a": {"b": 1}}, (), "a:\n  b: 1\n"),
        ("# only", {"a": 1}, (), "# only\na: 1\n"),
        # What is there already changes nothing.
        ("a:   'x' # one\n", {"a": "x"}, (), "a:   'x' # one\n"),
    ],
)
def test_an_edit_changes_only_its_place(before, values, path, after):
    assert edited(before, values, *path) == after


def test_removing_the_first_key_behind_a_dash_keeps_the_item():
    document = read("x:\n  - a: 1\n    # of b\n    b: 2\n")
    edit = YamlEdit(document)
    edit.put(document.root.find("x")[1].items[0], {"a": None})
    assert edit.result() == "x:\n  - # of b\n    b: 2\n"


def test_a_comment_goes_where_there_is_none():
    text = edited("a: 1\nb: # mine\n", {"a": 2, "b": 3, "c": 4}, comments={"a": "# x", "b": "# y", "c": "# z"})
    assert text == "a: 2 # x\nb: 3 # mine\nc: 4 # z\n"


def items(text, *, append=(), drop=()):
    document = read(text)
    edit = YamlEdit(document)
    if append:
        edit.append(document.root, "x", [from_json(item) for item in append])
    if drop:
        edit.drop(document.root, "x", drop)
    return edit.result()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x:\n  - m: a\n", "x:\n  - m: a\n  - m: b\n    v: 1\n"),
        ("x:\n- m: a\n# end\n", "x:\n- m: a\n- m: b\n  v: 1\n# end\n"),
        ("x:\n    -   m: a", "x:\n    -   m: a\n    - m: b\n      v: 1\n"),
        ("x:\n  - m: a\n\n  - m: c\n\ny: 1\n", "x:\n  - m: a\n\n  - m: c\n\n  - m: b\n    v: 1\n\ny: 1\n"),
        ("x: [{m: a}] # end\n", "x: [{m: a}, {m: b, v: 1}] # end\n"),
        ("x: # end\ny:\n- 1\n", "x: # end\n- m: b\n  v: 1\ny:\n- 1\n"),
        ("x: [] # end\n", "x: # end\n  - m: b\n    v: 1\n"),
        ("x: null", "x:\n  - m: b\n    v: 1\n"),
        ("y: 1\n", "y: 1\nx:\n  - m: b\n    v: 1\n"),
        ("{y: 1}\n", "{y: 1, x: [{m: b, v: 1}]}\n"),
    ],
)
def test_items_are_appended_in_the_form_of_the_list(before, after):
    assert items(before, append=[{"m": "b", "v": 1}]) == after


@pytest.mark.parametrize(
    ("before", "drop", "after"),
    [
        ("x:\n  # of a\n  - m: a\n    # in a\n  # of b\n  - m: b\n", [1], "x:\n  # of a\n  - m: a\n    # in a\n"),
        ("x:\n  # top\n\n  # of a\n  - m: a\n  - m: b", [0], "x:\n  # top\n\n  - m: b"),
        ("x: # xs\n- m: a\n-\n  m: b\n", [0, 1], "x: [] # xs\n"),
        ("x: [a, b, c] # xs\n", [0, 2], "x: [b] # xs\n"),
        ("x:\n  - a\n\n  - b\n\n  - c\n\ny: 1\n", [2], "x:\n  - a\n\n  - b\n\ny: 1\n"),
        ("x:\n  - a\n\n  - b\n \n  - c\n", [1, 2], "x:\n  - a\n"),
        ("x:\n  - a\n\n  - b\n  - c\n", [1], "x:\n  - a\n\n  - c\n"),
        ("x:\n  - |\n    # text\n  - b\n", [1], "x:\n  - |\n    # text\n"),
    ],
)
def test_items_are_removed_with_their_comments(before, drop, after):
    assert items(before, drop=drop) == after


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a: &a {x: 1}\nb: *a\n", {"a": {"x": 2}}),
        ("a: &a x\nb: *a\n", {"a": "w"}),
        ("a: &a\n  x: 1\nb: *a\n", {"a": "w"}),
        ("a: &a 1\nb: *a\n", {"a": None}),
        ("? a\n: 1\nb: 2\n", {"a": 2}),
        ("a: {\n  x: 1, # one\n  y: 2 }\n", {"a": {"x": 1}}),
    ],
)
def test_what_would_say_something_else_is_refused(text, values):
    with pytest.raises(InvalidContentError, match=r"cannot be edited by machine in this place \(line"):
        edited(text, values)


def test_an_alias_can_be_replaced_by_a_value():
    assert edited("a: &a {x: 1}\nb: *a # b\n", {"b": "w"}) == "a: &a {x: 1}\nb: w # b\n"


def test_a_value_can_be_emptied():
    document = read("a: 1 # one\nb:\n  c: 1\n")
    edit = YamlEdit(document)
    edit.put(document.root, {"a": EMPTY, "b": EMPTY})
    assert edit.result() == "a: # one\nb:\n"


KEY = st.sampled_from(["a", "b", "Key", "d e", "no", "5"])
SCALAR = st.one_of(
    st.sampled_from(["no", "1.10", "x: y", "#z", "", "  ", "a\nb\n", "'", '"', "\t", "é😀", "5"]), st.integers(0, 9)
)


@st.composite
def block(draw, depth=0):
    """The lines of a mapping in one of many layouts."""
    step = draw(st.sampled_from([1, 2, 4]))
    pad = " " * step
    lines = []
    for key in draw(st.lists(KEY, min_size=1, max_size=4, unique=True)):
        if draw(st.booleans()):
            lines.append(draw(st.sampled_from(["", "# note", f"{pad}# deep", "  "])))
        start = f"{json.dumps(key)}:"
        comment = draw(st.sampled_from(["", "  # why", " "]))
        kind = draw(
            st.sampled_from(["scalar", "empty", "flow", "literal", "list", "mapping" if depth < 2 else "scalar"])
        )
        if kind == "scalar":
            lines.append(f"{start} {json.dumps(draw(SCALAR), ensure_ascii=False)}{comment}")
        elif kind == "empty":
            lines.append(f"{start}{comment}")
        elif kind == "flow":
            lines.append(f'{start} {{ "f": [1, x] }}{comment}')
        elif kind == "literal":
            lines += [f"{start} |{comment}", f"{pad}l1", f"{pad} # l2"]
        elif kind == "list":
            dash = draw(st.sampled_from(["", pad]))
            lines += [f"{start}{comment}", f"{dash}- 1", f"{dash}# item", f"{dash}- i: 2"]
        else:
            lines += [f"{start}{comment}", *(f"{pad}{line}" for line in draw(block(depth + 1)))]
    return lines


@given(
    block(),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.dictionaries(KEY, st.one_of(st.none(), SCALAR, st.just({"k": [1]})), min_size=1),
)
def test_editing_the_text_is_editing_what_it_says(generated, end, final, values):
    lines = generated
    # A block of text that ends without a line end says something else.
    text = end.join(lines) + (end if final or lines[-1].endswith("# l2") else "")
    # A comment that an edit would make a part of the block of text above it keeps the edit from being made.
    assume(not ("# deep" in text and ": |" in text))
    document = read(text)
    before = yaml.safe_load(text)
    assert to_json(document.tree()) == before
    assert YamlEdit(document).result() == text
    values = {key: value for key, value in values.items() if value is not None or key in before}
    expected = {
        key: value
        for key, value in {**before, **values}.items()
        if values.get(key, value) is not None or key not in values
    }
    if not expected:
        return
    after = edited(text, values)
    assert yaml.safe_load(after) == expected
    assert edited(after, {key: value for key, value in values.items() if value is not None}) == after
    # Each line of another key is still there, in order and byte for byte.
    kept = iter(after.split("\n"))
    for key, node in document.root.pairs:
        if key.text not in values and not isinstance(node, MappingNode):
            line = text[text.rfind("\n", 0, key.start) + 1 :].split("\n")[0]
            assert any(line.rstrip("\r") == other.rstrip("\r") for other in kept), line


@given(block())
def test_the_reader_in_python_sees_the_same_places(lines):
    text = "\n".join([*lines, ""])
    after = edited(text, {"a": "new", "b": {"c": [1]}})
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(yaml, "CSafeLoader")
        assert edited(text, {"a": "new", "b": {"c": [1]}}) == after


@given(
    st.recursive(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(allow_nan=False, allow_infinity=False),
            st.text(max_size=5),
        ),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
        max_leaves=8,
    )
)
def test_json_is_written_so_that_it_is_read_back(value):
    for before in ("a:\n", "{a: 1}\n", "a: {k: 0}", "a:\n  - 1\n"):
        text = edited(before, {"a": {"v": value}})
        # The reader in Python is another one than the one in C, by which the text is read here.
        assert yaml.safe_load(text) == yaml.load(text, yaml.CSafeLoader) == {"a": {"v": value}}
        assert to_json(read(text).tree()) == {"a": {"v": value}}
