"""1,000 connections, 1,000 variables and 100 pools into a running Airflow, beside one request for each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx

from astro_magic.airflow.objects import read_objects, remove_objects
from astro_magic.airflow.writing import RESOURCES
from astro_magic.environment import Environment
from astro_magic.objects.table import ObjectsTable, join
from astro_magic.project.settings.objects import KINDS
from astro_magic.views import ObjectsView
from benchmarks._measure import Row, alternate, show, timed
from benchmarks._project import measured_project

_ROUNDS = 3
_MANY = 1_000
_POOLS = 100


def main() -> None:
    """Measure and print."""
    with measured_project() as environment:
        ours, single = alternate(
            _ROUNDS, lambda: _from_nothing(environment, _ours), lambda: _from_nothing(environment, _one_by_one)
        )
        _ours(environment)
        same, again = alternate(
            _ROUNDS,
            lambda: timed(lambda: _ours(environment)),
            lambda: timed(lambda: _one_by_one(environment)),
        )
        answered, asked = alternate(_ROUNDS, lambda: _table(environment), lambda: timed(lambda: _read(environment)))
    count = f"{2 * _MANY + _POOLS:,} objects"
    show(
        [
            Row(f"import of {count}", ours, single, "s", "0.1"),
            Row("import when nothing differs", same, again, "s", "under 1 s"),
            Row(f"table of {_MANY:,} connections", answered, asked, "s", "under 0.3 s"),
        ]
    )
    print("\nimport: into an Airflow that was just started and has none of them")
    print("otherwise: a request for each object, over one connection; for the table: the API's answer itself")
    print("table: from the API's answer to the HTML and the text")


def _settings() -> str:
    return "".join(_lines())


def _lines() -> Iterator[str]:
    yield "airflow:\n  connections:\n"
    for number in range(_MANY):
        yield (
            f"    - conn_id: warehouse_{number}\n      conn_type: postgres\n      conn_host: db{number}.example.org\n"
            f"      conn_schema: shop\n      conn_login: ana\n      conn_password: secret-{number}\n"
            f'      conn_port: 5432\n      conn_extra: \'{{"sslmode": "require", "number": {number}}}\'\n'
        )
    yield "  pools:\n"
    for number in range(_POOLS):
        yield f"    - pool_name: pool_{number}\n      pool_slot: 3\n      pool_description: for many\n"
    yield "  variables:\n"
    for number in range(_MANY):
        yield f"    - variable_name: region_{number}\n      variable_value: 'value {number}'\n"


def _ours(environment: Environment) -> None:
    result = environment.objects.import_settings()
    assert result is not None
    assert result.complete


def _one_by_one(environment: Environment) -> None:
    """Send each object by itself, and again as a change where it is there: what the Astro CLI does."""
    access = environment.engine.api()
    login = {"username": access.username, "password": access.password}
    with httpx.Client(base_url=access.base_url, timeout=30, trust_env=False) as http:
        token = http.post("/auth/token", json=login).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        for item in environment.project.settings.objects().objects:
            resource = RESOURCES[item.kind]
            # The API asks for it when a pool is changed.
            deferred = {"include_deferred": False} if item.kind == "pool" else {}
            body = {resource.id: item.name, **deferred, **item.values}
            answer = http.post(f"/api/v2{resource.path}", json=body)
            if answer.status_code == httpx.codes.CONFLICT:
                answer = http.patch(f"/api/v2{resource.path}/{item.name}", json=body)
            assert answer.is_success, answer.text


def _from_nothing(environment: Environment, work: Callable[[Environment], None]) -> float:
    """Measure on an Airflow that was just started: later, it knows the secrets, and hides them without preparing it."""
    settings = environment.project.settings.path
    settings.unlink(missing_ok=True)
    environment.start()
    with environment.engine.api().client() as client:
        for kind in KINDS:
            names = [item.name for item in read_objects(client, [kind]) if item.name != "default_pool"]
            remove_objects(client, kind, names)
    environment.stop()
    environment.start()
    settings.write_text(_settings(), encoding="utf-8")
    return timed(lambda: work(environment))


def _read(environment: Environment) -> None:
    with environment.engine.api().client() as client:
        read_objects(client, ["connection"])


def _table(environment: Environment) -> float:
    with environment.engine.api().client() as client:
        answered = read_objects(client, ["connection"])

    def rest() -> None:
        settings = environment.project.settings.objects()
        rows = join("connection", settings=settings.objects, environment=(), database=answered)
        view = ObjectsView(ObjectsTable("connection", rows, running=True))
        assert len(view) == _MANY
        view._repr_mimebundle_()

    return timed(rest)


if __name__ == "__main__":
    main()
