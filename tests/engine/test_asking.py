"""What a real Airflow 3 tells of connections, variables and pools, while none of its components runs."""

from __future__ import annotations

import json
import logging
import socket
import textwrap
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from astro_magic.environment import open_environment
from astro_magic.errors import EngineError
from astro_magic.objects.asking import connection_types, look_up, read_database, try_connection
from astro_magic.system.events import Event, Step, run
from tests.engine.conftest import copy_of

pytestmark = pytest.mark.airflow

SECRET = "sesame/open+4711 ü"
TOKEN = "sesame-token-4711"
LOCAL = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
STORED = {
    "conn_type": "shopdb",
    "host": "db.invalid",
    "schema": "public",
    "login": "me",
    "password": SECRET,
    "port": 5432,
    "extra": '{"token":  "sesame-token-4711"}',
    "description": "the warehouse",
}

#: Writes rows as Airflow does; some with another key.
STORE = """
def main(request, emit):
    from airflow.models import Connection, Pool, Variable
    from airflow.utils.session import create_session
    from cryptography.fernet import Fernet

    other = Fernet(Fernet.generate_key())
    with create_session() as session:
        for name, values in request["connections"].items():
            session.add(Connection(conn_id=name, **values))
        for name, value in request["variables"].items():
            session.add(Variable(key=name, val=value, description="kept"))
        session.add(Pool(pool="p ü", slots=-1, include_deferred=True, description=None))
        foreign = Connection(conn_id="foreign", conn_type="http", host="h", extra='{"a": "b"}')
        foreign._password, foreign.is_encrypted = other.encrypt(b"x").decode(), True
        session.add(foreign)
        lost = Variable(key="lost", val="")
        lost._val, lost.is_encrypted = other.encrypt(b"x").decode(), True
        session.add(lost)
    return {}
"""

#: A provider whose hook says all that it knows, wherever it can.
PROVIDER = """
import logging
import os
import time
import urllib.parse

from airflow.sdk import BaseHook


def get_provider_info():
    return {
        "package-name": "shopdb",
        "name": "Shop",
        "description": "",
        "connection-types": [{"hook-class-name": "shopdb.Hook", "connection-type": "shopdb"}],
    }


class Hook(BaseHook):
    conn_name_attr = "shop_conn_id"
    default_conn_name = "shop_default"
    conn_type = "shopdb"
    hook_name = "Shop"

    def __init__(self, shop_conn_id):
        super().__init__()
        self.name = shop_conn_id

    def test_connection(self):
        told = self.get_connection(self.name)
        if told.host == "slow":
            time.sleep(60)
        if told.password is None:
            return True, f"reached {told.host} and {self.get_connection('second').host}"
        words = [told.password, urllib.parse.quote_plus(told.password), *told.extra_dejson.values()]
        for word in words:
            print(word)
            logging.getLogger("airflow.task").error(word)
            os.system(f"echo '{word}' >&2")
        assert not any(word in value for value in os.environ.values() for word in words)
        url = f"shop://{told.login}:{urllib.parse.quote(told.password, safe='')}@{told.host}"
        raise ValueError("\\n".join([f"no shop at {url}, nor at http://any:body-4711@else", *words]))
"""

#: What a worker has besides.
BACKEND = """
import time

from airflow.secrets import BaseSecretsBackend


class Vault(BaseSecretsBackend):
    def get_conn_value(self, conn_id):
        if conn_id == "of_vault":
            return "http://vault.invalid"
        if conn_id == "slow":
            time.sleep(60)
        if conn_id == "no_connection":
            return "{"
        if conn_id == "stored":
            raise PermissionError("sesame-token-4711 is not allowed")
        return None

    def get_variable(self, key):
        return None
"""


@pytest.fixture(scope="module")
def engine(prepared, tmp_path_factory):
    """Give the engine of a project with objects in each place that Airflow looks into."""
    project = copy_of(prepared, tmp_path_factory.mktemp("asking") / "shop")
    files = {
        "connections": {"in_file": f"http://me:{TOKEN}@file.invalid", "both": "ftp://file.invalid"},
        "variables": {"in_file": {"key": TOKEN}},
    }
    for name, content in files.items():
        (project.root / "include" / f"{name}.json").write_text(json.dumps(content))
    paths = {f"{name}_file_path": str(project.root / "include" / f"{name}.json") for name in files}
    plugins = project.root / "plugins"
    (plugins / "shopdb.py").write_text(PROVIDER)
    (plugins / "shop_vault.py").write_text(BACKEND)
    about = plugins / "shopdb-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shopdb\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[apache_airflow_provider]\nprovider_info = shopdb:get_provider_info\n")
    variables = {
        "AIRFLOW__SECRETS__BACKEND": LOCAL,
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps(paths),
        "AIRFLOW__WORKERS__SECRETS_BACKEND": "shop_vault.Vault",
        "AIRFLOW_CONN_BOTH": "ssh://environment.invalid",
        "AIRFLOW_CONN_BROKEN": "{",
        "AIRFLOW_CONN_STORED_TOO": "ssh://environment.invalid:1",
    }
    project.apply(project.dotenv.plan_set(variables))
    environment = open_environment(project, engine="local")
    script = tmp_path_factory.mktemp("script") / "store.py"
    script.write_text(STORE)
    request = {
        "connections": {"stored": STORED, "stored_too": STORED, "second": {"conn_type": "http", "host": "second"}}
        | {f"many_{index}": {**STORED, "host": f"host{index}"} for index in range(1000)},
        "variables": {"json": '{"k": 1.10}', "empty": "", "greeting": "stored"},
    }
    run(environment.engine.call(script, request, stage="core", event=lambda _: Step("store", "store")))
    yield environment.engine
    environment.stop()


@pytest.fixture
def ask(caplog):
    """Drive an operation; no secret may be in its events, what is logged, or what a result looks like."""
    events: list[Event] = []

    def drive(operation):
        result = run(operation, events.append)
        assert_no_secret(repr(events) + repr(result) + str(result))
        return result

    caplog.set_level(logging.DEBUG)
    yield drive
    assert_no_secret(caplog.text)


def assert_no_secret(text):
    for secret in (SECRET, TOKEN, "sesame%2F", "sesame/open", "body-4711"):
        assert secret not in text


@pytest.fixture
def listening():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed():
    """Give a port that nobody else gets, and that nobody listens on."""
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        yield server.getsockname()[1]


def test_everything_stored_is_read_as_it_is(engine, ask):
    read = ask(read_database(engine))
    by_key = {item.key: item.values for item in read.objects}
    assert by_key["connection/stored"] == {**STORED, "team_name": None}
    assert by_key["connection/many_999"]["host"] == "host999"
    assert by_key["variable/json"] == {"value": '{"k": 1.10}', "description": "kept", "team_name": None}
    assert by_key["variable/empty"]["value"] == ""
    pool = {"slots": -1, "include_deferred": True, "description": None, "team_name": None}
    assert by_key["pool/p ü"] == pool
    assert "pool/default_pool" in by_key
    assert len([key for key in by_key if key.startswith("connection/")]) == 1004

    # What was stored with another key is told of, and the rest of it is there.
    assert set(read.problems) == {"connection/foreign", "variable/lost"}
    assert read.problems["variable/lost"] == ("The value cannot be decrypted: it was stored with another Fernet key.",)
    foreign = by_key["connection/foreign"]
    assert "password" not in foreign
    assert (foreign["host"], foreign["extra"]) == ("h", '{"a": "b"}')

    only = ask(read_database(engine, ["pool"]))
    assert {item.kind for item in only.objects} == {"pool"}


def test_where_connections_come_from(engine, ask):
    names = ["stored", "stored_too", "both", "of_vault", "no_connection", "broken", "nowhere", "many_1"]
    found = ask(look_up(engine, "connection", names))
    assert found.problems == ()
    assert {name: origin.source for name, origin in found.by_name.items()} == {
        "stored": "database",
        "stored_too": "environment",
        "both": "environment",
        "of_vault": "shop_vault.Vault",
        "no_connection": "",
        "broken": "",
        "nowhere": "",
        "many_1": "database",
        # Nobody asked for it.
        "in_file": LOCAL,
    }
    in_file = found.by_name["in_file"].values
    assert (in_file["conn_type"], in_file["login"], in_file["password"]) == ("http", "me", TOKEN)
    assert found.by_name["of_vault"].values["host"] == "vault.invalid"
    assert found.by_name["both"].values is None
    assert found.by_name["stored"].problems == ("shop_vault.Vault failed: PermissionError.",)
    assert found.by_name["broken"].problems == ("Its environment variable is no connection: JSONDecodeError.",)
    assert found.by_name["no_connection"].problems == ("shop_vault.Vault failed: JSONDecodeError.",)


def test_where_variables_and_pools_come_from(engine, ask):
    variables = ask(look_up(engine, "variable", ["greeting", "json", "nowhere"]))
    sources = {name: origin.source for name, origin in variables.by_name.items()}
    assert sources == {"greeting": "environment", "json": "database", "nowhere": "", "in_file": LOCAL}
    assert json.loads(variables.by_name["in_file"].values["value"]) == {"key": TOKEN}
    pools = ask(look_up(engine, "pool", ["default_pool", "nowhere"]))
    assert {name: origin.source for name, origin in pools.by_name.items()} == {
        "default_pool": "database",
        "nowhere": "",
    }


def test_a_broken_file_is_told_and_the_rest_goes_on(engine, ask):
    file = Path(engine.project.root / "include" / "connections.json")
    whole = file.read_text()
    file.write_text(f'{{\n"a": "{TOKEN}')
    try:
        found = ask(look_up(engine, "connection", ["stored"]))
    finally:
        file.write_text(whole)
    (problem,) = found.problems
    assert problem.startswith(f"{LOCAL} cannot be read: AirflowFileParseException (line 2 of ")
    assert found.by_name["stored"].source == "database"


def test_a_provider_tests_what_is_given_and_what_is_stored(engine, ask):
    given = ask(try_connection(engine, values=STORED))
    assert (given.outcome, given.how, given.source) == ("failed", "provider", "values")
    assert given.message == textwrap.dedent("""\
        no shop at shop://••••••@db.invalid, nor at http://••••••@else
        ••••••
        ••••••
        ••••••""")
    stored = ask(try_connection(engine, name="stored"))
    assert (stored.outcome, stored.how, stored.source) == ("failed", "provider", "database")
    assert stored.message == given.message
    # Its hook asks for a second connection.
    good = ask(try_connection(engine, values={"conn_type": "shopdb", "host": "first"}))
    assert (good.outcome, good.message) == ("passed", "reached first and second")
    assert all("astro_magic_test" not in item.name for item in ask(read_database(engine, ["connection"])).objects)
    logs = list((engine.project.state_dir / "logs").glob("*.log"))
    assert logs
    assert_no_secret("".join(path.read_text(errors="replace") for path in logs))


def test_what_takes_too_long_is_given_up(engine, ask):
    slow = ask(try_connection(engine, values={"conn_type": "shopdb", "host": "slow"}, timeout=0.5))
    assert (slow.outcome, slow.how) == ("failed", "provider")
    assert slow.message == "The test of the provider was given up after 0.5 s without an answer."
    unheard = ask(try_connection(engine, name="slow", timeout=0.5))
    assert (unheard.outcome, "given up after 0.5 s" in unheard.message) == ("unknown", True)
    # The others are to be found in that time, on a busy machine too.
    found = ask(look_up(engine, "connection", ["of_vault", "slow", "many_1"], timeout=5)).by_name
    assert {name: found[name].source for name in ("of_vault", "slow", "many_1")} == {
        "of_vault": "shop_vault.Vault",
        "slow": "",
        "many_1": "database",
    }
    assert found["slow"].problems == ("shop_vault.Vault did not answer within 5 s.",)


def test_the_provider_for_files(engine, ask):
    extra = json.dumps({"path": str(engine.project.root)})
    assert ask(try_connection(engine, values={"conn_type": "fs", "extra": extra})).outcome == "passed"
    missing = ask(try_connection(engine, values={"conn_type": "fs", "extra": '{"path": "/nosuch"}'}))
    assert (missing.outcome, missing.how) == ("failed", "provider")
    assert "/nosuch" in missing.message


@pytest.mark.parametrize("host", ["127.0.0.1", "http://127.0.0.1/path", "redis://me:sesame%2F@127.0.0.1:{port}"])
def test_what_no_provider_tests_is_connected_to(engine, ask, listening, host):
    values = {"conn_type": "redis", "host": host.format(port=listening), "password": SECRET}
    if "{port}" not in host:
        values["port"] = listening
    found = ask(try_connection(engine, values=values))
    assert (found.outcome, found.how) == ("passed", "tcp")
    assert f"127.0.0.1:{listening} takes connections. The login was not tried" in found.message


def test_nobody_there(engine, ask, closed):
    refused = ask(try_connection(engine, values={"conn_type": "redis", "host": "127.0.0.1", "port": str(closed)}))
    assert (refused.outcome, refused.how) == ("failed", "tcp")
    assert refused.message == f"Nobody takes connections at 127.0.0.1:{closed}."
    unknown = ask(try_connection(engine, values={"conn_type": "redis", "host": "nobody.invalid"}))
    assert (unknown.outcome, unknown.how) == ("failed", "tcp")
    assert unknown.message == "The host nobody.invalid is not known where Airflow runs."
    by_name = ask(try_connection(engine, name="stored_too"))
    assert (by_name.outcome, by_name.source) == ("failed", "environment")
    # This type has a test, which would show the password to others.
    safe = {"conn_type": "package_index", "host": "https://nobody.invalid/simple", "login": "me", "password": SECRET}
    assert ask(try_connection(engine, values=safe)).how == "tcp"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"host": "h"}, "no connection type"),
        ({"conn_type": "redis"}, "no host"),
        ({"conn_type": "redis", "host": "/var/run/redis.sock"}, "no host"),
        ({"conn_type": "nobody_knows", "host": "h"}, "no port"),
        ({"conn_type": "redis", "host": "h:port"}, "no host"),
    ],
)
def test_nothing_to_test_it_with(engine, ask, values, why):
    found = ask(try_connection(engine, values={**values, "password": SECRET}))
    assert (found.outcome, found.how) == ("unknown", "")
    assert why in found.message


def test_names_that_cannot_be_tested(engine, ask):
    missing = ask(try_connection(engine, name="nowhere"))
    assert (missing.outcome, missing.source, missing.message) == ("unknown", "", "No connection nowhere was found.")
    assert ask(try_connection(engine, name="both")).source == "environment"
    assert ask(try_connection(engine, name="in_file")).source == LOCAL
    assert ask(try_connection(engine, name="of_vault")).source == "shop_vault.Vault"
    foreign = ask(try_connection(engine, name="foreign"))
    assert foreign.outcome == "unknown"
    assert "another Fernet key" in foreign.message
    with pytest.raises(ValueError, match="either"):
        run(try_connection(engine))


def test_types_of_connections(engine, ask):
    assert {"shopdb", "fs", "generic", "smtp"} <= set(ask(connection_types(engine)))


def test_a_failure_tells_no_value(engine):
    no_names: Any = [[SECRET]]
    with pytest.raises(EngineError, match="could not tell") as error:
        run(look_up(engine, "variable", no_names))
    assert "TypeError" in error.value.detail
    assert_no_secret(str(error.value))
