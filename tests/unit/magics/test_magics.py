from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from IPython.core.error import UsageError

from astro_magic import errors
from astro_magic.airflow.runs import DagRun, TaskInstance
from astro_magic.airflow.task_logs import TaskChoice
from astro_magic.dags.results import ImportFailure, ParseResult, TaskResult, TestRun
from astro_magic.engines.answers import Problem
from astro_magic.engines.options import StartOptions
from astro_magic.project.fingerprint import Action, Pending, Reason
from astro_magic.results import OpenedUi
from tests.unit.magics.conftest import STOPPED

NOW = datetime(2026, 11, 20, 10, 42, 7, tzinfo=UTC)

LINE_MAGICS = [
    "astro",
    "astro_airflowignore",
    "astro_bash",
    "astro_config",
    "astro_diff",
    "astro_dockerfile",
    "astro_doctor",
    "astro_env",
    "astro_file",
    "astro_init",
    "astro_installed",
    "astro_kill",
    "astro_logs",
    "astro_open",
    "astro_packages",
    "astro_requirements",
    "astro_restart",
    "astro_run",
    "astro_settings",
    "astro_start",
    "astro_status",
    "astro_stop",
    "astro_trigger",
    "astro_undo",
    "astro_use",
]
CELL_MAGICS = [
    "astro_airflowignore",
    "astro_bash",
    "astro_dag",
    "astro_dockerfile",
    "astro_env",
    "astro_file",
    "astro_packages",
    "astro_requirements",
    "astro_settings",
]


@pytest.mark.parametrize("name", LINE_MAGICS)
def test_help_is_the_docstring(shell, capsys, name):
    assert shell.cell(f"%{name} --help") is None
    said = capsys.readouterr().out
    assert f"%{name}" in said
    assert "--project" in said
    assert said.strip() == shell.find_line_magic(name).__doc__.strip()


@pytest.mark.parametrize("name", CELL_MAGICS)
def test_help_of_cell_magics(shell, capsys, name):
    shell.cell(f"%%{name} -h\nx")
    assert f"%{name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name in LINE_MAGICS if name not in {"astro_bash", "astro_dockerfile"}])
def test_each_has_a_mistake_refused(shell, project, environment, name):
    with pytest.raises(UsageError, match=r"unrecognized arguments: --nonsense|required"):
        shell.cell(f"%{name} --nonsense")


def test_abbreviated_and_repeated_options_are_refused(shell, running):
    with pytest.raises(UsageError, match="unrecognized"):
        shell.cell("%astro_logs --ta 3")
    with pytest.raises(UsageError, match="--tail is given twice"):
        shell.cell("%astro_logs --tail 3 --tail 4")
    with pytest.raises(UsageError, match="--tail is given twice"):
        shell.cell("%astro_logs -n 3 --tail 4")


def test_what_was_not_expanded_is_refused(shell, running):
    with pytest.raises(UsageError, match=r"\$missing was not replaced"):
        shell.cell("%astro_installed $missing")
    shell.user_ns["sought"] = "pandas"
    assert len(shell.cell("%astro_installed $sought")) == 1


def test_overview(shell, environment):
    environment.results["preflight"] = (Problem("port 8080 is taken", "another process listens", "Use --port."),)
    text = repr(shell.cell("%astro"))
    assert text.startswith("shop · Airflow")
    assert "port 8080 is taken: another process listens" in text
    environment.results = {"status": errors.EngineUnavailableError("none")}
    assert repr(shell.cell("%astro")).startswith("shop · Airflow")


def test_overview_without_a_project(shell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.ProjectNotFoundError):
        shell.cell("%astro")


def test_init_sets_the_project_in_use(shell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = repr(shell.cell("%astro_init 'my shop' --name shop"))
    assert text.startswith('Created Astro project "shop"')
    assert "requirements.txt" in text
    assert (tmp_path / "my shop" / "Dockerfile").exists()
    assert "This notebook now works on shop" in text
    assert "Nothing to create" in repr(shell.cell("%astro_init 'my shop'"))
    assert "requirements.txt" in repr(shell.cell("%requirements"))


def test_use(shell, project, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert repr(shell.cell("%astro_use shop")).startswith("This notebook now works on shop")
    assert shell.cell("%requirements").file == "requirements.txt"


def test_status(shell, running):
    text = repr(shell.cell("%astro_status"))
    assert "shop · local · Airflow 3.3.2 · running, up 4 min · http://localhost:8080" in text
    assert "scheduler   running   healthy   4 min          0   3 %   160 MB" in text
    assert text.endswith("Up to date. Nothing to restart.")
    running.waiting = Pending((Reason("requirements.txt", "+ duckdb==1.4.0", Action.REBUILD),))
    assert "Pending: rebuild (requirements.txt). Applies with %astro_restart." in repr(shell.cell("%astro_status"))


def test_start_and_restart(shell, environment):
    text = repr(shell.cell("%astro_start --port 9000 --timeout 5 --engine local"))
    assert text.startswith("shop · Airflow is up in 4.1 s · http://localhost:8080")
    assert ("start", {"options": StartOptions(9000, 5.0)}) in environment.asked
    assert ("open", {"engine": "local"}) in environment.asked
    environment.waiting = Pending((Reason(".env", "+ A", Action.RECREATE),))
    text = repr(shell.cell("%astro_restart"))
    assert text.startswith("shop · .env applied in 6.0 s")
    assert ".env  + A" in text


def test_a_restart_that_is_asked_for_with_nothing_pending(shell, environment):
    text = repr(shell.cell("%astro_restart --force"))
    assert text.startswith("shop · restarted in 6.0 s")
    assert environment.asked[-1][1]["force"]


def test_a_warm_process_is_told_while_nothing_runs(shell, environment):
    environment.state = replace(STOPPED, warm_memory=231_000_000)
    text = repr(shell.cell("%astro_status"))
    told = "A warm process is kept for the next start: 231 MB; ASTRO_MAGIC_WARM=off switches it off."
    assert told in text


def test_quiet_gives_one_line(shell, running):
    assert "\n" not in repr(shell.cell("%astro_start -q"))
    assert "\n" not in repr(shell.cell("%astro_status --quiet"))
    shell.cell("%config AstroMagic.verbosity = 0")
    assert "\n" not in repr(shell.cell("%astro_status"))


def test_stop_and_kill(shell, running, monkeypatch):
    assert repr(shell.cell("%astro_stop")).startswith("Stopped shop in 0.0 s.")
    text = repr(shell.cell("%astro_kill --yes"))
    assert "1 process had to be killed" in text
    assert "Removed .astro/standalone." in text
    with pytest.raises(UsageError, match="%astro_kill --yes"):
        shell.cell("%astro_kill")
    monkeypatch.setattr("builtins.input", lambda _: "n")
    assert shell.cell("%astro_kill") is None
    monkeypatch.setattr("builtins.input", lambda _: "y")
    assert shell.cell("%astro_kill") is not None


def test_logs(shell, running):
    text = repr(shell.cell('%astro_logs api-server scheduler --tail 5 --grep "a{2} b" --since 10'))
    assert "scheduler │ started" in text
    query = dict(running.asked)["logs"]["query"]
    assert (query.components, query.tail, query.grep) == (("api server", "scheduler"), 5, "a{2} b")
    with pytest.raises(UsageError, match="not a regular expression"):
        shell.cell("%astro_logs --grep (")


def test_logs_of_tasks(shell, running):
    text = repr(shell.cell("%astro_logs --task orders.clean --run manual --try 2 --tail 5"))
    assert "orders.clean · manual · try 2" in text
    assert "cleaned" in text
    asked = dict(running.asked)["task_logs"]
    assert asked["choice"] == TaskChoice("orders.clean", "manual", 2)
    assert asked["query"].tail == 5
    for wrong in ("--run manual", "--try 1", "--task orders --try 0", "scheduler --task orders"):
        with pytest.raises(UsageError):
            shell.cell(f"%astro_logs {wrong}")


def test_open(shell, running):
    text = repr(shell.cell("%astro_open"))
    assert text == "shop · opened in the browser · http://localhost:8080\nIf Airflow asks: user admin."
    running.results["open_ui"] = OpenedUi("http://localhost:8080", opened=False)
    assert repr(shell.cell("%astro_open")) == "shop · there is no browser here · http://localhost:8080"


def test_following_logs_ends_with_an_interrupt(shell, running, capsys):
    def lines():
        yield from running.logs_before
        raise KeyboardInterrupt

    running.logs_before = []
    running.results["logs"] = lines()
    assert "No lines" in repr(shell.cell("%astro_logs -f"))


def test_bash(shell, running, capsys):
    view = shell.cell("%astro_bash pip list | grep -q 'a b' $HOME {x}")
    assert dict(running.asked)["run"]["argv"] == ["bash", "-c", "pip list | grep -q 'a b' $HOME {x}"]
    assert view.output == "hello\n"
    assert "exit code 0" in repr(view)
    assert "hello" in capsys.readouterr().out
    shell.cell("%%astro_bash -o seen\necho 1\necho 2\n")
    assert running.asked[-1][1]["argv"][-1] == "echo 1\necho 2\n"
    assert shell.user_ns["seen"].exit_code == 0


def test_bash_that_fails_raises_with_its_last_lines(shell, running):
    running.results["run"] = (["fatal error: sql.h"], 3)
    with pytest.raises(errors.CommandFailedError, match="exit code 3: make") as raised:
        shell.cell("%astro_bash make")
    assert raised.value.detail == "fatal error: sql.h"
    with pytest.raises(UsageError):
        shell.cell("%astro_bash")
    with pytest.raises(UsageError):
        shell.cell("%%astro_bash ls\nls")


DAG = "from airflow.sdk import dag\n@dag\ndef orders():\n    return clean(rows)\n"


def test_dag(shell, project, running):
    view = shell.cell(f"%%dag orders.py -o parsed\n{DAG}")
    assert (project.root / "dags/orders.py").read_text() == DAG
    text = repr(view)
    assert text.startswith(
        "dags/orders.py created · parsed in 0.1 s\n  orders   daily at 06:00 · next 2026-11-20 06:00"
    )
    assert "extract ─→ load" in text
    assert shell.user_ns["parsed"] is view
    assert "<svg" in view._repr_mimebundle_()["text/html"]
    assert repr(shell.cell(f"%%dag\n{DAG}")).startswith("dags/orders.py unchanged")
    assert shell.cell(f"%%astro_dag other --no-parse\n{DAG}").parse is None
    assert (project.root / "dags/other.py").exists()


def test_dag_that_does_not_import(shell, project, running):
    failure = ImportFailure(
        "NameError", "name 'clean' is not defined", 4, 12, 17, "    return clean(rows)", "Traceback"
    )
    running.results["parse"] = ParseResult("dags/orders.py", 0.1, failure=failure)
    with pytest.raises(errors.DagImportError) as raised:
        shell.cell(f"%%dag orders.py\n{DAG}")
    assert str(raised.value).splitlines() == [
        "dags/orders.py created · import failed in 0.1 s",
        "  line 5   return clean(rows)",
        "                  ^^^^^",
        "NameError: name 'clean' is not defined",
        "The file is saved. The running Airflow keeps the last version that parsed.",
    ]
    assert (project.root / "dags/orders.py").exists()


@pytest.mark.parametrize(
    ("waiting", "said"),
    [
        (Pending(), "If it is a package, %%requirements adds it."),
        (
            Pending((Reason("requirements.txt", "+ duckdb", Action.REBUILD),)),
            "A change of requirements.txt is not applied yet: %astro_restart does it.",
        ),
    ],
)
def test_dag_that_lacks_a_package(shell, running, waiting, said):
    failure = ImportFailure("ModuleNotFoundError", "No module named 'duckdb'", 1, None, None, "import duckdb", "")
    running.results["parse"] = ParseResult("dags/orders.py", 0.1, failure=failure)
    running.waiting = waiting
    with pytest.raises(errors.DagImportError) as raised:
        shell.cell(f"%%dag orders.py\n{DAG}")
    assert str(raised.value).endswith(said)


def test_dag_without_a_name(shell, running):
    with pytest.raises(UsageError, match="Name the file"):
        shell.cell("%%dag\nx = 1\n")


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("with DAG('a'):\n  pass", "a.py"),
        ("with airflow.DAG(dag_id='b'):\n  pass", "b.py"),
        ("@dag(schedule=None)\ndef c(): pass", "c.py"),
        ("@dag('d')\ndef x(): pass", "d.py"),
        ("@sdk.dag\ndef e(): pass", "e.py"),
        ("DAG(name)", None),
        ("def", None),
    ],
)
def test_the_file_name_comes_from_the_dag(cell, name):
    from astro_magic.magics.dags import dag_file_name

    assert dag_file_name(cell) == name


def test_run(shell, running):
    shell.cell("""run = %astro_run orders --conf '{"a": 1}'""")
    run = shell.user_ns["run"]
    assert run["clean"].value == {"rows": 790}
    assert "clean   success       1   0.9 s   DataFrame 790 × 6" in repr(run)
    assert ("test_dag", {"dag_id": "orders", "conf": {"a": 1}}) in running.asked
    shell.user_ns["settings"] = {"b": 2}
    shell.cell("%astro_run orders --conf settings")
    assert running.asked[-1][1]["conf"] == {"b": 2}
    for wrong in ("'{'", "[1]", "missing"):
        with pytest.raises(UsageError, match="--conf"):
            shell.cell(f"%astro_run orders --conf {wrong}")


def test_run_that_fails_is_shown_and_raises(shell, running, capsys):
    task = TaskResult("clean", "failed", 2, 0.9, error="ValueError: no rows", log=("reading", "boom"))
    running.results["test_dag"] = TestRun("orders", "run", "failed", 1.9, NOW, (task,))
    with pytest.raises(errors.DagRunFailedError, match="clean: ValueError: no rows"):
        shell.cell("%astro_run orders")
    assert "boom" in capsys.readouterr().out


def test_trigger(shell, running):
    run = DagRun("orders", "manual__1", "queued", url="http://localhost:8080/dags/orders/runs/manual__1")
    running.results["trigger"] = run
    assert repr(shell.cell("%astro_trigger orders")) == f"orders · manual__1 · queued\n{run.url}"
    running.results["trigger"] = DagRun("orders", "m", "failed", NOW, NOW, (TaskInstance("clean", "failed"),))
    with pytest.raises(errors.DagRunFailedError, match="The run m of orders failed"):
        shell.cell("%astro_trigger orders --wait --timeout 5")
    assert running.asked[-1][1]["timeout"] == 5.0
