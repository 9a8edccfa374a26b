"""What a project says is ignored, beside what the real Airflow finds."""

from __future__ import annotations

import json

import pytest

from astro_magic.project.dags.airflowignore import AirflowIgnore

pytestmark = pytest.mark.airflow

TREE = [
    "a.py",
    "b.py",
    "spaced name.py",
    "sub/a.py",
    "sub/b.py",
    "sub/deep/a.py",
    "sub/deep/c.py",
    "sub/deep/deeper/b.py",
    "other/sub/a.py",
    "other/a_test.py",
    "data/y.py",
    "data/keep.py",
    "#odd.py",
    "\u0645\u0644\u0641.py",
]

# Ignore files by their folder.
CASES = [
    ("glob", {"": "a.py\n"}),
    ("glob", {"": "/a.py\n"}),
    ("glob", {"": "sub/a.py\r\nother/  # tests\r\n"}),
    ("glob", {"": "sub\n!sub/deep\n"}),
    ("glob", {"": "sub/*\n!sub/deep/\n"}),
    ("glob", {"": "*.py\n!a.py\n!data/keep.py\n"}),
    ("glob", {"": "!a.py\n*.py\n"}),
    ("glob", {"": "**/deep/*.py\n"}),
    ("glob", {"": "sub/**\n"}),
    ("glob", {"": "**/a.py\n!/sub/a.py\n"}),
    ("glob", {"": "a.py/\nsub/deep/\n"}),
    ("glob", {"": "[ab].py\n?_*.py\n[!a].py\n"}),
    ("glob", {"": "# a.py\n   # b.py\nb.py\t\n"}),
    ("glob", {"": "spaced name.py  \n b.py\n"}),
    ("glob", {"": "*\n!*/\n!c.py\n"}),
    ("glob", {"": "\ufeffa.py\nb.py"}),
    ("glob", {"": "a.py\rb.py\n"}),
    ("glob", {"": "\u0645*\n/\n[x\n"}),
    ("glob", {"": "c.py\n", "sub": "/a.py\n!c.py\ndeep/deeper\n"}),
    ("glob", {"sub": "!a.py\n", "": "a.py\n", "sub/deep": "a.py\n"}),
    ("regexp", {"": "a.py\n"}),
    ("regexp", {"": "^a\\.py$\n"}),
    ("regexp", {"": "sub/\n"}),
    ("regexp", {"": "sub$\n^data\n"}),
    ("regexp", {"": "*broken\n(\nb\\.py\n"}),
    ("regexp", {"": "b\\.py  # why\r\n.*_test\\.py\r\n"}),
    ("regexp", {"": "b.py \n(?i)A\\.PY\n"}),
    ("regexp", {"": "!a.py\n\\s\n"}),
    ("regexp", {"": "c\\.py", "sub": "^a\n^sub/b\n"}),
    ("regexp", {"": "\ufeffa\nkeep\n", "other": "sub/a"}),
]

PROGRAM = """
import json
from airflow._shared.module_loading.file_discovery import find_path_from_directory

answers = []
for folder, syntax in json.load(open("include/asked.json")):
    try:
        answers.append(sorted(find_path_from_directory(folder, ".airflowignore", syntax)))
    except Exception as error:
        answers.append(str(error))
json.dump(answers, open("include/answers.json", "w"))
"""


def folders_of(name):
    parts = name.split("/")
    return ["/".join(parts[: end + 1]) + "/" for end in range(len(parts) - 1)]


def ask_airflow(environment, folders):
    """Ask the environment's Airflow which files it finds, for several folders at once."""
    root = environment.project.root
    (root / "include" / "ask.py").write_text(PROGRAM)
    (root / "include" / "asked.json").write_text(json.dumps(folders))
    assert environment.run(["python", "include/ask.py"]) == 0
    return json.loads((root / "include" / "answers.json").read_text())


def test_what_is_ignored_is_what_airflow_passes_over(environment):
    project = environment.project
    dags = project.root / "dags"
    asked, ours = [], []
    for number, (syntax, contents) in enumerate(CASES):
        # A tree of its own for each case, and the project's dags/ is a link to one after the other.
        tree = project.root / "include" / f"case{number}"
        for name in TREE:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text("")
        (tree / "linked").symlink_to(project.root / "plugins")
        for folder, text in contents.items():
            (tree / folder / ".airflowignore").write_bytes(text.encode())
        asked.append((str(tree), syntax))
    (project.root / "plugins" / "a.py").write_text("")
    for path in dags.iterdir():
        path.unlink()
    dags.rmdir()
    for tree, syntax in asked:
        dags.symlink_to(tree)
        project.apply(project.dotenv.plan_set({"AIRFLOW__CORE__DAG_IGNORE_FILE_SYNTAX": syntax}))
        walked = AirflowIgnore(project).walk()
        ignored = {found.file for found in walked.ignored}
        every = [*TREE, "linked/a.py"]
        # Of an ignored folder only the folder is given.
        assert sorted(walked.files) == sorted(
            name for name in every if not ignored.intersection([name, *folders_of(name)])
        )
        ours.append(sorted(f"{tree}/{name}" for name in walked.files))
        dags.unlink()
    theirs = ask_airflow(environment, asked)
    assert [(CASES[number], found) for number, found in enumerate(theirs)] == [
        (CASES[number], found) for number, found in enumerate(ours)
    ]


def test_a_broken_glob_pattern_ends_the_search_of_airflow(environment):
    ignore = AirflowIgnore(environment.project)
    ignore.path.write_text("[z-a]\n")
    assert [(broken.file, broken.line) for broken in ignore.walk().broken] == [("dags/.airflowignore", 1)]
    (found,) = ask_airflow(environment, [(str(ignore.path.parent), "glob")])
    assert "bad character range" in found


def test_a_loop_of_links_ends_the_search_of_airflow(environment):
    dags = environment.project.root / "dags"
    (dags / "sub").mkdir()
    (dags / "sub" / "loop").symlink_to(dags / "sub")
    assert AirflowIgnore(environment.project).walk().repeated == ("sub/loop",)
    (found,) = ask_airflow(environment, [(str(dags), "glob")])
    assert "recursive loop" in found
