"""Lines of logs made fit to be shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_magic.errors import InvalidContentError
from astro_magic.system.logtext import LONGEST, matcher, plain


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m\n", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("10%\r50%\rdone\r\n", "done"),
        ("tab\tstays", "tab\tstays"),
        ("bell\x07 and null\x00", "bell and null"),
        ("ünï ✓ 漢", "ünï ✓ 漢"),
        ("", ""),
    ],
)
def test_plain(line, shown):
    assert plain(line) == shown


def test_a_long_line_is_cut_and_says_how_much_is_missing():
    assert plain("x" * (LONGEST + 5)) == "x" * LONGEST + " … (5 more characters)"
    assert plain("x" * LONGEST, left_out=1234) == "x" * LONGEST + " … (1,234 more characters)"
    assert plain("x" * LONGEST) == "x" * LONGEST


@given(st.text())
def test_nothing_that_steers_a_terminal_is_left(line):
    assert not set(plain(line)) & {"\x1b", "\r", "\n", "\x07", "\x00", "\b"} or "\n" in line.rstrip("\r\n")


def test_matcher():
    assert matcher(None)("anything")
    assert matcher("b+")("abbc")
    assert not matcher("^b")("abbc")
    with pytest.raises(InvalidContentError, match="is no regular expression"):
        matcher("(")
