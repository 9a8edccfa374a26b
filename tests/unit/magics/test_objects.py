"""The magics of connections, variables and pools, with a stand-in of Airflow."""

from __future__ import annotations

import keyring
import pytest
from IPython.core.completer import CompletionContext
from IPython.core.error import UsageError
from keyrings.alt.file import PlaintextKeyring

from astro_magic import errors
from astro_magic.airflow.objects import AirflowObject
from astro_magic.environment import Environment
from tests.unit.magics.stored_objects import FakeEngine, stand_in

SECRET = "planted-Rk7vQz1L"
FILE = "airflow_settings.yaml"
SETTINGS = f"""airflow:
  connections:
    - conn_id: lake
      conn_type: http
      conn_host: b.example.com
      conn_port: 80
      conn_password: {SECRET}
    - conn_id: crm
      conn_type: postgres
      conn_host: a.example.com
      conn_login: ana
  pools:
    - pool_name: heavy
      pool_slot: 4
      pool_include_deferred: true
  variables:
    - variable_name: colour
      variable_value: blue
      variable_description: of the shop
    - variable_name: deploy_key
      variable_value: {SECRET}
"""


@pytest.fixture
def engine(project, monkeypatch):
    """Give a stand-in of the engine of the project in use; Airflow does not run at first."""
    made = stand_in(monkeypatch, FakeEngine())
    monkeypatch.setattr(
        "astro_magic.environment.open_environment", lambda asked, *, engine="auto": Environment(asked, made)
    )
    monkeypatch.setenv("PLANTED", SECRET)
    return made


@pytest.fixture
def filled(project, engine):
    """Give a project with some of each."""
    (project.root / FILE).write_text(SETTINGS)
    project.state_dir.mkdir(parents=True, exist_ok=True)
    return project


def text_of(project, name=FILE):
    return (project.root / name).read_text()


def names(view):
    return [row.name for row in view]


def test_what_is_added_stands_in_the_file_and_is_listed(shell, project, engine):
    shell.cell("%connections add lake --type http --host b.example.com --port 80 --password-from-env PLANTED")
    shell.cell("%connections add crm --type postgres --host a.example.com --login ana")
    shell.cell("%variables set colour blue --description 'of the shop'")
    shell.cell("%variables set deploy_key --value-from-env PLANTED")
    shell.cell("%pools add heavy --slots 4 --include-deferred yes")
    text = text_of(project)
    assert f"conn_password: {SECRET}" in text
    assert "conn_port: 80" in text
    assert "variable_description: of the shop" in text
    assert "pool_include_deferred: true" in text
    listed = shell.cell("%connections")
    assert names(listed) == ["crm", "lake"]
    assert repr(listed).startswith("2 connections · Airflow is not running\n")
    assert ".df is the DataFrame" in repr(listed)
    assert SECRET not in "".join([repr(listed), *listed._repr_mimebundle_().values(), listed.df.to_csv()])
    assert names(shell.cell("%variables")) == ["colour", "deploy_key"]
    assert repr(shell.cell("%pools -q")) == "1 pool · Airflow is not running"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("list", ["crm", "lake"]),
        ("LA", ["lake"]),
        ("list l*", ["lake"]),
        ("list a", ["lake"]),
        ("?rm", ["crm"]),
        ("[cl]*", ["crm", "lake"]),
        ("nothing", []),
        ("--sort host", ["crm", "lake"]),
        ("--sort port", ["lake", "crm"]),
        ("--sort login", ["crm", "lake"]),
    ],
)
def test_patterns_and_order(shell, filled, line, found):
    view = shell.run_line_magic("connections", line)
    assert names(view) == found
    assert sorted(view.df["connection"]) == sorted(found)


def test_only_given_fields_are_set_and_an_empty_one_is_emptied(shell, filled):
    shell.cell("%connections set lake --host c.example.com")
    assert SECRET in text_of(filled)
    view = shell.cell("%connections set lake --port ''")
    assert "conn_port" not in text_of(filled)
    assert SECRET not in repr(view)
    shell.cell('%connections set lake --extra \'{"sslmode": "require"}\'')
    assert shell.cell("%connections lake").df.loc[0, "extra"] == '{"sslmode": "require"}'
    shell.cell("%connections set crm --uri 'mysql://ana@d.example.com:3306/shop'")
    row = shell.cell("%connections crm").df.loc[0]
    assert row[["conn_type", "host", "port", "schema", "login"]].tolist() == [
        "mysql",
        "d.example.com",
        3306,
        "shop",
        "ana",
    ]


def test_a_dry_run_writes_nothing(shell, filled, engine):
    engine.running = True
    before = text_of(filled)
    for line in ("connections set lake --host x", "variables remove colour", "pools set new --slots 1"):
        assert "nothing was written" in repr(shell.cell(f"%{line} --dry-run"))
    assert "nothing was written" in repr(shell.cell("%variables set a b --to airflow --dry-run"))
    assert text_of(filled) == before
    assert engine.stored == {}


def test_a_running_airflow_has_it_at_once(shell, filled, engine):
    engine.running = True
    assert "In the running Airflow: variable colour created" in repr(shell.cell("%variables set colour red"))
    assert engine.stored["variable/colour"].values["value"] == "red"
    assert "variable colour removed" in repr(shell.cell("%variables remove colour"))
    assert engine.stored == {}


def test_what_airflow_refuses_is_told_and_is_an_error(shell, filled, engine, capsys):
    engine.running = True
    engine.refused = {"pool/heavy": "slots are too many"}
    with pytest.raises(errors.AirflowError, match="Airflow did not take the pool heavy: slots are too many"):
        shell.cell("%pools set heavy --slots 5")
    assert "pool_slot: 5" in text_of(filled)
    assert "heavy failed" in capsys.readouterr().out


def test_only_the_running_airflow_has_it(shell, filled, engine):
    with pytest.raises(errors.NotRunningError):
        shell.cell("%variables set there yes --to airflow")
    engine.running = True
    before = text_of(filled)
    assert "%astro_objects export" in repr(shell.cell("%variables set there yes --to airflow"))
    assert text_of(filled) == before
    assert shell.cell("%variables there").rows[0].state == "only in Airflow"
    shell.cell("%variables remove there")
    assert "variable/there" not in engine.stored


def test_what_stands_in_env_wins_and_that_is_said(shell, filled):
    shell.cell("%variables set colour green --to env")
    assert "AIRFLOW_VAR_COLOUR=green" in text_of(filled, ".env")
    noted = shell.cell("%variables set colour red --to settings")
    assert ".env:1 has colour as well, and wins." in repr(noted)
    row = shell.cell("%variables colour").df.loc[0]
    assert (row["value"], row["wins"]) == ("green", ".env:1")
    assert row["defined_in"].startswith(".env:1, airflow_settings.yaml:")
    assert "wins over airflow_settings.yaml" in repr(shell.cell("%variables colour"))
    # Without --to, what counts is edited.
    shell.cell("%variables set colour black")
    assert "AIRFLOW_VAR_COLOUR=black" in text_of(filled, ".env")
    shell.cell("%variables remove colour")
    assert text_of(filled, ".env").strip() == ""
    assert shell.cell("%variables colour").df.loc[0, "value"] == "red"


def test_a_connection_in_env_is_a_uri_and_keeps_its_password_out_of_sight(shell, filled):
    view = shell.cell("%connections add mail --type smtp --host m --login ana --password-from-env PLANTED --to env")
    assert f"AIRFLOW_CONN_MAIL=smtp://ana:{SECRET}@m" in text_of(filled, ".env")
    assert SECRET not in repr(view) + repr(shell.cell("%connections mail"))
    with pytest.raises(errors.InvalidContentError, match="has no type"):
        shell.cell("%connections add other --host x --to env")
    with pytest.raises(errors.InvalidContentError, match="cannot stand in an environment file"):
        shell.cell("%pools set heavy --slots 2 --to env")
    with pytest.raises(errors.InvalidContentError, match="has no description"):
        shell.cell("%variables set a b --description c --to env")


def test_what_differs_from_airflow(shell, filled, engine):
    engine.running = True
    engine.stored = {
        "variable/colour": AirflowObject("variable", "colour", {"value": "red", "description": "of the shop"}),
        "variable/deploy_key": AirflowObject("variable", "deploy_key", {"value": SECRET, "description": None}),
        "variable/there": AirflowObject("variable", "there", {"value": "1", "description": None}),
    }
    listed = shell.cell("%variables --differing")
    assert [(row.name, row.state, row.differing) for row in listed] == [
        ("colour", "differs", ("value",)),
        ("there", "only in Airflow", ()),
    ]
    assert repr(listed).startswith("2 of 3 variables · files and Airflow differ on 2\n")
    view = shell.cell("%astro_objects diff")
    assert "differ on" in repr(view)
    assert SECRET not in repr(view) + view._repr_mimebundle_()["text/html"]
    imported = shell.cell("%astro_objects import")
    assert engine.stored["variable/colour"].values["value"] == "blue"
    assert SECRET not in repr(imported)


def test_a_password_is_asked_for_or_kept_in_the_keyring(shell, filled, asked, monkeypatch, tmp_path):
    backend = PlaintextKeyring()
    backend.file_path = str(tmp_path / "keyring.cfg")
    monkeypatch.setattr(keyring.core, "_keyring_backend", backend)
    shell.cell("%connections set crm --password-prompt")
    assert "conn_password: planted-asked" in text_of(filled)
    shell.cell("%connections set crm --password-keyring crm-entry")
    assert "conn_password: keyring:crm-entry" in text_of(filled)
    shell.cell("%variables set api_token --value-keyring crm-entry")
    assert asked == ["password of crm: ", "password of crm: "]
    assert backend.get_password("astro-magic", "crm-entry") == "planted-asked"
    shown = repr(shell.cell("%connections")) + repr(shell.cell("%variables"))
    assert "planted" not in shown


def test_a_value_from_a_file(shell, filled, tmp_path):
    (tmp_path / "value.json").write_text('{"a": [1]}')
    shell.cell(f"%variables set doc --file {tmp_path}/value.json --json")
    assert shell.cell("%variables doc").df.loc[0, "value"] == '{"a": [1]}'


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("connections add", "name the connection"),
        ("connections remove", "name at least one"),
        ("connections test", "name one connection"),
        ("connections test crm lake", "name one connection"),
        ("connections set crm", "say what of it is to be set"),
        ("connections set crm planted", "stand options alone"),
        ("connections set crm --port planted", "--port: write a whole number"),
        ("connections set crm --uri postgres://a:planted@h/d", "use --uri-from-env"),
        ("connections set crm --uri x://h --uri-from-env PLANTED", "exclude each other"),
        ("connections set crm --password planted", "unrecognized arguments: --password"),
        ("connections set crm --password-from-env NOTHING", "no environment variable NOTHING"),
        ("connections set crm --password-from-env PLANTED --password-prompt", "exclude each other"),
        ("connections list --host x", "none of the options"),
        ("connections remove crm --host x", "none of the options"),
        ("connections planted crm", "No action stands there"),
        ("connections crm --dry-run", "No action stands there"),
        ("connections list --to env", "No action stands there"),
        ("connections --sort planted_", "There is no column"),
        ("connections set crm --to nowhere --host x", "invalid choice"),
        ("variables set colour", "say what of it is to be set"),
        ("variables set colour planted --json", "The value is no JSON"),
        ("variables set colour planted --value-from-env PLANTED", "Give one value"),
        ("variables set colour --file nothing.txt", "cannot be read"),
        ("variables --json", "none of the options"),
        ("variables test colour", "No action stands there"),
        ("pools set heavy 5", "is no option"),
        ("pools set heavy --slots many", "--slots: write a whole number"),
        ("pools set heavy --include-deferred maybe", "invalid choice"),
        ("astro_objects", "required|needs"),
        ("astro_objects diff --prune", "--prune is for import"),
        ("astro_objects import --to env", "--to is for export"),
        ("astro_objects diff --dry-run", "--dry-run is for export"),
        ("astro_objects import pools", "Kinds are for export"),
        ("astro_objects export planted", "expected"),
    ],
)
def test_what_is_wrong_in_a_line_is_told_without_what_may_be_secret(shell, filled, line, told):
    before = text_of(filled)
    magic, _, rest = line.partition(" ")
    with pytest.raises(UsageError, match=told) as raised:
        shell.run_line_magic(magic, rest)
    assert "planted" not in str(raised.value).replace("planted_", "")
    assert text_of(filled) == before


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("connections add crm --host x", "is there already"),
        ("connections remove krm", r"Did you mean crm\?"),
        ("connections remove crm --to env", r"\.env has no connection 'crm'"),
        ("variables remove colours", r"Did you mean colour\?"),
        ("pools remove other", "There are: heavy"),
        ("connections set crm --extra planted", "conn_extra"),
        ("connections set 'a b' --type http", "id of a connection"),
        ("connections set crm --uri-from-env PLANTED", "The variable PLANTED"),
    ],
)
def test_what_cannot_be_is_an_error_that_changes_nothing(shell, filled, line, told):
    before = text_of(filled)
    with pytest.raises(errors.InvalidContentError, match=told) as raised:
        shell.cell(f"%{line}")
    assert SECRET not in str(raised.value)
    assert text_of(filled) == before


def test_the_test_of_a_connection_is_given_what_the_file_says(shell, filled, engine, capsys):
    engine.answer = {
        "outcome": "passed",
        "message": "b.example.com:80 takes connections.",
        "how": "tcp",
        "source": "values",
    }
    view = shell.cell("%connections test lake")
    assert repr(view).startswith("lake · ")
    assert "host and port only" in repr(view)
    assert engine.requests[-1]["values"]["password"] == SECRET
    engine.answer = {
        "outcome": "failed",
        "message": f"no login at http://a:{SECRET}@h",
        "how": "provider",
        "source": "values",
    }
    with pytest.raises(errors.AirflowError, match="The test of lake did not pass"):
        shell.cell("%connections test lake")
    said = capsys.readouterr().out
    assert "no login at" in said
    assert SECRET not in said
    with pytest.raises(errors.AirflowError):
        shell.cell("%connections test nowhere")
    assert engine.requests[-1]["name"] == "nowhere"


def test_an_export_brings_what_is_only_in_airflow_into_the_file(shell, filled, engine):
    engine.running = True
    engine.answer = {
        "objects": [{"kind": "variable", "name": "new_secret", "values": {"value": SECRET}, "problems": []}],
    }
    view = shell.cell("%astro_objects export variables --dry-run")
    assert "1 object written" in repr(view)
    assert "Dry run" in repr(view)
    assert SECRET not in repr(view)
    assert "new_secret" not in text_of(filled)
    shell.cell("%astro_objects export variables")
    assert "variable_name: new_secret" in text_of(filled)
    assert engine.requests[-1]["kinds"] == ["variable"]


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("%connections ", ["list", "add", "set", "remove", "test"]),
        ("%astro_variables ", ["list", "add", "set", "remove"]),
        ("%pools re", ["remove"]),
        ("%connections test ", ["crm", "lake", "there"]),
        ("%connections set l", ["lake"]),
        ("%connections remove lake ", ["crm", "there"]),
        ("%connections set lake ", []),
        ("%connections add ", []),
        ("%variables remove ", ["colour", "deploy_key"]),
        ("%pools set ", ["heavy"]),
        ("%connections --to ", ["settings", "env", "airflow"]),
        ("%connections set crm --password-f", ["--password-from-env"]),
        ("%connections set crm --password-from-env PLAN", ["PLANTED"]),
        ("%connections --sort po", ["port"]),
        ("%variables --sort va", ["variable", "value"]),
        ("%pools set heavy --include-deferred ", ["yes", "no"]),
        ("%astro_objects ", ["diff", "import", "export"]),
        ("%astro_objects export ", ["connections", "variables", "pools"]),
        ("%astro_objects export pools v", ["variables"]),
        ("%astro_objects import ", []),
        ("%astro_objects export --to ", ["settings", "env"]),
    ],
)
def test_completion_of_actions_ids_and_options(shell, filled, engine, text, offered):
    engine.running = True
    engine.stored = {"connection/there": AirflowObject("connection", "there", {"conn_type": "http"})}
    ours = shell.Completer.custom_matchers[-1]
    context = CompletionContext(token="", full_text=text, cursor_position=len(text), cursor_line=0, limit=None)
    assert sorted(item.text for item in ours(context)["completions"]) == sorted(offered)


def test_ids_are_offered_where_airflow_does_not_run(shell, filled, engine):
    ours = shell.Completer.custom_matchers[-1]
    context = CompletionContext(token="", full_text="%connections test ", cursor_position=18, cursor_line=0, limit=None)
    assert [item.text for item in ours(context)["completions"]] == ["crm", "lake"]
