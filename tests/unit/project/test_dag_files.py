from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_magic.project.dags.files import dag_files, dag_ids
from astro_magic.project.dags.outline import outline
from astro_magic.project.dags.source import SuggestedDag, survey

HEAD = "from airflow.sdk import DAG, asset, dag, task\n"


@pytest.fixture
def dags(project):
    (project.root / "dags" / "exampledag.py").unlink()
    return project.root / "dags"


def suggested(text, *, assets=True):
    return [(dag.dag_id, dag.line) for dag in survey(text.encode(), assets=assets).dags]


def defined(text):
    return [(dag.dag_id, dag.line, dag.always) for dag in outline((HEAD + text).encode()).dags]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("@dag\ndef a():\n    pass\n", [("a", 1)]),
        ("\n@dag(\n  schedule=None,  # dag\n)\nasync def a_b(): ...\n", [("a_b", 2)]),
        ("@dag('x-1.y')\ndef a(): ...", [("x-1.y", 1)]),
        ('@dag(schedule=None, dag_id="x")\ndef a(): ...', [("x", 1)]),
        ('@dag(dag_id=f"x{1}")\ndef a(): ...', []),
        ("@airflow.sdk.dag()\n@other\ndef a(): ...", [("a", 1)]),
        ("with DAG('x', schedule=None) as dag:\n    pass", [("x", 1)]),
        ('d = DAG(\n    # the id\n    "x",\n)', [("x", 1)]),
        ("d = DAG(schedule=None,\n default_args={'a': 1}, dag_id = 'x')", [("x", 1)]),
        ("d = DAG(dag_id=NAME)\ne = models.DAG('y')", [("y", 2)]),
        ("DAG(f'x')\nDAG('a' + b)\n", []),
        ("# DAG('x')\nx = 1  # DAG('y')\n", []),
        ("TriggerDagRunOperator(trigger_dag_id='x', external_dag_id='y')", []),
        ("DagRun.find(dag_id='x')", []),
        ("MYDAG('x')\nDAGs('y')\n", []),
        ("@asset(schedule=None)\ndef a(): ...", [("a", 1)]),
        ("@asset(name='n')\ndef a(): ...", [("n", 1)]),
        ("@asset.multi(outlets=[])\ndef a(): ...", [("a", 1)]),
        ("@dag\r\ndef a():\r\n    pass\r\n", [("a", 1)]),
        ("@dags\ndef a(): ...", []),
    ],
)
def test_what_the_text_suggests(text, found):
    assert suggested(text) == found


def test_assets_are_no_dags_before_airflow_3():
    assert suggested("@asset\ndef a(): ...", assets=False) == []


@pytest.mark.parametrize(
    ("text", "missing", "missing_in_airflow_2"),
    [
        ("import AIRFLOW\n# Dag", (), ()),
        ("airflow", ("dag",), ("dag",)),
        ("dag", ("airflow",), ("airflow",)),
        ("airflow asset", (), ("dag",)),
        ("", ("airflow", "dag"), ("airflow", "dag")),
    ],
)
def test_safe_mode(text, missing, missing_in_airflow_2):
    assert survey(text.encode(), assets=True).missing == missing
    assert survey(text.encode(), assets=False).missing == missing_in_airflow_2


@pytest.mark.parametrize(
    ("text", "defines", "odd"),
    [
        ("@dag\ndef a(): ...\na()\n", True, False),
        ("@dag\ndef a(): ...\n", False, True),
        ("@asset\ndef a(): ...\n", True, False),
        ("with DAG('x'): ...", True, False),
        ("def f():\n    return DAG(name)\n", False, False),
        ("def f():\n    @dag\n    def a(): ...\n", False, False),
        ("x = (1", False, True),
        ('"""open', False, True),
    ],
)
def test_what_is_plain_and_what_is_odd(text, defines, odd):
    found = survey((HEAD + text).encode(), assets=True)
    assert (found.defines, found.odd) == (defines, odd)


def test_a_file_that_safe_mode_skips_is_odd_when_it_does_something():
    for text, odd in (
        ("from f import build\nbuild()", True),
        ("x = f.build()", True),
        ("for a in b:\n    f(a)", True),
        ("def f():\n    g()", False),
    ):
        assert survey(text.encode(), assets=True).odd is odd


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("@dag\ndef a(): ...\na()\n", [("a", 2, True)]),
        ("@dag\ndef a(): ...\n", []),
        ("@dag(dag_id='x')\ndef a(): ...\nd = a()\n", [("x", 2, True)]),
        ("@dag('x')\ndef a(): ...\na().test()\n", [("x", 2, True)]),
        ("@dag(dag_id=X)\ndef a(): ...\na()\n", []),
        ("@dag(**options)\ndef a(): ...\na()\n", []),
        ("with DAG('x') as d:\n    DAG('y')\n", [("x", 2, True), ("y", 3, True)]),
        ("d = DAG(schedule=None, dag_id='x')", [("x", 2, True)]),
        ("if A:\n    DAG('x')\nelse:\n    DAG('x')\n", [("x", 3, False), ("x", 5, False)]),
        ("try:\n    DAG('x')\nexcept E:\n    DAG('y')\n", [("x", 3, False), ("y", 5, False)]),
        ("def f():\n    return DAG('x')\n", []),
        ("def f():\n    return DAG('x')\nf()\n", [("x", 3, True)]),
        ("def f():\n    return DAG('x')\ndef g():\n    f()\ng()\n", [("x", 3, True)]),
        ("def f():\n    @dag\n    def a(): ...\n    return a()\nf()\n", [("a", 3, True)]),
        ("def f():\n    @dag\n    def a(): ...\nf()\n", []),
        ("if __name__ == '__main__':\n    DAG('x')\n", []),
        ("if TYPE_CHECKING:\n    DAG('x')\n", []),
        ("'''\nDAG('x')\n@dag\ndef a(): ...\n'''\n# DAG('y')\n", []),
        ("@asset\ndef a(): ...\n@asset(name='n')\ndef b(): ...\n", [("a", 2, True), ("n", 4, True)]),
        ("class C:\n    DAG = 1\n", []),
        ("f = lambda: DAG('x')\n", []),
        ("import airflow\nairflow.DAG('x')\n", [("x", 3, True)]),
    ],
)
def test_what_the_tree_defines(text, found):
    assert defined(text) == found


def test_a_class_dag_from_elsewhere_is_not_airflows():
    assert outline(b"from graphs import DAG\nDAG('x')\n").dags == ()


@pytest.mark.parametrize(
    ("text", "inert"),
    [
        ("import logging\nlog = logging.getLogger(__name__)\nX = {'a': str(1)}\ndef f(): ...\n", True),
        ("def f():\n    return DAG('x')\n", True),
        ("class A:\n    pass\na = A()\n", True),
        ("if TYPE_CHECKING:\n    from x import *\n", True),
        ("try:\n    import a\nexcept ImportError:\n    a = None\n", True),
        ("", True),
        ("def f(): ...\nf()\n", False),
        ("from include.f import build\nx = build()\n", False),
        ("from include.dags import my_dag\n", False),
        ("from include.f import *\n", False),
        ("for x in y:\n    globals()[x] = z\n", False),
        ("globals()['x'] = y\n", False),
        ("class A(MyDag): ...\na = A()\n", False),
        ("@dag\ndef a(): ...\n", False),
        ("with open('x') as f:\n    pass\n", False),
        ("DAG('x')", False),
    ],
)
def test_what_makes_no_dag(text, inert):
    assert outline((HEAD + text).encode()).inert is inert


def test_uncalled_and_imported_calls():
    text = HEAD + "from include.f import build\n@dag\ndef a(): ...\n@dag\ndef b(): ...\nX = [b]\nbuild(1)\n"
    found = outline(text.encode())
    assert found.uncalled == (("a", 4),)
    assert [(call.module, call.name, call.line) for call in found.calls] == [("include.f", "build", 8)]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"a = 1\nb = (\n", 2),
        (b"x = 1\0\n", 1),
        (b"x = 'caf\xe9'\n", 1),
        (b"def f():\n\tif 1:\n        x\n", 3),
        (b"(" * 5000, 1),
    ],
)
def test_what_is_no_python_has_a_line(data, line):
    problem = outline(data).problem
    assert problem is not None
    assert problem[0] == line
    assert problem[1]


def test_style_is_no_problem():
    assert outline(b"x = '\\d'\nassert (1, 'x')\nx is 1\n").problem is None


def test_files_are_those_that_are_not_ignored(project, dags):
    (dags / "b.py").write_text(HEAD + "@dag\ndef b(): ...\nb()\n")
    (dags / "a").mkdir()
    (dags / "a" / "z.py").write_text("with DAG('z'): ...")
    (dags / "skip.py").write_text("DAG('skip')")
    (dags / "notes.txt").write_text("DAG('notes')")
    (dags / ".airflowignore").write_text("skip.py\n")
    found = dag_files(project)
    assert [(file.name, file.dags, file.missing) for file in found] == [
        ("dags/a/z.py", (SuggestedDag("z", 1),), ("airflow",)),
        ("dags/b.py", (SuggestedDag("b", 2),), ()),
    ]
    assert found[1].size == (dags / "b.py").stat().st_size
    assert found[1].modified == pytest.approx((dags / "b.py").stat().st_mtime)
    assert dag_ids(project) == ("b", "z")


def test_what_is_remembered_is_forgotten_with_a_change(project, dags):
    path = dags / "a.py"
    path.write_text(HEAD + "DAG('one')")
    (file,) = dag_files(project)
    assert not file.outlined
    assert [dag.dag_id for dag in file.outline().dags] == ["one"]
    assert dag_files(project)[0].outlined
    path.write_text(HEAD + "DAG('two')")
    os.utime(path, ns=(1, 1))
    (file,) = dag_files(project)
    assert not file.outlined
    assert dag_ids(project) == ("two",)
    assert [dag.dag_id for dag in file.outline().dags] == ["two"]
    path.unlink()
    assert dag_ids(project) == ()


@pytest.mark.parametrize(("setting", "missing"), [("False", ()), ("0", ()), ("true", ("airflow", "dag"))])
def test_safe_mode_can_be_off(project, dags, setting, missing):
    (dags / "a.py").write_text("x = 1")
    project.dotenv.path.write_text(f"AIRFLOW__CORE__DAG_DISCOVERY_SAFE_MODE={setting}\n")
    assert dag_files(project)[0].missing == missing


def test_a_long_file_is_not_parsed(project, dags):
    (dags / "a.py").write_bytes(b"x = (\n" + b"# dag airflow\n" * 700_000)
    (file,) = dag_files(project)
    assert file.outline().problem is None


def test_a_file_that_goes_away_is_no_error(project, dags):
    (dags / "a.py").write_text("x = (")
    (dags / "gone.py").symlink_to(dags / "nothing.py")
    (file,) = dag_files(project)
    (dags / "a.py").unlink()
    assert file.outline().problem is None


@given(st.binary(max_size=200))
def test_any_bytes_are_read(data):
    survey(data, assets=True)
    outline(data)


pieces = st.lists(
    st.sampled_from(
        [
            "DAG('p{n}')\n",
            "@dag\ndef p{n}(): ...\np{n}()\n",
            "@dag(dag_id='p{n}')\ndef f{n}(): ...\nf{n}()\n",
            "with DAG(\n    schedule=None,\n    dag_id='p{n}',\n) as d{n}:\n    pass\n",
            "@asset(schedule=None)\ndef p{n}(): ...\n",
        ]
    ),
    max_size=6,
)


@given(pieces)
def test_both_readings_find_what_stands_in_a_file(templates):
    text = HEAD + "\n".join(template.replace("{n}", str(number)) for number, template in enumerate(templates))
    expected = [f"p{number}" for number in range(len(templates))]
    found = survey(text.encode(), assets=True)
    assert [dag.dag_id for dag in found.dags] == expected
    assert [dag.dag_id for dag in outline(text.encode()).dags] == expected
    assert [dag.line for dag in found.dags] == [dag.line for dag in outline(text.encode()).dags]
    assert found.defines is bool(templates)
