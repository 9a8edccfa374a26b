"""How the magics behave in a shell: registration, errors, options, completion, import cost."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError

import astro_magic
from astro_magic import errors

ROOT = Path(__file__).resolve().parents[3]


def test_short_names_do_not_take_what_is_there(shell):
    astro_magic.unload_ipython_extension(shell)
    shell.register_magic_function(lambda line: "theirs", "line", "dag")
    astro_magic.load_ipython_extension(shell)
    assert shell.find_cell_magic("dag") is None
    assert shell.cell("%dag") == "theirs"
    assert shell.find_cell_magic("requirements") is not None
    astro_magic.unload_ipython_extension(shell)
    assert shell.cell("%dag") == "theirs"
    assert shell.find_line_magic("astro") is None
    assert shell.find_cell_magic("requirements") is None
    assert not any(type(item).__name__ == "AstroMagic" for item in shell.configurables)
    astro_magic.load_ipython_extension(shell)
    astro_magic.load_ipython_extension(shell)


def test_errors_are_short_unless_asked_for(shell, environment, capsys):
    failure = errors.StartFailedError("The scheduler ended.", hint="See %astro_logs scheduler.", detail="last words")
    environment.results["start"] = failure
    shell.run_cell("%astro_start")
    said = capsys.readouterr().out
    expected = "StartFailedError: The scheduler ended.\nSee %astro_logs scheduler.\nlast words"
    assert expected in said
    assert "Traceback" not in said
    shell.run_cell("%config AstroMagic.verbose_errors = True")
    shell.run_cell("%astro_start")
    said = capsys.readouterr().out
    assert "Traceback" in said
    assert "environment.start" in said


def test_an_interrupt_passes_through(shell, environment):
    environment.results["start"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        shell.run_line_magic("astro_start", "")


def test_output_can_be_silenced(shell, running):
    assert shell.cell("%astro_status -q;") is None
    assert shell.cell("%astro_logs --grep restart;") is None
    assert dict(running.asked)["logs"]["query"].grep == "restart"


def test_output_name(shell, project, environment):
    with pytest.raises(UsageError, match="not a name"):
        shell.cell("%%astro_file include/a.txt -o 1x\nx")
    shell.cell('%%astro_file include/a.txt --output "kept"\nx')
    assert shell.user_ns["kept"].change.applied


def completions(shell, text):
    with provisionalcompleter():
        return [item.text for item in shell.Completer.completions(text, len(text))]


def test_completion(shell, project, environment):
    assert "--tail" in completions(shell, "%astro_logs --t")
    assert "--tail" in completions(shell, "x = %astro_logs --")
    assert "--tail" not in completions(shell, "%astro_logs --tail 3 --")
    assert completions(shell, "%astro_run or") == ["orders"]
    assert completions(shell, "%astro_trigger ") == ["orders", "refunds"]
    assert completions(shell, "%astro_logs --task or") == ["orders"]
    assert completions(shell, "%astro_logs sche") == ["scheduler"]
    assert completions(shell, "%%astro_file requ") == ["requirements.txt"]
    assert completions(shell, "%%dag exam") == ["exampledag.py"]
    assert "remove" in completions(shell, "%requirements ")
    shell.cell("%requirements add polars --no-check")
    assert completions(shell, "%requirements remove po") == ["polars"]


@pytest.fixture
def filled(shell, project, environment):
    shell.cell("%packages add git")
    shell.cell("%dotenv set REGION=eu")
    shell.cell("%astro_settings set pool heavy pool_slot=2")
    shell.cell("%astro_airflowignore add sql/")
    shell.cell("%dockerfile set ENV MODE=a")
    shell.cell("%dockerfile --block ca add RUN ls")


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("%packages remove ", ["git"]),
        ("%dotenv remove R", ["REGION"]),
        ("%dotenv set R", ["REGION"]),
        ("%astro_env ", ["list", "add", "set", "remove", "move"]),
        ("%astro_settings se", ["set"]),
        ("%astro_settings set ", ["connection", "pool", "variable"]),
        ("%astro_settings remove pool ", ["heavy"]),
        ("%astro_settings set pool heavy pool_s", ["pool_slot="]),
        ("%astro_airflowignore remove ", ["sql/"]),
        ("%astro_config set web", ["webserver.port="]),
        ("%astro_config remove p", ["project.name"]),
        ("%dockerfile ", ["list", "add", "set", "remove"]),
        ("%dockerfile set ", ["FROM", "ENV", "LABEL", "ARG"]),
        ("%dockerfile set ENV ", ["MODE="]),
        ("%dockerfile remove ", ["ENV", "RUN"]),
        ("%dockerfile remove ENV ", ["MODE"]),
        ("%%dockerfile --block ", ["ca"]),
        ("%%dockerfile --re", ["--replace"]),
        ("%astro_file ", ["list", "add", "remove"]),
        ("%astro_file remove dags/ex", ["dags/exampledag.py"]),
        ("%astro_file list d", ["dags"]),
        ("%%astro_file packa", ["packages.txt"]),
        ("%%astro_file --a", ["--append"]),
        ("%astro_diff --git HEAD pack", ["packages.txt"]),
        ("%astro_undo --l", ["--list"]),
        ("%astro_init --template e", ["etl", "empty"]),
        ("%astro_init --ru", ["--runtime"]),
        ("%astro_doctor --f", ["--files"]),
    ],
)
def test_completion_of_values(shell, filled, text, offered):
    assert sorted(completions(shell, text)) == sorted(offered)


@pytest.mark.parametrize(
    ("text", "other"),
    [("%packages add ", "git"), ("%astro_settings remove connection ", "heavy"), ("%%dockerfile ", "remove")],
)
def test_what_does_not_fit_is_not_offered(shell, filled, text, other):
    assert other not in completions(shell, text)


def test_completion_of_env_files(shell, filled):
    shell.cell("%dotenv move dev.env")
    shell.cell("%dotenv set --file prod.env MODE=a")
    assert completions(shell, "%%dotenv --file p") == ["prod.env"]
    assert completions(shell, "%dotenv --file prod.env remove ") == ["MODE"]


def test_completion_never_raises(shell, environment, tmp_path, monkeypatch):
    environment.results["dag_ids"] = RuntimeError("broken")
    completions(shell, "%astro_run or")
    monkeypatch.chdir(tmp_path)
    for text in ("%astro_run 'a", "%%dag x", "%astro_logs --grep ", "%unknown x", "%requirements remove "):
        completions(shell, text)


def test_settings(shell, capsys):
    shell.cell("%config AstroMagic")
    said = capsys.readouterr().out
    for name in ("verbose_errors", "engine", "timeout", "verbosity"):
        assert f"AstroMagic.{name}" in said


def test_exported_names():
    for name in astro_magic.__all__:
        assert getattr(astro_magic, name) is not None
    with pytest.raises(AttributeError):
        astro_magic.nothing  # noqa: B018
    assert set(errors.__all__) <= set(dir(astro_magic))


def test_exported_names_are_documented():
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert [name for name in astro_magic.__all__ if f"`{name}`" not in page] == []


def test_the_version_is_the_package_s():
    package = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert package["project"]["version"] == astro_magic.__version__


HEAVY = (
    "pandas",
    "cryptography",
    "docker",
    "ipywidgets",
    "airflow",
    "httpx",
    "psutil",
    "astro_magic.environment",
    "packaging",
)


def test_loading_imports_nothing_heavy():
    code = (
        "from IPython.core.interactiveshell import InteractiveShell as S\n"
        "from traitlets.config import Config\n"
        "c = Config(); c.HistoryManager.enabled = False\n"
        "s = S.instance(config=c)\n"
        "import sys, time\n"
        "before = set(sys.modules); start = time.perf_counter()\n"
        "s.run_line_magic('load_ext', 'astro_magic')\n"
        "took = time.perf_counter() - start\n"
        f"heavy = [name for name in {HEAVY!r} if name in set(sys.modules) - before]\n"
        "print(heavy, took < 1.0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] True"
