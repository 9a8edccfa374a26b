"""What a real environment has, and why; no Airflow is started."""

from __future__ import annotations

from astro_magic.environment import Environment
from tests.engine.conftest import REQUIREMENT


def test_what_is_installed_and_why(environment: Environment) -> None:
    found = environment.dependencies()
    origins = {package.key: package.origin for package in found.packages}
    first = found.packages[0]
    assert (first.name, first.requested, first.file, first.line) == ("humanize", REQUIREMENT, "requirements.txt", 2)
    assert first.imported_by == ("dags/orders.py",)
    assert origins["apache-airflow"] == "Dockerfile"
    assert origins["apache-airflow-core"] == origins["pyyaml"] == "dependency of apache-airflow"
    assert set(origins.values()) == {"requirements.txt", "Dockerfile", "environment", "dependency of apache-airflow"}
    assert {package.key for package in found.packages if package.imported_by} == {
        "apache-airflow-task-sdk",
        "humanize",
        "pendulum",
    }
    assert not found.has_image
    assert found.missing == ()
    assert environment.packages() == environment.engine.installation().packages


def test_the_way_to_a_package(environment: Environment) -> None:
    tree = environment.dependencies().tree("alembic")
    ways = [[link.name for link in way.links] for way in tree.ways]
    assert ["apache-airflow", "apache-airflow-core", "alembic"] in ways
    assert "SQLAlchemy" in {need.name for need in tree.needs if need.version}
    assert environment.dependencies().tree("humanize").ways[0].reason == "requirements.txt:2"


def test_what_is_newer(environment: Environment) -> None:
    events: list[object] = []
    found = environment.dependencies(newest="humanize", listener=events.append)
    assert [package.name for package in found.packages if package.outdated] == ["humanize"]
    assert len(events) == 2
