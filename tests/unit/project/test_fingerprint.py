from __future__ import annotations

import json

import pytest

from astro_magic.errors import InvalidContentError
from astro_magic.project import Action, Fingerprint, Pending, Reason


def write(project, **contents):
    for name, text in contents.items():
        names = {"requirements": "requirements.txt", "packages": "packages.txt", "env": ".env"}
        (project.root / {**names, "settings": "airflow_settings.yaml"}.get(name, name)).write_text(text)


def details(before, project):
    stored = Fingerprint.from_dict(json.loads(json.dumps(before.to_dict())))
    pending = stored.pending(Fingerprint.take(project))
    assert pending == before.pending(Fingerprint.take(project))
    return [reason.detail for reason in pending.reasons], pending.action


def test_a_change_of_an_included_file_is_pending(project):
    project.file("more.txt").write("pandas==2.2.3\n")
    project.requirements.add("-r more.txt")
    before = Fingerprint.take(project)
    project.file("more.txt").write("pandas==2.3.1\n")
    (reason,) = before.pending(Fingerprint.take(project)).reasons
    assert reason.detail == "line 1: more.txt: pandas==2.2.3 → more.txt: pandas==2.3.1"
    assert reason.action is Action.REBUILD


def test_nothing_is_pending_at_first_nor_after_changes_of_form(project):
    write(project, requirements="pandas==2.2\nduckdb\n", packages="git\n", env="A=1\n", Dockerfile="FROM a:1\nRUN b\n")
    before = Fingerprint.take(project)
    assert details(before, project) == ([], Action.NONE)
    write(
        project,
        requirements="# note\nduckdb\n\nPandas == 2.2  # why\n",
        packages="\ngit # note\n",
        env="# note\nexport A='1'\n",
        Dockerfile="# note\n\nFROM a:1\nRUN b\n",
        settings="# note\n\n" + (project.root / "airflow_settings.yaml").read_text(),
    )
    assert details(before, project) == ([], Action.NONE)
    (project.root / "dags" / "new.py").write_text("")
    assert details(before, project) == ([], Action.NONE)


def test_says_what_changed_and_what_applies_it(project):
    write(project, requirements="a\n\npandas==2.2.3\nold\n", packages="git\n", env="TOKEN=1\nOLD=1\n")
    before = Fingerprint.take(project)
    write(project, settings="airflow:\n  pools: []\n")
    assert details(before, project) == (["changed objects"], Action.IMPORT_OBJECTS)
    write(project, env="TOKEN=2\nGREETING=x\n")
    assert details(before, project) == (["changed TOKEN", "+ GREETING", "- OLD", "changed objects"], Action.RECREATE)
    write(project, requirements="a\n\npandas==2.3.1\nduckdb==1.4.0\n", packages="git\ncurl\n")
    found, action = details(before, project)
    assert found[:4] == ["line 3: pandas==2.2.3 → pandas==2.3.1", "+ duckdb==1.4.0", "- old", "+ curl"]
    assert action is Action.REBUILD


def test_the_order_of_a_dockerfile_counts(project):
    write(project, Dockerfile="FROM a:1\nRUN one\nRUN two\n")
    before = Fingerprint.take(project)
    write(project, Dockerfile="FROM a:2\nRUN two\nRUN one\n")
    assert details(before, project) == (
        ["line 1: FROM a:1 → FROM a:2", "+ RUN two", "- RUN two"],
        Action.REBUILD,
    )


def test_missing_files_are_as_empty_ones(project):
    write(project, packages="")
    before = Fingerprint.take(project)
    (project.root / "packages.txt").unlink()
    assert details(before, project) == ([], Action.NONE)


def test_no_secret_is_stored_or_told(project):
    secrets = ["hunter2", "t0ken", "s3cret"]
    write(
        project,
        env="TOKEN=hunter2\n",
        requirements="--index-url https://me:t0ken@host/simple\n-e git+https://t0ken@host/a.git\n"
        "b @ git+https://me:t0ken@host/b.git\n",
        settings="airflow:\n  connections:\n    - conn_password: s3cret\n",
        Dockerfile="FROM a:1\nENV API_TOKEN=s3cret\nARG PASSWORD=s3cret\nRUN pip install -i https://u:s3cret@h/ x\n",
    )
    before = Fingerprint.take(project)
    stored = json.dumps(before.to_dict())
    assert not [secret for secret in secrets if secret in stored + repr(before)]
    for name in (".env", "requirements.txt", "airflow_settings.yaml", "Dockerfile"):
        path = project.root / name
        path.write_text(
            path.read_text().replace("t0ken", "0ther").replace("s3cret", "0ther").replace("hunter2", "0ther")
        )
    found, action = details(before, project)
    assert action is Action.REBUILD
    assert len(found) == 8
    assert "changed TOKEN" in found
    assert not [secret for secret in [*secrets, "0ther"] if secret in " ".join(found)]


def test_salts_differ(project):
    write(project, env="A=1\n")
    one, other = Fingerprint.take(project), Fingerprint.take(project)
    assert one.items[".env"][0].digest != other.items[".env"][0].digest


@pytest.mark.parametrize("data", [{}, {"salt": "x", "files": []}, {"salt": "x", "files": {".env": [[1]]}}])
def test_broken_state_is_said(data):
    with pytest.raises(InvalidContentError, match="stored state"):
        Fingerprint.from_dict(data)


def test_the_greatest_action_counts():
    assert Pending().action is Action.NONE
    reasons = (Reason("a", "x", Action.RECREATE), Reason("b", "y", Action.IMPORT_OBJECTS))
    assert Pending(reasons).action is Action.RECREATE
