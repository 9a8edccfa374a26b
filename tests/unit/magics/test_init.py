"""The magics of the project: %astro_init, %astro_use and %astro."""

from __future__ import annotations

import pytest
from IPython.core.error import UsageError

from astro_magic import errors
from astro_magic.project.project import Project


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def test_airflow_2(shell, place):
    view = shell.cell("%astro_init shop --airflow 2.10")
    assert repr(view).startswith('Created Astro project "shop" · Airflow 2.10.')
    assert Project(place / "shop").runtime.airflow_major == 2
    assert "from airflow.decorators import" in (place / "shop/dags/exampledag.py").read_text()
    assert any("gets no updates any more" in note for note in view.creation.notes)
    assert "gets no updates any more" in repr(view)


def test_airflow_3(shell, place):
    shell.cell("%astro_init shop --airflow 3.1")
    runtime = Project(place / "shop").runtime
    assert runtime.airflow.startswith("3.1.")
    assert "from airflow.sdk import" in (place / "shop/dags/exampledag.py").read_text()


def test_runtime_and_python(shell, place):
    shell.cell("%astro_init one --runtime 3.1-1")
    assert (place / "one/Dockerfile").read_text() == "FROM astrocrpublic.azurecr.io/runtime:3.1-1\n"
    text = repr(shell.cell("%astro_init two --runtime 3.1-1 --python 3.11"))
    assert (place / "two/Dockerfile").read_text() == "FROM astrocrpublic.azurecr.io/runtime:3.1-1-python-3.11\n"
    assert "Python 3.11" in text.splitlines()[0]
    assert repr(shell.cell("%astro_init three --runtime 3.1")).startswith('Created Astro project "three" · Airflow 3.1')


@pytest.mark.parametrize(
    "options",
    [
        "--airflow 9.9",
        "--airflow x",
        "--runtime 9.9",
        "--runtime 'a b'",
        "--python 3.8",
        "--python x",
        "--name 'a b/c'",
    ],
)
def test_what_there_is_not(shell, place, options):
    with pytest.raises((errors.InvalidContentError, errors.InvalidPathError)):
        shell.cell(f"%astro_init shop {options}")
    assert not (place / "shop").exists()


def test_built_in_template(shell, place):
    text = repr(shell.cell("%astro_init shop --template etl"))
    assert "dags/etl_orders.py" in text
    assert not (place / "shop/dags/exampledag.py").exists()
    assert (place / "shop/include/data/orders.csv").exists()


def test_a_folder_as_a_template(shell, place):
    (place / "mine/dags").mkdir(parents=True)
    (place / "mine/dags/own.py").write_text("# {{ name }} {x}\n")
    (place / "mine/.env").write_text("TOKEN=planted\n")
    view = shell.cell("%astro_init shop --template mine")
    assert (place / "shop/dags/own.py").read_text() == "# {{ name }} {x}\n"
    assert not (place / "shop/dags/exampledag.py").exists()
    assert "planted" not in "".join(view._repr_mimebundle_().values())
    (place / "mine/requirements.txt").write_text("polars\n")
    kept = shell.cell("%astro_init shop --template mine")
    assert "polars" not in (place / "shop/requirements.txt").read_text()
    assert kept.creation.replaced == ()
    text = repr(shell.cell("%astro_init shop --template mine --force"))
    assert "Replaced by the template's: requirements.txt. %astro_undo takes that back." in text
    assert (place / "shop/requirements.txt").read_text() == "polars\n"
    shell.cell("%astro_undo")
    assert (place / "shop/requirements.txt").read_text() != "polars\n"


def test_templates_that_there_are_not(shell, place):
    with pytest.raises(errors.InvalidPathError, match=r"no template 'elt'[^\n]*\nBuilt in are dbt, empty, etl, ml\."):
        shell.cell("%astro_init shop --template elt")
    with pytest.raises(UsageError):
        shell.cell("%astro_init shop --template")
    assert not (place / "shop").exists()


@pytest.mark.parametrize(
    "template",
    [
        "https://me:planted@127.0.0.1:1/templates.git",
        "https://me:planted@127.0.0.1:1/templates.git//etl#main",
        "ftp://me:planted@127.0.0.1:1/x.git",
        "ssh://me:planted@127.0.0.1:1/x.git#planted-not",
    ],
)
def test_the_login_of_a_template_never_shows(seen, place, template):
    said = seen(f"%astro_init shop --template {template}")
    assert "me:planted" not in said
    assert "Error" in said
    assert not (place / "shop").exists()


def test_again(shell, place):
    shell.cell("%astro_init shop")
    (place / "shop/Dockerfile").write_text("FROM astrocrpublic.azurecr.io/runtime:3.1-1\n# mine\n")
    before = {path: path.read_bytes() for path in (place / "shop").rglob("*") if path.is_file()}
    view = shell.cell("%astro_init shop")
    assert {path: path.read_bytes() for path in (place / "shop").rglob("*") if path.is_file()} == before
    assert repr(view).splitlines() == [
        'Nothing to create: Astro project "shop" · Airflow 3.1.0 (runtime 3.1-1) · Python 3.12',
        f"Kept {len(view.creation.kept)} files that were there.",
        "This notebook now works on shop. Start Airflow with %astro_start.",
    ]
    assert "The Dockerfile was kept" in repr(shell.cell("%astro_init shop --airflow 3.3"))
    (place / "shop/packages.txt").unlink()
    view = shell.cell("%astro_init shop")
    text = repr(view)
    assert text.splitlines()[:3] == [
        'Completed Astro project "shop" · Airflow 3.1.0 (runtime 3.1-1) · Python 3.12',
        "  packages.txt",
        f"Kept {len(view.creation.kept)} files that were there.",
    ]
    assert "requirements.txt" in text


def test_inside_another_project(shell, place):
    shell.cell("%astro_init shop")
    with pytest.raises(errors.InvalidPathError, match="is in another project"):
        shell.cell("%astro_init shop/inner")
    assert not (place / "shop/inner").exists()
    shell.cell("%astro_init shop/inner --force --name inner-shop")
    assert Project.find(place / "shop/inner").name == "inner-shop"
    assert shell.cell("%requirements add --no-check polars").change.files[0].path.parent == place / "shop/inner"


def test_places_that_are_none(shell, place, tmp_path):
    (place / "file").write_text("")
    for directory in ("~", "file"):
        with pytest.raises(errors.InvalidPathError):
            shell.cell(f"%astro_init {directory}")


def test_overview_with_findings(shell, project, environment):
    (project.root / "requirements.txt").write_text("pandas==1\npandas==2\n")
    view = shell.cell("%astro")
    assert view.findings
    text = repr(view)
    assert "%astro_doctor" in text
    assert "requirements.txt line 2" in text
    assert "\n" not in repr(shell.cell("%astro -q"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("Dockerfile", b"RUN ls\n"),
        ("Dockerfile", b"\xff\n"),
        ("Dockerfile", None),
        (".astro/config.yaml", b"\xff\n"),
        ("airflow_settings.yaml", b"a: [\n"),
        ("requirements.txt", b"\xff\n"),
        (".env", b"\xff\n"),
    ],
)
def test_a_broken_file_is_no_reason_not_to_show_the_project(shell, project, environment, name, content):
    path = project.root / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    text = repr(shell.cell("%astro"))
    assert text.startswith("shop · Airflow ")
    assert name in text
    assert repr(shell.cell("%astro_use .")).startswith("This notebook now works on shop · Airflow ")
