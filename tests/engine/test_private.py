"""Packages of private repositories and of a private index, in DAG runs on the local engine."""

from __future__ import annotations

import textwrap

import pytest

from astro_magic.environment import open_environment
from astro_magic.errors import AstroMagicError, InvalidContentError, NetworkError
from astro_magic.private.adding import check_private_index
from astro_magic.project.project import Project
from astro_magic.system.events import run
from tests.servers.using import PASSWORD_VARIABLE, USER_VARIABLE, add_index, add_repository, index_of, trust

pytestmark = pytest.mark.airflow

DAG = """
import pendulum
from airflow.sdk import dag, task


@dag(schedule=None, start_date=pendulum.datetime(2026, 1, 1))
def priced():
    @task
    def price():
        import {module}

        return {module}.__name__

    price()


priced()
"""


@pytest.fixture
def login(private_index, monkeypatch):
    """Let the variables have the login of the index."""
    monkeypatch.setenv(USER_VARIABLE, private_index.user)
    monkeypatch.setenv(PASSWORD_VARIABLE, private_index.password)


def check_dag(project: Project, module: str) -> None:
    """A DAG that imports a module runs."""
    (project.root / "dags" / "priced.py").write_text(textwrap.dedent(DAG).format(module=module))
    environment = open_environment(project, engine="local")
    environment.start()
    assert environment.trigger("priced", wait=True, timeout=90).state == "success"


def test_a_package_of_a_private_repository(project, git_server):
    add_repository(project, git_server, "shop-metrics", reference="v1.0.0", key=git_server.developer)

    check_dag(project, "shop_metrics")

    found = {each.name: each for each in open_environment(project, engine="local").packages()}
    assert found["shop-metrics"].version == "1.0.0"


def test_a_package_of_a_private_index(project, private_index, authority, login, monkeypatch):
    index = index_of(private_index)
    with pytest.raises(NetworkError, match="certificate"):
        run(check_private_index(project, index), lambda _: None)
    trust(project, authority)
    assert run(check_private_index(project, index), lambda _: None).on_both == ()
    add_index(project, private_index)
    project.requirements.add("shop-reports==2.0.0")

    check_dag(project, "shop_reports")

    found = {each.name: each for each in open_environment(project, engine="local").packages()}
    assert (found["shop-reports"].version, found["shop-pricing"].version) == ("2.0.0", "1.1.0")
    forms = {private_index.password.encode(), private_index.login_url.encode()}
    for path in project.root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            assert not any(form in content for form in forms), path
    monkeypatch.delenv(PASSWORD_VARIABLE)
    project.requirements.add("shop-pricing==1.0.0")
    with pytest.raises(InvalidContentError, match=f"{PASSWORD_VARIABLE}, which is not set"):
        open_environment(project, engine="local").prepare()


def test_a_login_that_is_refused(project, private_index, authority, login, monkeypatch):
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong-4711")
    trust(project, authority)
    with pytest.raises(NetworkError, match="login"):
        run(check_private_index(project, index_of(private_index)), lambda _: None)
    add_index(project, private_index)
    with pytest.raises(AstroMagicError) as error:
        open_environment(project, engine="local").check_requirements("shop-pricing==1.0.0\n")
    assert "wrong-4711" not in str(error.value)
