"""Run scripts where Airflow is imported: in containers that do nothing else, and on copies of a metadata database."""

from __future__ import annotations

import contextlib
import json
import secrets
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from astro_magic.dags.inside import parse, testrun
from astro_magic.engines.docker.calls.calls import call_script, end_warm
from astro_magic.engines.docker.calls.scratch import empty_database, scratch_database
from astro_magic.engines.docker.client.commands import run_command
from astro_magic.engines.docker.client.connection import Connection, connect
from astro_magic.errors import CommandFailedError, EngineError
from astro_magic.system.events import Event, Operation, Step, run
from tests.docker.images import AIRFLOW_2, AIRFLOW_3, DEBIAN, POSTGRES
from tests.docker.small import until

HOME = "/usr/local/airflow"
FERNET_KEY = "d6Vefz3G9U_ynXB3cr7y_Ak35tAHkEGAVxuz_B-jzWw="
IMPORTS = {"2": "airflow.decorators", "3": "airflow.sdk"}
DAG = """
import datetime

from {imports} import dag, task
from {models} import Variable


@dag(schedule="@daily", start_date=datetime.datetime(2026, 1, 1), catchup=False)
def orders():
    @task
    def extract():
        print("extracting")
        return list(range(812))

    @task
    def load(rows):
        return f"{{Variable.get('greeting')}} {{len(rows)}}"

    @task(retries=1, retry_delay=datetime.timedelta(0))
    def divide():
        return 1 / 0

    @task
    def after(value): ...

    @task
    def greet(name):
        return f"hello {{name}}"

    load(extract())
    after(divide())
    greet.expand(name=["ana", "bo"])


orders()
"""


@dataclass(frozen=True)
class Place:
    """A container with Airflow, and the Postgres beside it."""

    connection: Connection
    container: str
    airflow: str
    postgres: str
    url: str

    def call(self, script: Path, request: dict[str, Any] | None = None, **more: Any) -> Operation[dict[str, Any]]:
        given: dict[str, Any] = {
            "stage": "core",
            "event": lambda told: Step("script", json.dumps(told)),
            "workdir": HOME,
        }
        return call_script(self.connection, self.container, script, request or {}, **(given | more))

    def command(self, text: str, *, user: str = "", container: str | None = None) -> str:
        done = run_command(self.connection, container or self.container, ["sh", "-c", text], user=user)
        assert done.code == 0, done.errors
        return done.output.strip()

    def processes(self, text: str) -> list[str]:
        listed = self.connection.api.top(self.container)["Processes"] or []
        return [words[-1] for words in listed if text in words[-1]]

    def query(self, statement: str, database: str = "postgres") -> str:
        return self.command(f'psql -U postgres -Atc "{statement}" {database}', container=self.postgres)


class Made:
    """Containers of this module; all are removed at its end."""

    def __init__(self) -> None:
        self.api = connect().api
        self.prefix = f"calls-{secrets.token_hex(4)}"
        self.containers: list[str] = []
        self.network = self.api.create_network(self.prefix)["Id"]

    def run(self, image: str, name: str, variables: dict[str, str], command: list[str] | None, **host: Any) -> str:
        body: dict[str, Any] = {"Image": image, "Env": [f"{key}={value}" for key, value in variables.items()]}
        if command:
            body |= {"Entrypoint": command, "Cmd": []}
        body["HostConfig"] = {"NetworkMode": self.prefix, **host}
        body["NetworkingConfig"] = {"EndpointsConfig": {self.prefix: {"Aliases": [name]}}}
        container: str = self.api.create_container_from_config(body, f"{self.prefix}-{name}")["Id"]
        self.containers.append(container)
        self.api.start(container)
        return container

    def airflow(self, image: str, name: str, url: str = "", *, folder: str = "/tmp", **host: Any) -> str:
        variables = {
            "TMPDIR": folder,
            "AIRFLOW__CORE__FERNET_KEY": FERNET_KEY,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url or "postgresql://nobody:nothing@nowhere:5432",
        }
        return self.run(image, name, variables, ["sleep", "infinity"], Init=True, **host)

    def remove(self) -> None:
        for container in self.containers:
            self.api.remove_container(container, force=True, v=True)
        self.api.remove_network(self.network)


@pytest.fixture(scope="module")
def made(images: None) -> Iterator[Made]:
    """Give what makes containers."""
    maker = Made()
    yield maker
    maker.remove()


@pytest.fixture(scope="module", params=["3", "2"])
def place(request: pytest.FixtureRequest, made: Made, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Give Airflow and its migrated database, in either major version."""
    version = request.param
    dags = tmp_path_factory.mktemp(f"dags{version}")
    models = "airflow.sdk" if version == "3" else "airflow.models"
    (dags / "orders.py").write_text(DAG.format(imports=IMPORTS[version], models=models))
    (dags / "broken.py").write_text("# dag airflow\nimport no_such_module\n")
    dags.chmod(0o755)
    variables = {"POSTGRES_USER": "postgres", "POSTGRES_PASSWORD": "postgres"}
    postgres = made.run(POSTGRES, f"postgres{version}", variables, None)
    url = f"postgresql://postgres:postgres@postgres{version}:5432"
    bind = {"Type": "bind", "Source": str(dags), "Target": f"{HOME}/dags"}
    image = AIRFLOW_3 if version == "3" else AIRFLOW_2
    container = made.airflow(image, f"airflow{version}", url, Mounts=[bind])
    given = Place(connect(), container, version, postgres, url)
    ready = ["sh", "-c", "pg_isready -U postgres -h 127.0.0.1"]
    until(lambda: run_command(given.connection, postgres, ready).code == 0)
    given.command("airflow db migrate && airflow variables set greeting hello")
    return given


@pytest.fixture(scope="module")
def bare(made: Made) -> Place:
    """Give a container with Airflow and nothing beside it."""
    return Place(connect(), made.airflow(AIRFLOW_3, "bare"), "3", "", "")


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Path]:
    """Make a script of the body of its ``main``."""

    def write(body: str) -> Path:
        file = tmp_path / "probe.py"
        file.write_text("def main(request, emit):\n" + textwrap.indent(textwrap.dedent(body), "    "))
        return file

    return write


def test_a_file_is_parsed(place: Place) -> None:
    """DAGs, tasks and the next run; a file that does not import is told as the container sees it."""
    found = run(place.call(Path(parse.__file__), {"file": "dags/orders.py"}))
    (dag,) = found["dags"]
    assert (dag["dag_id"], dag["schedule"], bool(dag["next_run"])) == ("orders", "0 0 * * *", True)
    assert {task["task_id"] for task in dag["tasks"]} == {"extract", "load", "divide", "after", "greet"}
    assert (found["error"], found["project"], found["skipped"]) == ("", HOME, False)

    broken = run(place.call(Path(parse.__file__), {"file": "dags/broken.py"}))
    assert f'File "{HOME}/dags/broken.py", line 2' in broken["error"]


def test_a_run_on_a_copy_of_the_database(place: Place) -> None:
    """It sees the variables of the original, which does not change; nothing of the copy stays."""
    events: list[Event] = []
    request = {"dag_id": "orders", "files": ["dags/broken.py", "dags/orders.py"], "conf": {}}
    with scratch_database(place.connection, place.postgres, user="postgres", url=place.url) as variables:
        operation = place.call(Path(testrun.__file__), request, stage="execution", environment=variables)
        found = run(operation, events.append)
    tasks = {task["task_id"]: task for task in found["tasks"]}
    assert found["state"] == "failed"
    assert tasks["extract"]["log"] == ["extracting"]
    assert tasks["load"]["value"] == "hello 812"
    assert (tasks["divide"]["tries"], tasks["divide"]["state"]) == (2, "failed")
    assert tasks["divide"]["error"] == "ZeroDivisionError: division by zero"
    assert tasks["after"]["state"] == "upstream_failed"
    assert [tasks[f"greet[{index}]"]["value"] for index in (0, 1)] == ["hello ana", "hello bo"]
    told = [json.loads(event.title) for event in events if isinstance(event, Step)]
    assert [update["state"] for update in told if update["task_id"] == "extract"] == ["running", "success"]
    assert place.query("SELECT count(*) FROM dag_run") == "0"
    until(lambda: "astro_magic_run" not in place.query("SELECT string_agg(datname, ' ') FROM pg_database"))


def test_a_copy_has_no_rows_of_what_ran(place: Place) -> None:
    """The rows of a log stay behind, those of variables come along; what killed processes left is dropped."""
    place.query("INSERT INTO log (event, dttm) VALUES ('probe', now())")
    place.query("CREATE DATABASE astro_magic_run_1000_abcdef")
    with scratch_database(place.connection, place.postgres, user="postgres", url=place.url) as variables:
        copy = variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].rpartition("/")[2]
        assert place.query("SELECT count(*) FROM log", copy) == "0"
        assert place.query("SELECT key FROM variable", copy) == "greeting"
        assert "astro_magic_run_1000_abcdef" not in place.query("SELECT string_agg(datname, ' ') FROM pg_database")
    with pytest.raises(EngineError, match="could not be copied"), _copy_of_nothing(place):
        pass


def _copy_of_nothing(place: Place) -> Any:
    return scratch_database(place.connection, place.postgres, user="nobody", url=place.url)


def test_a_run_where_nothing_runs(place: Place, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The schema is made by a migration once, and then comes from the cache."""
    monkeypatch.setenv("ASTRO_MAGIC_CACHE", str(tmp_path / "cache"))
    request = {"dag_id": "orders", "files": ["dags/orders.py"], "conf": {}}
    for _ in range(2):
        variables = run(empty_database(place.connection, place.container, place.airflow, workdir=HOME))
        variables["AIRFLOW_VAR_GREETING"] = "bye"
        operation = place.call(Path(testrun.__file__), request, stage="execution", environment=variables)
        tasks = {task["task_id"]: task for task in run(operation)["tasks"]}
        assert tasks["load"]["value"] == "bye 812"
    (kept,) = (tmp_path / "cache" / "databases").iterdir()
    kept.write_text("spoilt")
    run(empty_database(place.connection, place.container, place.airflow, workdir=HOME))
    assert kept.read_text() != "spoilt"


def test_calls_share_one_warm_process(bare: Place, script: Callable[[str], Path]) -> None:
    """Also those that find none at the same moment; it is followed by another when it is ended or killed."""
    file = script("import os; return {'parent': os.getppid()}")
    end_warm(bare.connection, bare.container)
    until(lambda: not bare.processes("listen"))
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(run(bare.call(file))["parent"])) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == 1
    bare.command(f"kill -9 {found[0]}")
    assert run(bare.call(file))["parent"] != found[0]
    assert len(bare.processes("listen")) == 1


def test_new_packages_are_found_and_changed_ones_end_the_warm_process(
    bare: Place, script: Callable[[str], Path]
) -> None:
    """A package that is only added needs no new process; one that is removed or has a part in Airflow does."""
    file = script(
        "import importlib.util, os; return {'parent': os.getppid(), 'at': importlib.util.find_spec('probe1')}"
    )
    first = run(bare.call(file))
    assert first["at"] is None
    site = bare.command("python -c 'import sysconfig; print(sysconfig.get_path(\"purelib\"))'")
    bare.command(f"cd {site} && mkdir probe1-1.0.dist-info && touch probe1.py", user="root")
    added = run(bare.call(file))
    assert added["parent"] == first["parent"]
    assert added["at"] is not None
    bare.command(f"cd {site} && rmdir probe1-1.0.dist-info", user="root")
    removed = run(bare.call(file))
    assert removed["parent"] != first["parent"]
    bare.command(
        f"cd {site} && mkdir probe2-1.0.dist-info && echo '[airflow.plugins]' >probe2-1.0.dist-info/entry_points.txt",
        user="root",
    )
    assert run(bare.call(file))["parent"] != removed["parent"]


def test_what_is_printed_is_no_answer(bare: Place, script: Callable[[str], Path]) -> None:
    """Neither on standard output nor on standard error."""
    file = script("""
        import os, sys
        print('{"result": {"value": 0}}', flush=True)
        print('{"error": "no"}', file=sys.stderr, flush=True)
        os.system('echo from a child')
        os.write(1, b'x' * 300_000)
        emit({'text': 'näh'})
        return {'value': 'y' * 300_000}
    """)
    events: list[Event] = []
    assert run(bare.call(file), events.append) == {"value": "y" * 300_000}
    assert [json.loads(event.title) for event in events if isinstance(event, Step)] == [{"text": "näh"}]


def test_secrets_are_in_no_argument_list(bare: Place, script: Callable[[str], Path]) -> None:
    """Variables and request reach the script; no list of processes shows them, and the next call does not have them."""
    secret = secrets.token_hex(16)
    file = script("""
        import glob, os
        shown = b''
        for path in glob.glob('/proc/[0-9]*/cmdline'):
            try:
                shown += open(path, 'rb').read()
            except OSError:
                pass
        return {'secret': os.environ.get('PROBE'), 'request': request.get('password'), 'shown': shown.decode()}
    """)
    found = run(bare.call(file, {"password": secret}, environment={"PROBE": secret}))
    assert (found["secret"], found["request"]) == (secret, secret)
    assert secret not in found["shown"]
    assert run(bare.call(file))["secret"] is None
    assert secret not in json.dumps(
        [
            bare.connection.api.exec_inspect(made)
            for made in bare.connection.api.inspect_container(bare.container)["ExecIDs"] or []
        ]
    )


def test_failures_are_told(bare: Place, script: Callable[[str], Path]) -> None:
    """A traceback with its line; a process that was killed, with the last that it wrote; no Python at all."""
    with pytest.raises(CommandFailedError, match="probe failed") as failed:
        run(bare.call(script("value = {}\nreturn value['key']\n")))
    assert "return value['key']" in str(failed.value.detail)
    assert "KeyError: 'key'" in str(failed.value.detail)

    with pytest.raises(CommandFailedError, match="was ended by signal 9") as killed:
        run(bare.call(script("import os\nprint('last words', flush=True)\nos.kill(os.getpid(), 9)\n")))
    assert killed.value.detail == "last words"


def test_a_container_without_python(made: Made, script: Callable[[str], Path]) -> None:
    """The error says so."""
    place = Place(connect(), made.run(DEBIAN, "debian", {}, ["sleep", "infinity"]), "", "", "")
    with pytest.raises(CommandFailedError, match="no Python"):
        run(place.call(script("return {}")))


@pytest.mark.parametrize("alone", [False, True], ids=["warm", "alone"])
def test_an_interrupt_ends_what_was_started(bare: Place, script: Callable[[str], Path], alone: bool) -> None:
    """Children that have left their parent's session, too; also where no process can be kept warm."""
    file = script("""
        import os, subprocess, time
        subprocess.Popen(['sleep', '611'])
        subprocess.run(['setsid', '--fork', 'sleep', '611'])
        emit({'parent': os.getppid()})
        while True:
            time.sleep(1)
    """)
    with _without_room(bare) if alone else contextlib.nullcontext():
        operation = bare.call(file)
        event = next(operation)
        assert isinstance(event, Step)
        # Who was forked is called so only when it has become the other program.
        until(lambda: len(bare.processes("sleep 611")) == 2)
        operation.close()
        until(lambda: not bare.processes("sleep 611"), seconds=10)
        until(lambda: not bare.processes("once"), seconds=10)


@contextlib.contextmanager
def _without_room(place: Place) -> Iterator[None]:
    """Take the places for a socket away."""
    paths = "/tmp/astro-magic-$(id -u) /dev/shm/astro-magic-$(id -u)"
    place.command(f"for path in {paths}; do rm -rf $path; touch $path; done")
    yield
    place.command(f"rm -rf {paths}")


def test_a_read_only_container(made: Made, script: Callable[[str], Path]) -> None:
    """The warm process has its socket where there is memory to write to."""
    place = Place(connect(), made.airflow(AIRFLOW_3, "fixed", folder="/dev/shm", ReadonlyRootfs=True), "3", "", "")
    file = script("import os; return {'parent': os.getppid()}")
    assert run(place.call(file)) == run(place.call(file))


@pytest.mark.parametrize("how", ["kill", "remove"])
def test_a_container_that_goes_away(made: Made, script: Callable[[str], Path], how: str) -> None:
    """The error names it."""
    place = Place(connect(), made.airflow(AIRFLOW_3, f"goes-{how}"), "3", "", "")
    operation = place.call(script("import time\nemit({})\ntime.sleep(600)\n"))
    next(operation)
    if how == "kill":
        place.connection.api.kill(place.container)
    else:
        made.containers.remove(place.container)
        place.connection.api.remove_container(place.container, force=True)
    with pytest.raises(CommandFailedError, match="exit code 137" if how == "kill" else "was removed"):
        next(operation)
    with pytest.raises(EngineError):
        run(place.call(script("return {}")))


def test_too_little_memory(made: Made, script: Callable[[str], Path]) -> None:
    """The error says so, with the container's limit."""
    limit = 600_000_000
    place = Place(connect(), made.airflow(AIRFLOW_3, "small", Memory=limit, MemorySwap=limit), "3", "", "")
    with pytest.raises(CommandFailedError, match=r"ran out of memory \(600 MB\)"):
        run(place.call(script("return {'size': len(bytearray(b'x' * 2_000_000_000))}")))
    assert run(place.call(script("return {}"))) == {}
