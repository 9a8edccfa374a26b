from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_magic.errors import FileConflictError, InvalidContentError
from astro_magic.project.changes import Change, FileChange, split_lines
from astro_magic.system.secrets import mask_credentials


def change(before, after, name="include/a.txt", path=None):
    return FileChange(path=path, name=name, before=before, after=after)


@given(st.text())
def test_splitting_loses_nothing(text):
    assert "".join(split_lines(text)) == text


@pytest.mark.parametrize(
    ("before", "text", "after"),
    [
        (b"a\r\nb\r\n", "a\nc", b"a\r\nc\r\n"),
        (b"a\nb\n", "a\r\nc\r\n", b"a\nc\n"),
        (codecs.BOM_UTF8 + b"a\n", "b", codecs.BOM_UTF8 + b"b\n"),
        (b"a\nb", "a\nb\n", b"a\nb"),
        (b"a\r\nb\n", "a\nb\n", b"a\r\nb\n"),
        (b"a\n", "", b""),
        ("ä\n".encode(), "ö", "ö\n".encode()),
    ],
)
def test_writing_keeps_the_form_of_the_file(project, before, text, after):
    document = project.file("include/a.txt")
    document.path.write_bytes(before)
    assert document.plan_write(text).after == after


def test_an_empty_file_can_be_made(project):
    assert project.file("include/__init__.py").plan_write("").kind == "created"


@pytest.mark.parametrize(("data", "words"), [(b"a\n\xff\n", "line 2"), (b"a\0b", "NUL"), (b"\xff\xfea\0", "UTF-8")])
def test_what_is_no_text_is_refused_by_name(project, data, words):
    document = project.file("include/a.txt")
    document.path.write_bytes(data)
    with pytest.raises(InvalidContentError, match=words) as caught:
        document.text()
    assert "include/a.txt" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_text_that_cannot_be_written_is_refused(project, text):
    with pytest.raises(InvalidContentError):
        project.file("include/a.txt").plan_write(text)


def test_a_cell_that_is_run_again_does_not_undo_an_edit_made_elsewhere(project):
    document = project.file("include/query.sql")
    document.write("".join(f"line {number}\n" for number in range(9)))
    document.path.write_text(document.text().replace("line 7", "line seven"))
    cell = "".join(f"line {number}\n" for number in range(9)).replace("line 1", "line one")
    with pytest.raises(FileConflictError, match=r"edited elsewhere .*\(line 8\)") as caught:
        document.plan_rewrite(cell)
    assert "--merge" in caught.value.hint
    merged = document.plan_rewrite(cell, edited="merge").after.decode()
    assert "line one" in merged
    assert "line seven" in merged
    assert "line seven" not in document.plan_rewrite(cell, edited="overwrite").after.decode()


def test_edits_that_touch_are_not_merged(project):
    document = project.file("include/query.sql")
    document.write("select 1\n")
    document.path.write_text("select 2\n")
    with pytest.raises(FileConflictError) as caught:
        document.plan_rewrite("select 3\n", edited="merge")
    assert "--merge" not in caught.value.hint
    assert "--overwrite" in caught.value.hint


def test_a_cell_may_rewrite_what_was_written_from_here_or_never(project):
    document = project.file("include/query.sql")
    document.path.parent.mkdir(exist_ok=True)
    document.path.write_text("made in an editor\n")
    project.apply(Change("write", (document.plan_rewrite("one\n"),)))
    project.apply(Change("write", (document.plan_rewrite("two\n"),)))
    project.undo()
    assert document.plan_rewrite("three\n").after == b"three\n"
    assert document.plan_rewrite("one\n").kind == "unchanged"


def test_kinds_and_counts():
    assert change(None, b"a\nb\n").kind == "created"
    assert change(b"a\n", None).kind == "removed"
    assert change(b"a\n", b"a\n").kind == "unchanged"
    changed = change(b"a\nb\nc\n", b"a\nB\nc\nd\n")
    assert (changed.kind, changed.added, changed.removed) == ("changed", 2, 1)
    assert change(b"a\n", b"a\n").diff() == ""


def test_diff():
    assert change(b"a\nb\n", b"a\nc\n").diff() == (
        "--- include/a.txt\n+++ include/a.txt\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
    )
    assert change(None, b"a\n").diff() == "--- /dev/null\n+++ include/a.txt\n@@ -0,0 +1 @@\n+a\n"


def test_secrets_are_hidden_in_diffs():
    secrets = ["hunter2", "s3cr", "p4ss", "v4lue", "t0ken", "n3sted", "bl0ck", "commented"]
    env = b"# KEY=commented\nexport PLAIN='hunter2' # s3cr\nbroken s3cr\nEMPTY=\n"
    assert change(None, env, name=".env").diff().splitlines()[3:] == [
        "+# KEY=••••••",
        "+export PLAIN=••••••",
        "+••••••",
        "+EMPTY=",
    ]
    settings = b"""airflow:
  connections: ## conn_id and conn_type are required
    - conn_id: db
      conn_type: postgres
      conn_host: https://me:p4ss@db
      conn_password: "hunter2
  s3cr"
      conn_extra:
        key: n3sted
      conn_uri: postgres://u:p4ss@h/x
    - {conn_id: x, conn_password: hunter2}
      # conn_password: commented
  variables:
    - variable_name: v
      variable_value: |
        bl0ck
    - variable_value: v4lue
"""
    requirements = b"a @ git+https://me:t0ken@host/a.git\n--index-url https://t0ken@host/simple\nb @ https://${T}@h/b\n"
    dockerfile = b"ENV API_TOKEN=t0ken\nENV DB_PASSWORD hunter2\nRUN pip config set x https://u:p4ss@h\n"
    for name, data in [
        (".env", env),
        ("airflow_settings.yaml", settings),
        ("requirements.txt", requirements),
        ("Dockerfile", dockerfile),
    ]:
        shown = change(b"x\n", data, name=name).diff()
        assert not [secret for secret in secrets if secret in shown], shown
        assert len(shown.splitlines()) == 4 + data.count(b"\n")
    shown = change(None, settings, name="airflow_settings.yaml").diff()
    assert "conn_id: db" in shown
    assert "${T}@h" in change(None, requirements, name="requirements.txt").diff()
    # A change of a hidden value is seen as a change, not as nothing.
    assert "-A=••••••\n+A=••••••\n" in change(b"A=1\n", b"A=2\n", name=".env").diff()
    assert "hunter2" not in repr(change(b"hunter2", None))


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("git+ssh://git@host/a/b", "git+ssh://git@host/a/b"),
        ("git+https://host/a/b@main", "git+https://host/a/b@main"),
        ("https://${U}:${T}@h/x", "https://${U}:${T}@h/x"),
        ("https://u:a@b@h/x", "https://••••••@h/x"),
        ("https://u:a/b@h/x", "https://••••••@h/x"),
        ("secretsmanager==1.0", "secretsmanager==1.0"),
        ("token~=1.0", "token~=1.0"),
        ("ENV OPENAI_API_KEY=sk-1 B_KEY=2 C=d", "ENV OPENAI_API_KEY=•••••• B_KEY=•••••• C=d"),
        ('ENV C=\'{"password": "x"}\'', "ENV C='{\"password\": ••••••}'"),
    ],
)
def test_what_counts_as_a_credential(line, shown):
    assert mask_credentials(line) == shown
