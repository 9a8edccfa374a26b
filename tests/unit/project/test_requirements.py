from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_magic.errors import InvalidContentError
from astro_magic.project import Project
from astro_magic.project.requirements.lines import parse


@pytest.fixture
def requirements(project):
    (project.root / "requirements.txt").unlink()
    return project.requirements


def merged(requirements, before, cell, **options):
    requirements.path.write_bytes(before.encode())
    change = requirements.plan_merge(cell, **options)
    after = change.files[0].after.decode()
    # The same cell a second time changes nothing.
    requirements.path.write_bytes(after.encode())
    assert not requirements.plan_merge(cell, **options).changed
    return after


@pytest.mark.parametrize(
    ("before", "cell", "after"),
    [
        # New lines are appended, known ones replaced where they stand.
        ("", "duckdb==1.4.0", "duckdb==1.4.0\n"),
        ("# top\npandas==2.2\n\nnumpy\n", "Pandas==2.3\nduckdb", "# top\nPandas==2.3\n\nnumpy\nduckdb\n"),
        ("my_pkg==1\n", "My.Pkg==2", "My.Pkg==2\n"),
        ("pandas[aws]==1\n", "pandas==2", "pandas==2\n"),
        # The same requirement in another spelling is no change.
        ("pandas == 2.2 ; python_version>'3'\n", 'Pandas==2.2; python_version > "3"', None),
        ("pandas==2.2  # why\n", "pandas==2.2", None),
        ("pandas\n", "", None),
        ("pandas\n", "\n\n", None),
        # Comments stay; those of the cell go where their line goes.
        ("pandas==2.2  # why\n", "pandas==2.3", "pandas==2.3  # why\n"),
        ("pandas==2.2  # why\n", "pandas==2.3 # because", "pandas==2.3 # because\n"),
        ("a\npandas==1\n", "# data\npandas==2\n# web\nhttpx", "a\n# data\npandas==2\n# web\nhttpx\n"),
        ("a\n", "# end", "a\n# end\n"),
        # Markers: one line gives way, of several only the one that matches.
        ("a==0\n", "a==1; python_version<'3.12'", "a==1; python_version<'3.12'\n"),
        (
            "a==0; python_version<'3.12'\na==0; python_version>='3.12'\n",
            "a==1; python_version >= '3.12'",
            "a==0; python_version<'3.12'\na==1; python_version >= '3.12'\n",
        ),
        (
            "a==0; python_version<'3.12'\n",
            "a==1; python_version>='3.12'",
            "a==0; python_version<'3.12'\na==1; python_version>='3.12'\n",
        ),
        (
            "a==0\n",
            "a==1; python_version<'3.12'\na==2",
            "a==2\na==1; python_version<'3.12'\n",
        ),
        # Options.
        ("-i https://a/simple\npandas\n", "--index-url=https://b/simple", "--index-url=https://b/simple\npandas\n"),
        (
            "--extra-index-url https://a\n",
            "--extra-index-url https://b\n-r more.txt",
            "--extra-index-url https://a\n--extra-index-url https://b\n-r more.txt\n",
        ),
        ("-r more.txt\n", "--requirement more.txt", None),
        # URLs and editable installs count by the name that they tell.
        ("-e git+https://h/r.git#egg=My_Pkg\n", "my-pkg @ git+https://h/r.git@v2", "my-pkg @ git+https://h/r.git@v2\n"),
        ("https://h/foo-1.0-py3-none-any.whl\n", "foo==2", "foo==2\n"),
        ("./local\n", "./local", None),
        ("a\n", "p @ git+https://${TOKEN}@h/p.git", "a\np @ git+https://${TOKEN}@h/p.git\n"),
        # Continued lines are one.
        (
            "a==1 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nb\n",
            "a==2 \\\n  --hash=sha256:cc",
            "a==2 \\\n  --hash=sha256:cc\nb\n",
        ),
        ("a==1 \\\n", "b", "a==1 \\\n\nb\n"),
        ("a", "b \\\n", "a\nb \n"),
        # The form of the file stays.
        ("a\r\nb==1\r\n", "b==2\nc", "a\r\nb==2\r\nc\r\n"),
        ("\ufeffa==1\n", "a==2", "\ufeffa==2\n"),
        ("a\nb==1", "b==2", "a\nb==2"),
        ("a\nb==1", "c", "a\nb==1\nc\n"),
        # A line that pip cannot read can be corrected.
        ("pandas=1\n", "pandas==1", "pandas==1\n"),
    ],
)
def test_merge(requirements, before, cell, after):
    assert merged(requirements, before, cell) == (before if after is None else after)


def test_replace_makes_the_file_the_cell(requirements):
    assert merged(requirements, "# old\npandas\n", "# new\n\nduckdb\n", replace=True) == "# new\n\nduckdb\n"
    assert merged(requirements, "a\r\nb\r\n", "c\nd", replace=True) == "c\r\nd\r\n"


@pytest.mark.parametrize(
    ("cell", "words", "hint"),
    [
        ("pandas\npandas=1.0", "Line 2 is no requirement", "pandas==2.2.3"),
        ("pip install pandas", "Line 1", "Write only what is to be installed: pandas"),
        ("%pip install pandas", "Line 1", "pandas"),
        ("--frobnicate", "--frobnicate is no option", ""),
        ("a==1\n\na==2", "Line 3 names a again, and differs from line 1", "Keep one"),
        ("pandas numpy", "Line 1", ""),
    ],
)
def test_bad_lines_are_named(requirements, cell, words, hint):
    with pytest.raises(InvalidContentError, match=words) as caught:
        requirements.plan_merge(cell)
    assert hint in caught.value.hint


def test_errors_hide_credentials(requirements):
    with pytest.raises(InvalidContentError) as caught:
        requirements.plan_merge("pip install git+https://me:hunter2@host/a.git")
    assert "hunter2" not in str(caught.value)


def test_included_files_are_found_once_and_only_in_the_project(project):
    project.file("requirements.txt").write("-r more/base.txt\n-c limits.txt\n-r ../outside.txt\n-r missing.txt\n")
    project.file("more/base.txt").write("-r ../requirements.txt\n--requirement=base2.txt\npandas\n")
    project.file("more/base2.txt").write("-r base.txt\nduckdb\n")
    project.file("limits.txt").write("numpy<3\n")
    found = [document.name for document in project.requirements.included()]
    assert found == ["more/base.txt", "limits.txt", "more/base2.txt"]


def test_names(requirements):
    requirements.path.write_text("# x\nPandas[aws]==1  # y\n\n-e git+https://h/r.git#egg=My_Pkg\n./local\nPandas==2\n")
    assert requirements.names() == {
        "pandas": (2, "Pandas[aws]==1"),
        "my-pkg": (4, "-e git+https://h/r.git#egg=My_Pkg"),
    }


def test_remove(requirements):
    requirements.path.write_bytes(
        b"# x\r\nPan_das==1 \\\r\n  --hash=sha256:aa\r\nb\r\npan-das; python_version<'3'\r\nc"
    )
    assert requirements.plan_remove("PAN.DAS").files[0].after == b"# x\r\nb\r\nc"
    with pytest.raises(InvalidContentError, match="does not name pandas") as caught:
        requirements.plan_remove("pandas")
    assert "Did you mean pan-das?" in caught.value.hint
    with pytest.raises(InvalidContentError) as caught:
        requirements.plan_remove("zzz")
    assert "It names: b, c, pan-das." in caught.value.hint


def test_add_and_remove_are_applied(project):
    assert project.requirements.add("pandas==2.2.3", "duckdb").applied
    assert not project.requirements.add("pandas==2.2.3").changed
    assert project.requirements.remove("duckdb").applied
    assert list(project.requirements.names()) == ["pandas"]
    project.undo()
    assert list(project.requirements.names()) == ["pandas", "duckdb"]


LINE = st.one_of(
    st.sampled_from(["", "  ", "# note", "a==1", "A==2 # x", "b[c]>=1; python_version<'3'", "-r x.txt", "./p", "c \\"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\n\0"), max_size=12),
)
FILE = st.builds(
    lambda lines, end, final: end.join(lines) + (end if final else ""),
    st.lists(LINE, max_size=8),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
CELL = st.lists(
    st.sampled_from(
        [
            "a==3",
            "b",
            "# note",
            "# other",
            "d==1  # d",
            "-i https://h",
            "b; python_version<'3'",
            "",
            "e==1 \\\n  --hash=sha256:aa",
        ]
    ),
    max_size=5,
    unique=True,
).map("\n".join)


@given(st.lists(LINE, max_size=10))
def test_logical_lines_cover_the_file(lines):
    raw = [line for entry in parse(lines) for line in entry.raw.split("\n")]
    assert raw == lines


@settings(deadline=None, max_examples=150)
@given(FILE, CELL)
def test_merging_touches_only_its_own_lines(content, cell):
    with tempfile.TemporaryDirectory() as folder:
        requirements = Project(Path(folder)).requirements
        requirements.path.write_bytes(content.encode())
        assert not requirements.plan_merge("").changed
        after = requirements.plan_merge(cell).files[0].after or b""
        names = {entry.identity for entry in parse(cell.split("\n"))}
        kept = [entry.raw.strip() for entry in requirements.entries() if entry.identity not in names and entry.text]
        requirements.path.write_bytes(after)
        assert [
            entry.raw.strip() for entry in requirements.entries() if entry.identity not in names and entry.text
        ] == kept
        assert not requirements.plan_merge(cell).changed


@pytest.mark.parametrize("line", ["a==1", "a[x]", "a[y]"])
def test_of_several_lines_about_one_package_the_one_that_says_the_same_stays(requirements, line):
    assert merged(requirements, "a==1\na[x]\na[y]\n", line) == "a==1\na[x]\na[y]\n"


@pytest.mark.parametrize("line", ["path/to/a", "path/to/a[x,y]", "path/a#egg=b"])
def test_a_folder_without_a_dot_in_front_is_a_location(line):
    assert [entry.kind for entry in parse([line])] == ["location"]


@pytest.mark.parametrize("line", ["a b/c", "git+git@host:a/b.git", "a/b c"])
def test_what_only_looks_like_a_folder_is_none(line):
    assert [entry.kind for entry in parse([line])] == ["invalid"]
