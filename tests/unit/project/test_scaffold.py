from __future__ import annotations

import ast
import os
import stat
from pathlib import Path

import pytest

from astro_magic.errors import FileAccessError, InvalidContentError, InvalidPathError
from astro_magic.project import Project
from astro_magic.project.scaffold import FILES, Template, TemplateFile, name_from_folder
from astro_magic.system import files

TREE = [
    ".astro/config.yaml",
    ".astro/dag_integrity_exceptions.txt",
    ".astro/test_dag_integrity_default.py",
    ".dockerignore",
    ".env",
    ".gitignore",
    "Dockerfile",
    "README.md",
    "airflow_settings.yaml",
    "dags/.airflowignore",
    "dags/exampledag.py",
    "packages.txt",
    "requirements.txt",
    "tests/dags/test_dag_example.py",
]


def test_makes_the_tree_of_the_astro_cli(tmp_path):
    creation = Project.create(tmp_path / "shop")
    root = creation.project.root
    assert sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()) == TREE
    assert sorted(creation.created) == sorted([*TREE, "include/", "plugins/"])
    assert creation.kept == ()
    assert (root / "include").is_dir()
    assert (root / "plugins").is_dir()
    assert (root / "Dockerfile").read_text() == "FROM astrocrpublic.azurecr.io/runtime:3.3-8\n"
    assert (root / ".astro/config.yaml").read_text() == "project:\n    name: shop\n"
    assert {".astro/magic/", ".astro/standalone/"} <= set((root / ".gitignore").read_text().splitlines())
    assert {".astro/magic/", ".astro/standalone/"} <= set((root / ".dockerignore").read_text().splitlines())
    for file in root.rglob("*.py"):
        ast.parse(file.read_text())
    assert not [file for file in root.rglob("*") if file.is_file() and b"{{" in file.read_bytes()]
    if os.name != "nt":
        assert stat.S_IMODE((root / ".env").stat().st_mode) == 0o600


def test_keeps_what_is_there_and_is_idempotent(tmp_path):
    root = tmp_path / "shop"
    root.mkdir()
    (root / "Dockerfile").write_text("FROM apache/airflow:3.1.8\n")
    (root / ".env").mkdir()
    creation = Project.create(root, name="mine", runtime="3.1-2")
    assert creation.kept == (".env", "Dockerfile")
    assert (root / "Dockerfile").read_text() == "FROM apache/airflow:3.1.8\n"
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    again = Project.create(root)
    assert again.created == ()
    assert sorted(again.kept) == TREE
    assert again.project.name == "mine"
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_the_tree_of_airflow_2(tmp_path):
    creation = Project.create(tmp_path / "old", airflow="2.11")
    root = creation.project.root
    assert sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()) == TREE
    assert (root / "Dockerfile").read_text() == "FROM quay.io/astronomer/astro-runtime:13.11.0\n"
    example = (root / "dags/exampledag.py").read_text()
    assert "from airflow.datasets import Dataset\nfrom airflow.decorators import dag, task" in example
    assert "airflow.sdk" not in example
    assert "four containers" in (root / "README.md").read_text()
    assert creation.notes == ()
    for file in root.rglob("*.py"):
        ast.parse(file.read_text())


def test_the_tree_of_airflow_3(tmp_path):
    root = Project.create(tmp_path / "new").project.root
    assert "from airflow.sdk import dag, task" in (root / "dags/exampledag.py").read_text()
    assert "five containers" in (root / "README.md").read_text()


def test_runtime_of_choice(tmp_path):
    old = Project.create(tmp_path / "old", runtime="12.1.0")
    assert old.project.runtime.image == "quay.io/astronomer/astro-runtime:12.1.0"
    assert "not in the table" in old.notes[0]
    new = Project.create(tmp_path / "new", runtime="3.1-2-python-3.11").project
    assert (new.runtime.airflow, new.runtime.python) == ("3.1.0", "3.11")
    floating = Project.create(tmp_path / "floating", runtime="3.1").project
    assert floating.runtime.image == "astrocrpublic.azurecr.io/runtime:3.1"
    assert (floating.runtime.airflow, floating.runtime.exact) == ("3.1", False)
    assert "airflow.sdk" in floating.dag("exampledag.py").text()
    python = Project.create(tmp_path / "python", airflow="3.3", python="3.12").project
    assert python.runtime.tag == "3.3-8-python-3.12"
    for tag in ("12", "latest", "x y"):
        with pytest.raises(InvalidContentError, match="no tag"):
            Project.create(tmp_path / "bad", runtime=tag)
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({}, False),
        ({"runtime": "3.1-2"}, False),
        ({"airflow": "3"}, False),
        ({"airflow": "3.1"}, False),
        ({"airflow": "3.1.0"}, False),
        ({"airflow": "3.1", "python": "3.12"}, False),
        ({"python": "3.12"}, False),
        ({"airflow": "3.1.8"}, True),
        ({"airflow": "2"}, True),
        ({"runtime": "3.3-8"}, True),
        ({"python": "3.11"}, True),
        ({"airflow": "3.1", "python": "3.11"}, True),
    ],
)
def test_a_dockerfile_that_is_there_is_kept_and_how_to_change_it_is_told(tmp_path, wish, told):
    root = Project.create(tmp_path / "shop", runtime="3.1-2").project.root
    (root / "dags/exampledag.py").unlink()
    again = Project.create(root, **wish)
    assert again.created == ("dags/exampledag.py",)
    assert again.project.runtime.tag == "3.1-2"
    assert "airflow.sdk" in (root / "dags/exampledag.py").read_text()
    assert bool(again.notes) == told
    if told:
        assert "builds on astrocrpublic.azurecr.io/runtime:3.1-2." in again.notes[0]
        assert "%astro_dockerfile set FROM " in again.notes[0]


@pytest.mark.parametrize(
    ("image", "wish", "told"),
    [
        ("localhost:5000/mirror/runtime:3.1-2-base", {"python": "3.12"}, False),
        ("localhost:5000/mirror/runtime:3.1-2", {"runtime": "3.1-2"}, False),
        ("localhost:5000/mirror/runtime:3.1-2-python-3.12", {"python": "3.12"}, False),
        ("astrocrpublic.azurecr.io/runtime:3.1-2-base", {"runtime": "3.1-2"}, True),
        ("apache/airflow:3.1.8", {"airflow": "3.1", "python": "3.12"}, False),
        ("apache/airflow:3.1.8", {"airflow": "3.3"}, True),
        ("apache/airflow:3.1.8", {}, False),
    ],
)
def test_what_suits_is_not_told(tmp_path, image, wish, told):
    root = tmp_path / "shop"
    root.mkdir()
    (root / "Dockerfile").write_text(f"FROM {image}\n")
    assert bool(Project.create(root, **wish).notes) == told


def test_a_dockerfile_that_is_a_folder_or_a_dangling_link_is_kept(tmp_path):
    (tmp_path / "one" / "Dockerfile").mkdir(parents=True)
    assert "Dockerfile" in Project.create(tmp_path / "one").kept
    if os.name != "nt":
        (tmp_path / "two").mkdir()
        (tmp_path / "two" / "Dockerfile").symlink_to("missing")
        assert "Dockerfile" in Project.create(tmp_path / "two").kept


def test_what_a_project_of_airflow_2_lacks_is_made_for_airflow_2(tmp_path):
    root = Project.create(tmp_path / "shop", airflow="2").project.root
    (root / "dags/exampledag.py").unlink()
    Project.create(root)
    assert "airflow.decorators" in (root / "dags/exampledag.py").read_text()


@pytest.mark.parametrize("content", [b"FROM python:3.12\n", b"\xff\xfe", b"", b"FROM scratch AS a\nFROM a\n"])
def test_a_dockerfile_that_tells_nothing_is_kept(tmp_path, content):
    root = tmp_path / "shop"
    root.mkdir()
    (root / "Dockerfile").write_bytes(content)
    creation = Project.create(root, airflow="3.1")
    assert (root / "Dockerfile").read_bytes() == content
    assert "set FROM astrocrpublic.azurecr.io/runtime:3.1-21" in creation.notes[0]
    assert Project.create(root).notes == ()


def test_a_project_in_a_project_asks_for_force(tmp_path):
    outer = Project.create(tmp_path / "shop").project.root
    for inner in (outer / "dags", outer / "include" / "deep" / "new"):
        with pytest.raises(InvalidPathError, match="is in another project") as caught:
            Project.create(inner)
        assert "--force" in caught.value.hint
    assert not (outer / "include" / "deep").exists()
    own = Project.create(outer / "include" / "own", force=True).project
    assert Project.find(own.root / "dags").root == own.root
    # It is a project now, so completing it needs no force.
    assert Project.create(own.root).created == ()


def template(*pairs, rendered=False, mode=None):
    return Template("mine", tuple(TemplateFile(name, content, mode) for name, content in pairs), rendered)


def test_a_template_goes_before_the_scaffold_and_is_copied_byte_for_byte(tmp_path):
    theirs = {
        "dags/mine.py": b"x = '{{name}} {{ ds }}'\r\n\xff",
        "README.md": b"mine",
        "Dockerfile": b"FROM quay.io/astronomer/astro-runtime:13.4.0\n",
        "include/a/b.bin": b"\0",
    }
    creation = Project.create(tmp_path / "shop", template=template(*theirs.items()))
    root = creation.project.root
    assert {name: (root / name).read_bytes() for name in theirs} == theirs
    assert {*creation.created} == {*FILES, *theirs, "plugins/"} - {"dags/exampledag.py"}
    assert not (root / "dags/exampledag.py").exists()
    # The scaffold's own files suit the Airflow of the template's Dockerfile.
    assert creation.project.runtime.airflow_major == 2
    assert creation.notes == ()
    asked = Project.create(tmp_path / "other", template=template(*theirs.items()), airflow="3")
    assert "builds on quay.io/astronomer/astro-runtime:13.4.0." in asked.notes[0]


def test_a_built_in_template_is_rendered(tmp_path):
    made = template(("dags/a.py", b"# {{name}} {{ ref }} {{decorators}}"), rendered=True)
    assert (
        Project.create(tmp_path / "shop", template=made).project.dag("a.py").text() == "# shop {{ ref }} airflow.sdk\n"
    )
    old = Project.create(tmp_path / "old", template=made, airflow="2").project
    assert old.dag("a.py").text() == "# old {{ ref }} airflow.decorators\n"


def test_a_template_does_not_rename_the_project(tmp_path):
    made = template((".astro/config.yaml", b"project:\n    name: theirs\nwebserver:\n    port: 9090\n"))
    project = Project.create(tmp_path / "shop", template=made).project
    assert project.name == "shop"
    assert project.config.webserver_port == 9090
    assert Project.create(project.root, template=made).project.name == "shop"


def test_without_force_a_template_replaces_nothing(tmp_path):
    root = Project.create(tmp_path / "shop").project.root
    creation = Project.create(root, template=template(("README.md", b"theirs"), ("dags/b.py", b"b")))
    assert creation.created == ("dags/b.py",)
    assert creation.replaced == ()
    assert "README.md" in creation.kept
    assert (root / "README.md").read_bytes() != b"theirs"


def test_with_force_a_template_replaces_and_that_can_be_taken_back(tmp_path):
    project = Project.create(tmp_path / "shop").project
    exceptions = ".astro/dag_integrity_exceptions.txt"
    before = {name: (project.root / name).read_bytes() for name in ("README.md", ".env", exceptions, "packages.txt")}
    made = template(("README.md", b"theirs"), (".env", b"A=1\n"), (exceptions, b"x"), ("packages.txt", b""))
    creation = Project.create(project.root, template=made, force=True)
    assert creation.replaced == (".env", "README.md")
    assert not {".env", "README.md"} & {*creation.kept}
    assert {exceptions, "packages.txt"} <= {*creation.kept}
    assert (project.root / "README.md").read_bytes() == b"theirs"
    assert (project.root / exceptions).read_bytes() == before[exceptions]
    project.undo()
    assert {name: (project.root / name).read_bytes() for name in before} == before


def test_modes_of_a_template_are_kept(tmp_path):
    made = Template("mine", (TemplateFile(".env", b"A=secret", 0o600), TemplateFile("include/run.sh", b"", 0o755)))
    root = Project.create(tmp_path / "shop", template=made).project.root
    assert "secret" not in repr(made)
    if os.name != "nt":
        assert stat.S_IMODE((root / ".env").stat().st_mode) == 0o600
        assert stat.S_IMODE((root / "include/run.sh").stat().st_mode) == 0o755


def test_a_creation_that_stopped_in_the_middle_is_completed(tmp_path, monkeypatch):
    root = tmp_path / "shop"
    written: list[Path] = []
    real = files.write_atomic

    def stops(path, *arguments, **options):
        if len(written) == 5:
            raise FileAccessError("disk full")
        written.append(path)
        real(path, *arguments, **options)

    monkeypatch.setattr(files, "write_atomic", stops)
    with pytest.raises(FileAccessError):
        Project.create(root, name="mine")
    monkeypatch.undo()
    again = Project.create(root)
    assert again.project.name == "mine"
    assert len(again.created) == len(TREE) - 5
    assert sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()) == TREE


def test_a_file_in_the_place_of_a_folder_is_said(tmp_path):
    root = tmp_path / "shop"
    root.mkdir()
    (root / "tests").write_text("")
    with pytest.raises(FileAccessError, match=r"Cannot make the folder .*tests"):
        Project.create(root)
    (root / "tests").unlink()
    Project.create(root)
    assert (root / "tests/dags/test_dag_example.py").is_file()


@pytest.mark.parametrize("name", ["", "a", "-ab", "ab_", "a b", "a/b", "ä1"])
def test_bad_names_are_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(InvalidPathError, match="no name"):
        Project.create(tmp_path / "shop", name=name)
    assert not (tmp_path / "shop").exists()


@pytest.mark.parametrize("name", ["0123", "null", "on", "1e3"])
def test_names_that_yaml_would_misread_are_quoted(tmp_path, name):
    project = Project.create(tmp_path / "shop", name=name).project
    assert project.name == name
    assert f'name: "{name}"' in (project.root / ".astro/config.yaml").read_text()


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("shop", "shop"),
        ("MyProj2", "my-proj-2"),
        ("my_etl.v1", "my-etl-v-1"),
        ("HTTPServer", "http-server"),
        ("my 'own' \"shop\"", "my-own-shop"),
        ("Café crème", "cafe-creme"),
        ("🚀 launch", "launch"),
    ],
)
def test_names_from_folders(folder, name):
    assert name_from_folder(folder) == name


@pytest.mark.parametrize("folder", ["🚀", "שלום", "a", "---", "日本語"])
def test_folders_that_give_no_name_ask_for_one(tmp_path, folder):
    with pytest.raises(InvalidPathError, match="No project name can be made") as caught:
        Project.create(tmp_path / folder)
    assert "--name" in caught.value.hint
    assert not (tmp_path / folder).exists()
    project = Project.create(tmp_path / folder, name="mine").project
    assert (project.name, project.runtime.tag) == ("mine", "3.3-8")


@pytest.mark.parametrize("folder", ["with blank", "it's", 'a "quoted" one', "ünïcode", "$HOME;ls"])
def test_folders_with_odd_names_work(tmp_path, folder):
    project = Project.create(tmp_path / folder).project
    assert Project.find(project.root / "dags").name == name_from_folder(folder)


def test_what_is_in_the_way_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidPathError, match="is a file"):
        Project.create(tmp_path / "file")
    with pytest.raises(FileAccessError, match="not a folder"):
        Project.create(tmp_path / "file" / "below")

    def deny(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", deny)
    with pytest.raises(FileAccessError, match="no permission"):
        Project.create(tmp_path / "shop")


@pytest.mark.skipif(os.name == "nt", reason="folders have no mode there")
def test_a_folder_that_cannot_be_written_to(tmp_path):
    # Nobody can make a folder in /sys; elsewhere, root can write anywhere.
    folder = Path("/sys") if os.geteuid() == 0 and Path("/sys").is_dir() else tmp_path / "closed"
    if folder.is_relative_to(tmp_path):
        folder.mkdir(mode=0o500)

    with pytest.raises(FileAccessError, match="shop"):
        Project.create(folder / "shop")
    assert not (folder / "shop").exists()


def test_a_project_with_dags_gets_no_example_again(tmp_path):
    project = Project.create(tmp_path / "shop").project
    (project.root / "dags/exampledag.py").rename(project.root / "dags/orders.py")
    assert Project.create(project.root).created == ()
    (project.root / "dags/orders.py").unlink()
    assert Project.create(project.root).created == ("dags/exampledag.py",)
