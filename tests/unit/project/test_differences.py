from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_magic.project.changes import merge_contents, named_lines
from astro_magic.project.differences import differences, merge_lines

LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "\n", "d"]), max_size=12)


def patched(before, after):
    """Make the second text of the first one and the hunks alone."""
    text = []
    position = 0
    for hunk in differences(before, after):
        text += before[position : hunk.start] + after[hunk.new_start : hunk.new_end]
        position = hunk.end
    return text + before[position:]


@given(LINES, LINES)
def test_the_hunks_are_the_whole_difference(before, after):
    assert patched(before, after) == after
    assert differences(before, before) == []


@given(LINES, LINES)
def test_one_edit_alone_is_what_comes_out(base, edited):
    assert merge_lines(base, edited, base) == edited
    assert merge_lines(base, base, edited) == edited
    assert merge_lines(base, edited, edited) == edited


@given(LINES, LINES, LINES)
def test_it_does_not_matter_whose_edit_is_whose(base, ours, theirs):
    assert merge_lines(base, ours, theirs) == merge_lines(base, theirs, ours)


EDIT = st.tuples(st.integers(0, 11), st.sampled_from(["replace", "remove", "insert"]), st.sampled_from("xyz"))


@pytest.mark.skipif(shutil.which("git") is None, reason="no git on this machine")
@given(st.lists(EDIT, min_size=1, max_size=3), st.lists(EDIT, min_size=1, max_size=3))
def test_git_merges_the_same_way(tmp_path_factory, ours, theirs):
    base = [f"{number}\n" for number in range(12)]

    def edit(edits):
        lines = list(base)
        for position, kind, word in sorted(edits, reverse=True):
            lines[position : position + (kind != "insert")] = [] if kind == "remove" else [f"{word} {position}\n"]
        return lines

    merged = merge_lines(base, edit(ours), edit(theirs))
    if merged is None:
        return
    folder = tmp_path_factory.mktemp("merge")
    for name, lines in {"base": base, "ours": edit(ours), "theirs": edit(theirs)}.items():
        (folder / name).write_text("".join(lines))
    command = ["git", "merge-file", "-p", "ours", "base", "theirs"]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (0, "".join(merged))


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        (b"1\n2\n3\n", b"one\n2\n3\n", b"1\n2\nthree\n", b"one\n2\nthree\n"),
        (b"1\n2\n3\n", b"one\n2\n3\n", b"1\ntwo\n3\n", None),
        (b"1\n2\n", b"0\n1\n2\n", b"-1\n1\n2\n", None),
        (b"1\r\n2\r\n3", b"1\r\n2\r\n3\r\n4", b"0\r\n1\r\n2\r\n3", b"0\r\n1\r\n2\r\n3\r\n4"),
        (b"\xff\n", b"\xff\n1\n", b"0\n\xff\n", None),
        (None, b"1", b"2", None),
        (b"1", None, b"2", None),
    ],
)
def test_contents_are_merged_only_where_that_is_safe(base, ours, theirs, merged):
    assert merge_contents(base, ours, theirs) == merged


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (b"1\n2\n3\n", b"1\ntwo\n3\n", " (line 2)"),
        (b"1\n2\n3\n", b"1\ntwo\nthree\n", " (lines 2-3)"),
        (b"1\n2\n3\n4\n5\n", b"one\n2\nthree\n4\n5\n6\n", " (lines 1, 3 and 6)"),
        (
            b"".join(b"%d\n" % n for n in range(9)),
            b"".join(b"%d\n" % (n + n % 2 * 9) for n in range(9)),
            "1 more places)",
        ),
        (None, b"1", ""),
        (b"1", b"1", ""),
    ],
)
def test_the_lines_are_named(before, after, words):
    assert named_lines(before, after).endswith(words)


def test_large_texts_that_have_nothing_in_common_are_one_hunk():
    assert len(differences([f"a{n}\n" for n in range(200_000)], [f"b{n}\n" for n in range(200_000)])) == 1
