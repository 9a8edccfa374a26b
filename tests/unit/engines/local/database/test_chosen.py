"""The address of a database on a server: read, kept, told without its password."""

from __future__ import annotations

import json
import stat

import pytest
from IPython.core.error import UsageError

from astro_magic.engines.local import settings
from astro_magic.engines.local.database.chosen import Server, choose, chosen_server, with_drivers
from astro_magic.engines.local.database.metadata import MetadataDatabase
from astro_magic.engines.options import DatabaseOptions
from astro_magic.errors import DatabaseError, EngineError
from astro_magic.magics.arguments import Arguments
from astro_magic.magics.metadata_database import database_options

SECRET = "s3cr$HOME%t/word"
URL = "postgresql://ana:s3cr%24HOME%25t%2Fword@db.example.com:5433/shop?sslmode=require&connect_timeout=3"


def choose_by(house, options: DatabaseOptions, *, failing: bool = False) -> None:
    """Choose, as a start does."""
    with MetadataDatabase(house.project).choosing(options):
        if failing:
            raise DatabaseError("It is damaged.")


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("shop", "has no scheme"),
        ("ana:s3cret@db.example.com/shop", "has no scheme"),
        ("mysql://ana:s3cret@db/shop", "SQLite or PostgreSQL, not on mysql"),
        ("post gres://ana:s3cret@db/shop", "SQLite or PostgreSQL, not on this one"),
        ("sqlite:////tmp/x.db", "SQLite or PostgreSQL, not on sqlite"),
        ("postgresql+asyncpg://db/shop", "not on postgresql"),
        ("postgresql://ana:s3cret@db:port/shop", "cannot be read"),
        ("postgresql://ana:s3cret@[db/shop", "cannot be read"),
        ("postgresql://ana:s3cret@/shop", "names no host"),
        ("postgresql://ana:s3cret@db", "names no database"),
        ("postgresql://ana@db/shop?password=s3cret", "not before the @"),
    ],
)
def test_an_address_that_is_none_is_told_without_itself(house, address, why):
    with pytest.raises(EngineError) as refused:
        choose_by(house, DatabaseOptions(url=address))
    assert why in refused.value.message
    assert "s3cret" not in str(refused.value)
    assert "postgresql://USER:PASSWORD@HOST:PORT/NAME" in refused.value.hint
    assert chosen_server(house.project) is None


def test_airflow_gets_an_address_for_each_of_its_drivers():
    """Nothing in it is a variable to Airflow, which replaces those, and each driver gets the options that it knows."""
    server = Server.parse(URL)
    assert server.variables == {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": URL.replace("postgresql:", "postgresql+psycopg2:"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": (
            "postgresql+asyncpg://ana:s3cr%24HOME%25t%2Fword@db.example.com:5433/shop?ssl=require"
        ),
    }
    assert Server.parse(URL.replace("postgresql", "postgres")) == server
    assert (server.user, server.name, server.place) == ("ana", "shop", "db.example.com:5433")
    assert SECRET in server.secrets
    assert SECRET not in server.shown
    assert "s3cr" not in server.shown + repr(server) + repr(DatabaseOptions(url=URL))


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("postgresql://[::1]:5432/shop", "::1:5432"),
        ("postgresql:///shop?host=/run/postgresql", "/run/postgresql"),
        ("postgresql://db/shop", "db"),
    ],
)
def test_addresses_without_a_login(address, place):
    server = Server.parse(address)
    assert server.place == place
    assert server.secrets == ()
    assert Server.parse(server.url) == server


def test_the_choice_is_kept_for_its_owner_alone(house):
    project = house.project
    choose_by(house, DatabaseOptions(url=URL))
    kept = project.state_dir / "database.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert chosen_server(project) == Server.parse(URL)
    database = MetadataDatabase(project)
    assert database.file is None
    assert SECRET in database.secrets
    assert all("s3cr" not in note and "db.example.com" in note for note in database.notes)
    variables = settings.airflow_environment(project, "3.3.2", port=8080)
    assert variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].startswith("postgresql+psycopg2://")

    # With nothing said it stays, and what fails changes nothing.
    with MetadataDatabase(project).choosing(None):
        assert chosen_server(project) == Server.parse(URL)
    with pytest.raises(DatabaseError):
        choose_by(house, DatabaseOptions(url="sqlite"), failing=True)
    assert chosen_server(project) == Server.parse(URL)
    with pytest.raises(EngineError, match="Only the SQLite file"):
        choose_by(house, DatabaseOptions(file="new"))

    choose_by(house, DatabaseOptions(url="sqlite"))
    assert not kept.exists()
    assert MetadataDatabase(project).file == house.file


def test_a_choice_that_cannot_be_read_is_told_and_made_again(house):
    (house.project.state_dir / "database.json").write_text("half of")
    with pytest.raises(DatabaseError, match=r"(?s)database\.json does not tell .* --database"):
        chosen_server(house.project)
    choose_by(house, DatabaseOptions(url="sqlite"))
    assert chosen_server(house.project) is None


def test_what_runs_keeps_its_database(house):
    choose(house.project, Server.parse(URL))
    database = MetadataDatabase(house.project)
    for same in (None, DatabaseOptions(), DatabaseOptions(url=URL)):
        database.require_unchanged(same)
    for other in (DatabaseOptions(url="sqlite"), DatabaseOptions(url=f"{URL}2"), DatabaseOptions(file="new")):
        with pytest.raises(EngineError, match="%astro_stop"):
            database.require_unchanged(other)


@pytest.mark.parametrize(
    ("asked", "added"),
    [
        ("", ["psycopg2-binary", "asyncpg"]),
        ("asyncpg==0.30.0", ["psycopg2-binary"]),
        ("psycopg2==2.9.10", ["asyncpg"]),
        ("psycopg2_binary>=2.9\nasyncpg\n", []),
    ],
)
def test_the_drivers_are_added_to_the_requirements(house, asked, added):
    (house.project.root / "requirements.txt").write_text(asked)
    assert with_drivers(house.project, asked) == asked
    choose(house.project, Server.parse(URL))
    assert with_drivers(house.project, asked).split() == [*asked.split(), *added]


def arguments(**given: object) -> Arguments:
    """Give the arguments of %astro_start."""
    usual = {"database": "", "database_from_env": "", "restore_database": False, "new_database": False}
    return Arguments(**{**usual, **given})


def test_the_options_of_the_magic(monkeypatch):
    monkeypatch.setenv("SHOP_DATABASE", URL)
    assert database_options(arguments()) is None
    assert database_options(arguments(database_from_env="SHOP_DATABASE")) == DatabaseOptions(url=URL)
    assert database_options(arguments(database="postgresql://ana@db/shop")).url == "postgresql://ana@db/shop"
    assert database_options(arguments(restore_database=True)) == DatabaseOptions(file="restore")
    assert database_options(arguments(database="sqlite", new_database=True)) == DatabaseOptions("sqlite", "new")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"database": URL}, "would stay in the notebook: use --database-from-env"),
        ({"database": "postgresql://ana@db/shop?password=s3cret"}, "would stay in the notebook"),
        ({"database": "sqlite", "database_from_env": "X"}, "exclude each other"),
        ({"restore_database": True, "new_database": True}, "exclude each other"),
        ({"database_from_env": "NO_SUCH_VARIABLE"}, "no environment variable NO_SUCH_VARIABLE"),
    ],
)
def test_options_that_do_not_go(given, why):
    with pytest.raises(UsageError, match=why) as refused:
        database_options(arguments(**given))
    assert "s3cr" not in str(refused.value)


def test_the_file_of_the_choice_holds_no_more_than_the_address(house):
    choose(house.project, Server.parse(URL))
    assert json.loads((house.project.state_dir / "database.json").read_text()) == {"url": URL}
