from __future__ import annotations

import pytest

from astro_magic.project.checks import dags as module
from astro_magic.project.checks.dags import check_dags

HEAD = "from airflow.sdk import DAG, dag, task\n"


@pytest.fixture
def write(project):
    folder = project.root / "dags"
    (folder / "exampledag.py").unlink()

    def write(**files):
        for name, text in files.items():
            path = folder / (name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())

    return write


def found(project, check, **options):
    return [finding for finding in check_dags(project, **options) if finding.check == check]


def test_a_dag_of_two_files(project, write):
    write(a=HEAD + "with DAG('x'): ...\n", b=HEAD + "\n@dag\ndef x(): ...\nx()\n", c=HEAD + "# DAG('x')\nDAG('y')\n")
    (finding,) = list(check_dags(project))
    assert (finding.check, finding.severity, finding.file, finding.line) == ("duplicate-dag", "error", "dags/a.py", 2)
    assert "'x' is defined in dags/a.py (line 2) and dags/b.py (line 3)" in finding.message


@pytest.mark.parametrize(
    "other",
    [
        HEAD + '"""\nDAG("x")\n"""\nDAG("y")\n',
        HEAD + "DAG('y', description='see DAG(\"x\")')\n",
        HEAD + "if DEV:\n    DAG('x')\n",
        HEAD + "def make():\n    return DAG('x')\n",
        "DAG('x')\n",
        "from graphs import DAG\nimport airflow\nDAG('x')\n",
    ],
)
def test_what_only_looks_like_the_same_dag(project, write, other):
    write(a=HEAD + "with DAG('x'): ...\n", b=other)
    assert found(project, "duplicate-dag") == []


def test_copies_of_jupyterlab_are_explained(project, write):
    write(a=HEAD + "DAG('x')", **{".ipynb_checkpoints__a-checkpoint": HEAD + "DAG('x')"})
    (finding,) = found(project, "duplicate-dag")
    assert ".ipynb_checkpoints to dags/.airflowignore" in finding.hint
    (project.root / "dags" / ".airflowignore").write_text(".ipynb_checkpoints\n")
    assert found(project, "duplicate-dag") == []


def test_errors_of_syntax_have_a_line(project, write):
    write(a=HEAD + "DAG('x')\nif True\n    pass\n", b=HEAD + "DAG('y')\n")
    (finding,) = list(check_dags(project))
    assert (finding.check, finding.severity, finding.file, finding.line) == ("dag-syntax", "error", "dags/a.py", 3)


def test_what_a_newer_python_may_read_is_no_error(project, write, monkeypatch):
    monkeypatch.setattr(module, "_python", lambda project: "3.99")
    write(a=HEAD + "DAG('x')\nx = f'{1 +}'\n", b=HEAD + "DAG('y')\nif True\n    pass\n")
    assert [(finding.file, finding.severity) for finding in found(project, "dag-syntax")] == [
        ("dags/a.py", "warning"),
        ("dags/b.py", "error"),
    ]
    assert "Python 3.99" in found(project, "dag-syntax")[0].hint
    monkeypatch.setattr(module, "_python", lambda project: "3.9")
    assert {finding.severity for finding in found(project, "dag-syntax")} == {"error"}


def test_few_files_are_parsed_at_once_and_all_when_asked(project, write):
    write(**{f"f{number}": HEAD + f"DAG('f{number}')\nif True\n    pass\n" for number in range(6)})
    assert len(found(project, "dag-syntax", parsed_at_once=2)) == 2
    # What was parsed is remembered, so that the next look goes on.
    assert len(found(project, "dag-syntax", parsed_at_once=2)) == 4
    assert len(found(project, "dag-syntax", parsed_at_once=None)) == 6


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("from include.factory import build\n\nbuild('x')\n", 3),
        ("import include.factory\ninclude.factory.build('x')\n", 2),
        ("from include.factory import build\nfor x in range(2):\n    build(x)\n", 3),
        ("from dagfactory import load_yaml_dags\nload_yaml_dags(globals())\n", 2),
        ("from include.factory import helper\nhelper('x')\n", None),
        ("from dagfactory import options\nX = options()\n", None),
        ("import json\nX = json.loads('1')\n", None),
        ("def f(): ...\n", None),
        ("# airflow dag\nfrom include.factory import build\nbuild('x')\n", None),
        ("x = (\n", None),
    ],
)
def test_what_safe_mode_skips(project, write, text, line):
    (project.root / "include" / "factory.py").write_text(
        HEAD + "def build(name):\n    d = 1\n    return DAG(name)\n\n\ndef helper(name):\n    return name\n"
    )
    write(a=text)
    assert [finding.line for finding in found(project, "skipped-dag")] == ([] if line is None else [line])
    project.dotenv.path.write_text("AIRFLOW__CORE__DAG_DISCOVERY_SAFE_MODE=False\n")
    assert found(project, "skipped-dag") == []


def test_a_dag_that_is_never_called(project, write):
    write(a=HEAD + "@dag\ndef orders(): ...\n")
    (finding,) = found(project, "uncalled-dag")
    assert (finding.file, finding.line) == ("dags/a.py", 3)
    assert "orders()" in finding.hint
    write(b=HEAD + "from a import orders\norders()\n")
    assert found(project, "uncalled-dag") == []


def test_helpers_that_are_parsed(project, write):
    write(
        helper=HEAD + "def f(): ...\n",
        tools__one=HEAD + "def f(): ...\n",
        tools__deep__two=HEAD + "X = 1\n",
        mixed__dag=HEAD + "DAG('x')\n",
        mixed__helper=HEAD + "def f(): ...\n",
        mixed__only__a=HEAD + "def f(): ...\n",
        quiet="def f(): ...\n",
        factory=HEAD + "from x import build\nbuild()\n",
    )
    helpers = found(project, "parsed-helper")
    assert [finding.severity for finding in helpers] == ["note"] * 4
    assert sorted(finding.hint.split()[3] for finding in helpers) == [
        "helper.py",
        "mixed/helper.py",
        "mixed/only/",
        "tools/",
    ]
    lines = "".join(f"{finding.hint.split()[3]}\n" for finding in helpers)
    (project.root / "dags" / ".airflowignore").write_text(lines)
    assert found(project, "parsed-helper") == []


def test_modules_that_another_one_hides(project, write):
    (project.root / "requirements.txt").write_text("my-tool==1\n")
    write(
        json="def f(): ...\n",
        airflow="def f(): ...\n",
        my_tool="def f(): ...\n",
        calendar=HEAD + "DAG('x')\n",
        tools="def f(): ...\n",
        sub__json="def f(): ...\n",
    )
    assert [finding.message for finding in found(project, "shadowed-module")] == [
        "import airflow finds the installed package, not dags/airflow.py.",
        "import json finds Python's own module, not dags/json.py.",
        "import my_tool finds the installed package, not dags/my_tool.py.",
    ]
    (project.root / "requirements.txt").write_bytes(b"\xff")
    assert len(found(project, "shadowed-module")) == 2


@pytest.mark.parametrize(("pattern", "count"), [("*.py", 1), ("a*", 1), ("a.py", 0), ("/a.py", 0), ("other.py", 0)])
def test_a_dag_that_a_wide_pattern_hides(project, write, pattern, count):
    write(a=HEAD + "DAG('x')\n", helper=HEAD + "def f(): ...\n")
    (project.root / "dags" / ".airflowignore").write_text(f"# note\n{pattern}\n")
    hidden = found(project, "ignored-dag")
    assert [(finding.file, finding.line, finding.severity) for finding in hidden] == [
        ("dags/.airflowignore", 2, "note")
    ] * count


def test_patterns_and_folders_that_stop_airflow(project, write):
    write(sub__a=HEAD + "DAG('x')\n")
    folder = project.root / "dags"
    (folder / "again").symlink_to(folder / "sub")
    (folder / ".airflowignore").write_text("ok\n[z-a]\n")
    assert [(finding.check, finding.file, finding.line) for finding in check_dags(project)] == [
        ("broken-ignore-pattern", "dags/.airflowignore", 2),
        ("repeated-folder", "dags/sub", None),
    ]


def test_a_long_file_is_noted(project, write):
    write(a=HEAD + "DAG('x')\n" + "# data\n" * 200_000)
    (finding,) = list(check_dags(project))
    assert (finding.check, finding.severity) == ("large-dag-file", "note")
    assert "1.4 MB" in finding.message


def test_names_that_python_cannot_import_are_fine(project, write):
    write(**{"my dag": HEAD + "DAG('x')\n", "9-lives": HEAD + "DAG('y')\n", "\U0001f600": HEAD + "DAG('z')\n"})
    assert list(check_dags(project)) == []


def test_without_dags_there_is_nothing_to_say(project, write):
    (project.root / "dags" / ".airflowignore").unlink()
    (project.root / "dags").rmdir()
    assert list(check_dags(project)) == []
