"""Objects as they stand in one place, to be edited there."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest

from astro_magic.errors import InvalidContentError, NotRunningError
from astro_magic.objects.access import ProjectObjects
from astro_magic.objects.table import Definition, ObjectRow, ObjectsTable
from astro_magic.project.project import Project
from astro_magic.system.events import run


@pytest.fixture
def objects(tmp_path):
    """The objects of a project whose Airflow does not run."""
    project = Project.create(tmp_path / "shop").project
    engine: Any = Mock()
    engine.api.side_effect = NotRunningError("Airflow does not run.")
    lake = {"conn_type": "aws", "conn_password": "planted-4711"}
    project.apply(project.settings.plan_set("connection", "lake", lake))
    project.apply(project.dotenv.plan_set({"AIRFLOW_CONN_LAKE": "http://here", "AIRFLOW_VAR_REGION": "eu"}))
    return ProjectObjects(project, engine, run)


def test_it_is_edited_where_it_counts_or_where_it_is_asked_for(objects):
    draft = objects.draft("connection", "lake")
    assert (draft.target, draft.places, draft.new) == ("env", ("env", "settings"), False)
    assert draft.values == {"conn_type": "http", "host": "here"}
    other = objects.draft("connection", "lake", at="settings")
    assert (other.target, other.values) == ("settings", {"conn_type": "aws", "password": "planted-4711"})
    assert "4711" not in repr(other)
    assert objects.draft("variable", "region", at="settings").target == "env"


def test_one_that_is_not_there(objects):
    with pytest.raises(InvalidContentError, match="There is no pool 'heavy' any more"):
        objects.draft("pool", "heavy")


def test_what_only_airflow_has_is_read_with_its_secrets(objects, monkeypatch):
    asked = []

    def read_tables(project, engine, kinds, *, secrets=False):
        asked.append(secrets)
        values = {"conn_type": "http", "password": "planted-4711" if secrets else "***"}
        row = ObjectRow("connection", "lake", (Definition("database", "Airflow", values),), "only in Airflow")
        return (ObjectsTable("connection", (row,), running=True),)

    monkeypatch.setattr("astro_magic.objects.drafts.read_tables", read_tables)
    draft = objects.draft("connection", "lake")
    assert (draft.target, draft.values["password"], asked) == ("airflow", "planted-4711", [False, True])


def test_what_only_a_secrets_backend_has_is_changed_there(objects, monkeypatch):
    row = ObjectRow("variable", "a", (Definition("backend", "VaultBackend", {"value": "b"}),), "")
    table = ObjectsTable("variable", (row,), running=True)
    monkeypatch.setattr("astro_magic.objects.drafts.read_tables", lambda *_, **__: (table,))
    with pytest.raises(InvalidContentError, match="in the secrets backend VaultBackend only"):
        objects.draft("variable", "a")
