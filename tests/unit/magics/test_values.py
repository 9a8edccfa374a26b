"""The magics that edit values: environment variables, Airflow objects, and the project's configuration."""

from __future__ import annotations

import pytest
from IPython.core.error import UsageError

from astro_magic import errors
from astro_magic.project.fingerprint import Action, Pending, Reason

CONNECTION = (
    "%%astro_settings\n"
    "connections:\n  - conn_id: warehouse\n    conn_type: postgres\n    conn_password: planted1\n"
    "    conn_extra:\n      sslkey: planted2\n"
    "pools:\n  - pool_name: heavy\n    pool_slot: 2\n"
    "variables:\n  - variable_name: region\n    variable_value: planted3\n"
)


def text_of(project, name=".env"):
    return (project.root / name).read_text()


def test_env_files_of_a_folder(shell, project, environment):
    shell.cell("%%dotenv\nA=1\n")
    with pytest.raises(errors.InvalidPathError, match=r"\.env is a file[^\n]*\n.*%astro_env move prod\.env"):
        shell.cell("%%dotenv --file prod.env\nB=2\n")
    before = text_of(project)
    view = shell.cell("%dotenv move dev.env")
    assert [(file.name, file.kind) for file in view.change.files] == [(".env", "removed"), (".env/dev.env", "created")]
    assert text_of(project, ".env/dev.env") == before
    assert repr(view).endswith("Applies with %astro_start.")
    shell.cell("%%dotenv --file prod.env\nB=2\n")
    assert repr(shell.cell("%%dotenv --file prod.env\nB=2\n")) == ".env/prod.env  unchanged"
    shell.cell("%dotenv set --file prod.env C=3")
    assert text_of(project, ".env/prod.env") == "B=2\nC=3\n"
    assert [row[0] for row in shell.cell("%dotenv list --file prod.env").rows] == ["B", "C"]
    assert [(row[0], row[2]) for row in shell.cell("%dotenv list").rows] == [
        ("A", ".env/dev.env"),
        ("B", ".env/prod.env"),
        ("C", ".env/prod.env"),
    ]
    shell.cell("%dotenv remove C --file prod.env")
    assert text_of(project, ".env/prod.env") == "B=2\n"
    with pytest.raises(errors.InvalidPathError, match="is a folder of several files"):
        shell.cell("%%dotenv\nA=2\n")
    with pytest.raises(errors.InvalidPathError, match="is a folder already"):
        shell.cell("%dotenv move other.env")
    shell.cell("%astro_undo 3")
    assert (project.root / ".env/dev.env").exists()
    shell.cell("%astro_undo")
    assert text_of(project) == before


@pytest.mark.parametrize("name", ["../x.env", "a/b.env", "prod", ".env", "/tmp/x.env", "..", "'a b'"])
def test_env_files_that_are_none(shell, project, environment, name):
    shell.cell("%dotenv move dev.env")
    with pytest.raises(errors.InvalidPathError):
        shell.cell(f"%%dotenv --file {name}\nA=1\n")


def test_a_value_that_is_asked_for_never_shows(seen, project, environment, asked):
    assert "planted" not in seen("%dotenv set TOKEN HARMLESS A=1")
    assert asked == ["TOKEN: ", "HARMLESS: "]
    assert text_of(project).count("planted-asked") == 2
    assert "planted" not in seen("%dotenv") + seen("%dotenv remove TOKEN") + seen("%astro_undo --dry-run")


def test_lines_that_other_tools_read_otherwise(shell, project, environment):
    view = shell.cell('%%dotenv\nPLAIN=1\nQUOTED="a $HOME"\n')
    assert any(note.startswith("Line 2 (QUOTED): Docker Compose") for note in view.notes)
    assert not any("PLAIN" in note for note in view.notes)
    assert "Line 2 (QUOTED)" in repr(view)
    # What was there before is not told again.
    assert shell.cell("%dotenv set MORE=1").notes == []
    many = shell.cell("%%dotenv\n" + "".join(f"V{number}='#'\n" for number in range(9)))
    assert len(many.notes) == 6
    assert many.notes[-1].endswith("more; %astro_doctor shows them.")


def test_env_lines_that_are_wrong(shell, project, environment):
    for wrong in ("set", "remove", "move", "move a.env b.env", "list A", "--replace set A=1"):
        with pytest.raises(UsageError):
            shell.cell(f"%dotenv {wrong}")
    with pytest.raises(errors.InvalidContentError, match="does not set REGIN"):
        shell.cell("%dotenv remove REGIN")
    for name in ("1X", "A-B", "A B", "'A;B'", "A$(x)", ""):
        with pytest.raises((errors.InvalidContentError, UsageError)):
            shell.cell(f"%dotenv set '{name}'=x")
    with pytest.raises(errors.InvalidContentError, match="The value of A"):
        shell.run_line_magic("dotenv", "set A='1\nB=2'")
    assert text_of(project) == ""


def test_jinja_and_dollars_stay(shell, project, environment):
    shell.user_ns["x"] = "expanded"
    shell.cell("%%dotenv\nTEMPLATE={{ x }}-{x}-$x\n")
    shell.cell("%dotenv set OTHER='{{ x }}' THIRD={x}$x;")
    assert project.variables() == {"TEMPLATE": "{{ x }}-{x}-$x", "OTHER": "{{ x }}", "THIRD": "{x}$x;"}
    shell.cell("%astro_settings set variable a='{{ x }}'")
    assert "{{ x }}" in text_of(project, "airflow_settings.yaml")


def test_settings_cell(shell, project, environment):
    view = shell.cell(CONNECTION)
    assert "conn_id: warehouse" in repr(view)
    assert repr(shell.cell(CONNECTION)) == "airflow_settings.yaml  unchanged"
    listed = shell.cell("%astro_settings list")
    assert [row[:3] for row in listed.rows] == [
        ("connection", "warehouse", "conn_type=postgres  conn_password=••••••  conn_extra=••••••"),
        ("pool", "heavy", "pool_slot=2"),
        ("variable", "region", "variable_value=••••••"),
    ]
    assert [row[1] for row in shell.cell("%astro_settings list pool").rows] == ["heavy"]
    with pytest.raises(UsageError):
        shell.cell("%astro_settings list pool heavy")


def test_settings_lines(shell, project, environment, asked):
    shell.cell("%astro_settings set connection warehouse conn_type=postgres conn_port=5432 conn_password")
    assert asked == ["conn_password: "]
    shell.cell("%astro_settings set pool heavy pool_slot=2")
    shell.cell("%astro_settings set variable region='eu west'")
    shell.cell("%astro_settings set variable token")
    text = text_of(project, "airflow_settings.yaml")
    assert text.count("planted-asked") == 2
    assert "eu west" in text
    assert repr(shell.cell("%astro_settings set pool heavy pool_slot=2")) == "airflow_settings.yaml  unchanged"
    for name in ("connection warehouse", "pool heavy", "variable region token"):
        shell.cell(f"%astro_settings remove {name}")
    assert shell.cell("%astro_settings").rows == ()


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("set connection w conn_pasword=planted", r"Did you mean conn_password\?"),
        ("set connection w conn_port=planted", "Write a whole number"),
        ("remove pool hevy", r"Did you mean heavy\?"),
    ],
)
def test_settings_that_there_are_not(shell, project, environment, line, hint):
    shell.cell("%astro_settings set pool heavy pool_slot=2")
    before = text_of(project, "airflow_settings.yaml")
    with pytest.raises(errors.InvalidContentError, match=hint) as raised:
        shell.cell(f"%astro_settings {line}")
    assert "planted" not in str(raised.value)
    assert text_of(project, "airflow_settings.yaml") == before


@pytest.mark.parametrize(
    "line", ["set", "set pool", "set pool heavy", "set variable a=b c=d", "remove", "set frob x=1"]
)
def test_settings_lines_that_are_wrong(shell, project, environment, line):
    with pytest.raises(UsageError):
        shell.cell(f"%astro_settings {line}")


def test_names_add_no_yaml(shell, project, environment):
    shell.run_line_magic("astro_settings", "set variable 'a: [x' variable_value='b: c # d'")
    assert [row[1] for row in shell.cell("%astro_settings").rows] == ["a: [x"]
    shell.run_line_magic("astro_settings", "set variable one 'variable_value=x\n    - variable_name: two'")
    assert [row[1] for row in shell.cell("%astro_settings").rows] == ["a: [x", "one"]


def test_settings_that_run_are_not_said_to_be_live(shell, running):
    running.waiting = Pending((Reason("airflow_settings.yaml", "+ objects", Action.IMPORT_OBJECTS),))
    text = repr(shell.cell("%astro_settings set pool heavy pool_slot=2"))
    assert "No restart needed" not in text
    assert "Pending: import objects (airflow_settings.yaml). Applies with %astro_restart." in text
    running.waiting = Pending()
    assert "No restart needed" not in repr(shell.cell("%astro_config set api-server.port=8087"))


def test_config(shell, project, environment, asked):
    assert repr(shell.cell("%astro_config set api-server.port=8087 dev.mode=standalone")).startswith(
        ".astro/config.yaml  +4"
    )
    assert repr(shell.cell("%astro_config set api-server.port=8087")) == ".astro/config.yaml  unchanged"
    shell.cell("%astro_config set postgres.password")
    assert asked == ["postgres.password: "]
    assert [row[:2] for row in shell.cell("%astro_config").rows] == [
        ("project.name", "shop"),
        ("api-server.port", "8087"),
        ("dev.mode", "standalone"),
        ("postgres.password", "••••••"),
    ]
    assert "Dry run" in repr(shell.cell("%astro_config remove dev.mode --dry-run"))
    shell.cell("%astro_config remove api-server.port")
    assert "8087" not in text_of(project, ".astro/config.yaml")
    with pytest.raises(errors.InvalidContentError, match=r"Did you mean api-server\.port\?"):
        shell.cell("%astro_config set api-server.prt=1")
    with pytest.raises(UsageError, match=r"Write postgres\.user=VALUE"):
        shell.cell("%astro_config set postgres.user")
    for wrong in ("set", "remove", "list x", "frob"):
        with pytest.raises(UsageError):
            shell.cell(f"%astro_config {wrong}")


@pytest.mark.parametrize(
    "source",
    [
        "%%dotenv\nTOKEN=planted\nPLAIN='planted'\n",
        "%%dotenv\nplanted word\n",
        "%%dotenv\nTOKEN='planted\n",
        "%%dotenv --replace\nB-C=planted\n",
        "%dotenv TOKEN=planted",
        "%dotenv set 1X=planted",
        "%dotenv set A='plan\tted' B=\"planted'",
        "%dotenv remove TOKEN=planted",
        CONNECTION,
        "%%astro_settings\nconnections:\n  - conn_id: w\n    conn_password: [planted\n",
        "%%astro_settings\nconnections:\n  - conn_id: w\n    conn_type: x\n    password: planted\n",
        "%%astro_settings\nvariables:\n  - {variable_name: a, variable_value: planted}\n",
        "%astro_settings set conn_password=planted",
        "%astro_settings set connection w conn_type=http conn_host=https://me:planted@h conn_password=planted",
        "%astro_settings set connection w conn_type=http conn_extra=planted",
        "%astro_settings set variable a=planted",
        "%astro_config set postgres.password=planted",
        "%astro_config postgres.password=planted",
    ],
)
def test_secrets_stay_secret(seen, project, environment, source):
    assert "planted" not in seen(source)
    for magic in ("%dotenv", "%astro_settings", "%astro_config", "%astro", "%astro_doctor --files"):
        assert "planted" not in seen(magic)
    assert "planted" not in seen("%astro_undo --list") + seen("%astro_undo --dry-run") + seen("%astro_undo")
