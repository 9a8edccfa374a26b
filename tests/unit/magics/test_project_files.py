"""The magics that edit any other file: %%astro_file and %%astro_airflowignore, and what all cells have in common."""

from __future__ import annotations

import pytest
from IPython.core.error import UsageError

from astro_magic import errors
from astro_magic.magics import files as file_magics

CELLS = {
    "%%astro_requirements --no-check": "polars>=1.9",
    "%%astro_packages": "git",
    "%%astro_dockerfile": "RUN ls",
    "%%astro_dockerfile --block ca": "RUN ls",
    "%%astro_env": "A=1",
    "%%astro_settings": "pools:\n  - pool_name: heavy\n    pool_slot: 2",
    "%%astro_airflowignore": "sql/",
    "%%astro_file include/a.sql": "select 1",
    "%%astro_file .gitignore --append": "private.txt",
}


def text_of(project, name):
    return (project.root / name).read_text()


@pytest.mark.parametrize("magic", CELLS)
def test_a_cell_twice_changes_nothing(shell, project, environment, magic):
    source = f"{magic} -o kept\n{CELLS[magic]}\n"
    dry = shell.cell(f"{magic} --dry-run\n{CELLS[magic]}\n")
    assert dry.change.changed
    assert not dry.change.applied
    assert "Dry run: nothing was written." in repr(dry)
    first = shell.cell(source)
    assert first.change.applied
    assert shell.user_ns["kept"] is first
    second = shell.cell(source)
    assert not second.change.changed
    assert repr(second).splitlines()[0].endswith("  unchanged")
    assert len(project.history()) == 1
    brief = repr(shell.cell(f"{magic} -q\n{CELLS[magic]}\n"))
    assert "\n" not in brief
    assert brief.endswith("  unchanged")


@pytest.mark.parametrize("magic", CELLS)
def test_a_blank_cell_changes_nothing(shell, project, environment, magic):
    path = project.root / "include/a.sql"
    path.write_text("")
    change = shell.cell(f"{magic}\n\n\n").change
    assert not [file.name for file in change.files if file.kind != "unchanged" and file.name != "include/a.sql"]


@pytest.mark.parametrize("magic", CELLS)
def test_windows_line_ends_are_the_same_cell(shell, project, environment, magic):
    name, _, line = magic.removeprefix("%%").partition(" ")
    cell = CELLS[magic].replace("\n", "\r\n") + "\r\n"
    shell.run_cell_magic(name, line, cell)
    assert repr(shell.run_cell_magic(name, line, f"{CELLS[magic]}\n")).splitlines()[0].endswith("unchanged")


def test_a_file_keeps_what_looks_like_a_magic(shell, project, environment):
    shell.user_ns["x"] = "expanded"
    text = "select {{ x }} from {x}$x\n%%dag other.py\n%astro_kill --yes\n!reboot\n?\n"
    shell.cell(f"%%astro_file include/a.sql\n{text}")
    assert text_of(project, "include/a.sql") == text
    shell.cell(f"%%astro_file 'include/{{x}} $x.sql'\n{text}")
    assert text_of(project, "include/{x} $x.sql") == text


def test_append(shell, project, environment):
    before = text_of(project, ".gitignore")
    cell = "%%astro_file .gitignore --append\nprivate.txt\nother.txt\n"
    assert repr(shell.cell(cell)).splitlines() == [".gitignore  +2", "  + private.txt", "  + other.txt"]
    assert repr(shell.cell(cell)) == ".gitignore  unchanged"
    assert text_of(project, ".gitignore") == f"{before}private.txt\nother.txt\n"
    for option in ("--merge", "--overwrite"):
        with pytest.raises(UsageError, match="--append"):
            shell.cell(f"%%astro_file .gitignore --append {option}\nmore\n")


def test_a_file_that_was_edited_elsewhere(shell, project, environment):
    lines = [f"line {number}\n" for number in range(9)]
    shell.cell(f"%%astro_file include/a.txt\n{''.join(lines)}")
    path = project.root / "include/a.txt"
    path.write_text("".join(["elsewhere\n", *lines[1:]]))
    ours = "".join([*lines[:-1], "here\n"])
    with pytest.raises(errors.FileConflictError, match="edited elsewhere"):
        shell.cell(f"%%astro_file include/a.txt\n{ours}")
    assert path.read_text().startswith("elsewhere")
    with pytest.raises(UsageError, match="exclude each other"):
        shell.cell(f"%%astro_file include/a.txt --merge --overwrite\n{ours}")
    shell.cell(f"%%astro_file include/a.txt --merge\n{ours}")
    assert path.read_text() == "".join(["elsewhere\n", *lines[1:-1], "here\n"])
    path.write_text("elsewhere again\n")
    with pytest.raises(errors.FileConflictError):
        shell.cell("%%astro_file include/a.txt --merge\nhere\n")
    shell.cell("%%astro_file include/a.txt --overwrite\nhere\n")
    assert path.read_text() == "here\n"


def test_file_lines(shell, project, environment, tmp_path):
    (tmp_path / "orders.csv").write_bytes(b"\xff\x00\r\n")
    view = shell.cell("%astro_file add ../orders.csv include/data/orders.csv")
    assert view.change.files[0].kind == "created"
    assert (project.root / "include/data/orders.csv").read_bytes() == b"\xff\x00\r\n"
    again = shell.cell("%astro_file add ../orders.csv include/data/orders.csv")
    assert repr(again) == "include/data/orders.csv  unchanged"
    shell.cell("%astro_file add ~/orders.csv")
    assert (project.root / "include/orders.csv").exists()
    listed = shell.cell("%astro_file list include")
    assert listed.rows == (("include/data/orders.csv", "4 B"), ("include/orders.csv", "4 B"))
    assert "Dockerfile" in repr(shell.cell("%astro_file"))
    assert "config.yaml" not in repr(shell.cell("%astro_file list"))
    assert repr(shell.cell("%astro_file remove include/orders.csv")).startswith("include/orders.csv  removed")
    assert not (project.root / "include/orders.csv").exists()
    with pytest.raises(errors.InvalidPathError, match=r"There is no include/orders\.csv to remove"):
        shell.cell("%astro_file remove include/orders.csv")


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", ".git/config", ".astro/config.yaml", "include/../../x", "dags", "include/", "~/x"]
)
def test_paths_that_are_not_the_project_s(shell, project, environment, tmp_path, path):
    (tmp_path / "source").write_text("x")
    config = text_of(project, ".astro/config.yaml")
    for source in (f"%%astro_file {path}\nx\n", f"%astro_file add ../source {path}", f"%astro_file remove {path}"):
        if path == "~/x":
            continue
        with pytest.raises(errors.InvalidPathError):
            shell.cell(source)
    shell.run_cell(f"%%astro_file {path}\nx\n")
    assert not (tmp_path / "x").exists()
    assert text_of(project, ".astro/config.yaml") == config


def test_a_link_out_of_the_project_is_not_followed(shell, project, environment, tmp_path):
    (tmp_path / "outside").mkdir()
    (project.root / "include/link").symlink_to(tmp_path / "outside")
    with pytest.raises(errors.InvalidPathError):
        shell.cell("%%astro_file include/link/x\nx\n")
    with pytest.raises(errors.InvalidPathError, match="no folder of the project"):
        shell.cell("%astro_file list include/link")
    assert not list((tmp_path / "outside").iterdir())


@pytest.mark.parametrize(
    "line", ["frobnicate", "add", "add a b c", "remove", "remove a b", "list a b", "list --append"]
)
def test_file_lines_that_are_wrong(shell, project, environment, line):
    with pytest.raises(UsageError):
        shell.cell(f"%astro_file {line}")


def test_file_cells_that_are_wrong(shell, project, environment):
    for line in ("", "a.txt b.txt", "--append"):
        with pytest.raises(UsageError, match="Name one file"):
            shell.cell(f"%%astro_file {line}\nx\n")
    with pytest.raises(errors.InvalidContentError):
        shell.run_cell_magic("astro_file", "include/a.txt", "a\0b\n")


def test_sources_that_cannot_be_copied(shell, project, environment, tmp_path, monkeypatch):
    for source in ("../missing", ".."):
        with pytest.raises(errors.FileAccessError, match="Cannot read"):
            shell.cell(f"%astro_file add {source} include/x")
    monkeypatch.setattr(file_magics, "_LARGEST", 1_000)
    (tmp_path / "large").write_bytes(b"x" * 1_001)
    with pytest.raises(errors.FileAccessError, match=r"large has 1 kB.*could not be taken back"):
        shell.cell("%astro_file add ../large")
    assert not any((project.root / "include").glob("[!.]*"))


def test_a_cell_of_five_megabytes(shell, project, environment):
    text = "lorem ipsum dolor sit amet, consectetur adipiscing elit sed do eiusmod\n" * 70_000
    view = shell.run_cell_magic("astro_file", "include/large.txt", text)
    shown = view._repr_mimebundle_()
    assert (project.root / "include/large.txt").stat().st_size == len(text)
    assert shown["text/plain"].startswith("include/large.txt  created (+70000)")
    assert max(map(len, shown.values())) < 200_000


def test_airflowignore(shell, project, environment):
    (project.root / "dags/sql").mkdir()
    (project.root / "dags/sql/part.py").write_text("")
    cell = "%%astro_airflowignore\n# No DAGs.\nsql/\n"
    assert repr(shell.cell(cell)).splitlines() == [
        "dags/.airflowignore  +2",
        "  + # No DAGs.",
        "  + sql/",
        "Ignored now: sql/",
    ]
    assert repr(shell.cell(cell)).splitlines() == ["dags/.airflowignore  unchanged", "Ignored now: sql/"]
    shell.cell("%astro_airflowignore add 'unused*.py'")
    assert shell.cell("%astro_airflowignore").rows == (
        ("sql/", "sql/", "dags/.airflowignore:2"),
        ("-", "unused*.py", "dags/.airflowignore:3"),
    )
    assert not shell.cell("%astro_airflowignore remove sql/ --dry-run").notes
    shell.cell("%astro_airflowignore remove sql/")
    with pytest.raises(errors.InvalidContentError, match="has no pattern 'sql/'"):
        shell.cell("%astro_airflowignore remove sql/")
    view = shell.cell("%%astro_airflowignore --replace\n# Nothing.\n")
    assert text_of(project, "dags/.airflowignore") == "# Nothing.\n"
    assert repr(view).endswith("No file below dags/ is ignored now.")
    for number in range(10):
        (project.root / f"dags/sql/{number}.py").write_text("")
    assert repr(shell.cell("%astro_airflowignore add 'sql/*.py'")).endswith(" and 3 more")


def test_a_name_that_begins_like_one_that_is_read_at_the_start(shell, project, environment):
    assert "Applies with" not in repr(shell.cell("%%astro_file .env.example\nA=1\n"))
    assert "Applies with" in repr(shell.cell("%%astro_file .env\nA=1\n"))


@pytest.mark.parametrize(
    "source",
    [
        "%%astro_file include/a.py\npassword = 'planted'\nurl = 'https://me:planted@x.y'\n",
        "%%astro_file prod.env\nPLAIN=planted\n",
        "%%astro_file airflow_settings.yaml\nairflow:\n  connections:\n  - conn_id: a\n    conn_password: planted\n",
        "%%astro_file pip.conf --append\nindex-url = https://me:planted@x.y/simple\n",
        "%astro_file add ../secret.env",
    ],
)
def test_secrets_stay_secret(seen, project, environment, tmp_path, source):
    (tmp_path / "secret.env").write_text("A=planted\n")
    assert "planted" not in seen(source)
    assert len(project.history()) == 1
    assert "planted" not in seen("%astro_undo --list") + seen("%astro_undo --dry-run") + seen("%astro_undo")
