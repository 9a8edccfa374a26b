"""What no document may trip over: odd files, odd cells, odd names. Each holds for every kind of document."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest

from astro_magic.errors import FileAccessError, InvalidContentError, InvalidPathError, ProjectError
from astro_magic.project.project import Project


@dataclass(frozen=True)
class Kind:
    """A kind of document: a file with an odd line or two, and a cell that adds something to it."""

    attribute: str
    name: str
    content: str
    cell: str
    added: str

    def document(self, project):
        return getattr(project, self.attribute)


KINDS = [
    Kind("requirements", "requirements.txt", "# first\npandas==2.2.3 \t# why\n\n-r more.txt\n", "duckdb\n", "duckdb"),
    Kind("os_packages", "packages.txt", "# first\ngit \t# why\n\nlibpq-dev\n", "unixodbc-dev\n", "unixodbc-dev"),
    Kind("dockerfile", "Dockerfile", "# first\nFROM apache/airflow:3.1.8\n\nRUN ls \\\n  -l\n", "RUN id\n", "RUN id"),
    Kind("dotenv", ".env", "# first\nA=1 \t# why\n\nexport B='x y'\n", "C=3\n", "C=3"),
    Kind(
        "settings",
        "airflow_settings.yaml",
        "# first\nairflow:\n  variables: # why\n\n    - variable_name: a\n      variable_value: no\n",
        "variables:\n  - variable_name: b\n    variable_value: x\n",
        "variable_name: b",
    ),
    Kind("airflowignore", "dags/.airflowignore", "# first\nhelpers/ \n\nold_*.py\n", "new.py\n", "new.py"),
]
EACH = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.attribute)


def write(project, kind, content):
    path = project.root / kind.name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return kind.document(project)


def merge(project, document, text):
    return project.apply(document.plan_merge(text))


@EACH
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "BOM"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("final", [True, False], ids=["", "no final newline"])
def test_an_edit_keeps_the_form_of_the_file(project, kind, mark, end, final):
    content = mark + kind.content.replace("\n", end).encode()
    content = content if final else content.rstrip(b"\r\n")
    document = write(project, kind, content)
    merge(project, document, kind.cell)
    after = document.path.read_bytes()
    assert after.startswith(content)
    assert kind.added.encode() in after[len(content) :]
    assert after.count(b"\n") == after.count(end.encode())
    assert merge(project, document, kind.cell).changed is False
    project.undo()
    assert document.path.read_bytes() == content


@EACH
@pytest.mark.parametrize("text", ["", "\n", "\n\n  \n", "\ufeff", "\r\n"])
def test_an_empty_cell_changes_nothing(project, kind, text):
    document = write(project, kind, kind.content)
    assert merge(project, document, text).changed is False


@EACH
@pytest.mark.parametrize(
    ("content", "words"), [(b"\xe4\xf6 latin\n", "UTF-8"), (b"a\0b\n", "NUL"), (b"\xff\xfea\0\n\0", "UTF-8")]
)
def test_a_file_that_is_no_text_is_left_alone(project, kind, content, words):
    document = write(project, kind, content)
    with pytest.raises(InvalidContentError, match=words) as caught:
        merge(project, document, kind.cell)
    assert kind.name.rpartition("/")[2] in caught.value.message
    assert document.path.read_bytes() == content


@EACH
def test_a_nul_in_a_cell_is_refused(project, kind):
    document = write(project, kind, kind.content)
    with pytest.raises(InvalidContentError):
        merge(project, document, kind.cell.rstrip("\n") + "\0\n")
    assert document.text() == kind.content


@EACH
def test_a_magic_inside_a_cell_is_no_content(project, kind):
    document = write(project, kind, kind.content)
    with pytest.raises(InvalidContentError) as caught:
        merge(project, document, f"%%bash\n{kind.cell}")
    assert caught.value.hint
    assert document.text() == kind.content


@EACH
def test_a_folder_in_the_place_of_the_file_is_named(project, kind):
    path = project.root / kind.name
    path.unlink(missing_ok=True)
    path.mkdir()
    with pytest.raises(ProjectError, match="folder"):
        merge(project, kind.document(project), kind.cell)
    assert list(path.iterdir()) == []


@EACH
@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a privilege on Windows")
def test_a_symbolic_link_stays_one_and_is_written_through(project, kind):
    target = project.root / "include" / "the-file"
    target.write_text(kind.content)
    path = project.root / kind.name
    path.unlink(missing_ok=True)
    path.symlink_to(target)
    merge(project, kind.document(project), kind.cell)
    assert path.is_symlink()
    assert kind.added in target.read_text()
    project.undo()
    assert path.is_symlink()
    assert target.read_text() == kind.content


@EACH
def test_a_missing_file_is_made(project, kind):
    (project.root / kind.name).unlink(missing_ok=True)
    if kind.attribute == "dockerfile":
        # Instructions alone are no Dockerfile.
        with pytest.raises(InvalidContentError, match="FROM"):
            merge(project, kind.document(project), kind.cell)
        return
    merge(project, kind.document(project), kind.cell)
    assert kind.added in kind.document(project).text()


@EACH
def test_a_line_that_is_not_plain_ascii_stays(project, kind):
    # YAML allows no form feed.
    odd = "" if kind.attribute == "settings" else "\x0c"
    content = f"# \u0645\u0631\u062d\u0628\u0627 \U0001f986 \u202e abc{odd}\n{kind.content}"
    document = write(project, kind, content)
    merge(project, document, kind.cell)
    assert document.path.read_bytes().startswith(content.encode())


LONG = "why" * 60
REPEATED = {
    "requirements": f"package-{{}}==1.0  # {LONG}\n",
    "os_packages": f"package-{{}}  # {LONG}\n",
    "dockerfile": f"ENV VARIABLE_{{}}={LONG}\n",
    "dotenv": f"VARIABLE_{{}}={LONG}\n",
    "settings": f"    - variable_name: name_{{}}\n      variable_value: {LONG}\n",
    "airflowignore": f"folder-{{}}/{LONG}/\n",
}


@EACH
def test_ten_megabytes_are_edited(project, kind):
    line = REPEATED[kind.attribute]
    content = kind.content + "".join(line.format(n) for n in range(10_000_000 // (len(line) + 4)))
    document = write(project, kind, content)
    merge(project, document, kind.cell)
    assert document.path.read_bytes().startswith(content.encode())
    assert kind.added in document.text()[len(content) :]


@EACH
def test_a_cell_of_five_megabytes(project, kind):
    line = REPEATED[kind.attribute]
    lines = [line.format(n) for n in range(5_000_000 // (len(line) + 4))]
    document = write(project, kind, kind.content)
    merge(project, document, ("variables:\n" if kind.attribute == "settings" else "") + "".join(lines))
    assert lines[-1] in document.text()


@EACH
@pytest.mark.parametrize("text", ["$(touch owned)", "`touch owned`", "x; touch owned", "x\n&& touch owned", "x | sh"])
def test_what_a_shell_would_run_is_no_entry(project, kind, text):
    document = write(project, kind, kind.content)
    before = document.path.read_bytes()
    try:
        merge(project, document, text)
    except InvalidContentError:
        assert document.path.read_bytes() == before
    else:
        # A pattern may look like anything; it is kept as it is, and nothing runs it.
        assert kind.attribute == "airflowignore"
    assert not (project.root / "owned").exists()


@pytest.mark.parametrize(
    "name",
    [
        "include/\u0645\u0631\u062d\u0628\u0627/\u05e9\u05dc\u05d5\u05dd.sql",
        "include/\U0001f986 and 'quotes'.txt",
        "include/a b/$(id).txt",
        "include/-r",
    ],
)
def test_names_may_have_any_letters(project, name):
    document = project.file(name)
    assert document.write("{{ jinja }} {% raw %}\n%%bash\n").applied
    assert document.path.read_text() == "{{ jinja }} {% raw %}\n%%bash\n"
    assert project.undo().files[0].name == name


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/passwd", "include/../../x", "", ".", "include", ".git/config", ".astro/config.yaml", "a\0b", "a\nb"],
)
def test_names_that_are_no_file_of_the_project(project, name):
    with pytest.raises(InvalidPathError) as caught:
        project.file(name)
    assert caught.value.hint


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a privilege on Windows")
def test_a_path_that_leaves_the_project_through_a_symbolic_link(project, tmp_path):
    (tmp_path / "outside").mkdir()
    (project.root / "include" / "out").symlink_to(tmp_path / "outside")
    with pytest.raises(InvalidPathError, match="leads out"):
        project.file("include/out/x.txt")
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    project = Project.create(tmp_path / "shop").project
    (project.root / "include" / "data").write_text("")
    with pytest.raises(FileAccessError, match="is a file, not a folder"):
        project.file("include/data/x.txt").write("x")
