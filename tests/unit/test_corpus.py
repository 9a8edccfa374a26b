from __future__ import annotations

import pytest

from astro_magic.errors import InvalidContentError
from astro_magic.project.os_packages import OsPackages
from astro_magic.project.requirements.requirements import Requirements
from scripts import corpus

FILES = {
    ".astro/config.yaml": "project:\n    name: shop\n",
    "Dockerfile": 'FROM apache/airflow:3.1.8\nENV A="1 2" B=3\nUSER root\nRUN x \\\n  y\nUSER airflow\n',
    ".env": "# mine\nA='x y'\nB='{\n}'\n",
    "requirements.txt": "pandas==2.2.3  # why\n-r more/requirements.txt\n",
    "more/requirements.txt": "numpy",
    "packages.txt": "git\r\ncurl=7.*\r\n",
    "airflow_settings.yaml": "airflow:\n  pools:\n    - pool_name: a\n      pool_slot: 1\n  variables:\n"
    "    - variable_name:\n      variable_value:\n",
    "dags/.airflowignore": "sql/  # no DAGs\n",
}


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "projects" / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    (tmp_path / "projects" / "bare").mkdir()
    return tmp_path / "projects"


def run(folder, capsys, *options):
    code = corpus.main([str(folder), *options])
    return code, capsys.readouterr().out


def test_all_promises_are_kept_and_nothing_is_touched(folder, capsys):
    code, shown = run(folder, capsys)
    assert code == 0
    assert "2 projects, 8 documents, " in shown
    assert ", 0 refused, 0 failures" in shown
    assert "1 error missing-file" in shown
    assert {
        path.relative_to(folder / "shop").as_posix(): path.read_bytes().decode()
        for path in (folder / "shop").rglob("*")
        if path.is_file()
    } == FILES


def test_a_refusal_is_told_with_its_reason_and_no_failure(folder, capsys):
    (folder / "shop" / "requirements.txt").write_text("pandas=2 https://me:hunter2@h\n")
    (folder / "shop" / "packages.txt").write_bytes(b"\xff")
    code, shown = run(folder, capsys, "--list")
    assert code == 0
    assert "refused\tshop: requirements.txt\trequirements.txt: Line 1 is no requirement" in shown
    assert "refused\tshop: packages.txt\tpackages.txt: packages.txt is not UTF-8 text (line 1)." in shown
    assert "hunter2" not in shown


def test_loose_files_by_kind(folder, capsys, tmp_path):
    for kind, name in corpus.PLACES.items():
        (tmp_path / "files" / kind).mkdir(parents=True)
        (tmp_path / "files" / kind / "one").write_text(FILES[name].replace("-r more/requirements.txt\n", ""))
    code, shown = run(folder, capsys, "--files", str(tmp_path / "files"))
    assert code == 0
    assert f"2 projects, {8 + len(corpus.PLACES)} documents, " in shown


@pytest.mark.parametrize(
    ("kind", "method", "broken", "words"),
    [
        (OsPackages, "plan_merge", lambda self, _: self.write("git\n", dry_run=True), "changes other lines"),
        (OsPackages, "plan_remove", lambda self, _: self.write("git\n", dry_run=True), "takes something along"),
        (Requirements, "plan_merge", lambda self, text: self.write(f"{text}\n", dry_run=True), "what is there"),
        (Requirements, "plan_remove", lambda self, _: 1 // 0, "ZeroDivisionError"),
    ],
)
def test_a_broken_promise_is_a_failure(folder, capsys, monkeypatch, kind, method, broken, words):
    monkeypatch.setattr(kind, method, broken)
    code, shown = run(folder, capsys)
    assert code == 1
    assert words in shown


def test_a_refusal_without_a_hint_is_a_failure(folder, capsys, monkeypatch):
    def refuse(*_):
        raise InvalidContentError("no")

    monkeypatch.setattr(OsPackages, "plan_remove", refuse)
    assert run(folder, capsys)[0] == 1


def test_a_check_that_raises_is_a_failure(folder, capsys, monkeypatch):
    monkeypatch.setattr(corpus, "check_project", lambda *_, **__: 1 // 0)
    assert run(folder, capsys)[0] == 1
