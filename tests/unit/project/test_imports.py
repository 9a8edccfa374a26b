"""Which modules the files of a project import."""

from __future__ import annotations

from astro_magic.project.dags.imports import project_imports
from astro_magic.project.project import Project

SOURCE = """
import os, numpy as np
from google.cloud import storage
from yaml import *
from . import beside
from ..above import thing
if True:
    try:
        import tried
    except* ImportError:
        import handled
    else:
        import otherwise
    finally:
        import lastly
async def task():
    with open("x"):
        for _ in ():
            import looped
    match 1:
        case 1:
            import matched
class A:
    import inside_class
raise RuntimeError("nothing is imported")
"""


def imports(project):
    return {each.file: set(each.modules) for each in project_imports(project)}


def test_imports_of_a_project(tmp_path):
    project = Project.create(tmp_path / "shop").project
    (project.root / "dags" / "exampledag.py").unlink()
    folders = ("dags", "include/deep", "plugins", "tests", "include/.hidden", "include/venv", "dags/__pycache__")
    for folder in folders:
        (project.root / folder).mkdir(parents=True, exist_ok=True)
        (project.root / folder / "a.py").write_text("import a\n")
    (project.root / "include" / "venv" / "pyvenv.cfg").touch()
    (project.root / "dags" / "a.py").write_text(SOURCE)
    (project.root / "dags" / "broken.py").write_text("import a\nimport = 1\n")
    (project.root / "dags" / "null.py").write_bytes(b"import a\n\0")
    (project.root / "dags" / "latin.py").write_bytes(b"# coding: latin-1\nimport b # \xe4\n")
    (project.root / "dags" / "long.py").write_text("import a\n" + "#" * 1_000_000)
    (project.root / "dags" / "gone.py").symlink_to("nowhere")
    assert imports(project) == {
        "dags/a.py": {
            *("os", "numpy", "google.cloud.storage", "yaml", "tried", "handled", "otherwise", "lastly", "looped"),
            *("matched", "inside_class"),
        },
        "dags/latin.py": {"b"},
        "include/deep/a.py": {"a"},
        "plugins/a.py": {"a"},
    }


def test_a_file_that_changes_is_read_again(tmp_path):
    project = Project.create(tmp_path / "shop").project
    (project.root / "dags" / "exampledag.py").write_text("import first\n")
    assert imports(project) == {"dags/exampledag.py": {"first"}}
    (project.root / "dags" / "exampledag.py").write_text("import another\n")
    assert imports(project) == {"dags/exampledag.py": {"another"}}
