"""The magics that edit what is installed: requirements.txt, packages.txt and the Dockerfile."""

from __future__ import annotations

import pytest
from IPython.core.error import UsageError

from astro_magic import errors
from astro_magic.resolve.resolver import Resolution

RUNTIME = "FROM astrocrpublic.azurecr.io/runtime:"


def text_of(project, name="Dockerfile"):
    return (project.root / name).read_text()


def test_what_is_only_added_needs_no_restart(shell, project, environment, running):
    environment.results["add_packages"] = True
    assert "Added to the running environment in" in repr(shell.cell("%%requirements\npolars\n"))
    environment.results["add_packages"] = errors.ProjectBusyError("Somebody else works on it.")
    assert "Added" not in repr(shell.cell("%%requirements\nduckdb\n"))
    assert "duckdb" in text_of(project, "requirements.txt")
    environment.results["add_packages"] = errors.RestartNeededError("http is a provider, which Airflow looks for.")
    assert "http is a provider, which Airflow looks for." in repr(shell.cell("%%requirements\nhttp\n"))
    environment.asked.clear()
    shell.cell("%%requirements --dry-run\npandas\n")
    assert "add_packages" not in [name for name, _ in environment.asked]


def test_packages(shell, project, environment):
    cell = "%%packages\nunixodbc-dev  # for pyodbc\ngit=1:2.39*\n"
    assert repr(shell.cell(cell)).splitlines() == [
        "packages.txt  +2",
        "  + unixodbc-dev  # for pyodbc",
        "  + git=1:2.39*",
        "Applies with %astro_start.",
    ]
    assert repr(shell.cell(cell)) == "packages.txt  unchanged"
    shell.cell("%packages add git openssh-client")
    assert text_of(project, "packages.txt").splitlines()[-3:] == ["unixodbc-dev  # for pyodbc", "git", "openssh-client"]
    assert repr(shell.cell("%packages")).splitlines()[0] == "packages.txt  3 packages"
    shell.cell("%packages remove git openssh-client")
    assert "git" not in text_of(project, "packages.txt")
    with pytest.raises(errors.InvalidContentError, match=r"does not name unixodbc-dv.*\nDid you mean unixodbc-dev\?"):
        shell.cell("%packages remove unixodbc-dv")


def test_packages_replace_and_dry_run(shell, project, environment):
    shell.cell("%packages add git")
    view = shell.cell("%%packages --replace --dry-run\ncurl\n")
    assert "Dry run: nothing was written." in repr(view)
    assert not view.change.applied
    assert text_of(project, "packages.txt") == "git\n"
    shell.cell("%%packages --replace\ncurl\n")
    assert text_of(project, "packages.txt") == "curl\n"


@pytest.mark.parametrize("word", ["'x;reboot'", "$(reboot)", "x&&reboot", "x\\nreboot", "`reboot`", "UPPER"])
def test_what_is_no_package_is_refused(shell, project, environment, word):
    before = text_of(project, "packages.txt")
    with pytest.raises(errors.InvalidContentError, match="Line 1 is no package"):
        shell.cell(f"%packages add {word}")
    assert text_of(project, "packages.txt") == before


def test_dockerfile_cell(shell, project, environment):
    before = text_of(project)
    cell = "%%dockerfile\n# Shown in the logs.\nENV REGION=eu\nRUN echo {{ x }} {y} $z; true\n"
    assert repr(shell.cell(cell)).splitlines() == [
        "Dockerfile  +3",
        "  + # Shown in the logs.",
        "  + ENV REGION=eu",
        "  + RUN echo {{ x }} {y} $z; true",
        "Applies with %astro_start.",
    ]
    assert repr(shell.cell(cell)) == "Dockerfile  unchanged"
    shell.cell("%%dockerfile\nENV REGION=us\n")
    assert text_of(project) == f"{before}# Shown in the logs.\nENV REGION=us\nRUN echo {{{{ x }}}} {{y}} $z; true\n"


def test_dockerfile_replace(shell, project, environment):
    before = text_of(project)
    assert "Dry run" in repr(shell.cell("%%dockerfile --replace --dry-run\nFROM python:3.12\n"))
    assert text_of(project) == before
    shell.cell("%%dockerfile --replace\nFROM python:3.12\n")
    assert text_of(project) == "FROM python:3.12\n"
    assert shell.cell("%%dockerfile --replace\nFROM python:3.12\n").change.changed is False
    with pytest.raises(errors.InvalidContentError, match="no FROM stands above"):
        shell.cell("%%dockerfile --replace\nRUN ls\n")


def test_dockerfile_blocks(shell, project, environment):
    before = text_of(project)
    cell = "%%dockerfile --block ca\nUSER root\nRUN update-ca-certificates\nUSER astro\n"
    shell.cell(cell)
    assert text_of(project) == (f"{before}\n# >>> ca\nUSER root\nRUN update-ca-certificates\nUSER astro\n# <<< ca\n")
    assert repr(shell.cell(cell)) == "Dockerfile  unchanged"
    shell.cell("%%dockerfile --block ca\nRUN ls\n")
    assert text_of(project) == f"{before}\n# >>> ca\nRUN ls\n# <<< ca\n"
    shell.cell("%dockerfile --block ca add RUN ls -l")
    assert "RUN ls\nRUN ls -l\n# <<< ca" in text_of(project)
    listed = shell.cell("%dockerfile --block ca list")
    assert [row[:3] for row in listed.rows] == [("RUN", "ls", "ca"), ("RUN", "ls -l", "ca")]
    shell.cell("%dockerfile --block ca remove")
    assert text_of(project) == before
    with pytest.raises(errors.InvalidContentError, match="has no block ca"):
        shell.cell("%dockerfile --block ca remove")


def test_dockerfile_lines(shell, project, environment):
    before = text_of(project)
    shell.cell("%dockerfile add RUN ls -l; echo done")
    shell.cell("%dockerfile set ENV A='b c' D=1")
    assert text_of(project).startswith(f"{before}RUN ls -l; echo done\nENV A=")
    assert [row[:2] for row in shell.cell("%dockerfile").rows[1:]] == [
        ("RUN", "ls -l; echo done"),
        ("ENV", 'A="b c"'),
        ("ENV", "D=1"),
    ]
    shell.cell("%dockerfile set ENV A=2")
    assert "ENV A=2\n" in text_of(project)
    assert repr(shell.cell("%dockerfile set ENV A=2")) == "Dockerfile  unchanged"
    shell.cell("%dockerfile remove ENV A D")
    shell.cell("%dockerfile remove RUN ls -l; echo done")
    assert text_of(project) == before
    assert "Dry run" in repr(shell.cell("%dockerfile --dry-run set FROM apache/airflow:3.3.2"))
    assert text_of(project) == before
    shell.cell("%dockerfile set FROM 'apache/airflow:3.3.2'")
    assert text_of(project).startswith("FROM apache/airflow:3.3.2\n")


@pytest.mark.parametrize(
    "line",
    [
        "list everything",
        "frobnicate x",
        "add",
        "set",
        "set FROM",
        "set RUN ls",
        "set ENV",
        "remove",
        "remove ENV",
        "remove RUN",
        "--replace add RUN ls",
        "--block ca set ENV A=1",
        "--block ca remove RUN ls",
        "--block ca --block cb remove",
    ],
)
def test_dockerfile_lines_that_are_wrong(shell, project, environment, line):
    before = text_of(project)
    with pytest.raises(UsageError):
        shell.cell(f"%dockerfile {line}")
    assert text_of(project) == before


def test_dockerfile_cells_that_are_wrong(shell, project, environment):
    before = text_of(project)
    with pytest.raises(UsageError, match="the line takes only options"):
        shell.cell("%%dockerfile add\nRUN ls\n")
    for wrong in ("FROB x", "RUN", "FROM a\nFROM b", "RUN cat <<EOF\nx"):
        with pytest.raises(errors.InvalidContentError):
            shell.cell(f"%%dockerfile\n{wrong}\n")
    with pytest.raises(errors.InvalidContentError, match="a block has no FROM"):
        shell.cell("%%dockerfile --block ca\nFROM x\n")
    assert text_of(project) == before


@pytest.mark.parametrize("line", ["set FROM 'a b'", "set ENV 'A B=1'", "--block 'a b' add RUN ls", "remove FROM x"])
def test_dockerfile_names_that_are_none(shell, project, environment, line):
    before = text_of(project)
    with pytest.raises(errors.InvalidContentError):
        shell.cell(f"%dockerfile {line}")
    assert text_of(project) == before


def test_no_value_is_asked_for_that_the_image_would_show(shell, project, environment, asked):
    with pytest.raises(UsageError, match=r"Write ENV TOKEN=VALUE\..*%astro_env set NAME"):
        shell.cell("%dockerfile set ENV TOKEN")
    assert asked == []


def test_a_line_break_adds_no_instruction(shell, project, environment):
    shell.run_line_magic("dockerfile", "set ENV A='x\\nRUN reboot'")
    assert not any(row[0] == "RUN" for row in shell.cell("%dockerfile").rows)
    with pytest.raises(errors.InvalidContentError):
        shell.run_line_magic("dockerfile", "set ENV A='x\nRUN reboot'")


def test_options_may_stand_between(shell, project, environment):
    shell.cell("%requirements add --no-check polars")
    shell.cell("%requirements --no-check add duckdb --dry-run")
    assert "polars" in text_of(project, "requirements.txt")
    assert "duckdb" not in text_of(project, "requirements.txt")
    assert "check" not in dict(environment.asked)


@pytest.fixture
def written_meanwhile(project, environment, monkeypatch):
    """Let another process write requirements.txt while it is being checked, so many times."""
    times = []

    def arrange(number):
        def check(text, *, listener=None):
            times.append(text)
            if len(times) <= number:
                with (project.root / "requirements.txt").open("a") as file:
                    file.write(f"other{len(times)}\n")
            return Resolution("", {}, "3.3.2", 0.1)

        monkeypatch.setattr(environment, "check_requirements", check)
        return times

    return arrange


def test_an_edit_during_the_check_is_kept(shell, project, written_meanwhile):
    times = written_meanwhile(2)
    assert shell.cell("%%requirements\npolars\n").change.applied
    assert text_of(project, "requirements.txt").splitlines()[-3:] == ["other1", "other2", "polars"]
    assert len(times) == 3
    assert "other2" in times[-1]


def test_a_file_that_does_not_come_to_rest_is_left(shell, project, written_meanwhile):
    written_meanwhile(99)
    with pytest.raises(errors.FileConflictError):
        shell.cell("%%requirements\npolars\n")
    assert "polars" not in text_of(project, "requirements.txt")
    assert "other1" in text_of(project, "requirements.txt")


def test_replacing_loses_no_edit_made_during_the_check(shell, project, written_meanwhile):
    written_meanwhile(1)
    with pytest.raises(errors.FileConflictError, match=r"requirements\.txt"):
        shell.cell("%%requirements --replace\npolars\n")
    assert text_of(project, "requirements.txt").endswith("other1\n")
    assert "polars" not in text_of(project, "requirements.txt")


@pytest.mark.parametrize(
    "source",
    [
        "%%requirements --no-check\n--extra-index-url https://me:planted@x.y/simple\nfoo @ git+https://me:planted@x.y/z.git\n",
        "%requirements add --no-check 'foo @ https://me:planted@x.y/foo.whl'",
        "%requirements add --no-check 'foo bar https://me:planted@x.y'",
        "%packages add https://me:planted@x.y",
        "%%dockerfile\nENV DB_PASSWORD=planted A=1\nADD https://me:planted@x.y/a /a\n",
        "%%dockerfile\nFROB https://me:planted@x.y\n",
        "%%dockerfile --block ca\nRUN curl https://me:planted@x.y\n",
        "%dockerfile set FROM me.example.com/https://me:planted@x.y:1",
        "%dockerfile set FROM 'https://me:planted@x.y z'",
        "%dockerfile set ENV API_TOKEN=planted",
        "%dockerfile set ENV API_TOKEN='planted",
        "%dockerfile remove RUN curl https://me:planted@x.y",
    ],
)
def test_secrets_stay_secret(seen, project, environment, source):
    magic = source.split()[0].replace("%%", "%")
    assert "planted" not in seen(source)
    assert "planted" not in seen(magic)
    assert "planted" not in seen("%dockerfile remove RUN curl https://me:planted@other.y")
    assert "planted" not in seen("%astro_undo --list")
    assert "planted" not in seen("%astro_undo --dry-run")
    assert "planted" not in seen("%astro")


def test_listing_requirements_hides_logins(shell, project, environment):
    shell.cell("%requirements add --no-check 'foo @ git+https://me:planted@x.y/z.git'")
    assert "planted" in text_of(project, "requirements.txt")
    assert "foo @ git+https://••••••@x.y/z.git" in repr(shell.cell("%requirements"))


def test_an_image_that_does_not_tell_its_airflow_is_said(shell, project, environment):
    assert "does not tell which Airflow" not in repr(shell.cell("%dockerfile set FROM apache/airflow:3.1.8"))
    assert "has no tag, so its Airflow version is unknown" in repr(shell.cell("%dockerfile set FROM nonsense"))
