from __future__ import annotations

import json

import pytest

from astro_magic.airflow.configuration import ConfigOption, read_configuration
from astro_magic.errors import AirflowError


def test_what_is_secret_is_hidden():
    sections = {
        "core": {"executor": "LocalExecutor", "fernet_key": "< hidden >", "parallelism": 32, "nothing": None},
        "database": {"sql_alchemy_conn": "postgresql://me:planted@postgres/airflow"},
        "smtp": {"smtp_password": "planted"},
        "celery": {"broker_url": "redis://me:planted@cache/0"},
    }
    options = read_configuration(f"[warning] something\n{json.dumps(sections)}\n\n")
    assert [option.key for option in options][:4] == ["executor", "fernet_key", "parallelism", "nothing"]
    assert options[0] == ConfigOption("core", "executor", "LocalExecutor")
    assert options[2].value == "32"
    assert options[3].value == ""
    assert "planted" not in repr(options)
    assert "< hidden >" not in repr(options)
    assert "cache/0" in options[-1].value


@pytest.mark.parametrize("text", ["", "Traceback", "[1, 2]", '{"core": 3}', "null"])
def test_what_is_no_configuration(text):
    with pytest.raises(AirflowError, match="cannot be read"):
        read_configuration(text)
