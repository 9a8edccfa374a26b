from __future__ import annotations

import shutil

import pytest

from astro_magic.project.checks.files import check_files


def found(project, check):
    return [finding for finding in check_files(project) if finding.check == check]


def test_a_new_project_is_in_order(project):
    assert list(check_files(project)) == []


def test_missing_folders(project):
    shutil.rmtree(project.root / "include")
    shutil.rmtree(project.root / "tests")
    (project.root / "tests").write_text("")
    missing = found(project, "missing-folder")
    assert [(finding.file, finding.severity) for finding in missing] == [("tests", "error"), ("include/", "warning")]
    assert "%astro_init ." in missing[1].hint


def test_all_missing_folders_are_told_at_once(project):
    for name in ("include", "plugins", "tests"):
        shutil.rmtree(project.root / name)
    (missing,) = found(project, "missing-folder")
    assert "The folders include, plugins and tests are missing" in missing.message


@pytest.mark.parametrize(
    ("dockerfile", "severities"),
    [
        ("FROM astrocrpublic.azurecr.io/runtime:3.3-1\n", ["warning", "warning"]),
        ("FROM astrocrpublic.azurecr.io/runtime:3.3-1-base\n", []),
        ("FROM apache/airflow:3.1.8\n", []),
        ("FROM mine:1\n", []),
        (None, ["error"]),
    ],
)
def test_missing_files(project, dockerfile, severities):
    (project.root / "packages.txt").unlink()
    (project.root / "requirements.txt").unlink()
    (project.root / ".env").unlink()
    if dockerfile is None:
        (project.root / "Dockerfile").unlink()
    else:
        (project.root / "Dockerfile").write_text(dockerfile)
    assert [finding.severity for finding in found(project, "missing-file")] == severities


def test_a_folder_in_the_place_of_a_file(project):
    for name in ("Dockerfile", "requirements.txt", ".env"):
        (project.root / name).unlink()
        (project.root / name).mkdir()
    assert [finding.file for finding in found(project, "folder-for-file")] == ["Dockerfile", "requirements.txt"]
    assert [finding.file for finding in found(project, "empty-env-folder")] == [".env"]
    (project.root / ".env" / "dev.env").write_bytes(b"A=caf\xe9\n")
    assert found(project, "empty-env-folder") == []
    assert [finding.file for finding in found(project, "unreadable")] == [".env/dev.env"]


def test_what_is_no_text(project):
    for name, content in (("Dockerfile", b"\xff"), ("packages.txt", b"a\n\0"), (".env", "A=\xe9".encode("latin-1"))):
        (project.root / name).write_bytes(content)
    assert [(finding.file, finding.severity) for finding in found(project, "unreadable")] == [
        ("Dockerfile", "error"),
        ("packages.txt", "error"),
        (".env", "error"),
    ]


def test_a_configuration_that_cannot_be_used(project):
    (project.root / ".astro" / "config.yaml").write_text("project:\n  name: shop\napi-server:\n  port: many\n")
    (finding,) = found(project, "unreadable")
    assert finding.file == ".astro/config.yaml"
    assert "'many'" in finding.message


def test_a_byte_order_mark_before_a_pattern(project):
    path = project.root / "dags" / ".airflowignore"
    path.write_bytes(b"\xef\xbb\xbfa.py\n")
    assert [finding.line for finding in found(project, "byte-order-mark")] == [1]
    for harmless in (b"\xef\xbb\xbf\na.py\n", b"\xef\xbb\xbf# note\na.py\n", b"a.py\n"):
        path.write_bytes(harmless)
        assert found(project, "byte-order-mark") == []


def test_airflow_cfg_becomes_lines_of_env(project):
    (project.root / "config").mkdir()
    (project.root / "config" / "airflow.cfg").write_text(
        "[core]\n# parallelism = 32\nparallelism = 4\n# dags_folder = /x\ndags_folder = /x\nfernet_key = hunter2\n"
        "[database]\nsql_alchemy_conn = postgresql://me:hunter2@db/x\n[celery]\n"
        "broker_url = redis://me:hunter2@redis/0\n[api.more]\nempty =\nflag = 100%\n"
    )
    (finding,) = found(project, "unused-airflow-cfg")
    assert finding.file == "config/airflow.cfg"
    assert finding.hint == (
        "Write into .env instead: AIRFLOW__CORE__PARALLELISM=4, "
        "AIRFLOW__CELERY__BROKER_URL=redis://••••••@redis/0, AIRFLOW__API_MORE__FLAG=100%; then remove the file."
    )
    assert "hunter2" not in repr(finding)


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"", "sets nothing but defaults"),
        (b"[core]\n# a = 1\na = 1\n", "sets nothing but defaults"),
        (b"no section\n", "AIRFLOW__SECTION__KEY=VALUE"),
        (b"\xff", "AIRFLOW__SECTION__KEY=VALUE"),
        (b"\xef\xbb\xbf[core]\r\na = 1\r\na = 2\r\n", "AIRFLOW__CORE__A=2"),
        (b"[core]\na = x\n  y\n", "AIRFLOW__CORE__A=x y"),
    ],
)
def test_any_airflow_cfg_is_read(project, content, hint):
    (project.root / "airflow.cfg").write_bytes(content)
    (finding,) = found(project, "unused-airflow-cfg")
    assert hint in finding.hint


def test_local_settings_are_not_used(project):
    for name in ("airflow_local_settings.py", "plugins/airflow_local_settings.py"):
        (project.root / name).write_text("")
    assert [finding.file for finding in found(project, "unused-local-settings")] == [
        "airflow_local_settings.py",
        "plugins/airflow_local_settings.py",
    ]


def test_windows_line_ends_where_a_shell_reads(project):
    (project.root / "packages.txt").write_bytes(b"git\ncurl\r\n")
    (project.root / ".env").write_bytes(b"A=1\r\n")
    (project.root / "requirements.txt").write_bytes(b"pandas\r\n")
    (project.root / "include" / "run.sh").write_bytes(b"#!/bin/sh\r\n")
    (project.root / "include" / "fine.sh").write_bytes(b"#!/bin/sh\nprintf 'a\\r\\n'\n")
    assert [(finding.file, finding.line) for finding in found(project, "windows-line-ends")] == [
        ("packages.txt", 2),
        ("include/run.sh", 1),
    ]


@pytest.mark.parametrize(
    ("content", "lines"), [(b"FROM a:1\r\nRUN b\r\n", []), (b"FROM a:1\r\nRUN <<E\r\nb\r\nE\r\n", [1])]
)
def test_windows_line_ends_of_a_dockerfile_count_in_here_documents(project, content, lines):
    (project.root / "Dockerfile").write_bytes(content)
    assert [finding.line for finding in found(project, "windows-line-ends")] == lines


def test_a_configuration_that_is_no_yaml(project):
    project.config_file.path.write_text("project: [\n")
    (finding,) = found(project, "unreadable")
    assert (finding.file, finding.severity) == (".astro/config.yaml", "error")
