from __future__ import annotations

import ast
import os
import stat
from pathlib import Path

import pytest

from astro_magic.errors import FileAccessError, InvalidContentError, InvalidPathError
from astro_magic.project import Project
from astro_magic.project.scaffold import name_from_folder

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
    assert (root / "Dockerfile").read_text() == "FROM astrocrpublic.azurecr.io/runtime:3.3-1\n"
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


def test_runtime_of_choice(tmp_path):
    old = Project.create(tmp_path / "old", runtime="12.1.0").project
    assert old.runtime.image == "quay.io/astronomer/astro-runtime:12.1.0"
    assert "from airflow.decorators import dag, task" in old.dag("exampledag.py").text()
    new = Project.create(tmp_path / "new", runtime="3.1-2-python-3.11").project
    assert (new.runtime.airflow, new.runtime.python) == ("3.1", "3.11")
    for tag in ("3.1", "latest", "x y"):
        with pytest.raises(InvalidContentError, match="no tag"):
            Project.create(tmp_path / "bad", runtime=tag)
    assert not (tmp_path / "bad").exists()


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
    [("shop", "shop"), ("MyProj2", "my-proj-2"), ("my_etl.v1", "my-etl-v-1"), ("HTTPServer", "http-server")],
)
def test_names_from_folders(folder, name):
    assert name_from_folder(folder) == name


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
