"""The secrets of a project's local Airflow: made once, whoever asks first, and the same in both files."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor

from astro_magic.engines.local.settings import read_secrets, ready_secrets
from astro_magic.project.project import Project


def test_who_asks_at_once_gets_the_same(tmp_path):
    project = Project.create(tmp_path / "shop").project
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: read_secrets(project), range(32)))
    assert len(found) == 1


def test_airflow_is_given_the_password_that_is_known(tmp_path):
    project = Project.create(tmp_path / "shop").project
    known = read_secrets(project)
    file = project.state_dir / "passwords.json"
    for spoil in (lambda: None, file.unlink, lambda: file.write_text('{"admin": "another"}')):
        spoil()
        assert ready_secrets(project) == known
        assert json.loads(file.read_text()) == {"admin": known.password}
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
