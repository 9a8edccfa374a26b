from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_magic.errors import InvalidContentError, InvalidPathError
from astro_magic.project import Project
from astro_magic.project.dotenv.dotenv import Dotenv, DotenvEntry
from astro_magic.project.masking import mask_lines


@pytest.fixture
def dotenv(project):
    return project.dotenv


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=1", "1"),
        ("  export A = 1 ", "1"),
        ("A=", ""),
        ("A='x y'", "x y"),
        ('A="x y" # z', "x y"),
        ("A='it''s'", "it''s"),
        ("A=x # z", "x"),
        ("A=x#z", "x#z"),
        ("A=#z", ""),
        ("A='x # y'", "x # y"),
        ("A=$HOME/x", "$HOME/x"),
        ('A="a\\nb"', "a\\nb"),
        ("A='open", "'open"),
        ("A=postgres://u:p@h/d?x=1", "postgres://u:p@h/d?x=1"),
    ],
)
def test_dialect(dotenv, line, value):
    dotenv.path.write_text(f"# B=2\n{line}\nno assignment\n")
    assert dotenv.variables() == {"A": value}


def test_the_last_line_of_a_key_counts(dotenv):
    dotenv.path.write_text("A=1\nB=2\nA=3\n")
    assert dotenv.variables() == {"A": "3", "B": "2"}
    assert dotenv.plan_merge("A=4").files[0].after == b"A=1\nB=2\nA=4\n"


@pytest.mark.parametrize(
    ("before", "cell", "after"),
    [
        (b"", "A=1", b"A=1\n"),
        (b"# top\nA=1\nB=2\n", "A=3\nC=4", b"# top\nA=3\nB=2\nC=4\n"),
        (b"A=1  # why\n", "A=2", b"A=2  # why\n"),
        (b"A='1'# why\n", "A=2", b"A=2  # why\n"),
        (b"export A='1'\n", "A=1", b"export A='1'\n"),
        (b"A=1\r\nB=2", "B=3\nC=4", b"A=1\r\nB=3\r\nC=4\r\n"),
        (b"\xef\xbb\xbfA=1\n", "A=2", b"\xef\xbb\xbfA=2\n"),
        (b"B=1\nA=1\n", "# note\nA=2\n# end", b"B=1\n# note\nA=2\n# end\n"),
        (b"odd line\nA=1", "", b"odd line\nA=1"),
    ],
)
def test_merge(dotenv, before, cell, after):
    dotenv.path.write_bytes(before)
    assert dotenv.plan_merge(cell).files[0].after == after
    dotenv.path.write_bytes(after)
    assert not dotenv.plan_merge(cell).changed


def test_replace(dotenv):
    dotenv.path.write_text("A=1\n# x\n")
    assert dotenv.plan_merge("B=2\n", replace=True).files[0].after == b"B=2\n"


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("A=1\nhunter2", "Line 2 sets no environment variable: it has no '='"),
        ("1A=hunter2", "its key is not made of"),
        ("A.B=hunter2", "its key is not made of"),
        ("A='hunter2", "opens a quote in A"),
    ],
)
def test_bad_lines_are_named_but_not_shown(dotenv, cell, words):
    with pytest.raises(InvalidContentError, match=words) as caught:
        dotenv.plan_merge(cell)
    assert "hunter2" not in str(caught.value)


def test_set_and_remove(dotenv):
    dotenv.path.write_text("# top\nTOKEN=1\n")
    # Quoted only where it has to be: one of the Astro CLI's three readers takes quotes for a part of the value.
    change = dotenv.plan_set({"GREETING": "hello world", "BLANK": " x"}, PRICE="5$", PLAIN="x/y", APOSTROPHE="it''s")
    assert change.files[0].after == (
        b"# top\nTOKEN=1\nGREETING=hello world\nBLANK=' x'\nPRICE=5$\nPLAIN=x/y\nAPOSTROPHE=it''s\n"
    )
    assert dotenv.plan_remove("TOKEN").files[0].after == b"# top\n"
    with pytest.raises(InvalidContentError) as caught:
        dotenv.plan_remove("TOKE")
    assert "Did you mean TOKEN?" in caught.value.hint
    for values in ({"A": "a\nb"}, {"A": "' #\" #"}, {"a b": "1"}):
        with pytest.raises(InvalidContentError):
            dotenv.plan_set(values)


def test_a_folder_of_files_is_read_but_not_edited(project):
    project.dotenv.path.unlink()
    project.dotenv.path.mkdir()
    (project.dotenv.path / "b.env").write_text("A=2\n")
    (project.dotenv.path / "a.env").write_text("A=1\nB=1\n")
    (project.dotenv.path / "notes.txt").write_text("C=1\n")
    assert project.variables() == {"A": "2", "B": "1"}
    for plan in (lambda: project.dotenv.plan_set(A="1"), lambda: project.dotenv.plan_merge("A=1")):
        with pytest.raises(InvalidPathError, match="folder") as caught:
            plan()
        assert "%%astro_env --file dev.env" in caught.value.hint


def test_a_file_of_the_folder_is_edited_as_one(project):
    project.dotenv.path.unlink()
    file = Dotenv(project, ".env/dev.env")
    change = project.apply(file.plan_set(A="1"))
    assert change.applied
    assert file.path.read_bytes() == b"A=1\n"
    assert project.apply(file.plan_merge("B=2")).applied
    assert project.variables() == {"A": "1", "B": "2"}
    assert project.dotenv.entries() == (DotenvEntry("A", 1, ".env/dev.env"), DotenvEntry("B", 2, ".env/dev.env"))
    assert [found.name for found in project.dotenv.files()] == [".env/dev.env"]


def test_a_file_in_a_folder_that_is_a_file(project):
    file = Dotenv(project, ".env/dev.env")
    assert file.variables() == {}
    with pytest.raises(InvalidPathError, match=r"\.env is a file"):
        file.plan_set(A="1")


def test_entries_tell_each_line_that_sets_a_variable(dotenv):
    dotenv.path.write_bytes(b"\xef\xbb\xbfA=1\r\n# B=2\r\n\r\nexport B=hunter2\r\nA=3")
    assert [(entry.key, entry.line, entry.file) for entry in dotenv.entries()] == [
        ("A", 1, ".env"),
        ("B", 4, ".env"),
        ("A", 5, ".env"),
    ]
    assert "hunter2" not in repr(dotenv.entries())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"A=1\nB=2\nA=3\n", b"B=2\n"),
        (b"\xef\xbb\xbfA=1\r\nB=2\r\n", b"\xef\xbb\xbfB=2\r\n"),
        (b"export A=1\nB=2", b"B=2"),
        (b"B=2\n  A = 'x' # y", b"B=2\n"),
        (b"A='open\nB=2\n", b"B=2\n"),
        (b"AA=1\r\nA=2\r\n", b"AA=1\r\n"),
    ],
)
def test_remove_takes_all_lines_of_a_key(dotenv, before, after):
    dotenv.path.write_bytes(before)
    assert dotenv.plan_remove("A").files[0].after == after


def test_what_a_line_of_a_shell_has_in_front_stays(dotenv):
    dotenv.path.write_bytes(b"export A=1 # why\n")
    assert dotenv.plan_set(A="2").files[0].after == b"export A=2  # why\n"


def test_a_large_cell_into_a_large_file_takes_linear_time(dotenv):
    dotenv.path.write_text("".join(f"KEY_{number}=1\n" for number in range(20_000)) + "X=a" + " " * 1_000_000 + "b\n")
    begin = time.process_time()
    assert dotenv.plan_merge("\n".join(f"KEY_{number}=2" for number in range(10_000, 30_000))).changed
    assert time.process_time() - begin < 20


def test_no_file_means_no_variables(project):
    project.dotenv.path.unlink()
    assert project.variables() == {}
    assert not project.dotenv.plan_merge("").changed


KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True)
VALUES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0")),
    st.text(st.sampled_from("ab'\"# =$\\"), max_size=8),
)


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(KEYS, VALUES, max_size=4), st.dictionaries(KEYS, VALUES, max_size=3))
def test_what_is_set_is_read_back(first, second):
    with tempfile.TemporaryDirectory() as folder:
        dotenv = Project(Path(folder)).dotenv
        expected = {}
        for values in (first, second):
            try:
                change = dotenv.plan_set(values)
            except InvalidContentError:
                # No quote fits around these.
                assert any('"' in value and "'" in value for value in values.values())
                continue
            if change.changed:
                dotenv.path.write_bytes(change.files[0].after)
            expected.update(values)
            assert dotenv.variables() == expected
            assert not dotenv.plan_set(values).changed


@settings(deadline=None)
@given(st.binary(max_size=40).map(lambda data: data.replace(b"\0", b"").decode("utf-8", "ignore")))
def test_other_lines_stay_byte_for_byte(content):
    with tempfile.TemporaryDirectory() as folder:
        dotenv = Project(Path(folder)).dotenv
        dotenv.path.write_bytes(content.encode())
        assert not dotenv.plan_merge("").changed
        after = dotenv.plan_set(ZZ_NEW="1").files[0].after
        assert after.startswith(content.encode())
        dotenv.path.write_bytes(after)
        restored = dotenv.plan_remove("ZZ_NEW").files[0].after or b""
        assert restored.rstrip(b"\r\n") == content.encode().rstrip(b"\r\n")


LONG = 'A=\'{\n  "b": "hunter2",\n  C=hunter2\n}\'  # a\nD=1\n'


def test_a_value_goes_on_up_to_the_line_that_closes_its_quote(dotenv):
    dotenv.path.write_text(LONG)
    assert dotenv.variables() == {"A": '{\n  "b": "hunter2",\n  C=hunter2\n}', "D": "1"}
    assert [(entry.key, entry.line) for entry in dotenv.entries()] == [("A", 1), ("D", 5)]


@pytest.mark.parametrize(
    "text",
    ["A='x\nD=1\n", "A='x\ny' z\nD=1\n", "A='x' y\n'\nD=1\n", "A='x\n\\'\nD=1\n"],
    ids=["never closed", "more behind the quote", "closed on its line", "escaped"],
)
def test_a_value_that_is_not_closed_ends_with_its_line(dotenv, text):
    dotenv.path.write_text(text)
    assert dotenv.variables() == {"A": text.split("\n")[0].removeprefix("A="), "D": "1"}


@pytest.mark.parametrize(
    ("edit", "after"),
    [
        (lambda dotenv: dotenv.plan_set(A="2"), "A=2  # a\nD=1\n"),
        (lambda dotenv: dotenv.plan_remove("A"), "D=1\n"),
        (lambda dotenv: dotenv.plan_merge("D=2"), LONG.replace("D=1", "D=2")),
        (lambda dotenv: dotenv.plan_merge("C=2"), LONG + "C=2\n"),
        (lambda dotenv: dotenv.plan_merge(LONG), LONG),
        (lambda dotenv: dotenv.plan_merge("A=1\nA='\n'\nA=3"), "A=3  # a\nD=1\n"),
        (lambda dotenv: dotenv.plan_merge("D='\nx'\nE='\ny'"), LONG.replace("D=1", "D='\nx'") + "E='\ny'\n"),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_value_of_several_lines_is_edited_as_one(dotenv, edit, after, line_end):
    dotenv.path.write_bytes(LONG.replace("\n", line_end).encode())
    assert edit(dotenv).files[0].after.decode() == after.replace("\n", line_end)


def test_no_line_of_a_long_value_is_shown():
    lines = LONG.replace("C=hunter2", "hunter2==").split("\n")
    assert "hunter2" not in "".join(mask_lines(".env", lines))
    assert len(mask_lines(".env", lines)) == len(lines)
