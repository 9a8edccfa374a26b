from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_magic.errors import InvalidContentError
from astro_magic.project.dotenv.dialects import TOOLS, differences, read_compose, read_docker, read_standalone
from astro_magic.project.dotenv.lines import read_line

ENVIRONMENT = {"USER": "ada", "EMPTY": ""}

# Lines and what becomes of them; None stands for a file that the tool refuses.
COMPOSE = [
    ("A=1", {"A": "1"}),
    ("A = 1 ", {"A": "1"}),
    ("A=", {"A": ""}),
    ("export A=1", {"A": "1"}),
    ("exportA=1", {"exportA": "1"}),
    ("A: 1", {"A": "1"}),
    ("A=x # y", {"A": "x"}),
    ("A=x#y", {"A": "x#y"}),
    ("A=#y", {"A": "#y"}),
    ("A= #y", {"A": "#y"}),
    ("# A=1\n\nB=2", {"B": "2"}),
    ("A='x y' # z", {"A": "x y"}),
    ("A='x # y'", {"A": "x # y"}),
    ("A='it\\'s'", {"A": "it's"}),
    ("A='a\\nb'", {"A": "a\\nb"}),
    ('A="a\\nb\\t\\"c\\""', {"A": 'a\nb\t"c"'}),
    ('A="\\0101\\012"', {"A": "A\\12"}),
    ('A="\\c\\x"', {"A": "\\c\\x"}),
    ('A="x\ny"\nB=1', {"A": "x\ny", "B": "1"}),
    ("A='x\ny'\nB=1", {"A": "x\ny", "B": "1"}),
    ("A=$USER/x", {"A": "ada/x"}),
    ("A=${USER}x", {"A": "adax"}),
    ('A="$USER"', {"A": "ada"}),
    ("A='$USER'", {"A": "$USER"}),
    ('A="\\$USER"', {"A": "$USER"}),
    ("A=$$USER", {"A": "$USER"}),
    ("A=$NONE-", {"A": "-"}),
    ("A=5$", {"A": "5$"}),
    ("A=${NONE:-x}", {"A": "x"}),
    ("A=${EMPTY:-x}${EMPTY-y}", {"A": "x"}),
    ("A=${NONE-${USER}}", {"A": "ada"}),
    ("A=${USER:+x}${NONE+y}", {"A": "x"}),
    ("A=${USER?no}", {"A": "ada"}),
    ("B=1\nA=$B", {"B": "1", "A": "1"}),
    ("USER=bob\nA=$USER", {"USER": "bob", "A": "ada"}),
    ("USER\nA=1", {"USER": "ada", "A": "1"}),
    ("NONE\nA=1", {"A": "1"}),
    ("A=1\nA=2", {"A": "2"}),
    ("A.b-c[0]=1", {"A.b-c[0]": "1"}),
    ("\ufeffA=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
    ("A='x' B=2", {"A": "x", "B": "2"}),
    ("FOO", {"": "FOO"}),
    ("A B=1", None),
    ("A!=1", None),
    ("A='x", None),
    ("A=${NONE?no}", None),
    ("A=${NONE:?no}", None),
    ("A=${}", None),
    ("A=${USER", None),
    ("A='it''s'", None),
]
DOCKER = [
    ("A=1", {"A": "1"}),
    ("  A=1 ", {"A": "1 "}),
    ("A= 1", {"A": " 1"}),
    ("A=", {"A": ""}),
    ("A='x y'", {"A": "'x y'"}),
    ('A="x"', {"A": '"x"'}),
    ("A=x # y", {"A": "x # y"}),
    ("  # x\n\nA=1", {"A": "1"}),
    ("A=$USER", {"A": "$USER"}),
    ("A=a\\nb", {"A": "a\\nb"}),
    ("A=b=c", {"A": "b=c"}),
    ("USER", {"USER": "ada"}),
    ("NONE\nA=1", {"A": "1"}),
    ("A.b/c=1", {"A.b/c": "1"}),
    ("A=1\nA=2", {"A": "2"}),
    ("\ufeffA=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
    ("export A=1", None),
    ("A =1", None),
    ("A B", None),
    ("=1", None),
    ("A=" + "x" * 65_536, None),
]
STANDALONE = [
    ("A=1", {"A": "1"}),
    ("  A=1 ", {"A": "1"}),
    ("A = 1", {"A ": " 1"}),
    ("A=", {"A": ""}),
    ("A='x y'", {"A": "x y"}),
    ('A="x"', {"A": "x"}),
    ("A='x\"", {"A": "'x\""}),
    ("A='", {"A": "'"}),
    ("A='x' # y", {"A": "'x' # y"}),
    ("A=x # y", {"A": "x # y"}),
    ("A=$USER", {"A": "$USER"}),
    ('A="a\\nb"', {"A": "a\\nb"}),
    ("export A=1", {"export A": "1"}),
    ("A: 1\nB", {}),
    ("# A=1\n\nB=2", {"B": "2"}),
    ("A=1\nA=2", {"A": "2"}),
    ("\ufeffA=1\r\nB=2\r\n", {"\ufeffA": "1", "B": "2"}),
]


def check(read, text, values):
    if values is None:
        with pytest.raises(InvalidContentError, match="Line 1 cannot be read"):
            read(text)
    else:
        assert read(text) == values


@pytest.mark.parametrize(("text", "values"), COMPOSE)
def test_compose(text, values):
    check(lambda text: read_compose(text, ENVIRONMENT), text, values)


@pytest.mark.parametrize(("text", "values"), DOCKER)
def test_docker(text, values):
    check(lambda text: read_docker(text, ENVIRONMENT), text, values)


@pytest.mark.parametrize(("text", "values"), STANDALONE)
def test_standalone(text, values):
    check(read_standalone, text, values)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# x\n\nA=1\nB=x/y\nC=", []),
        ("A='x y'", [("A", 1, {"docker": "the quotes"})]),
        ("A=x # y", [("A", 1, {"docker": "the comment", "standalone": "the comment"})]),
        ("A = x", [("A", 1, {"docker": "refuses", "standalone": "part of the name"})]),
        ("A= x", [("A", 1, {"docker": "blanks", "standalone": "blanks"})]),
        ("A=#y", [("A", 1, {"compose": "comment", "docker": "comment", "standalone": "comment"})]),
        ("A=$B", [("A", 1, {"compose": "values of variables"})]),
        ('A="a\\nb"', [("A", 1, {"compose": "escapes", "docker": "quotes"})]),
        ("export A=1", [("A", 1, {"docker": "refuses", "standalone": "part of the name"})]),
        ('A="x\nB=1"\nC=2', [("A", 1, {"docker": "for itself", "standalone": "for itself"})]),
        ('A="x\nb c=1"\nC=2', [("A", 1, {"docker": "refuses the file in line 2", "standalone": "for itself"})]),
        ("A='it''s'\nB=$C", [("A", 1, {"compose": "refuses", "docker": "quotes"})]),
        ("A='x' B=1", [("A", 1, {"compose": "rest of the line"})]),
        ("A\nB=1", [("", 1, {"compose": "own environment", "docker": "own environment"})]),
        ("A: 1", [("", 1, {"compose": "sets a variable", "docker": "refuses"})]),
        ("\ufeffA=1", [("A", 1, {"standalone": "byte order mark"})]),
    ],
)
def test_differences(text, found):
    seen = differences(text)
    assert [(one.key, one.line) for one in seen] == [(key, line) for key, line, _ in found]
    for one, (_, _, readings) in zip(seen, found, strict=True):
        assert {tool for tool, _ in one.readings} == set(readings)
        assert all(
            any(tool == other and words in how for other, how in one.readings) for tool, words in readings.items()
        )


def test_differences_show_no_value():
    lines = [
        "A='hunter2 x' # hunter2",
        "hunter2",
        "hunter2==",
        "B=$hunter2 # hunter2",
        'C="hunter2',
        "D='hunter2' hunter2=1",
    ]
    for line in lines:
        assert "hunter2" not in repr(differences(line)), line


TEXT = st.lists(
    st.one_of(
        st.text(st.sampled_from("AB=:'\"#$ {}\\-\t\n\r"), max_size=12),
        st.sampled_from(["A=1", "B='x'", "export C=2", "D=${A:-x}", "# x", "🚀=\u202e", '"', "\x0c"]),
    ),
    max_size=6,
).map("\n".join)


@given(TEXT)
def test_a_line_without_difference_is_read_alike_by_all(text):
    told = {one.line for one in differences(text)}
    assert all(tool in TOOLS for one in differences(text) for tool, _ in one.readings)
    if told:
        return
    own = dict(found for line in text.removeprefix("\ufeff").split("\n") if (found := read_line(line.rstrip("\r"))))
    assert read_compose(text) == read_docker(text) == read_standalone(text) == own
