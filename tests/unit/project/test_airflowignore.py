from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_magic.errors import InvalidContentError
from astro_magic.project import Project
from astro_magic.project.dags.airflowignore import AirflowIgnore, IgnoreEntry
from astro_magic.project.dags.option import airflow_option, option_variable

REGEXP = "AIRFLOW__CORE__DAG_IGNORE_FILE_SYNTAX=regexp\n"


@pytest.fixture
def ignore(project):
    (project.root / "dags" / "exampledag.py").unlink()
    return AirflowIgnore(project)


def plant(project, *names):
    for name in names:
        path = project.root / "dags" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


def merged(ignore, before, cell, **options):
    ignore.path.write_bytes(before.encode())
    after = ignore.plan_merge(cell, **options).files[0].after.decode()
    # The same cell a second time changes nothing.
    ignore.path.write_bytes(after.encode())
    assert not ignore.plan_merge(cell, **options).changed
    return after


@pytest.mark.parametrize(
    ("before", "cell", "after"),
    [
        ("", "sql/", "sql/\n"),
        ("sql/\n", "sql/", None),
        ("sql/  # queries\n", "sql/", None),
        ("b\na\n", "a\nc\nb\nd", "b\na\nc\nd\n"),
        ("a\n", "", None),
        ("a\n", "\r\n\r\n", None),
        ("a\n", "\ufeffb\r\nc\r\n\r\n", "a\nb\nc\n"),
        ("a", "b", "a\nb\n"),
        ("a\r\n", "b", "a\r\nb\r\n"),
        ("\ufeffa\n", "b", "\ufeffa\nb\n"),
        ("a\n", "# why\nb  # because", "a\n# why\nb  # because\n"),
        ("a\n# why\n", "# why\nb", "a\n# why\nb\n"),
        ("a\n", "# about a\na\nb", "a\nb\n"),
        ("a\n", "b   ", "a\nb\n"),
        ("a\n", "b\nb", "a\nb\n"),
        ("a\rb\n", "b\nc", "a\rb\nc\n"),
        ("*.py\n", "!keep.py", "*.py\n!keep.py\n"),
        ("", "\U0001f600_*.py", "\U0001f600_*.py\n"),
        ("", "\u0645\u0644\u0641.py", "\u0645\u0644\u0641.py\n"),
        ("a\x0cb\n", "c", "a\x0cb\nc\n"),
    ],
)
def test_merge(ignore, before, cell, after):
    assert merged(ignore, before, cell) == (before if after is None else after)


def test_replace_makes_the_file_the_cell(ignore):
    assert merged(ignore, "a\r\nb\r\n", "# new\nc", replace=True) == "# new\r\nc\r\n"
    assert merged(ignore, "a\n", "", replace=True) == ""


@pytest.mark.parametrize(
    ("before", "patterns", "after"),
    [
        (b"a\nb # x\nc\n", ["b"], b"a\nc\n"),
        (b"a\r\nb\r\na # again\r\n", ["a"], b"b\r\n"),
        (b"\xef\xbb\xbfa\nb", ["a"], b"\xef\xbb\xbfb"),
        (b"# keep\na\n", ["a"], b"# keep\n"),
        (b"a\rb\n", ["a"], b"b\n"),
        (b"a\n\n  b  \n", ["a", "b"], b"\n"),
    ],
)
def test_remove(ignore, before, patterns, after):
    ignore.path.write_bytes(before)
    assert ignore.plan_remove(*patterns).files[0].after == after


def test_removing_what_is_not_there_names_what_is(ignore):
    ignore.path.write_text("reports/\nsql/\n")
    with pytest.raises(InvalidContentError, match="no pattern 'report/'") as caught:
        ignore.plan_remove("report/")
    assert caught.value.hint == "Did you mean reports/?"
    with pytest.raises(InvalidContentError) as caught:
        ignore.plan_remove("zzz")
    assert caught.value.hint == "It has: reports/, sql/."


def test_add_and_remove_are_applied_and_taken_back(project):
    ignore = AirflowIgnore(project)
    assert ignore.add("sql/", "tmp_*.py").applied
    assert ignore.path.read_text() == "sql/\ntmp_*.py\n"
    assert not ignore.add("sql/").applied
    assert ignore.remove("sql/", dry_run=True).changed
    assert ignore.remove("sql/").applied
    project.undo()
    assert ignore.path.read_text() == "sql/\ntmp_*.py\n"


@pytest.mark.parametrize("cell", ["dags/sql/", "/dags/sql/", "./sql/", "/usr/local/airflow/dags/sql/", "~/sql/"])
def test_patterns_from_outside_are_refused(ignore, cell):
    with pytest.raises(InvalidContentError, match=r"Line 2 .*patterns are relative to dags/") as caught:
        ignore.plan_merge(f"a\n{cell}")
    assert caught.value.hint == "Write sql/"
    with pytest.raises(InvalidContentError) as caught:
        ignore.plan_merge(f"{ignore.project.root}/dags/sql/")
    assert caught.value.hint == "Write sql/"
    with pytest.raises(InvalidContentError) as caught:
        ignore.plan_merge("!dags/keep.py")
    assert caught.value.hint == "Write !keep.py"


def test_a_folder_dags_in_dags_may_be_named(ignore):
    plant(ignore.project, "dags/a.py")
    ignore.add("dags/a.py")
    assert [found.file for found in ignore.ignored()] == ["dags/a.py"]


def test_a_broken_pattern_is_refused_with_its_line(ignore):
    ignore.project.dotenv.path.write_text(REGEXP)
    with pytest.raises(InvalidContentError, match=r"Line 2 is no regular expression: '\*\.py': nothing to repeat") as c:
        ignore.plan_merge("# x\n*.py")
    assert c.value.hint.endswith(r"write .*\.py")
    ignore.project.dotenv.path.write_text("")
    for cell, words in (
        ("!", "no glob pattern"),
        ("/", "can match nothing"),
        ("a\n\n[z-a]", "Line 3 is no glob pattern: .*bad character range"),
    ):
        with pytest.raises(InvalidContentError, match=words):
            ignore.plan_merge(cell)


def test_no_text_is_refused(ignore):
    for content in (b"a\0b\n", "caf\xe9\n".encode("latin-1")):
        ignore.path.write_bytes(content)
        for action in (ignore.entries, lambda: ignore.plan_merge("x"), ignore.ignored):
            with pytest.raises(InvalidContentError):
                action()
    ignore.path.write_bytes(b"")
    with pytest.raises(InvalidContentError, match="NUL"):
        ignore.plan_merge("a\0b", replace=True)


def test_entries_are_what_airflow_sees(ignore):
    ignore.path.write_bytes(b"\xef\xbb\xbffirst\n\n# only\n a b  # why # not\r\nx\ry#\n")
    assert ignore.entries() == (
        IgnoreEntry("\ufefffirst", 1),
        IgnoreEntry(" a b", 4, "# why # not"),
        IgnoreEntry("x", 5),
        IgnoreEntry("y", 5, "#"),
    )


@pytest.mark.parametrize(
    ("variables", "dockerfile", "syntax"),
    [
        ("", "FROM astrocrpublic.azurecr.io/runtime:3.3-1\n", "glob"),
        ("", "FROM quay.io/astronomer/astro-runtime:12.1.0\n", "regexp"),
        ("", "FROM mine/image:1\n", "glob"),
        ("", "", "glob"),
        (REGEXP, "FROM astrocrpublic.azurecr.io/runtime:3.3-1\n", "regexp"),
        ("", "FROM a\nENV X=1 AIRFLOW__CORE__DAG_IGNORE_FILE_SYNTAX='regexp'\n", "regexp"),
        ("", "FROM a\nENV AIRFLOW__CORE__DAG_IGNORE_FILE_SYNTAX regexp\n", "regexp"),
        (REGEXP.replace("regexp", "glob"), "FROM a\nENV AIRFLOW__CORE__DAG_IGNORE_FILE_SYNTAX regexp\n", "glob"),
        ("", "FROM a\n# ENV AIRFLOW__CORE__DAG_IGNORE_FILE_SYNTAX=regexp\n", "glob"),
    ],
)
def test_syntax(project, variables, dockerfile, syntax):
    project.dotenv.path.write_text(variables)
    (project.root / "Dockerfile").write_text(dockerfile)
    assert AirflowIgnore(project).syntax() == syntax


def test_an_unknown_syntax_is_named(project):
    project.dotenv.path.write_text(REGEXP.replace("regexp", "regex"))
    with pytest.raises(InvalidContentError, match="'regex'") as caught:
        AirflowIgnore(project).syntax()
    assert caught.value.hint == "Set it to glob or regexp."


def test_options_have_names_as_airflow_makes_them(project):
    assert option_variable("aws.secrets", "a_key") == "AIRFLOW__AWS_SECRETS__A_KEY"
    assert airflow_option(project, "core", "parallelism") is None


TREE = ["a.py", "b.py", "sub/a.py", "sub/deep/a.py", "sub/deep/c.py", "data/x.sql", "data/y.py", "other/sub/a.py"]


@pytest.mark.parametrize(
    ("content", "ignored"),
    [
        ("a.py", ["a.py", "other/sub/a.py", "sub/a.py", "sub/deep/a.py"]),
        ("/a.py", ["a.py"]),
        ("sub", ["other/sub/", "sub/"]),
        ("/sub", ["sub/"]),
        ("a.py/", []),
        ("sub/a.py", ["sub/a.py"]),
        ("**/deep/*.py", ["sub/deep/a.py", "sub/deep/c.py"]),
        ("*.py\n!a.py", ["b.py", "data/y.py", "sub/deep/c.py"]),
        ("!a.py\n*.py", [name for name in sorted(TREE) if name.endswith(".py")]),
        ("data/  # all of it\n# b.py", ["data/"]),
        ("sub\n!sub/a.py", ["other/sub/", "sub/"]),
        ("[ab].py\n!/[b]*", ["a.py", "other/sub/a.py", "sub/a.py", "sub/deep/a.py"]),
    ],
)
def test_glob_patterns(ignore, content, ignored):
    plant(ignore.project, *TREE)
    ignore.path.write_text(content)
    assert [found.file for found in ignore.ignored()] == ignored


@pytest.mark.parametrize(
    ("content", "ignored"),
    [
        (r"a\.py", ["a.py", "other/sub/a.py", "sub/a.py", "sub/deep/a.py"]),
        (r"^a", ["a.py"]),
        ("sub$", ["other/sub/", "sub/"]),
        ("sub/", ["other/sub/a.py", "sub/a.py", "sub/deep/"]),
        ("(?!x)deep  # not x", ["sub/deep/"]),
        ("*\n^b", ["b.py"]),
    ],
)
def test_regular_expressions(ignore, content, ignored):
    ignore.project.dotenv.path.write_text(REGEXP)
    plant(ignore.project, *TREE)
    ignore.path.write_text(content)
    assert [found.file for found in ignore.ignored()] == ignored


def test_nested_files_count_from_where_they_stand(ignore):
    plant(ignore.project, *TREE)
    ignore.path.write_text("c.py\n")
    (ignore.project.root / "dags" / "sub" / ".airflowignore").write_text("\n/a.py\n!c.py\n")
    assert [(found.file, found.ignored_by, found.line, found.pattern) for found in ignore.ignored()] == [
        ("sub/a.py", "dags/sub/.airflowignore", 2, "/a.py")
    ]


def test_a_nested_regular_expression_is_about_the_path_from_dags(ignore):
    ignore.project.dotenv.path.write_text(REGEXP)
    plant(ignore.project, *TREE)
    (ignore.project.root / "dags" / "sub" / ".airflowignore").write_text("^a\n^sub/a\n")
    assert [found.file for found in ignore.ignored()] == ["sub/a.py"]


def test_links_are_followed_and_loops_end(ignore):
    plant(ignore.project, "real/a.py")
    dags = ignore.project.root / "dags"
    outside = ignore.project.root / "include" / "more"
    outside.mkdir()
    (outside / "b.py").write_text("")
    (dags / "more").symlink_to(outside)
    (dags / "broken.py").symlink_to(outside / "nothing.py")
    (dags / "real" / "loop").symlink_to(dags / "real")
    walked = ignore.walk()
    assert walked.files == ("broken.py", "more/b.py", "real/a.py")
    assert walked.repeated == ("real/loop",)


def test_bytecode_is_left_out_and_other_hidden_folders_are_not(ignore):
    plant(ignore.project, "__pycache__/a.pyc", ".ipynb_checkpoints/a-checkpoint.py", "x/__pycache__/y.pyc")
    assert ignore.walk().files == (".ipynb_checkpoints/a-checkpoint.py",)
    ignore.path.write_text("*\n")
    assert [found.file for found in ignore.ignored()] == [".ipynb_checkpoints/", "x/"]


def test_without_dags_or_file_nothing_is_ignored(project):
    for path in (project.root / "dags").iterdir():
        path.unlink()
    assert AirflowIgnore(project).ignored() == ()
    (project.root / "dags").rmdir()
    assert AirflowIgnore(project).ignored() == ()
    assert AirflowIgnore(project).plan_merge("a").files[0].kind == "created"


def test_a_folder_that_cannot_be_listed_is_empty(ignore, monkeypatch):
    def scan(folder, scandir=os.scandir):
        if str(folder).endswith("shut"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    plant(ignore.project, "shut/a.py", "b.py")
    # Permissions alone keep nobody out who is root.
    monkeypatch.setattr(os, "scandir", scan)
    assert ignore.walk().files == ("b.py",)


def test_five_thousand_files(ignore):
    plant(ignore.project, *(f"team{number % 50}/dag_{number}.py" for number in range(5000)))
    ignore.path.write_text("".join(f"/team{number}/skip_*.py\n" for number in range(20)) + "team7/\n*_13.py\n")
    ignored = ignore.ignored()
    assert [found.file for found in ignored] == ["team13/dag_13.py", "team7/"]


def test_a_file_of_ten_megabytes(ignore):
    ignore.path.write_bytes(b"".join(b"pattern_%d.py\r\n" % number for number in range(500_000)))
    assert ignore.plan_merge("pattern_7.py\nnew").files[0].after.endswith(b"pattern_499999.py\r\nnew\r\n")


lines = st.lists(
    st.sampled_from(["a.py", "sub/", "!b.py", "# note", "", "  x  ", "c # d", "a.py\t", "\x0c", "e\rf", "\u202eg"]),
    max_size=8,
)
broken = st.sampled_from(["[x", "[[a]", "[z-a]", "!", "//", "*"])
ends = st.sampled_from(["\n", "\r\n"])


@given(
    before=st.lists(st.one_of(lines.flatmap(lambda some: st.sampled_from(some or [""])), broken), max_size=8),
    end=ends,
    last=st.booleans(),
    mark=st.booleans(),
    cell=lines,
)
def test_an_edit_changes_only_its_own_lines(before, end, last, mark, cell):
    with tempfile.TemporaryDirectory() as folder:
        ignore = AirflowIgnore(Project.create(Path(folder) / "shop").project)
        text = end.join(before) + (end if last and before else "")
        data = (b"\xef\xbb\xbf" if mark else b"") + text.encode()
        ignore.path.write_bytes(data)
        assert not ignore.plan_merge("").changed
        after = ignore.plan_merge("\n".join(cell)).files[0].after
        assert after.startswith(data)
        ignore.path.write_bytes(after)
        known = {entry.pattern.rstrip().removeprefix("\ufeff") for entry in ignore.entries()}
        for line in "\n".join(cell).replace("\r", "\n").split("\n"):
            pattern = line.partition("#")[0].rstrip()
            assert not pattern or pattern in known
        assert not ignore.plan_merge("\n".join(cell)).changed
        added = known - {line.partition("#")[0].rstrip() for part in before for line in part.split("\r")}
        for pattern in added - {""}:
            ignore.path.write_bytes(ignore.plan_remove(pattern).files[0].after)
        assert ignore.path.read_bytes().startswith(data)
